/* The command line against rows (src/lab/cli/options): every kind of option read back, every class of mistake refused
   with its line, nearest names. The commands themselves are driven by tests/errors. */
#include "cli/cli.h"
#include "eval/shapes.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_option own[] = {
    {"--count", "N", 'i', 1, 100000, "7", "a number"},
    {"--scale", "X", 'r', DBL_MIN, FLT_MAX, NULL, "a factor"},
    {"--each", "SPEC", 'm', 0, 0, NULL, "many"},
    {"--last", "TEXT", 's', 0, 0, NULL, "one"},
    {"-o", "FILE", 's', 0, 0, NULL, "output"},
    {"--flag", NULL, 'f', 0, 0, NULL, "a flag"},
    {"--seed", "N", 'i', 3, 9, "3", "hides the common row"},
    {0}};
static const cli_option shared[] = {{"--layer", "N", 'i', 0, 9, NULL, "shared"}, {0}};
static const cli_command command = {
    .name = "test", .summary = "s", .usage = "fovea test", .options = own, .max_words = 2, .shared = shared};

/* Parses words that are separated by single blanks. */
static int parse(const char *text, cli **c)
{
    static char copy[512];
    static char *argv[64];
    int argc = 0;
    snprintf(copy, sizeof copy, "fovea test %s", text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return cli_parse(&command, argc, argv, c);
}

Test(options, every_kind_is_read)
{
    cli *c;
    const char *text = "one --count=4k --scale 2.5e-1 --each a --each=b=c --last x --last y -o f --flag -- --count";
    cr_assert_eq(parse(text, &c), 0);
    cr_assert_eq(cli_integer(c, "--count"), 4096);
    cr_assert_eq(cli_real(c, "--scale"), 0.25);
    cr_assert_eq(cli_count(c, "--each"), 2);
    cr_assert_str_eq(cli_text_at(c, "--each", 0), "a");
    cr_assert_str_eq(cli_text_at(c, "--each", 1), "b=c");
    cr_assert_str_eq(cli_text(c, "--last"), "y");
    cr_assert_str_eq(cli_text(c, "-o"), "f");
    cr_assert(cli_flag(c, "--flag") && !cli_flag(c, "--quiet"));
    cr_assert_eq(cli_words(c), 2);
    cr_assert_str_eq(cli_word(c, 1), "--count");
    cli_free(c);
}

Test(options, defaults_and_precedence_of_rows)
{
    cli *c;
    cr_assert_eq(parse("", &c), 0);
    cr_assert_eq(cli_integer(c, "--count"), 7);
    cr_assert_eq(cli_count(c, "--count"), 0);
    cr_assert_eq(cli_integer(c, "--seed"), 3);
    cr_assert_eq(cli_integer(c, "--threads"), 1);
    cr_assert_null(cli_text(c, "--layer"));
    cr_assert_eq(cli_real(c, "--scale"), 0);
    cli_free(c);
}

/* The line must hold every word of `words`, separated by |. */
static void refuse(const char *text, const char *words)
{
    char line[1024] = "", copy[256];
    cli *c;
    cr_redirect_stderr();
    cr_assert_eq(parse(text, &c), EXIT_USAGE, "%s", text);
    cr_assert_null(c);
    fflush(stderr);
    FILE *err = cr_get_redirected_stderr();
    cr_assert_not_null(fgets(line, sizeof line, err));
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, "|"); word; word = strtok(NULL, "|"))
        cr_assert_not_null(strstr(line, word), "'%s' is not in: %s", word, line);
    cr_assert_not_null(strstr(line, "fovea test: "));
}

Test(refused, unknown_option) { refuse("--cuont 3", "--cuont|--count"); }
Test(refused, unknown_option_with_value) { refuse("--lats=3", "'--lats'|--last"); }
Test(refused, shared_and_common_rows_are_near_too) { refuse("--laier 3", "--layer"); }
Test(refused, below_range) { refuse("--count 0", "--count=0|1..100000"); }
Test(refused, above_range) { refuse("--count 1m", "--count=1m|1..100000"); }
Test(refused, own_row_hides_common) { refuse("--seed 10", "--seed=10|3..9"); }
Test(refused, integer_that_overflows) { refuse("--count 99999999999999999999", "whole number"); }
Test(refused, integer_with_rest) { refuse("--count 3x", "--count=3x|whole number"); }
Test(refused, real_nan) { refuse("--scale nan", "--scale=nan|finite|greater than 0"); }
Test(refused, real_zero) { refuse("--scale 0", "--scale=0|greater than 0"); }
Test(refused, choice) { refuse("--format yaml", "yaml|table|md|csv|json|jsonl"); }
Test(refused, value_missing_at_end) { refuse("--count", "--count wants a value|--count N"); }
Test(refused, value_missing_before_option) { refuse("--last --flag", "--last wants a value"); }
Test(refused, flag_with_value) { refuse("--flag=1", "--flag|'1'"); }
Test(refused, word_too_many) { refuse("a b c", "'c'"); }

