/* Tuning: the table of keys, the file's reader with every way to be malformed, what a context makes of a file, and what plans
   make of the values. */
#include "core/tuning.h"

#include "core/cpu.h"
#include "eval/tuner.h"
#include "refusal.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ the table */

Test(tuning, every_key_has_a_default_within_its_bounds)
{
    const fovea_tuning_key *key;
    unsigned count = 0;
    for (; (key = fovea_tuning_key_at(count)) != NULL; count++) {
        cr_assert(key->standard >= key->min && key->standard <= key->max, "%s", key->name);
        cr_assert(strlen(key->help) > 10 && key->unit, "%s", key->name);
        cr_assert(!key->whole || key->standard == floor(key->standard), "%s", key->name);
        for (unsigned other = 0; other < count; other++)
            cr_assert(strcmp(key->name, fovea_tuning_key_at(other)->name) != 0, "%s twice", key->name);
    }
    cr_assert(count == FV_TUNINGS);
}

typedef struct setting {
    const char *key, *value;
    double expected; /* NaN: refused */
    const char *facts[FACTS];
} setting;

static const setting settings[] = {
    {"block", "96", 96, {0}},
    {"block", "4", 4, {0}},
    {"block", "4096", 4096, {0}},
    {"block", "3", NAN, {"block", "\"3\"", "4..4096", "keys"}},
    {"block", "4097", NAN, {"block", "4097", "4..4096", "keys"}},
    {"block", "96.5", NAN, {"block", "96.5", "whole"}},
    {"block", "", NAN, {"block", "\"\"", "4..4096"}},
    {"block", "0x40", NAN, {"block", "0x40", "4..4096"}},
    {"block", "nan", NAN, {"block", "nan", "4..4096"}},
    {"block", "inf", NAN, {"block", "inf", "4..4096"}},
    {"block", "96 ", NAN, {"block", "96 ", "4..4096"}},
    {"block", "9-6", NAN, {"block", "9-6", "4..4096"}},
    {"tiles", "17", NAN, {"tiles", "17", "1..16"}},
    {"rows_cost", "1.25", 1.25, {0}},
    {"rows_cost", "1e-3", NAN, {"rows_cost", "1e-3", "0.1..10"}},
    {"bf16", "widen", FV_BF16_WIDEN, {0}},
    {"bf16", "dot", FV_BF16_DOT, {0}},
    {"bf16", "Dot", NAN, {"bf16", "Dot", "auto|dot|widen"}},
    {"bf16", "do", NAN, {"bf16", "do", "auto|dot|widen"}},
    {"bf16", "", NAN, {"bf16", "\"\"", "auto|dot|widen"}},
    {"bf16", "1", NAN, {"bf16", "\"1\"", "auto|dot|widen"}},
    {"form", "rows", FV_FORM_ROWS, {0}},
    {"bolck", "96", NAN, {"bolck", "96", "block", "tiles"}},
};

Test(tuning, values)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const setting *s = &settings[i];
        fv_tuning t;
        fovea_error err = {FOVEA_OK, ""};
        fovea_status status;
        fv_tuning_defaults(&t);
        status = fv_tuning_set(&t, s->key, s->value, "here", &err);
        if (isnan(s->expected)) {
            check_refusal(s->value, status, FOVEA_ERROR_TUNING, &err, s->facts);
            for (int k = 0; k < FV_TUNINGS; k++)
                cr_assert(t.value[k] == fv_tuning_key[k].standard, "%s %s changed a value", s->key, s->value);
        } else
            cr_assert(status == FOVEA_OK && t.value[fv_tuning_find(s->key)] == s->expected, "%s %s: %s", s->key, s->value,
                      err.text);
    }
}

/* ------------------------------------------------------------------ the reader */

/* A file's header, right or changed. */
static const char *header(const char *format, const char *library, const char *cpu, const char *isa)
{
    static char text[1024];
    snprintf(text, sizeof text, "format %s\nlibrary %s\ncpu %s\nisa %s\ndate today\n", format, library, cpu, isa);
    return text;
}

static const char *good_header(void)
{
    return header("1", fovea_version(), fovea_cpu_name(), "avx2");
}

static fovea_status read_text(const char *text, fv_tuning *t, fovea_error *err)
{
    fv_tuning_defaults(t);
    return fv_tuning_read(t, "avx2", "FILE", text, strlen(text), err);
}

