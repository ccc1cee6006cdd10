/* The suite of limits as a command; see suite.h. */
#include "cli/suite.h"

#include "cli/progress.h"
#include "eval/clock.h"
#include "eval/figure.h"
#include "eval/suite.h"
#include "io/atomic.h"
#include "io/fail.h"
#include "io/pages.h"
#include "report/environment.h"
#include "report/quantity.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const table_column columns[] = {
    {"row", NULL, 0},
    {"figure", NULL, TABLE_RIGHT},
    {"limit", NULL, 0},
    {"goal", NULL, TABLE_RIGHT},
    {"unit", NULL, TABLE_HIDE_PEOPLE},
    {"met", NULL, 0},
    {"state", NULL, 0},
    {"found", NULL, TABLE_RIGHT},
    {"shortfall", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"best_ns", "best", TABLE_RIGHT},
    {"other_ns", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"limit_rate", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"samples", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"measured", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"kernel", NULL, TABLE_HIDE_PEOPLE},
    {"note", NULL, 0},
};

/* A row may take so long; three rounds always run. */
static const double row_seconds = 2.5;
/* Nothing is measured again after so long. */
static const double suite_seconds = 170;
enum { PASSES = 4 };

typedef struct outcome {
    int chosen; /* by --only */
    figure f;
    double found;      /* recorded, or NaN */
    unsigned measured; /* times */
    suite_verdict verdict;
} outcome;

typedef struct suite_session {
    const cli *c;
    fovea_context *context;
    environment_processor cpu;
    int asserted, known; /* goals are; recorded figures of this CPU are there */
    suite rows;
    suite_found found;
    table *t;
    outcome *of; /* [rows.count] */
    unsigned counted[SUITE_SKIPPED + 1];
    double huge; /* bytes on huge pages, the most of all rows; -1: unknown */
} suite_session;

/* ------------------------------------------------------------------ options */

int suite_refuse_options(const cli *c)
{
    static const char *const own[] = {"--only", "--tolerance", "--record"};
    for (unsigned n = 0; n < sizeof own / sizeof *own; n++)
        if (cli_count(c, own[n]))
            return cli_fail(c, EXIT_USAGE, "%s belongs to a suite; give --suite limits with it",
                            own[n]);
    return EXIT_DONE;
}

static int refuse_shape_options(const cli *c)
{
    static const char *const others[] = {"--variant", "--shape",  "--dtype",    "--causal",
                                         "--scale",   "--layout", "--baseline", "--synthetic",
                                         "--rows",    "--budget", "--threads"};
    for (unsigned n = 0; n < sizeof others / sizeof *others; n++)
        if (cli_count(c, others[n]))
            return cli_fail(c, EXIT_USAGE,
                            "%s cannot be given with --suite: its rows (limits.tsv) fix it",
                            others[n]);
    return EXIT_DONE;
}

static int holds(const char *name, const char *text)
{
    const size_t n = strlen(text);
    for (; *name; name++) {
        size_t m = 0;
        while (m < n && tolower((unsigned char)name[m]) == tolower((unsigned char)text[m]))
            m++;
        if (m == n)
            return 1;
    }
    return n == 0;
}

static int is_chosen(const cli *c, const char *name)
{
    const unsigned count = cli_count(c, "--only");
    for (unsigned n = 0; n < count; n++)
        if (holds(name, cli_text_at(c, "--only", n)))
            return 1;
    return count == 0;
}

static int check_only(const suite_session *s)
{
    for (unsigned n = 0; n < cli_count(s->c, "--only"); n++) {
        const char *text = cli_text_at(s->c, "--only", n);
        size_t row = 0;
        while (row < s->rows.count && !holds(s->rows.row[row].name, text))
            row++;
        if (row == s->rows.count)
            return cli_fail(s->c, EXIT_USAGE,
                            "--only=%s is in no row's name; there are '%s' and %zu more", text,
                            s->rows.row[0].name, s->rows.count - 1);
    }
    return EXIT_DONE;
}

/* ------------------------------------------------------------------ cells */