Test(options, negative_numbers_are_values)
{
    refuse("--count -5", "--count=-5|out of range");
}

Test(options, nearest_counts_swaps_once)
{
    static const char *const names[] = {"window", "twin", "widow", NULL};
    static const char *const none[] = {NULL};
    cr_assert_str_eq(cli_nearest("wnidow", names), "window");
    cr_assert_str_eq(cli_nearest("twn", names), "twin");
    cr_assert_null(cli_nearest("x", none));
}

Test(options, numbers)
{
    int64_t n = 0;
    cr_assert(cli_read_integer("0x9e37", &n) && n == 0x9e37);
    cr_assert(cli_read_integer("-2k", &n) && n == -2048);
    cr_assert(cli_read_integer("007", &n) && n == 7);
    cr_assert_not(cli_read_integer("", &n));
    cr_assert_not(cli_read_integer(" 1", &n));
    cr_assert_not(cli_read_integer("0x1k", &n));
    cr_assert_not(cli_read_integer("9223372036854775807m", &n));
}

Test(shapes, numbers)
{
    shape s;
    cr_assert(shapes_parse("1,8,2,4k,4096,64", &s) && s.lq == 4096 && s.dv == 64 && s.hkv == 2);
    cr_assert(shapes_parse("2,8,2,1,0,64,32", &s) && s.lk == 0 && s.dv == 32);
    cr_assert_not(shapes_parse("1,8,3,4,4,64", &s));
    cr_assert_not(shapes_parse("1,8,2,4,4,0", &s));
    cr_assert_not(shapes_parse("1,8,2,4,4", &s));
    cr_assert_not(shapes_parse("1,8,2,4,4,64,64,1", &s));
    cr_assert_not(shapes_parse("1,8,2,-4,4,64", &s));
    cr_assert_not(shapes_parse("smollm2", &s));
}

Test(shapes, the_file_is_read_and_names_are_found)
{
    char why[SHAPES_TEXT];
    shapes all;
    cr_assert_eq(shapes_read(FOVEA_TEST_SRCDIR "/src/lab/eval/shapes.tsv", &all, why), 0, "%s", why);
    const shape *gpt = shapes_find(&all, "gpt2-p1k"), *gemma = shapes_find(&all, "gemma2-27b-local-p8k");
    cr_assert(gpt && gpt->hq == 12 && gpt->causal && gpt->scale == 0 && gpt->dtype == FOVEA_F32 && !gpt->sink);
    cr_assert(gemma && gemma->window == 4096 && gemma->softcap == 50 && gemma->scale > 0.08);
    cr_assert_null(shapes_find(&all, "gpt2-p1"));
    shapes_free(&all);
}

/* One broken cell in an otherwise good file: refused with file, line and column. */
static void broken(const char *cell, const char *column)
{
    char path[] = "/tmp/fovea-shapes-XXXXXX", why[SHAPES_TEXT];
    shapes all;
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    fprintf(f, "# comment\nname\tsection\twhat\tbatch\thq\thkv\tlq\tlk\td\tdv\tdtype\tmask\twindow\tsink\tsoftcap\tscale\t"
               "calls\tsource\tsets\n");
    fprintf(f, "a\tA\tw\t1\t%s\t2\t8\t8\t4\t4\tf32\tnone\t-\t-\t-\t-\t1\ts\t-\n", cell);
    fclose(f);
    int code = shapes_read(path, &all, why);
    remove(path);
    if (column == NULL) {
        cr_assert_eq(code, 0, "%s", why);
        shapes_free(&all);
        return;
    }
    cr_assert_eq(code, 3);
    cr_assert_not_null(strstr(why, ":3: "), "%s", why);
    cr_assert_not_null(strstr(why, column), "%s", why);
}

Test(shapes, good_cell) { broken("4", NULL); }
Test(shapes, empty_cell) { broken("", "'hq'"); }
Test(shapes, heads_that_do_not_divide) { broken("5", "'hq'"); }
Test(shapes, negative_cell) { broken("-2", "'hq'"); }
