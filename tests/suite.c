/* The suite of limits: its table, verdicts, recorded figures, and that every workload can be planned. Nothing is
   timed. */
#include "eval/figure.h"
#include "eval/suite.h"
#include "eval/workload.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_own(suite *s)
{
    char why[SHAPES_TEXT];
    cr_assert_eq(suite_read(FOVEA_TEST_SRCDIR "/src/lab/eval/limits.tsv", s, why), 0, "%s", why);
}

/* ------------------------------------------------------------------ the table */

Test(suite, the_table_is_read)
{
    unsigned used[SUITE_KINDS] = {0};
    suite s;
    read_own(&s);
    cr_assert_geq(s.count, 90);
    for (size_t n = 0; n < s.count; n++)
        used[s.row[n].kind]++;
    for (unsigned k = 0; k < SUITE_KINDS; k++)
        cr_assert_gt(used[k], 0, "no row measures %s", suite_kind_at(k)->name);
    cr_assert_null(suite_kind_at(SUITE_KINDS));
    suite_free(&s);
}

/* A recorded figure of a row that is gone, or is spelt otherwise, would guard nothing. */
Test(suite, recorded_figures_are_of_rows_that_exist)
{
    char why[SHAPES_TEXT];
    suite_found f;
    suite s;
    read_own(&s);
    cr_assert_eq(suite_found_read(FOVEA_TEST_SRCDIR "/src/lab/eval/limits-found.tsv", &f, why), 0,
                 "%s", why);
    for (size_t n = 0; n < f.file.rows; n++) {
        const char *name = tsv_cell(&f.file, n, 1);
        size_t row = 0;
        while (row < s.count && strcmp(s.row[row].name, name) != 0)
            row++;
        cr_assert_lt(row, s.count, "no row '%s'", name);
    }
    suite_found_free(&f);
    suite_free(&s);
}

/* With the instruction set that a row is about where it is there, else with the best; what it is compared with, too. */
Test(suite, every_workload_plans)
{
    suite s;
    read_own(&s);
    for (size_t n = 0; n < s.count; n++) {
        const suite_row *row = &s.row[n];
        const char *isa = row->isa && fovea_isa_available(row->isa) == 1 ? row->isa : NULL;
        const suite_work *work[2] = {&row->work, &row->other};
        for (int i = 0; i < 2; i++) {
            char why[SHAPES_TEXT] = "";
            workload w;
            cr_assert_eq(workload_plan(&w, work[i], isa, 0, why), 0, "%s: %s", row->name, why);
            cr_assert_gt(w.cost.visible_pairs, 0, "%s", row->name);
            workload_free(&w);
        }
    }
    suite_free(&s);
}

/* One table line; code and column by which it must be refused, NULL when it is good. */
static void line(const char *text, const char *column)
{
    char path[] = "/tmp/fovea-suite-XXXXXX", why[SHAPES_TEXT] = "";
    FILE *f = fdopen(mkstemp(path), "w");
    suite s;
    fprintf(f,
            "row\tfigure\tspec\tshape\tdtype\tisa\tlayout\tthreads\tgoal\tvs spec\tvs shape\tvs "
            "dtype\tvs layout\tnoise\tnote\n%s\n",
            text);
    fclose(f);
    const int code = suite_read(path, &s, why);
    remove(path);
    cr_assert_eq(code, column ? 3 : 0, "%s", why);
    if (column)
        cr_assert(strstr(why, ":2: ") && strstr(why, column), "%s", why);
    else
        suite_free(&s);
}

