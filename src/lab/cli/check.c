/* fovea check: every kernel of this build against the scalar double reference; a failure comes with the line that
   reproduces it. */
#include "cli/cli.h"
#include <stdlib.h>
#include <string.h>

static const cli_option check_options[] = {
    {"--only", "KERNEL", 's', 0, 0, NULL,
     "check this kernel only; 'fovea list kernels' names them"},
    {"--case", "N", 'i', 0, 1e9, NULL, "check case N of each kernel only"},
    {"--cases", "N", 'i', 1, 1e6, "200", "cases per kernel"},
    {0}};

static const table_column check_columns[] = {
    {"kernel", NULL, 0}, {"result", NULL, 0}, {"detail", NULL, 0}};

typedef struct tally {
    const cli *c;
    int lines; /* print each kernel when it is done: format table */
    table *t;  /* else collect */
    unsigned passed, failed, skipped;
} tally;

static void print_line(const tally *s, const char *kernel, int result, const char *detail)
{
    static const char *const color[] = {"\033[33m", "\033[31m", "\033[32m"};
    static const char *const word[] = {"skipped", "FAILED ", "ok     "};
    int on = cli_color(s->c, stdout);
    printf("%s%s%s  %-28s%s%s\n", on ? color[result + 1] : "", word[result + 1],
           on ? "\033[0m" : "", kernel, detail[0] ? "  " : "", detail);
    fflush(stdout);
}

static void on_kernel(void *user, const char *kernel, int result, const char *detail)
{
    tally *s = user;
    s->passed += result == 1;
    s->failed += result == 0;
    s->skipped += result == -1;
    if (detail == NULL)
        detail = "";
    if (s->lines) {
        print_line(s, kernel, result, detail);
        return;
    }
    table_row(s->t);
    table_text(s->t, "kernel", kernel);
    table_text(s->t, "result", result == 1 ? "passed" : result == 0 ? "failed" : "skipped");
    table_text(s->t, "detail", detail);
}

/* Names are checked here: a misspelt --only must not pass as "nothing failed". */
static int check_only(const cli *c, const char *only)
{
    enum { MOST = 1024 };
    static const char *names[MOST + 1];
    fovea_kernel k;
    unsigned count = 0;
    if (only == NULL)
        return EXIT_DONE;
    for (; count < MOST && fovea_kernel_at(count, &k); count++) {
        names[count] = k.name;
        if (strcmp(k.name, only) == 0)
            return EXIT_DONE;
    }
    names[count] = NULL;
    const char *nearest = cli_nearest(only, names);
    return cli_fail(
        c, EXIT_USAGE,
        "--only=%s: unknown kernel; the nearest is '%s' ('fovea list kernels' names all)", only,
        nearest ? nearest : "");
}

static int run_checks(const cli *c, const fovea_context *context, tally *s)
{
    fovea_check_options options = {
        .struct_size = sizeof options,
        .only = cli_text(c, "--only"),
        .seed = (uint64_t)cli_integer(c, "--seed"),
        .single_case = cli_count(c, "--case") ? cli_integer(c, "--case") : -1,
        .cases = (unsigned)cli_integer(c, "--cases"),
        .report = on_kernel,
        .user = s,
    };
    unsigned failures = fovea_check_kernels(&options);
    if (s->lines) {
        printf("%u passed, %u failed, %u skipped (%s)\n", s->passed, s->failed, s->skipped,
               fovea_isa_best());
    } else {
        int code = cli_print(c, context, s->t, NULL);
        if (code != EXIT_DONE)
            return code;
    }
    if (s->skipped > 0)
        cli_note(c, "%u kernels were NOT checked: this CPU cannot run them", s->skipped);
    if (s->passed + s->failed + s->skipped == 0)
        return cli_fail(c, EXIT_CHECK_FAILED, "no kernel was checked");
    return failures > 0 || s->failed > 0 ? EXIT_CHECK_FAILED : EXIT_DONE;
}

static int run_check(const cli *c)
{
    tally s = {.c = c, .lines = strcmp(cli_text(c, "--format"), "table") == 0};
    fovea_context *context;
    int code = check_only(c, cli_text(c, "--only"));
    if (code != EXIT_DONE)
        return code;
    code = cli_context(c, &context);
    if (code != EXIT_DONE)
        return code;
    s.t = table_create(check_columns, sizeof check_columns / sizeof *check_columns);
    code = s.t == NULL ? cli_fail(c, EXIT_RESOURCE, "no memory for the results")
                       : run_checks(c, context, &s);
    table_free(s.t);
    fovea_context_destroy(context);
    return code;
}

const cli_command cli_check = {
    .name = "check",
    .summary = "check every kernel of this CPU against the scalar double reference",
    .usage = "fovea check [--only KERNEL] [--seed N] [--case N] [--cases N]",
    .options = check_options,
    .run = run_check,
};
