/* The pattern language: what is refused and in which words, grammar, hostile text, and memory that runs out. */
#include "pattern/pattern.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ arrays behind file: */

static const uint8_t mask_bytes[12] = {1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 0, 1};
static const float floats[6];
static const int32_t parents_late[3] = {-1, 2, 0}, parents_low[3] = {-1, -2, 0}, parents_own[3] = {-1, 0, 2},
                     parents_good[3] = {-1, 0, 0};

static const struct {
    const char *path;
    fovea_array array;
} arrays[] = {
    {"mask", {.data = mask_bytes, .dim = {2, 2, 3}, .rank = 3, .type = 'b'}},
    {"flat", {.data = mask_bytes, .dim = {2, 3}, .rank = 2, .type = 'b'}},
    {"line", {.data = mask_bytes, .dim = {6}, .rank = 1, .type = 'b'}},
    {"heads", {.data = mask_bytes, .dim = {4, 1, 3}, .rank = 3, .type = 'b'}},
    {"float", {.data = floats, .dim = {2, 3}, .rank = 2, .type = 'f'}},
    {"hollow", {.data = NULL, .dim = {2, 3}, .rank = 2, .type = 'b'}},
    {"late", {.data = parents_late, .dim = {3}, .rank = 1, .type = 'i'}},
    {"low", {.data = parents_low, .dim = {3}, .rank = 1, .type = 'i'}},
    {"own", {.data = parents_own, .dim = {3}, .rank = 1, .type = 'i'}},
    {"tree", {.data = parents_good, .dim = {3}, .rank = 1, .type = 'i'}},
    {"square", {.data = parents_good, .dim = {1, 3}, .rank = 2, .type = 'i'}},
    {"big", {.data = parents_good, .dim = {1000}, .rank = 1, .type = 'i'}},
    {"negative", {.data = parents_good, .dim = {-3}, .rank = 1, .type = 'i'}},
};

static int held;

static int load(void *user, const char *path, fovea_array *array, char *why, size_t n)
{
    (void)user;
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++) {
        if (strcmp(path, arrays[k].path))
            continue;
        *array = arrays[k].array;
        held++;
        return 0;
    }
    snprintf(why, n, "no file of that name");
    return 1;
}

static void unload(void *user, fovea_array *array)
{
    (void)user;
    (void)array;
    held--;
}

/* ------------------------------------------------------------------ errors */

/* 8 queries, 12 keys, 2 heads. */
static fovea_status try(const char *text, int with_shape, int with_loader, fovea_error *err)
{
    fv_pattern_env env = {&fv_memory_standard, with_loader ? load : NULL, with_loader ? unload : NULL, NULL, 0};
    fv_shape shape = {8, 12, 2};
    fv_pattern *p = (fv_pattern *)&env;
    fovea_status status = fv_pattern_compile(&env, text, with_shape ? &shape : NULL, &p, err);
    if (status || !with_shape)
        cr_assert_null(p);
    fv_pattern_free(p);
    return status;
}

/* What the text is refused with: status, words of the message; `early` when no shape is needed to see it. */
typedef struct refusal {
    const char *text;
    fovea_status status;
    int early;
    const char *says[4];
} refusal;

static void check_refusal(const refusal *r)
{
    fovea_error err = {0};
    fovea_status status = try(r->text, 1, 1, &err);
    cr_expect_eq(status, r->status, "%s: status %d, '%s'", r->text, status, err.text);
    cr_expect_eq(err.status, status, "%s", r->text);
    for (int k = 0; k < 4 && r->says[k]; k++)
        cr_expect(strstr(err.text, r->says[k]), "%s: '%s' does not say '%s'", r->text, err.text, r->says[k]);
    cr_expect_null(strchr(err.text, '\n'), "%s: one line", r->text);
    cr_expect_eq(held, 0, "%s: the array is given back", r->text);
    cr_expect_eq(try(r->text, 0, 0, &err), r->early ? r->status : FOVEA_OK, "%s without a shape: %s", r->text,
                 err.text);
    cr_expect_eq(try(r->text, 1, 1, NULL), r->status, "%s without an error struct", r->text);
}