#define GOOD_HEAD "a\tpeak\tdense\t1,1,1,8,8,8\t"
Test(suite_line, good)
{
    line(GOOD_HEAD "bf16\tavx2\tblhd\t2\t90\t-\t-\t-\t-\t3\tx", NULL);
}
Test(suite_line, precision)
{
    line(GOOD_HEAD "bf16-fast\tavx512_bf16\t-\t-\t90\t-\t-\t-\t-\t3\tx", NULL);
}
Test(suite_line, type)
{
    line(GOOD_HEAD "f16-fast\t-\t-\t-\t90", "'dtype'");
}
Test(suite_line, name)
{
    line("-\tpeak\tdense\t1,1,1,8,8,8\t-\t-\t-\t-\t90", "'row'");
}
Test(suite_line, figure)
{
    line("a\tpeaks\tdense\t1,1,1,8,8,8\t-\t-\t-\t-\t90", "'figure'");
}
Test(suite_line, spec)
{
    line("a\tpeak\t-\t1,1,1,8,8,8\t-\t-\t-\t-\t90", "'spec'");
}
Test(suite_line, shape)
{
    line("a\tpeak\tdense\t1,1,1,8,8\t-\t-\t-\t-\t90", "'shape'");
}
Test(suite_line, dtype)
{
    line(GOOD_HEAD "f64\t-\t-\t-\t90", "'dtype'");
}
Test(suite_line, isa)
{
    line(GOOD_HEAD "-\tavx3\t-\t-\t90", "'isa'");
}
Test(suite_line, layout)
{
    line(GOOD_HEAD "-\t-\tlbhd\t-\t90", "'layout'");
}
Test(suite_line, threads)
{
    line(GOOD_HEAD "-\t-\t-\t0\t90", "'threads'");
}
Test(suite_line, goal)
{
    line(GOOD_HEAD "-\t-\t-\t-\t-", "'goal'");
}
Test(suite_line, noise)
{
    line(GOOD_HEAD "-\t-\t-\t-\t90\t-\t-\t-\t-\t-3", "'noise'");
}
/* A ratio wants something to compare with, and a share of a peak must not have it. */
Test(suite_line, nothing_to_compare_with)
{
    line("a\ttimes\tdense\t1,1,1,8,8,8\t-\t-\t-\t-\t1", "'vs spec'");
}
Test(suite_line, compared_with_itself)
{
    line("a\ttimes\tdense\t1,1,1,8,8,8\t-\t-\t-\t-\t1\tdense", "'vs spec'");
}
Test(suite_line, compared_for_nothing)
{
    line(GOOD_HEAD "-\t-\t-\t-\t90\ttopk", "'vs spec'");
}
Test(suite_line, bad_other_shape)
{
    line("a\ttimes\tdense\t1,1,1,8,8,8\t-\t-\t-\t-\t1\t-\t8,8", "'vs shape'");
}

Test(suite, a_name_twice)
{
    char path[] = "/tmp/fovea-suite-XXXXXX", why[SHAPES_TEXT] = "";
    FILE *f = fdopen(mkstemp(path), "w");
    suite s;
    fprintf(f, "row\tfigure\tspec\tshape\tdtype\tisa\tlayout\tthreads\tgoal\tvs spec\tvs shape\tvs "
               "dtype\tvs layout\tnoise\tnote\n" GOOD_HEAD "-\t-\t-\t-\t90\n" GOOD_HEAD
               "-\t-\t-\t-\t80\n");
    fclose(f);
    cr_assert_eq(suite_read(path, &s, why), 3);
    cr_assert(strstr(why, ":3: ") && strstr(why, "'a' is there twice"), "%s", why);
    remove(path);
}

/* ------------------------------------------------------------------ verdicts */

static const suite_row percent = {.name = "p", .kind = SUITE_PEAK, .goal = 90};
static const suite_row ratio = {.name = "r", .kind = SUITE_TIMES, .goal = 1.2};

static suite_state state(const suite_row *row, double figure, double found, int asserted)
{
    return suite_judge(row, figure, row->goal, found, asserted, 2).state;
}

Test(verdict, asserted_goals)
{
    cr_assert_eq(state(&percent, 91, NAN, 1), SUITE_MET);
    cr_assert_eq(state(&percent, 88, NAN, 1), SUITE_NEAR); /* 2 points short: the tolerance */
    cr_assert_eq(state(&percent, 87.9, NAN, 1), SUITE_SHORT);
    cr_assert_eq(state(&percent, 91, 99, 1),
                 SUITE_MET); /* recorded figures do not count where goals do */
    cr_assert_eq(state(&ratio, 1.22, NAN, 1), SUITE_NEAR);
    cr_assert_eq(state(&ratio, 1.23, NAN, 1), SUITE_SHORT); /* 2.5 % above: less is better */
    cr_assert_eq(state(&ratio, 0.5, NAN, 1), SUITE_MET);
}