/* "84.2 %", "1.08 x", "-1.2 points", "3.9 us". */
static quantity with_unit(double value, const char *unit)
{
    quantity q;
    if (!isfinite(value))
        return quantity_amount(value);
    const int places = strcmp(unit, "%") == 0 || strcmp(unit, "points") == 0 ? 1 : 2;
    snprintf(q.text, sizeof q.text, "%.*f %s", places, value, unit);
    return q;
}

static const char *state_text(const suite_verdict *v, const figure *f, double found, char *out,
                              size_t n)
{
    static const char *const words[] = {"met",   "within tolerance", "not met",
                                        "SHORT", "REGRESSED",        "SKIPPED"};
    switch (v->state) {
    case SUITE_SHORT:
    case SUITE_REGRESSED:
        snprintf(out, n, "%s by %.1f", words[v->state], v->shortfall);
        break;
    case SUITE_SKIPPED:
        snprintf(out, n, "SKIPPED: %s", f->skipped);
        break;
    default:
        snprintf(out, n, "%s%s", words[v->state],
                 v->state == SUITE_UNMET && isfinite(found) ? ", as found" : "");
    }
    return out;
}

static void limit_cells(table *t, const figure *f)
{
    char text[96];
    if (isfinite(f->rate))
        snprintf(text, sizeof text, "%s %s", f->limit, quantity_amount(f->rate).text);
    else if (strcmp(f->limit, "other") == 0 && isfinite(f->other_ns))
        snprintf(text, sizeof text, "%s", quantity_time(f->other_ns, cli_unicode()).text);
    else
        snprintf(text, sizeof text, "%s", f->limit);
    table_value(t, "limit", json_string(f->limit), text);
    table_real(t, "limit_rate", f->rate, NULL);
}

static void row_cells(suite_session *s, const suite_row *row, const outcome *of)
{
    const figure *f = &of->f;
    const suite_verdict *v = &of->verdict;
    const double found = of->found;
    table *t = s->t;
    char text[256];
    const char *unit = suite_kind_at(row->kind)->unit;
    table_row(t);
    table_text(t, "row", row->name);
    table_real(t, "figure", f->value, with_unit(f->value, unit).text);
    limit_cells(t, f);
    table_real(t, "goal", f->goal, with_unit(f->goal, unit).text);
    table_text(t, "unit", unit);
    if (v->state == SUITE_SKIPPED)
        table_null(t, "met", "-");
    else
        table_flag(t, "met", v->met);
    table_text(t, "state", state_text(v, f, found, text, sizeof text));
    table_real(t, "found", found, isfinite(found) ? with_unit(found, unit).text : "-");
    table_real(t, "shortfall", v->shortfall, NULL);
    table_real(t, "best_ns", f->best_ns, quantity_time(f->best_ns, cli_unicode()).text);
    table_real(t, "other_ns", f->other_ns, NULL);
    table_integer(t, "samples", (int64_t)f->samples, NULL);
    table_integer(t, "measured", of->measured, NULL);
    table_text(t, "kernel", f->kernel);
    snprintf(text, sizeof text, "%s%s%s", f->note, f->note[0] && row->note[0] ? "; " : "",
             row->note);
    table_text(t, "note", text);
    if (v->state == SUITE_SHORT || v->state == SUITE_REGRESSED)
        table_emphasise(t);
}

/* ------------------------------------------------------------------ measuring */

static int fails(const outcome *of)
{
    return of->verdict.state == SUITE_SHORT || of->verdict.state == SUITE_REGRESSED;
}

/* Of two measurements of a row, the one that others disturbed less; of two alike, the better figure. */
static int is_better(const suite_row *row, const outcome *a, const outcome *b)
{
    const int wild_a = a->f.unsteady > FIGURE_UNSTEADY, wild_b = b->f.unsteady > FIGURE_UNSTEADY;
    return wild_a != wild_b ? wild_b : suite_shortfall(row->kind, a->f.value, b->f.value) < 0;
}