static const refusal syntax_errors[] = {
    {"", FOVEA_ERROR_SYNTAX, 1, {"character 1", "a primitive, '!' or '('", "the end"}},
    {"  ", FOVEA_ERROR_SYNTAX, 1, {"character 3", "the end"}},
    {"causal &", FOVEA_ERROR_SYNTAX, 1, {"character 9", "the end"}},
    {"causal | | all", FOVEA_ERROR_SYNTAX, 1, {"character 10", "'|'"}},
    {"(causal", FOVEA_ERROR_SYNTAX, 1, {"character 8", "')'"}},
    {"causal)", FOVEA_ERROR_SYNTAX, 1, {"character 7", "')'", "the end"}},
    {"causal all", FOVEA_ERROR_SYNTAX, 1, {"character 8", "'a'"}},
    {"sinks(4", FOVEA_ERROR_SYNTAX, 1, {"character 8", "',' or ')'"}},
    {"sinks(4 5)", FOVEA_ERROR_SYNTAX, 1, {"character 9", "',' or ')'", "'5'"}},
    {"columns(1,,2)", FOVEA_ERROR_SYNTAX, 1, {"character 11", "a number", "','"}},
    {"columns(1,)", FOVEA_ERROR_SYNTAX, 1, {"character 11", "a number", "')'"}},
    {"document(3+)", FOVEA_ERROR_SYNTAX, 1, {"a number"}},
    {"window(left=)", FOVEA_ERROR_SYNTAX, 1, {"character 13", "a number"}},
    {"window(left=2,3)", FOVEA_ERROR_SYNTAX, 1, {"character 15", "key=value"}},
    {"causal & \n7", FOVEA_ERROR_SYNTAX, 1, {"character 11", "'7'"}},
    {"\xc3\xa9", FOVEA_ERROR_SYNTAX, 1, {"character 1", "'\xc3\xa9'"}},
};

static const refusal parameter_errors[] = {
    {"casual", FOVEA_ERROR_PARAMETER, 1, {"'casual'", "nearest is 'causal'", "neighborhood"}},
    {"windw(left=1)", FOVEA_ERROR_PARAMETER, 1, {"'windw'", "nearest is 'window'"}},
    {"neighbourhood(size=12,kernel=3)", FOVEA_ERROR_PARAMETER, 1, {"nearest is 'neighborhood'"}},
    {"window(lefft=1)", FOVEA_ERROR_PARAMETER, 1, {"window", "'lefft'", "nearest is 'left'", "left, right"}},
    {"causal(3)", FOVEA_ERROR_PARAMETER, 1, {"causal", "'3'", "one argument too many"}},
    {"causal(x=3)", FOVEA_ERROR_PARAMETER, 1, {"causal", "takes no arguments", "'x'"}},
    {"sinks(3,4)", FOVEA_ERROR_PARAMETER, 1, {"sinks", "'4'", "sinks(s)"}},
    {"sinks", FOVEA_ERROR_PARAMETER, 1, {"sinks: s is missing", "sinks(s)"}},
    {"dilated(step=2,left=1)", FOVEA_ERROR_PARAMETER, 1, {"dilated: right is missing", "left=a"}},
    {"window(left=1,left=2)", FOVEA_ERROR_PARAMETER, 1, {"window: left is given twice"}},
    {"window(1,left=2)", FOVEA_ERROR_PARAMETER, 1, {"window: left is given twice"}},
    {"tree()", FOVEA_ERROR_PARAMETER, 1, {"tree: file is missing", "tree(file:PATH)"}},
};