Test(verdict, another_cpu_without_figures)
{
    const suite_verdict v = suite_judge(&percent, 50, 90, NAN, 0, 2);
    cr_assert(v.state == SUITE_UNMET && !v.met && isnan(v.shortfall));
    cr_assert_eq(state(&percent, 95, NAN, 0), SUITE_MET);
    cr_assert_eq(state(&percent, 89, NAN, 0), SUITE_NEAR);
    cr_assert(!suite_judge(&percent, 89, 90, NAN, 0, 2).met);
}

Test(verdict, another_cpu_with_figures)
{
    cr_assert_eq(state(&percent, 79, 80, 0), SUITE_UNMET);
    cr_assert_eq(state(&percent, 77.9, 80, 0), SUITE_REGRESSED);
    cr_assert_eq(state(&percent, 92, 95, 0), SUITE_REGRESSED); /* though the goal is met */
    cr_assert_eq(state(&percent, 92, 93, 0), SUITE_MET);
    cr_assert_eq(state(&ratio, 3.0, 2.9, 0), SUITE_REGRESSED); /* 3.4 % slower */
    cr_assert_eq(state(&ratio, 2.8, 2.9, 0), SUITE_UNMET);
    cr_assert_float_eq(suite_judge(&percent, 70, 90, 80, 0, 2).shortfall, 10, 1e-9);
}

Test(verdict, noise_is_allowed_against_figures_only)
{
    suite_row row = percent;
    row.noise = 5;
    cr_assert_eq(state(&row, 74, 80, 0), SUITE_UNMET);
    cr_assert_eq(state(&row, 72, 80, 0), SUITE_REGRESSED);
    cr_assert_eq(state(&row, 85, NAN, 1), SUITE_SHORT);
}

Test(verdict, a_row_not_measured_is_skipped)
{
    cr_assert_eq(state(&percent, NAN, 80, 0), SUITE_SKIPPED);
    cr_assert_eq(state(&percent, NAN, 80, 1), SUITE_SKIPPED);
}

Test(verdict, the_processor_of_the_goals)
{
    cr_assert(suite_is_zen4("AuthenticAMD", 25, 0x11) && suite_is_zen4("AuthenticAMD", 25, 0x61));
    cr_assert(suite_is_zen4("AuthenticAMD", 25, 0x75) && suite_is_zen4("AuthenticAMD", 25, 0xa0));
    cr_assert_not(suite_is_zen4("AuthenticAMD", 25, 0x01)); /* Zen 3 server */
    cr_assert_not(suite_is_zen4("AuthenticAMD", 25, 0x50)); /* Zen 3 */
    cr_assert_not(suite_is_zen4("AuthenticAMD", 26, 0x11)); /* Zen 5 */
    cr_assert_not(suite_is_zen4("GenuineIntel", 25, 0x11));
    cr_assert_not(suite_is_zen4("", -1, -1));
}

/* ------------------------------------------------------------------ recorded figures */

Test(found, written_read_and_replaced)
{
    char path[] = "/tmp/fovea-found-XXXXXX", why[SHAPES_TEXT];
    const char *const rows[] = {"one", "two", "three"};
    const double first[] = {1.5, -2, NAN}, second[] = {NAN, 7, 9};
    suite_found none = {0}, f;
    close(mkstemp(path));
    cr_assert_eq(suite_found_write(&none, path, "A-1-2-3", rows, first, 3, why), 0, "%s", why);
    cr_assert_eq(suite_found_read(path, &f, why), 0, "%s", why);
    cr_assert(suite_found_knows(&f, "A-1-2-3") && !suite_found_knows(&f, "A-1-2"));
    cr_assert(suite_found_figure(&f, "A-1-2-3", "one") == 1.5 &&
              suite_found_figure(&f, "A-1-2-3", "two") == -2);
    cr_assert(isnan(suite_found_figure(&f, "A-1-2-3", "three")) &&
              isnan(suite_found_figure(&f, "B", "one")));
    cr_assert_eq(suite_found_write(&f, path, "A-1-2-3", rows, second, 3, why), 0, "%s", why);
    cr_assert_eq(suite_found_write(&f, path, "A-1-2-3", rows, second, 3, why), 0, "%s", why);
    suite_found_free(&f);
    cr_assert_eq(suite_found_read(path, &f, why), 0, "%s", why);
    cr_assert_eq(f.file.rows, 3);
    cr_assert(suite_found_figure(&f, "A-1-2-3", "one") == 1.5 &&
              suite_found_figure(&f, "A-1-2-3", "two") == 7);
    suite_found_free(&f);
    remove(path);
}