Test(tuning, what_is_written_is_read)
{
    fv_tuning a, b;
    char text[FV_TUNING_FILE_MOST];
    size_t n;
    fovea_error err = {FOVEA_OK, ""};
    fv_tuning_defaults(&a);
    a.value[FV_TUNE_BLOCK] = 96;
    a.value[FV_TUNE_BF16] = FV_BF16_WIDEN;
    a.value[FV_TUNE_ROWS_COST] = 0.85;
    a.value[FV_TUNE_THREAD_FLOPS] = 123456789;
    n = fv_tuning_write(&a, "avx2", "2000-01-01", text, sizeof text);
    cr_assert(n < sizeof text && strlen(text) == n);
    fv_tuning_defaults(&b);
    cr_assert(fv_tuning_read(&b, "avx2", "FILE", text, n, &err) == FOVEA_OK, "%s", err.text);
    cr_assert(memcmp(a.value, b.value, sizeof a.value) == 0);
    for (int k = 0; k < FV_TUNINGS; k++)
        cr_assert(strstr(text, fv_tuning_key[k].help), "the file does not say what %s means", fv_tuning_key[k].name);
    cr_assert(fv_tuning_write(&a, "avx2", "2000-01-01", text, 10) == n && strlen(text) == 9);
}

typedef struct bad_line {
    const char *what, *text;
    const char *facts[FACTS];
} bad_line;

/* Each stands behind a good header of five lines and one good line. */
static const bad_line bad_lines[] = {
    {"no value", "tiles", {"FILE, line 7", "tiles", "value"}},
    {"unknown key", "tyles 4", {"FILE, line 7", "tyles", "4", "tiles"}},
    {"out of range", "tiles 99", {"FILE, line 7", "tiles", "99", "1..16"}},
    {"no number", "tiles many", {"FILE, line 7", "tiles", "many", "1..16"}},
    {"two values", "tiles 4 5", {"FILE, line 7", "tiles", "4 5", "1..16"}},
    {"no word", "bf16 sometimes", {"FILE, line 7", "bf16", "sometimes", "auto|dot|widen"}},
    {"a key twice", "block 64", {"FILE, line 7", "block", "64", "once"}},
    {"a header twice", "isa avx2", {"FILE, line 7", "isa", "avx2", "once"}},
    {"a later line", "\n# words\n  tiles 0", {"FILE, line 9", "tiles", "0", "1..16"}},
};

Test(tuning, malformed_lines)
{
    for (size_t i = 0; i < sizeof bad_lines / sizeof *bad_lines; i++) {
        const bad_line *b = &bad_lines[i];
        char text[2048];
        fv_tuning t;
        fovea_error err = {FOVEA_OK, ""};
        snprintf(text, sizeof text, "%sblock 96\n%s\nrow_block 512\n", good_header(), b->text);
        check_refusal(b->what, read_text(text, &t, &err), FOVEA_ERROR_TUNING, &err, b->facts);
        for (int k = 0; k < FV_TUNINGS; k++)
            cr_assert(t.value[k] == fv_tuning_key[k].standard, "%s: half of the file was taken", b->what);
    }
}

Test(tuning, malformed_texts)
{
    char text[2048];
    fv_tuning t;
    fovea_error err = {FOVEA_OK, ""};
    check_refusal("nothing", read_text("", &t, &err), FOVEA_ERROR_TUNING, &err, (const char *const[FACTS]){"FILE", "header"});
    check_refusal("no header", read_text("block 96\n", &t, &err), FOVEA_ERROR_TUNING, &err,
                  (const char *const[FACTS]){"FILE, line 1", "block", "96", "format"});
    check_refusal("half a header", read_text("format 1\n# and no more", &t, &err), FOVEA_ERROR_TUNING, &err,
                  (const char *const[FACTS]){"FILE, line 2", "header", "cpu"});
    memset(text, 'x', sizeof text);
    snprintf(text + 300, sizeof text - 300, "\n");
    check_refusal("a long line", read_text(text, &t, &err), FOVEA_ERROR_TUNING, &err,
                  (const char *const[FACTS]){"FILE, line 1", "300", "255"});
    check_refusal("a zero byte", fv_tuning_read(&t, "avx2", "FILE", "format\0 1\n", 10, &err), FOVEA_ERROR_TUNING, &err,
                  (const char *const[FACTS]){"FILE, line 1", "0 among"});
}