static const refusal value_errors[] = {
    {"sinks(-1)", FOVEA_ERROR_VALUE, 1, {"sinks: s=-1", "an integer of at least 0"}},
    {"sinks(1.5)", FOVEA_ERROR_VALUE, 1, {"s=1.5", "an integer"}},
    {"sinks(nan)", FOVEA_ERROR_VALUE, 1, {"s=nan"}},
    {"sinks(4g)", FOVEA_ERROR_VALUE, 1, {"s=4g", "k and m"}},
    {"sinks(k)", FOVEA_ERROR_VALUE, 1, {"s=k"}},
    {"sinks(99999999999999999999)", FOVEA_ERROR_VALUE, 1, {"s=99999999999999999999"}},
    {"sinks(9223372036854775807k)", FOVEA_ERROR_VALUE, 1, {"s=9223372036854775807k"}},
    {"sinks(1+2)", FOVEA_ERROR_VALUE, 1, {"sinks: s takes one number"}},
    {"stride(0)", FOVEA_ERROR_VALUE, 1, {"stride: l=0", "at least 1"}},
    {"chunk(0)", FOVEA_ERROR_VALUE, 1, {"chunk: c=0", "at least 1"}},
    {"dilated(step=0,left=1,right=1)", FOVEA_ERROR_VALUE, 1, {"dilated: step=0"}},
    {"summary(4,5)", FOVEA_ERROR_VALUE, 1, {"summary: c=5", "from 0 to l=4"}},
    {"axial(size=3+4,axis=2)", FOVEA_ERROR_VALUE, 1, {"axial: axis=2", "from 0 to 1"}},
    {"axial(size=3+4,axis=3)", FOVEA_ERROR_VALUE, 1, {"axial: axis=3", "from 0 to 2"}},
    {"axial(size=1+1+3+4,axis=0)", FOVEA_ERROR_VALUE, 1, {"axial: size has 4 axes"}},
    {"axial(size=0+12,axis=0)", FOVEA_ERROR_VALUE, 1, {"axial: size=0"}},
    {"neighborhood(size=12,kernel=13)", FOVEA_ERROR_VALUE, 1, {"kernel=13", "from 1 to 12"}},
    {"neighborhood(size=12,kernel=3,stride=4)", FOVEA_ERROR_VALUE, 1, {"stride=4", "from 1 to kernel=3"}},
    {"neighborhood(size=12,kernel=3,dilation=5)", FOVEA_ERROR_VALUE, 1, {"dilation=5", "from 1 to 4"}},
    {"neighborhood(size=12,kernel=3,causal=2)", FOVEA_ERROR_VALUE, 1, {"causal=2", "from 0 to 1"}},
    {"neighborhood(size=3+4,kernel=1+1+1)", FOVEA_ERROR_VALUE, 1, {"kernel has 3 numbers", "2 axes"}},
    {"swin(size=3+4,window=2)", FOVEA_ERROR_VALUE, 1, {"window=2", "divide 3"}},
    {"swin(size=4+3,window=1,shift=1)", FOVEA_ERROR_VALUE, 1, {"shift=1", "from 0 to 0"}},
    {"blocks(mask)", FOVEA_ERROR_VALUE, 1, {"blocks: file=mask", "file:PATH"}},
    {"tree(file: )", FOVEA_ERROR_VALUE, 1, {"tree: file=file:", "path"}},
    {"tree(file:a\nb)", FOVEA_ERROR_VALUE, 1, {"control characters"}},
    {"random(block=4,count=4)", FOVEA_ERROR_VALUE, 0, {"random: count=4", "from 0 to 3", "key blocks"}},
    {"tree(file:late)", FOVEA_ERROR_VALUE, 0, {"file:late", "node 1", "parent 2", "from -1 to 0"}},
    {"tree(file:own)", FOVEA_ERROR_VALUE, 0, {"file:own", "node 2", "parent 2", "from -1 to 1"}},
    {"tree(file:low)", FOVEA_ERROR_VALUE, 0, {"file:low", "node 1", "parent -2"}},
};

static const refusal shape_errors[] = {
    {"document(5+6)", FOVEA_ERROR_SHAPE, 0, {"document", "sum to 11", "lk=12"}},
    {"document(7+6)", FOVEA_ERROR_SHAPE, 0, {"document", "more than lk=12"}},
    {"document(9223372036854775807+9)", FOVEA_ERROR_SHAPE, 0, {"document", "more than lk=12"}},
    {"axial(size=3+5,axis=0)", FOVEA_ERROR_SHAPE, 0, {"axial", "size is 15", "lk=12"}},
    {"axial(size=9223372036854775807+9,axis=0)", FOVEA_ERROR_SHAPE, 0, {"axial", "does not fit", "lk=12"}},
    {"swin(size=4+4,window=2)", FOVEA_ERROR_SHAPE, 0, {"swin", "size is 16", "lk=12"}},
    {"neighborhood(size=4,kernel=2)", FOVEA_ERROR_SHAPE, 0, {"neighborhood", "size is 4", "lk=12"}},
    {"bigbird(block=4,random=1)", FOVEA_ERROR_SHAPE, 0, {"bigbird", "lq=8", "lk=12"}},
    {"blocks(file:mask,bq=4,bk=5)|all", FOVEA_OK, 0, {0}},
    {"blocks(file:mask,bq=5,bk=6)", FOVEA_ERROR_SHAPE, 0, {"file:mask", "[2,2,3]", "[2,2,2]", "bk=6"}},
    {"blocks(file:mask)", FOVEA_ERROR_SHAPE, 0, {"file:mask", "bq=128", "[1,1,1]"}},
    {"blocks(file:line,bq=4,bk=4)", FOVEA_ERROR_SHAPE, 0, {"file:line", "[6]"}},
    {"blocks(file:heads,bq=8,bk=4)", FOVEA_ERROR_SHAPE, 0, {"file:heads", "[4,1,3]", "[2,1,3]"}},
    {"tree(file:square)", FOVEA_ERROR_SHAPE, 0, {"file:square", "[1,3]", "[T]"}},
    {"tree(file:big)", FOVEA_ERROR_SHAPE, 0, {"file:big", "1000 nodes", "lq=8", "lk=12"}},
    {"tree(file:negative)", FOVEA_ERROR_SHAPE, 0, {"file:negative", "[-3]"}},
};