/* Measures row n; a second time only replaces what it improves. */
static int measure_row(suite_session *s, size_t n, const figure_options *options)
{
    const suite_row *row = &s->rows.row[n];
    outcome *of = &s->of[n], now = {.chosen = 1};
    char why[SHAPES_TEXT];
    const int code = figure_measure(row, options, &now.f, why);
    if (code != EXIT_DONE)
        return cli_fail(s->c, code, "%s", why);
    now.found = suite_found_figure(&s->found, s->cpu.key, row->name);
    now.verdict = suite_judge(row, now.f.value, now.f.goal, now.found, s->asserted,
                              cli_real(s->c, "--tolerance"));
    s->huge = fmax(s->huge, now.f.huge_bytes);
    now.measured = of->measured + 1;
    if (!of->chosen || is_better(row, &now, of))
        *of = now;
    of->measured = now.measured;
    return EXIT_DONE;
}

/* Every row; then again, when other minutes have come, those that fail or were disturbed, while there is time. */
static int measure_rows(suite_session *s)
{
    const figure_options options = {
        .rounds = (unsigned)cli_integer(s->c, "--repeat"),
        .seconds = row_seconds,
        .seed = (uint64_t)cli_integer(s->c, "--seed"),
        .isa = fovea_context_isa(s->context),
        .cpus = environment_cpus(),
    };
    progress bar = progress_start(s->c);
    int code = EXIT_DONE;
    const uint64_t start = clock_ns();
    for (int pass = 0; pass < PASSES; pass++) {
        for (size_t n = 0; n < s->rows.count && code == EXIT_DONE; n++) {
            const outcome *of = &s->of[n];
            const int wanted = pass == 0
                                   ? is_chosen(s->c, s->rows.row[n].name)
                                   : of->chosen && (fails(of) || of->f.unsteady > FIGURE_UNSTEADY);
            if (!wanted || (pass > 0 && (double)(clock_ns() - start) > suite_seconds * 1e9))
                continue;
            progress_show(&bar, s->rows.row[n].name, (double)n / (double)s->rows.count);
            code = measure_row(s, n, &options);
        }
    }
    progress_end(&bar);
    return code;
}

static void fill_table(suite_session *s)
{
    for (size_t n = 0; n < s->rows.count; n++) {
        if (!s->of[n].chosen)
            continue;
        s->counted[s->of[n].verdict.state]++;
        row_cells(s, &s->rows.row[n], &s->of[n]);
    }
}

/* What could keep --record from writing, before minutes of measuring: the old table must be one, the folder must
   take a file. */
static int check_record(const suite_session *s)
{
    const char *path = cli_text(s->c, "--record");
    char why[SHAPES_TEXT];
    atomic_file file;
    suite_found old = {0};
    if (!path)
        return EXIT_DONE;
    int code = access(path, F_OK) == 0 ? suite_found_read(path, &old, why) : EXIT_DONE;
    suite_found_free(&old);
    if (code == EXIT_DONE && (code = atomic_open(&file, path, why)) == EXIT_DONE)
        atomic_cancel(&file);
    return code == EXIT_DONE ? EXIT_DONE : cli_fail(s->c, code, "--record %s", why);
}

static int record(const suite_session *s)
{
    const char *path = cli_text(s->c, "--record");
    char why[SHAPES_TEXT];
    suite_found old = {0};
    if (!path)
        return EXIT_DONE;
    const char **name = calloc(s->rows.count, sizeof *name);
    double *value = calloc(s->rows.count, sizeof *value);
    size_t count = 0;
    for (size_t n = 0; name && value && n < s->rows.count; n++) {
        name[count] = s->rows.row[n].name;
        value[count] = s->of[n].f.value;
        count += (size_t)s->of[n].chosen;
    }
    int code = access(path, F_OK) == 0 ? suite_found_read(path, &old, why) : EXIT_DONE;
    if (code == EXIT_DONE && name && value)
        code = suite_found_write(&old, path, s->cpu.key, name, value, count, why);
    else if (code == EXIT_DONE)
        code = io_fail(why, EXIT_RESOURCE, path, "no memory for %zu rows", s->rows.count);
    suite_found_free(&old);
    free(name);
    free(value);
    return code == EXIT_DONE ? EXIT_DONE : cli_fail(s->c, code, "--record %s", why);
}

/* ------------------------------------------------------------------ the command */