Test(tuning, good_texts)
{
    char text[2048];
    fv_tuning t;
    fovea_error err = {FOVEA_OK, ""};
    snprintf(text, sizeof text, "# words\n\n%s\t block \t 96 \r\n  # more\n\nform lanes", good_header());
    cr_assert(read_text(text, &t, &err) == FOVEA_OK, "%s", err.text);
    cr_assert(t.value[FV_TUNE_BLOCK] == 96 && t.value[FV_TUNE_FORM] == FV_FORM_LANES);
    cr_assert(t.value[FV_TUNE_TILES] == fv_tuning_key[FV_TUNE_TILES].standard);
}

/* A file for something else may hold keys that this version never heard of. */
Test(tuning, made_for_something_else)
{
    struct {
        const char *header[4], *fact;
    } const other[] = {{{"2", "", "", "avx2"}, "format"},
                       {{"1", "99.0.0", "", "avx2"}, "library"},
                       {{"1", "", "Another CPU", "avx2"}, "Another CPU"},
                       {{"1", "", "", "scalar"}, "scalar"}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        const char *const *h = other[i].header;
        char text[2048];
        fv_tuning t;
        fovea_error err = {FOVEA_OK, ""};
        snprintf(text, sizeof text, "%sfuture_key yes\nblock 96\n",
                 header(h[0], *h[1] ? h[1] : fovea_version(), *h[2] ? h[2] : fovea_cpu_name(), h[3]));
        check_refusal(other[i].fact, read_text(text, &t, &err), FOVEA_ERROR_ISA, &err,
                      (const char *const[FACTS]){"FILE", other[i].fact, "made for"});
        cr_assert(t.value[FV_TUNE_BLOCK] == fv_tuning_key[FV_TUNE_BLOCK].standard);
    }
}

/* ------------------------------------------------------------------ contexts */

typedef struct heard {
    int lines, level;
    char text[1024];
} heard;

static void hear(void *user, int level, const char *line)
{
    heard *h = user;
    h->lines++;
    h->level = level;
    snprintf(h->text, sizeof h->text, "%s", line);
}

static const char *write_file(const char *text)
{
    static char path[64];
    FILE *f;
    snprintf(path, sizeof path, "/tmp/fovea-tuning-%ld", (long)getpid());
    f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
    return path;
}

static fovea_context *open_context(const char *tuning, unsigned threads, heard *h)
{
    fovea_context_options o = {.struct_size = sizeof o, .threads = threads, .tuning = tuning, .log = hear, .log_user = h};
    fovea_context *context = NULL;
    fovea_error err = {FOVEA_OK, ""};
    memset(h, 0, sizeof *h);
    cr_assert(fovea_context_create(&o, &context, &err) == FOVEA_OK, "%s", err.text);
    return context;
}

static const char *own_file(const char *lines)
{
    static char text[2048];
    snprintf(text, sizeof text, "%s%s", header("1", fovea_version(), fovea_cpu_name(), fovea_isa_best()), lines);
    return write_file(text);
}

Test(tuning, a_context_reads_the_file)
{
    const char *path = own_file("block 96\n");
    heard h;
    fovea_status status = FOVEA_ERROR_NULL;
    fovea_context *context = open_context(path, 1, &h);
    cr_assert(fovea_context_tuning(context, "block") == 96);
    cr_assert(strcmp(fovea_context_tuning_source(context), path) == 0);
    cr_assert(fovea_context_tuning_note(context, &status)[0] == 0 && status == FOVEA_OK);
    cr_assert(h.lines == 1 && h.level == 2, "%s", h.text);
    cr_assert(isnan(fovea_context_tuning(context, "blok")));
    fovea_context_destroy(context);
    setenv("FOVEA_TUNING", path, 1);
    context = open_context(NULL, 1, &h);
    cr_assert(fovea_context_tuning(context, "block") == 96);
    fovea_context_destroy(context);
    unlink(path);
}

