/* fovea bench: how close variants come to what this machine can do. Every pair of a --shape and a --variant is timed on
   synthetic data; the machine's peaks are measured in the same process before and after, and the larger one counts. With
   --suite it runs a fixed set of workloads instead (suite.h). */
#include "cli/lineup.h"
#include "cli/suite.h"

#include "eval/limits.h"
#include "io/pages.h"
#include "report/quantity.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const cli_option options[] = {
    {"--variant", "SPEC", 'm', 0, 0, NULL, "variant to time; default: dense"},
    {"--shape", "SHAPE", 'm', 0, 0, NULL, "named shape or b,hq,hkv,lq,lk,d[,dv]"},
    {"--dtype", "f32|bf16|f16", 'c', 0, 0, NULL,
     "type of q, k and v; default: the named shape's, else f32"},
    {"--causal", NULL, 'f', 0, 0, NULL,
     "queries see no later keys; implied by shapes that are causal"},
    {"--scale", "X", 'r', DBL_MIN, DBL_MAX, NULL,
     "scale of the scores; default: the shape's own, or 1/sqrt(d)"},
    {"--layout", "bhld|blhd", 'c', 0, 0, "bhld",
     "order of batch, head (h), token (l) and dim in memory"},
    {"--baseline", "SPEC", 's', 0, 0, NULL, "also time this one, and print speed-ups over it"},
    {"--synthetic", SOURCE_SYNTHETIC_CHOICES, 'c', 0, 0, "gaussian", "structure of the data"},
    {"--rows", "N", 'i', 1, 1048576, "8",
     "query rows per head that errors and recall are taken from, evenly spread"},
    {"--repeat", "N", 'i', 1, 10000, "9", "timed rounds; in each round every variant runs in turn"},
    {"--budget", "SECONDS", 'r', 0, 86400, "60", LINEUP_BUDGET_HELP},
    {"--suite", "limits", 'c', 0, 0, NULL,
     "measure a set of workloads instead, each held to its goal; exit 1 when one falls short"},
    {"--only", "TEXT", 'm', 0, 0, NULL, "rows of the suite whose name holds TEXT"},
    {"--tolerance", "N", 'r', 0, 100, "2", "points by which a row of the suite may fall short"},
    {"--record", "FILE", 's', 0, 0, NULL,
     "write the figures of the suite into FILE, as those that later runs on this CPU must hold"},
    {0}};

static const table_column columns[] = {
    {"shape", NULL, 0},
    {"variant", NULL, 0},
    {"dtype", NULL, 0},
    {"layout", NULL, TABLE_HIDE_PEOPLE},
    {"isa", NULL, TABLE_HIDE_PEOPLE},
    {"threads", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"baseline", NULL, TABLE_HIDE_PEOPLE},
    {"best_ns", "best", TABLE_RIGHT},
    {"median_ns", "median", TABLE_RIGHT},
    {"spread_ns", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"select_ns", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"attend_ns", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"samples", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"speedup", "speed-up", TABLE_RIGHT},
    {"gflops", "GFLOP/s", TABLE_RIGHT},
    {"gbps", "GB/s", TABLE_RIGHT},
    {"limit", NULL, 0},
    {"percent_of_limit", "of limit", TABLE_RIGHT},
    {"fma_peak_gflops", "fma peak", TABLE_RIGHT},
    {"bf16_peak_gflops", "bf16 peak", TABLE_RIGHT},
    {"read_gbps", "read", TABLE_RIGHT},
    {"density", NULL, TABLE_RIGHT},
    {"density_realised", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"flops", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"bytes", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"rel_l2", "rel L2", TABLE_RIGHT},
    {"max_abs", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"cosine", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"recall_mean", "recall", TABLE_RIGHT},
    {"recall_p1", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"recall_min", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"kernel", NULL, 0},
};

enum { READ_BYTES_MIN = 1 << 16, READ_BYTES_MAX = 1 << 28 };

/* 0.1 s for each of three ceilings: long enough for the clock frequency to settle under vector load. */
static const double ceiling_seconds = 0.1;

/* The read bandwidth that counts is that of the memory the problem lives in between two runs: a block of the size of
   q, k, v and o, within bounds. */