static void remarks(const suite_session *s)
{
    char line[400];
    const unsigned *n = s->counted;
    if (s->asserted)
        snprintf(line, sizeof line, "This is a Zen 4 (%s): the goals are asserted.", s->cpu.key);
    else if (s->known)
        snprintf(line, sizeof line,
                 "The goals are a Zen 4's; on this CPU (%s) a row counts when it falls short of "
                 "its figure in "
                 "limits-found.tsv.",
                 s->cpu.key);
    else
        snprintf(line, sizeof line,
                 "The goals are a Zen 4's, and limits-found.tsv has no figures of this CPU (%s): "
                 "nothing is asserted.",
                 s->cpu.key);
    table_remark(s->t, line);
    snprintf(line, sizeof line,
             "%u rows: %u met, %u within the tolerance of %g points, %u not met, %u short of an "
             "asserted goal, %u regressed, %u skipped.",
             table_rows(s->t), n[SUITE_MET], n[SUITE_NEAR], cli_real(s->c, "--tolerance"),
             n[SUITE_UNMET], n[SUITE_SHORT], n[SUITE_REGRESSED], n[SUITE_SKIPPED]);
    table_remark(s->t, line);
    snprintf(line, sizeof line,
             "Tuning: %.200s. Buffers: %s on huge pages while the largest row ran.",
             fovea_context_tuning_source(s->context),
             s->huge < 0            ? "unknown whether"
             : s->huge < PAGES_HUGE ? "nothing"
                                    : quantity_bytes(s->huge).text);
    table_remark(s->t, line);
    table_remark(s->t, "Best of the rounds of each row, its limit measured between them; rows that "
                       "fail or are unsteady are measured up to four times.");
    table_remark(s->t, "limit: GFLOP/s (fma, bf16), GB/s (read), or the time of what the row is "
                       "compared with. What rows and figures are: limits.tsv.");
}

static int load_tables(suite_session *s)
{
    char path[1024], why[SHAPES_TEXT];
    int code;
    if (!shapes_data_path("limits.tsv", path, sizeof path, why))
        return cli_fail(s->c, EXIT_INPUT, "%s", why);
    if ((code = suite_read(path, &s->rows, why)) != 0)
        return cli_fail(s->c, code, "%s", why);
    if (!shapes_data_path("limits-found.tsv", path, sizeof path, why))
        return cli_fail(s->c, EXIT_INPUT, "%s", why);
    if ((code = suite_found_read(path, &s->found, why)) != 0)
        return cli_fail(s->c, code, "%s", why);
    s->of = calloc(s->rows.count, sizeof *s->of);
    s->t = table_create(columns, sizeof columns / sizeof *columns);
    return s->of && s->t ? check_only(s) : cli_fail(s->c, EXIT_RESOURCE, "no memory for a table");
}

static int run_session(suite_session *s)
{
    s->cpu = environment_cpu_model();
    s->asserted = suite_is_zen4(s->cpu.vendor, s->cpu.family, s->cpu.model);
    s->known = suite_found_knows(&s->found, s->cpu.key);
    int code = measure_rows(s);
    if (code != EXIT_DONE)
        return code;
    fill_table(s);
    remarks(s);
    code =
        cli_print(s->c, s->context, s->t,
                  json_pack("{s:s, s:s, s:b, s:f}", "suite", cli_text(s->c, "--suite"), "cpu_model",
                            s->cpu.key, "goals_asserted", s->asserted, "huge_page_bytes", s->huge));
    if (code == EXIT_DONE)
        code = record(s);
    return code == EXIT_DONE && s->counted[SUITE_SHORT] + s->counted[SUITE_REGRESSED] > 0
               ? EXIT_CHECK_FAILED
               : code;
}

int suite_run(const cli *c)
{
    suite_session s = {.c = c, .huge = -1};
    int code = refuse_shape_options(c);
    if (code == EXIT_DONE)
        code = load_tables(&s);
    if (code == EXIT_DONE)
        code = check_record(&s);
    if (code == EXIT_DONE)
        code = cli_context(c, &s.context);
    if (code == EXIT_DONE)
        code = run_session(&s);
    fovea_context_destroy(s.context);
    table_free(s.t);
    free(s.of);
    suite_found_free(&s.found);
    suite_free(&s.rows);
    return code;
}