Test(tuning, a_folder_of_the_user)
{
    char folder[64], path[160];
    heard h;
    FILE *f;
    fovea_context *context;
    unsetenv("FOVEA_TUNING");
    snprintf(folder, sizeof folder, "/tmp/fovea-config-%ld", (long)getpid());
    snprintf(path, sizeof path, "mkdir -p %s/fovea %s/.config/fovea", folder, folder);
    cr_assert(system(path) == 0);
    setenv("XDG_CONFIG_HOME", folder, 1);
    context = open_context(NULL, 1, &h); /* nobody named it: its absence is no news */
    cr_assert(h.lines == 0 && strcmp(fovea_context_tuning_source(context), "defaults") == 0);
    fovea_context_destroy(context);
    snprintf(path, sizeof path, "%s/fovea/tuning", folder);
    f = fopen(path, "w");
    cr_assert(f && fprintf(f, "%sblock 64\n", header("1", fovea_version(), fovea_cpu_name(), fovea_isa_best())) > 0);
    fclose(f);
    context = open_context(NULL, 1, &h);
    cr_assert(fovea_context_tuning(context, "block") == 64);
    fovea_context_destroy(context);
    unlink(path);
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", folder, 1);
    cr_assert(fovea_tuning_path(path, sizeof path) > 0 && strstr(path, "/.config/fovea/tuning"));
    setenv("XDG_CONFIG_HOME", "relative", 1); /* to be ignored */
    cr_assert(fovea_tuning_path(path, sizeof path) > 0 && path[0] == '/');
    snprintf(path, sizeof path, "rm -r %s", folder);
    cr_assert(system(path) == 0);
}

Test(tuning, off)
{
    const char *path = own_file("block 96\n"), *const words[] = {"off", ""};
    char found[64];
    heard h;
    for (int i = 0; i < 2; i++) {
        fovea_context *context = open_context(words[i], 1, &h);
        cr_assert(h.lines == 0 && fovea_context_tuning(context, "block") == fv_tuning_key[FV_TUNE_BLOCK].standard);
        fovea_context_destroy(context);
        setenv("FOVEA_TUNING", words[i], 1);
        context = open_context(NULL, 1, &h);
        cr_assert(h.lines == 0 && strcmp(fovea_context_tuning_source(context), "defaults") == 0);
        cr_assert(fovea_tuning_path(found, sizeof found) == 0 && found[0] == 0);
        fovea_context_destroy(context);
    }
    unlink(path);
}

static void check_ignored(const char *what, const char *path, fovea_status expected, const char *fact)
{
    heard h;
    fovea_status status;
    fovea_context *context = open_context(path, 1, &h);
    cr_assert(h.lines == 1 && h.level == 1, "%s: %d lines, level %d: %s", what, h.lines, h.level, h.text);
    cr_assert(strstr(h.text, fact) && strstr(h.text, path) && !strchr(h.text, '\n'), "%s: %s", what, h.text);
    cr_assert(strcmp(fovea_context_tuning_note(context, &status), h.text) == 0 && status == expected, "%s: %d", what, status);
    for (unsigned k = 0; k < FV_TUNINGS; k++)
        cr_assert(fovea_context_tuning(context, fv_tuning_key[k].name) == fv_tuning_key[k].standard, "%s", what);
    cr_assert(strcmp(fovea_context_tuning_source(context), "defaults") == 0);
    fovea_context_destroy(context);
}

Test(tuning, a_bad_file_is_ignored_as_a_whole_with_one_line)
{
    static char large[FV_TUNING_FILE_MOST + 2];
    check_ignored("malformed", own_file("block 96\ntiles 99\n"), FOVEA_ERROR_TUNING, "tiles");
    check_ignored("another CPU", write_file(header("1", fovea_version(), "Another", fovea_isa_best())), FOVEA_ERROR_ISA,
                  "Another");
    memset(large, '#', sizeof large - 1);
    check_ignored("too large", write_file(large), FOVEA_ERROR_FILE, "16384");
    unlink(write_file(""));
    check_ignored("not there", "/tmp/fovea-there-is-no-such-file", FOVEA_ERROR_FILE, "no such file");
    check_ignored("a folder", "/tmp", FOVEA_ERROR_FILE, "regular");
}

Test(tuning, options_of_the_first_version)
{
    fovea_context_options o = {.struct_size = offsetof(fovea_context_options, tuning), .tuning = "/nowhere"};
    fovea_context *context = NULL;
    setenv("FOVEA_TUNING", "off", 1);
    cr_assert(fovea_context_create(&o, &context, NULL) == FOVEA_OK);
    cr_assert(fovea_context_tuning_note(context, NULL)[0] == 0);
    fovea_context_destroy(context);
}