static size_t working_set(const fovea_problem *p)
{
    const double queries = (double)p->batch * (double)p->hq * (double)p->lq;
    const double keys = (double)p->batch * (double)p->hkv * (double)p->lk;
    const double bytes = (double)qkv_dtype_bytes(p->dtype) *
                             (queries * (double)p->d + keys * (double)(p->d + p->dv)) +
                         sizeof(float) * queries * (double)p->dv;
    return (size_t)fmin(fmax(bytes, READ_BYTES_MIN), READ_BYTES_MAX);
}

/* ------------------------------------------------------------------ one shape */

typedef struct bench {
    const cli *c;
    fovea_context *context;
    table *t;
    int64_t sampled, lq; /* of the last shape */
    double huge;         /* bytes on huge pages while a shape was measured, the most of all shapes; -1: unknown */
} bench;

static void ceiling_cells(table *t, const measure_result *r, const limits *l)
{
    const double best = r->times.best;
    const limits_verdict verdict = limits_judge(l, r->cost.flops, r->cost.bytes,
                                                limits_kernel_uses_bf16(r->cost.kernel), best);
    /* flop/ns is GFLOP/s, byte/ns is GB/s */
    table_real(t, "gflops", r->cost.flops / best, quantity_amount(r->cost.flops / best).text);
    table_real(t, "gbps", r->cost.bytes / best, quantity_amount(r->cost.bytes / best).text);
    table_real(t, "fma_peak_gflops", l->fma, quantity_amount(l->fma).text);
    table_real(t, "bf16_peak_gflops", l->bf16, l->bf16 > 0 ? quantity_amount(l->bf16).text : "-");
    table_real(t, "read_gbps", l->read, quantity_amount(l->read).text);
    table_text(t, "limit", verdict.limit);
    table_real(t, "percent_of_limit", verdict.percent,
               quantity_percent(verdict.percent / 100).text);
}

static void result_row(const bench *b, const char *shape, const source *s, const lineup *l,
                       unsigned i, const limits *peaks)
{
    table_row(b->t);
    lineup_cells(b->t, l, i);
    table_text(b->t, "shape", shape);
    table_text(b->t, "dtype", qkv_dtype_name(s->problem.dtype));
    table_text(b->t, "layout", cli_text(b->c, "--layout"));
    table_text(b->t, "isa",
               l->result[i].cost.isa ? l->result[i].cost.isa : fovea_context_isa(b->context));
    table_integer(b->t, "threads", fovea_context_threads(b->context), NULL);
    table_real(b->t, "best_ns", l->result[i].times.best,
               quantity_time(l->result[i].times.best, cli_unicode()).text);
    ceiling_cells(b->t, &l->result[i], peaks);
}

static int assemble(const bench *b, lineup *l)
{
    const char *baseline = cli_text(b->c, "--baseline");
    const unsigned count = cli_count(b->c, "--variant");
    int code = EXIT_DONE;
    if (baseline) {
        code = lineup_add(b->c, b->context, baseline, l);
        l->has_baseline = code == EXIT_DONE;
    }
    if (code == EXIT_DONE && count == 0)
        return lineup_add(b->c, b->context, "dense", l);
    for (unsigned n = 0; n < count && code == EXIT_DONE; n++)
        code = lineup_add(b->c, b->context, cli_text_at(b->c, "--variant", n), l);
    return code;
}

/* The fma peak in the rounds of timing, over as long as a run of middle size; the best of them, as for the runs. */
typedef struct peak_beside {
    const fovea_context *context;
    double fma;
} peak_beside;

static void measure_beside(void *user)
{
    peak_beside *p = user;
    const double fma = limits_fma(p->context, 0.05);
    p->fma = fma > p->fma ? fma : p->fma;
}

static int measure_shape(bench *b, const char *shape, const source *s, lineup *l)
{
    const size_t bytes = working_set(&s->problem);
    const limits before = limits_measure(b->context, bytes, ceiling_seconds);
    peak_beside beside = {b->context, 0};
    l->beside = measure_beside;
    l->beside_user = &beside;
    const int code = lineup_measure(b->c, b->context, s, l, &b->sampled);
    if (code != EXIT_DONE)
        return code;
    limits peaks = limits_larger(before, limits_measure(b->context, bytes, ceiling_seconds));
    peaks.fma = beside.fma; /* a core that has rested, or does nothing but fma, may run at another clock */
    b->lq = s->problem.lq;
    b->huge = fmax(b->huge, pages_huge_bytes());
    for (unsigned i = 0; i < l->count; i++)
        result_row(b, shape, s, l, i, &peaks);
    return EXIT_DONE;
}