static const refusal file_errors[] = {
    {"blocks(file:nowhere)", FOVEA_ERROR_FILE, 0, {"file:nowhere", "no file of that name"}},
    {"causal & tree( file:a b )", FOVEA_ERROR_FILE, 0, {"file:a b cannot"}},
    {"blocks(file:float,bq=4,bk=4)", FOVEA_ERROR_FILE, 0, {"file:float", "bytes"}},
    {"blocks(file:hollow,bq=4,bk=4)", FOVEA_ERROR_FILE, 0, {"file:hollow", "without data"}},
    {"tree(file:mask)", FOVEA_ERROR_FILE, 0, {"file:mask", "integers"}},
};

static void check_refusals(const refusal *r, size_t n)
{
    for (size_t k = 0; k < n; k++)
        check_refusal(&r[k]);
}

Test(pattern_text, errors)
{
    fovea_error err = {0};
    check_refusals(syntax_errors, sizeof syntax_errors / sizeof *syntax_errors);
    check_refusals(parameter_errors, sizeof parameter_errors / sizeof *parameter_errors);
    check_refusals(value_errors, sizeof value_errors / sizeof *value_errors);
    check_refusals(shape_errors, sizeof shape_errors / sizeof *shape_errors);
    check_refusals(file_errors, sizeof file_errors / sizeof *file_errors);
    cr_assert_eq(try("tree(file:tree)", 1, 0, &err), FOVEA_ERROR_FILE);
    cr_assert(strstr(err.text, "file:tree needs a loader"));
}

/* ------------------------------------------------------------------ grammar */

/* Keys of row 5 (p = 9 of 12 keys) as a text of 0 and 1. */
static void row_of(const char *text, char out[13])
{
    fv_pattern_env env = {&fv_memory_standard, load, unload, NULL, 0};
    fv_shape shape = {8, 12, 2};
    fovea_error err = {0};
    fv_pattern *p;
    const fv_run *run;
    cr_assert(!fv_pattern_compile(&env, text, &shape, &p, &err), "%s: %s", text, err.text);
    void *scratch = malloc(fv_pattern_row_scratch(p));
    size_t n = fv_pattern_row(p, (fv_lane){5, 1}, scratch, &run);
    memset(out, '0', 12);
    out[12] = '\0';
    for (size_t k = 0; k < n; k++)
        memset(out + run[k].lo, '1', (size_t)(run[k].hi - run[k].lo));
    free(scratch);
    fv_pattern_free(p);
}

static void same_row(const char *text, const char *want)
{
    char got[13];
    row_of(text, got);
    cr_expect_str_eq(got, want, "%s keeps %s, not %s", text, got, want);
}