/* ------------------------------------------------------------------ plans */

static fovea_plan *plan_of(fovea_context *context, const fovea_problem *p)
{
    fovea_recipe *recipe;
    fovea_plan *plan = NULL;
    fovea_error err = {FOVEA_OK, ""};
    cr_assert(fovea_recipe_parse(context, "dense", &recipe, &err) == FOVEA_OK, "%s", err.text);
    cr_assert(fovea_plan_create(context, p, recipe, &plan, &err) == FOVEA_OK, "%s", err.text);
    fovea_recipe_destroy(recipe);
    return plan;
}

static fovea_plan *make_plan(fovea_context *context, int64_t hq, int64_t hkv, int64_t lq, int64_t lk, fovea_dtype dtype)
{
    fovea_problem p;
    fovea_problem_init(&p, 1, hq, hkv, lq, lk, 32, 32, dtype);
    return plan_of(context, &p);
}

/* 512 keys of 8 heads, d = 64, those of a token side by side. */
static fovea_plan *make_crowded_plan(fovea_context *context, int64_t lq)
{
    fovea_problem p;
    fovea_problem_init(&p, 1, 8, 8, lq, 512, 64, 64, FOVEA_F32);
    p.k = p.v = (fovea_strides){512 * 8 * 64, 64, 8 * 64};
    return plan_of(context, &p);
}

static void tune(fovea_context *context, const char *key, const char *value)
{
    fovea_error err = {FOVEA_OK, ""};
    cr_assert(fovea_context_tune(context, key, value, &err) == FOVEA_OK, "%s", err.text);
}

Test(tuning, plans_take_the_values)
{
    heard h;
    fovea_context *context = open_context("off", 1, &h);
    fovea_plan *plan;
    fovea_error err = {FOVEA_OK, ""};
    tune(context, "block", "48");
    plan = make_plan(context, 2, 2, 100, 600, FOVEA_F32);
    cr_assert(strstr(fovea_plan_explain(plan), "blocks of 48 keys"), "%s", fovea_plan_explain(plan));
    cr_assert(strstr(fovea_plan_explain(plan), "tuning: the program, block 48"), "%s", fovea_plan_explain(plan));
    fovea_plan_destroy(plan);
    tune(context, "form", "rows");
    tune(context, "split", "64");
    plan = make_plan(context, 2, 2, 100, 640, FOVEA_F32);
    cr_assert(strstr(fovea_plan_explain(plan), "form rows") && strstr(fovea_plan_explain(plan), "10 key ranges"), "%s",
              fovea_plan_explain(plan));
    cr_assert(strstr(fovea_plan_explain(plan), "not lanes: the tuning asks for rows"));
    fovea_plan_destroy(plan);
    check_refusal("unknown key", fovea_context_tune(context, "blok", "1", &err), FOVEA_ERROR_TUNING, &err,
                  (const char *const[FACTS]){"blok", "block"});
    check_refusal("no value", fovea_context_tune(context, "block", NULL, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"value"});
    fovea_context_destroy(context);
}

enum { FORMS = 6 };

/* The forms of a pass: one is taken, it is the one predicted to be fastest, and the others say why they were not. */
static void check_forms(const fovea_plan *plan, const char *expected)
{
    fovea_form form = {.struct_size = sizeof form};
    double taken = NAN, others = INFINITY;
    unsigned count = 0, takes = 0;
    for (; fovea_plan_form(plan, count, &form); count++) {
        cr_assert(form.pass == 0);
        if (form.taken) {
            takes++;
            taken = form.predicted_ns;
            cr_assert(form.reason[0] == 0 && strcmp(form.name, expected) == 0, "%s", form.name);
        } else {
            char line[300];
            cr_assert(form.reason[0]);
            others = form.predicted_ns < others ? form.predicted_ns : others;
            snprintf(line, sizeof line, "  not %s: %s\n", form.name, form.reason);
            cr_assert(strstr(fovea_plan_explain(plan), line), "%s", line);
        }
    }
    cr_assert(count == FORMS && takes == 1 && taken > 0 && taken <= others, "%u %u %g %g", count, takes, taken, others);
    cr_assert(fabs(fovea_plan_predicted_ns(plan) - taken) <= 1e-9 * taken);
    form.struct_size = 8;
    cr_assert(!fovea_plan_form(plan, 0, &form));
}