static int bench_shape(bench *b, const char *shape)
{
    source s;
    lineup l = {0};
    /* recipes first: a misspelt SPEC must not wait for the data */
    int code = assemble(b, &l);
    if (code == EXIT_DONE) {
        const operands_layout layout =
            strcmp(cli_text(b->c, "--layout"), "blhd") == 0 ? OPERANDS_BLHD : OPERANDS_BHLD;
        code = source_open_shape(b->c, shape, layout, &s);
        if (code == EXIT_DONE) {
            code = measure_shape(b, shape, &s, &l);
            source_free(&s);
        }
    }
    lineup_free(&l);
    return code;
}

/* ------------------------------------------------------------------ output */

static int for_people(const cli *c)
{
    const char *format = cli_text(c, "--format");
    return strcmp(format, "table") == 0 || strcmp(format, "md") == 0;
}

/* What the kernel made of the advice to use huge pages (io/pages.h). */
static const char *huge_pages_text(double bytes, char *out, size_t n)
{
    if (bytes < 0)
        snprintf(out, n, "huge pages: unknown");
    else if (bytes < PAGES_HUGE)
        snprintf(out, n, "no huge pages");
    else
        snprintf(out, n, "%s on huge pages", quantity_bytes(bytes).text);
    return out;
}

static int print_results(const bench *b)
{
    const unsigned threads = fovea_context_threads(b->context);
    char pages[96];
    if (for_people(b->c))
        printf("synthetic %s data, layout %s; instruction set %s, %u thread%s; %s\n\n",
               cli_text(b->c, "--synthetic"), cli_text(b->c, "--layout"),
               fovea_context_isa(b->context), threads, threads == 1 ? "" : "s",
               huge_pages_text(b->huge, pages, sizeof pages));
    table_remark(b->t, "GFLOP/s: 2 (d + dv) for each pair that the pattern lets through; GB/s: q, "
                       "k, v, o moved once; both over the");
    table_remark(b->t, "best time. fma peak, bf16 peak (GFLOP/s) and read (GB/s, of a block of the "
                       "problem's size): all threads at");
    table_remark(b->t, "once, in this process: fma between the timed runs, for 50 ms each, the others before "
                       "and after. of limit: the least");
    table_remark(b->t, "time that the binding one allows, over the best time.");
    lineup_explain_errors(b->t, b->sampled, b->lq);
    return cli_print(
        b->c, b->context, b->t,
        json_pack("{s:s, s:b, s:f}", "data", cli_text(b->c, "--synthetic"), "synthetic", 1,
                  "huge_page_bytes", b->huge));
}

static int run_shapes(const cli *c, fovea_context *context)
{
    bench b = {
        .c = c,
        .context = context,
        .t = table_create(columns, sizeof columns / sizeof *columns),
        .huge = -1,
    };
    if (!b.t)
        return cli_fail(c, EXIT_RESOURCE, "no memory for a table");
    int code = EXIT_DONE;
    for (unsigned n = 0; n < cli_count(c, "--shape") && code == EXIT_DONE; n++)
        code = bench_shape(&b, cli_text_at(c, "--shape", n));
    if (code == EXIT_DONE)
        code = print_results(&b);
    table_free(b.t);
    return code;
}

static int run(const cli *c)
{
    fovea_context *context = NULL;
    if (cli_count(c, "--suite"))
        return suite_run(c);
    const int misplaced = suite_refuse_options(c);
    if (misplaced != EXIT_DONE)
        return misplaced;
    if (cli_count(c, "--shape") == 0)
        return cli_fail(
            c, EXIT_USAGE,
            "--shape is missing; give --shape NAME ('fovea list shapes') or b,hq,hkv,lq,lk,d[,dv]");
    int code = cli_context(c, &context);
    if (code != EXIT_DONE)
        return code;
    code = run_shapes(c, context);
    fovea_context_destroy(context);
    return code;
}

const cli_command cli_bench = {
    .name = "bench",
    .summary = "speed against the machine's peaks measured in the same process",
    .usage = "fovea bench [--variant SPEC ...] --shape NAME|b,hq,hkv,lq,lk,d[,dv] ... [--dtype T] "
             "[--isa NAME] [--threads N] | --suite limits [--only TEXT] [--tolerance N]",
    .options = options,
    .run = run,
};