Test(pattern_text, grammar)
{
    same_row("all", "111111111111");
    same_row("self", "000000000100");
    same_row(" self ( ) ", "000000000100");
    same_row("window(left=2,right=1)", "000000011110");
    same_row("window(2,1)", "000000011110");
    same_row("window(2,right=1)", "000000011110");
    same_row("window ( left\t= 2 )", "000000011111");
    same_row("window(right=0)", "111111111100");
    same_row("window", "111111111111");
    same_row("sinks(1)|self&causal", "100000000100");
    same_row("(sinks(1)|self)&sinks(3)", "100000000000");
    same_row("sinks(1)|columns(3)&!all", "100000000000");
    same_row("!sinks(1)&!columns(3,4)", "011001111111");
    same_row("!!self|! ! !all", "000000000100");
    same_row("!(sinks(9)|self)", "000000000011");
    same_row("columns(11,0,3,3,50)", "100100000001");
    same_row("columns(0+3)", "100100000000");
    same_row("columns(keys=0+3)", "100100000000");
    same_row("columns()", "000000000000");
    same_row("global()", "000000000000");
    same_row("global(9)", "111111111111");
    same_row("document(0+4+0+8+0)", "000011111111");
    same_row("dilated(2,left=2,right=1)", "000001010101");
    same_row("chunk(1k)", "111111111111");
    same_row("chunk(1m)&stride(4)", "010001000100");
    same_row("axial(size= 3 + 4,axis=0)", "010001000100");
    same_row("axial(3+4,1)", "000000001111");
    same_row("neighborhood(size=12,kernel=4,causal)", "000000111100");
    same_row("neighborhood(size=3+4,kernel=2,causal=1+0)", "000011001100");
    same_row("swin(3+4,window=3+2,shift=0+1)", "011001100110");
    same_row("swin(3+4,window=1+2,shift=0+1)", "000000000110");
    same_row("swin(size=12,window=12,shift=5)", "111111111111");
    same_row("blocks(file:mask,bq=4,bk=4)", "000000001111");
    same_row("blocks(bk=4,bq=4,file=file: flat )", "000011110000");
    same_row("tree(file:tree)", "111111111100");
    same_row("blockwindow(block=4,blocks=2)", "000011111111");
    same_row("blockwindow(block=1m,blocks=1m)", "111111111111");
    same_row("summary(5,2)", "000110001100");
    same_row("lastrows(2)|lastrows(3)", "111111111111");
    same_row("lastrows(2)", "000000000000");
    same_row("longnet(6,2)", "000000010101");
    same_row("longnet(6,9223372036854775807)", "000000000000");
    same_row("stride(9223372036854775807)", "000000000100");
    same_row("dilated(step=9223372036854775807,left=9223372036854775807,right=9223372036854775807)", "000000000100");
    same_row("summary(9223372036854775807,9223372036854775807)", "111111111111");
    same_row("summary(9223372036854775807,1)", "000000000000");
    same_row("window(left=9223372036854775807,right=0)", "111111111100");
    same_row("lastrows(9223372036854775807)", "111111111111");
}

Test(pattern_text, primitives_are_described)
{
    unsigned n = 0;
    for (const fovea_primitive *p; (p = fv_pattern_primitive_at(n)); n++) {
        cr_assert(p->name && p->usage && p->keeps);
        cr_assert_eq(strncmp(p->usage, p->name, strlen(p->name)), 0, "%s", p->usage);
    }
    cr_assert_eq(n, 23);
    cr_assert_null(fv_pattern_primitive_at(UINT32_MAX));
}

/* ------------------------------------------------------------------ hostile text */

static char *repeated(const char *before, const char *part, size_t n, const char *after)
{
    size_t a = strlen(before), b = strlen(part), c = strlen(after);
    char *text = malloc(a + b * n + c + 1);
    memcpy(text, before, a);
    for (size_t k = 0; k < n; k++)
        memcpy(text + a + k * b, part, b);
    memcpy(text + a + b * n, after, c + 1);
    return text;
}

static fovea_status try_repeated(const char *before, const char *part, size_t n, const char *after)
{
    char *text = repeated(before, part, n, after);
    fovea_error err = {0};
    fovea_status status = try(text, 1, 1, &err);
    cr_expect_null(strchr(err.text, '\n'));
    free(text);
    return status;
}

Test(pattern_text, long_text)
{
    enum { MILLION = 1000000 };
    cr_expect_eq(try_repeated("", "(", MILLION, "all"), FOVEA_ERROR_SYNTAX);
    cr_expect_eq(try_repeated("", "(", 64, "all"), FOVEA_ERROR_SYNTAX);
    cr_expect_eq(try_repeated("", "!", MILLION, "all"), FOVEA_OK);
    cr_expect_eq(try_repeated("", " ", MILLION, "all"), FOVEA_OK);
    cr_expect_eq(try_repeated("all", "|all", MILLION / 4, ""), FOVEA_ERROR_SYNTAX);
    cr_expect_eq(try_repeated("all", "&stride(2)|all", 500, ""), FOVEA_OK);
    cr_expect_eq(try_repeated("stride(3)", "|causal&stride(2)&!sinks(3)", 300, ""), FOVEA_OK);
    cr_expect_eq(try_repeated("columns(0", ",1", MILLION / 2, ")"), FOVEA_OK);
    cr_expect_eq(try_repeated("document(12", "+0", MILLION / 2, ")"), FOVEA_OK);
    cr_expect_eq(try_repeated("", "a", MILLION, ""), FOVEA_ERROR_PARAMETER);
    cr_expect_eq(try_repeated("sinks(", "9", MILLION, ")"), FOVEA_ERROR_VALUE);
    cr_expect_eq(try_repeated("tree(file:", "x", MILLION, ")"), FOVEA_ERROR_FILE);
    cr_expect_eq(try_repeated("window(", "left", MILLION / 4, "=3)"), FOVEA_ERROR_PARAMETER);
}