static fovea_plan *make_long_plan(fovea_context *context, int64_t heads)
{
    fovea_problem p;
    fovea_problem_init(&p, 1, heads, heads, 16, 8192, 128, 128, FOVEA_F32);
    return plan_of(context, &p);
}

/* Long keys of one head and few rows, which narrow tiles have in a single task, go to the form that can share them; those of
   several heads do not. */
Test(tuning, one_task_is_shared)
{
    heard h;
    fovea_context *context;
    fovea_plan *plan;
#ifdef FV_MINI_TILES
    cr_skip_test("tiles of a test build");
#endif
    context = open_context("off", 1, &h);
    plan = make_long_plan(context, 4);
    if (strstr(fovea_plan_explain(plan), "tiles of one width"))
        cr_skip_test("no narrow tiles here");
    check_forms(plan, "narrow");
    fovea_plan_destroy(plan);
    plan = make_long_plan(context, 1);
    cr_assert(strstr(fovea_plan_explain(plan), "form rows"), "%s", fovea_plan_explain(plan));
    cr_assert(strstr(fovea_plan_explain(plan), "; one task, which no second thread could share\n"), "%s", fovea_plan_explain(plan));
    fovea_plan_destroy(plan);
    fovea_context_destroy(context);
}

/* Prices are for blocks of the usual size; with those of a few keys that test builds use another form may be the cheaper one. */
Test(tuning, forms_and_reasons)
{
    heard h;
    int narrow;
#ifdef FV_MINI_TILES
    cr_skip_test("tiles of a test build");
#endif
    fovea_context *context = open_context("off", 1, &h);
    fovea_plan *plan = make_plan(context, 2, 2, 1, 500, FOVEA_F32);
    check_forms(plan, "rows");
    fovea_plan_destroy(plan);
    plan = make_plan(context, 2, 2, 24, 600, FOVEA_F32);
    check_forms(plan, "lanes");
    fovea_plan_destroy(plan);
    plan = make_plan(context, 2, 2, 300, 600, FOVEA_F32);
    check_forms(plan, "lanes");
    fovea_plan_destroy(plan);
    plan = make_plan(context, 2, 2, 49, 49, FOVEA_F32);
    check_forms(plan, "small");
    fovea_plan_destroy(plan);
    plan = make_plan(context, 2, 2, 96, 256, FOVEA_F32);
    check_forms(plan, "thin");
    fovea_plan_destroy(plan);
    plan = make_crowded_plan(context, 512); /* copied for many tiles */
    check_forms(plan, "lanes");
    fovea_plan_destroy(plan);
    plan = make_crowded_plan(context, 20); /* not for a few */
    check_forms(plan, "thin");
    fovea_plan_destroy(plan);
    plan = make_plan(context, 2, 2, 16, 4096, FOVEA_F32);
    narrow = !strstr(fovea_plan_explain(plan), "tiles of one width");
    if (narrow)
        check_forms(plan, "narrow");
    fovea_plan_destroy(plan);
    /* the model decides: a dear rows form is not taken even for one row */
    tune(context, "rows_cost", "10");
    tune(context, "lanes_cost", "0.1");
    plan = make_plan(context, 2, 2, 1, 500, FOVEA_F32);
    check_forms(plan, narrow ? "narrow" : "lanes");
    fovea_plan_destroy(plan);
    fovea_context_destroy(context);
}

/* ------------------------------------------------------------------ same bits */

static unsigned calls, most_workers;

static void run_workers(void *user, unsigned workers, void (*work)(void *, unsigned), void *arg)
{
    (void)user;
    calls++;
    most_workers = workers > most_workers ? workers : most_workers;
    while (workers-- > 0)
        work(arg, workers);
}