/* ------------------------------------------------------------------ workloads */

static suite_work work_of(const char *spec, const char *shape_text)
{
    suite_work work = {.spec = spec, .shape_text = shape_text, .threads = 1};
    cr_assert(shapes_parse(shape_text, &work.shape));
    return work;
}

/* 25 % of 64 entries are 16, in each of 4 rows of 16 queries; at least one entry stays. */
Test(workload, made_up_masks_keep_what_they_say)
{
    const suite_work quarter = work_of("blocks:mask=file:keep-25-4x64,bq=16,bk=1", "1,1,1,64,64,8");
    const suite_work least = work_of("blocks:mask=file:keep-1-4x4,bq=16,bk=16", "1,1,1,64,64,8");
    char why[SHAPES_TEXT];
    workload w;
    cr_assert_eq(workload_plan(&w, &quarter, NULL, 0, why), 0, "%s", why);
    cr_assert_eq(w.cost.visible_pairs, 64 * 16);
    workload_free(&w);
    cr_assert_eq(workload_plan(&w, &least, NULL, 0, why), 0, "%s", why);
    cr_assert_eq(w.cost.visible_pairs, 64 * 16);
    workload_free(&w);
}

Test(workload, other_files_are_refused)
{
    static const char *const names[] = {"keep-101-4x4", "keep-25-4x", "keep-25-4x4x",
                                        "keep-25-0x4",  "mask.npy",   "keep-25-4x70000"};
    for (unsigned n = 0; n < sizeof names / sizeof *names; n++) {
        char spec[80], why[SHAPES_TEXT];
        workload w;
        snprintf(spec, sizeof spec, "blocks:mask=file:%s,bq=16,bk=16", names[n]);
        const suite_work work = work_of(spec, "1,1,1,64,64,8");
        cr_assert_neq(workload_plan(&w, &work, NULL, 0, why), 0, "%s", names[n]);
        cr_assert_not_null(strstr(why, names[n]), "%s", why);
        workload_free(&w);
    }
}

/* A cold workload goes through at least the bytes it promises, at other addresses, and still computes attention. */
Test(workload, cold_keys_are_copies)
{
    suite_work work = work_of("dense", "1,1,1,1,32k,64");
    char why[SHAPES_TEXT];
    workload w;
    work.dtype = FOVEA_BF16;
    cr_assert_eq(workload_open(&w, &work, NULL, 1, 0, why), 0, "%s", why);
    cr_assert_geq((double)w.copies * (double)(w.k_bytes + w.v_bytes), WORKLOAD_COLD_BYTES);
    cr_assert_eq(memcmp(w.cold, w.cold + (w.copies - 1) * (w.k_bytes + w.v_bytes), w.k_bytes), 0);
    cr_assert_eq(workload_run(&w), 0);
    float sum = 0;
    for (int t = 0; t < 64; t++)
        sum += fabsf(w.o[t]);
    cr_assert(sum > 0 && isfinite(sum));
    workload_free(&w);
}

Test(figure, rows_that_cannot_run_are_skipped)
{
    const figure_options options = {.rounds = 3, .seconds = 1, .cpus = 1, .isa = "scalar"};
    suite_row row = {
        .name = "r", .kind = SUITE_PEAK, .goal = 1, .work = work_of("dense", "1,1,1,8,8,8")};
    char why[SHAPES_TEXT];
    figure f;
    row.work.threads = 2;
    cr_assert_eq(figure_measure(&row, &options, &f, why), 0);
    cr_assert(isnan(f.value) && strstr(f.skipped, "2 CPUs"), "%s", f.skipped);
    row.work.threads = 1;
    row.isa = "generic"; /* stronger than the cap */
    cr_assert_eq(figure_measure(&row, &options, &f, why), 0);
    cr_assert(isnan(f.value) && strstr(f.skipped, "capped to scalar"), "%s", f.skipped);
}