/* The deepest nesting that is allowed still works. */
Test(pattern_text, depth)
{
    char *inside = repeated("", "!(self|", 64, "self"), *text = repeated(inside, ")", 64, "");
    fovea_error err = {0};
    cr_assert_eq(try(text, 1, 1, &err), FOVEA_OK, "%s", err.text);
    free(text);
    text = repeated("(", inside, 1, "");
    cr_assert_eq(try(text, 1, 1, &err), FOVEA_ERROR_SYNTAX);
    cr_assert(strstr(err.text, "64 nested parentheses"));
    free(text);
    free(inside);
}

/* Pieces of the language in drawn order, and drawn bytes: every answer is a status, and a success can be evaluated. */
Test(pattern_text, drawn_text)
{
    static const char *const piece[] = {"all",
                                        "causal",
                                        "window(",
                                        "left=",
                                        "3",
                                        "12",
                                        ")",
                                        "(",
                                        "|",
                                        "&",
                                        "!",
                                        ",",
                                        "+",
                                        " ",
                                        "stride(",
                                        "sinks(2)",
                                        "file:mask",
                                        "blocks(",
                                        "tree(",
                                        "axial(size=3+4,axis=0)",
                                        "=",
                                        "-1",
                                        "bq=4",
                                        "dilated(step=2,left=1,right=1)",
                                        "self",
                                        "random(block=4,count=2)",
                                        "longnet(6,2)",
                                        "\x01\xff"};
    uint64_t state = 88172645463325252u;
    unsigned good = 0;
    for (int round = 0; round < 60000; round++) {
        char text[256] = "";
        fovea_error err = {0};
        char row[13];
        for (int n = 1 + round % 12; n > 0; n--) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            strcat(text, piece[(state >> 20) % (sizeof piece / sizeof *piece)]);
        }
        if (try(text, 1, 1, &err) == FOVEA_OK) {
            good++;
            row_of(text, row);
        }
        cr_assert_eq(held, 0);
    }
    cr_assert(good > 1000, "%u texts were patterns", good);
}

/* ------------------------------------------------------------------ memory */

static size_t calls, fail_at, blocks;

static void *failing(void *user, size_t bytes, size_t alignment)
{
    void *block = NULL;
    (void)user;
    if (calls++ == fail_at || posix_memalign(&block, alignment, bytes))
        return NULL;
    blocks++;
    return block;
}

static void release(void *user, void *block)
{
    (void)user;
    blocks--;
    free(block);
}

/* Compiles with every allocation failing in turn until it succeeds; returns how many failures that took. */
static unsigned fail_each(const char *text)
{
    const fv_memory memory = {failing, release, NULL};
    fv_pattern_env env = {&memory, load, unload, NULL, 0};
    fv_shape shape = {8, 12, 2};
    fovea_status status = FOVEA_ERROR_MEMORY;
    unsigned failures = 0;

    for (fail_at = 0; status; fail_at++) {
        fovea_error err = {0};
        fv_pattern *p;
        calls = 0;
        status = fv_pattern_compile(&env, text, &shape, &p, &err);
        if (status) {
            cr_assert_eq(status, FOVEA_ERROR_MEMORY, "%s", err.text);
            cr_assert_null(p);
            failures++;
        }
        fv_pattern_free(p);
        cr_assert_eq(blocks, 0);
        cr_assert_eq(held, 0);
        cr_assert(fail_at < 10000);
    }
    return failures;
}

/* A chunk of memory serves many small requests; text of growing length in front moves which of them needs a new one. */
Test(pattern_text, no_memory)
{
    char *tail = repeated(
        "causal & (stride(3)|sinks(1)|blocks(file:mask,bq=4,bk=4)|tree(file:tree)|random(block=1,count=3)) | columns(0",
        ",1", 3000, ") & !document(5+7) & neighborhood(size=12,kernel=3)");
    for (size_t n = 0; n < 60; n++) {
        char *text = repeated("", "!sinks(1) & ", n, tail);
        cr_assert(fail_each(text) > 8);
        free(text);
    }
    free(tail);
}