/* The form decides bits, so it must not follow the number of threads, wherever the crossing of the forms lies. */
Test(tuning, same_form_for_any_number_of_threads)
{
    static const unsigned threads[] = {1, 2, 8, 64};
    unsigned lanes = 0, rows = 0;
    for (int cost = 4; cost < 40; cost++)
        for (int64_t lq = 20; lq <= 64; lq += 11) {
            char name[4][16], value[16];
            snprintf(value, sizeof value, "%.2f", cost * 0.025);
            for (int t = 0; t < 4; t++) {
                fovea_context_options o = {.struct_size = sizeof o, .threads = threads[t], .tuning = "off", .run = run_workers};
                fovea_context *context;
                fovea_cost found;
                fovea_plan *plan;
                cr_assert(fovea_context_create(&o, &context, NULL) == FOVEA_OK);
                tune(context, "rows_cost", value);
                plan = make_plan(context, 64, 64, lq, 2000, FOVEA_F16);
                cr_assert(fovea_plan_cost(plan, &found, NULL) == FOVEA_OK);
                snprintf(name[t], sizeof name[t], "%s", found.driver);
                cr_assert(strcmp(name[t], name[0]) == 0, "lq %d, rows_cost %s, %u threads: %s", (int)lq, value, threads[t], name[t]);
                fovea_plan_destroy(plan);
                fovea_context_destroy(context);
            }
            lanes += strcmp(name[0], "lanes") == 0;
            rows += strcmp(name[0], "rows") == 0;
        }
    cr_assert(lanes > 20 && rows > 20, "the crossing was not there: %u, %u", lanes, rows);
}

/* dense, d = 32, under a tuning file of these lines. */
static void compute(const char *path, unsigned threads, int64_t lq, int64_t lk, const float *x, float *o)
{
    fovea_context_options options = {.struct_size = sizeof options, .threads = threads, .tuning = path, .run = run_workers};
    fovea_context *context;
    fovea_plan *plan;
    fovea_error err = {FOVEA_OK, ""};
    fovea_arguments a = {.struct_size = sizeof a, .q = x, .k = x + 7, .v = x + 77, .o = o};
    cr_assert(fovea_context_create(&options, &context, &err) == FOVEA_OK, "%s", err.text);
    plan = make_plan(context, 4, 2, lq, lk, FOVEA_F32);
    cr_assert(fovea_execute(plan, &a, NULL, 0, &err) == FOVEA_OK, "%s", err.text);
    fovea_plan_destroy(plan);
    fovea_context_destroy(context);
}

Test(tuning, same_bits_for_any_number_of_threads_with_the_same_tuning)
{
    enum { LK = 300, D = 32, MOST = 60 };
    static const char *const lines[] = {"", "split 32\nthread_flops 0\n", "block 20\ntiles 3\nthread_flops 0\n", "form rows\n",
                                        "form lanes\nthread_flops 0\n", "form narrow\nthread_flops 0\n",
                                        "rows_cost 0.3\nrow_block 50\nthread_flops 1000000\n"};
    static const int64_t lq[] = {1, 3, 7, 12, MOST};
    static const unsigned threads[] = {1, 2, 3, 8};
    static float x[2 * LK * D + 100], o[4 * MOST * D], first[4 * MOST * D];
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = sinf((float)i * 0.37f);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (size_t k = 0; k < sizeof lq / sizeof *lq; k++)
            for (size_t t = 0; t < 4; t++) {
                const size_t bytes = (size_t)(4 * lq[k] * D) * sizeof *o;
                compute(own_file(lines[i]), threads[t], lq[k], LK, x, t ? o : first);
                cr_assert(!t || memcmp(o, first, bytes) == 0, "\"%s\", lq %d, %u threads", lines[i], (int)lq[k], threads[t]);
            }
    unlink(own_file(""));
}

Test(tuning, small_work_stays_on_the_calling_thread)
{
    enum { LK = 300, D = 32 };
    static float x[2 * LK * D + 100], o[4 * 60 * D];
    calls = 0;
    compute(own_file("thread_flops 1000000000\n"), 8, 60, LK, x, o);
    cr_assert(calls == 0, "%u calls", calls);
    compute(own_file("thread_flops 0\n"), 8, 60, LK, x, o);
    cr_assert(calls > 0 && most_workers == 8, "%u calls, %u workers", calls, most_workers);
    unlink(own_file(""));
}

/* ------------------------------------------------------------------ the noise rule */

Test(tuning, noise)
{
    cr_assert(tuner_noise(0, 0, 0) == 0.01);
    cr_assert(tuner_noise(-0.2, 0.1, 0) == 0.2);
    cr_assert(tuner_noise(0.02, -0.3, 0.1) == 0.3);
    cr_assert(tuner_noise(0.02, 0.1, -0.4) == 0.4);
}
