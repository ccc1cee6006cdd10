/* fovea compare: attention variants side by side on one input: time, speed-up, work, and what they lose.

   The baseline is always measured, and first. Errors and recall are against dense attention of the same problem: its
   causal flag, scale and score edits, those that the baseline's SPEC sets among them. */
#include "cli/lineup.h"

#include "report/quantity.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {"--variant", "SPEC", 'm', 0, 0, NULL,
     "variant to measure, may be repeated; default: a first look at several"},
    {"--baseline", "SPEC", 's', 0, 0, "dense",
     "what speed-ups refer to; score edits it sets hold for all"},
    {"--sample", NULL, 'f', 0, 0, NULL,
     "real tensors that come along: causal smollm2, or --sample minilm (encoder)"},
    {"--shape", "SHAPE", 's', 0, 0, NULL,
     "named shape or b,hq,hkv,lq,lk,d[,dv], filled with synthetic data"},
    {"--synthetic", SOURCE_SYNTHETIC_CHOICES, 'c', 0, 0, "gaussian",
     "structure of the data that fills a --shape"},
    {"--causal", NULL, 'f', 0, 0, NULL,
     "queries see no later keys; implied by causal samples, files and shapes"},
    {"--scale", "X", 'r', DBL_MIN, DBL_MAX, NULL,
     "scale of the scores; default: the shape's own, or 1/sqrt(d)"},
    {"--rows", "N", 'i', 1, 1048576, "64",
     "query rows per head that errors and recall are taken from, evenly spread"},
    {"--repeat", "N", 'i', 1, 10000, "7", "timed rounds; in each round every variant runs in turn"},
    {"--budget", "SECONDS", 'r', 0, 86400, "60", LINEUP_BUDGET_HELP},
    {0}};

/* A first table worth reading, for each kind of input. */
static const char *const causal_variants[] = {"window:window=256",
                                              "streaming:sinks=4,window=252",
                                              "blockwindow:block=64,blocks=4",
                                              "sparse-strided:stride=64",
                                              "topk:k=64",
                                              "topp:p=0.95",
                                              "threshold:rel=8",
                                              NULL};
static const char *const encoder_variants[] = {"window:left=64,right=64",
                                               "longformer:window=64,global=0",
                                               "bigbird:block=32,random=2",
                                               "topk:k=64",
                                               "topp:p=0.95",
                                               "sparsemax",
                                               NULL};

static const table_column columns[] = {
    {"variant", NULL, 0},
    {"baseline", NULL, TABLE_HIDE_PEOPLE},
    {"best_ns", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"median_ns", "time", TABLE_RIGHT},
    {"spread_ns", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"speedup", "speed-up", TABLE_RIGHT},
    {"select_ns", "select", TABLE_RIGHT},
    {"attend_ns", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"samples", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
    {"density", NULL, TABLE_RIGHT},
    {"density_realised", "realised", TABLE_RIGHT},
    {"flops", "GFLOP", TABLE_RIGHT},
    {"bytes", "MiB", TABLE_RIGHT},
    {"rel_l2", "rel L2", TABLE_RIGHT},
    {"max_abs", "max abs", TABLE_RIGHT},
    {"cosine", NULL, TABLE_RIGHT},
    {"recall_mean", "recall", TABLE_RIGHT},
    {"recall_p1", "p1", TABLE_RIGHT},
    {"recall_min", "min", TABLE_RIGHT},
    {"kernel", NULL, TABLE_HIDE_PEOPLE},
};

/* ------------------------------------------------------------------ what is compared */

static double number(const fovea_recipe *recipe, const char *key)
{
    const char *text = fovea_recipe_get(recipe, key);
    return text ? strtod(text, NULL) : 0;
}

static int flag(const fovea_recipe *recipe, const char *key)
{
    const char *text = fovea_recipe_get(recipe, key);
    return text && strcmp(text, "0") != 0;
}

/* 1 when the SPEC sets the common parameter of that name; natten's `causal`, say, is its own and means something
   else. */
static int sets_common(const fovea_recipe *recipe, const char *key)
{
    const fovea_variant *row = fovea_recipe_variant(recipe);
    for (unsigned n = 0; row && n < row->parameter_count; n++)
        if (strcmp(row->parameters[n].name, key) == 0)
            return 0;
    return fovea_recipe_is_set(recipe, key);
}

/* Score edits of the baseline's SPEC ("dense:causal") become the problem's, so that all variants and the reference
   answer the same question. */
static void adopt_edits(const fovea_recipe *baseline, fovea_problem *problem)
{
    if (sets_common(baseline, "causal"))
        problem->causal = flag(baseline, "causal");
    if (sets_common(baseline, "alibi"))
        problem->alibi = flag(baseline, "alibi");
    if (sets_common(baseline, "scale"))
        problem->scale = number(baseline, "scale");
    if (sets_common(baseline, "softcap"))
        problem->softcap = number(baseline, "softcap");
    if (sets_common(baseline, "sink")) {
        problem->has_sink = 1;
        problem->sink = number(baseline, "sink");
    }
}

static int add_defaults(const cli *c, fovea_context *context, const source *s, lineup *l)
{
    char own[64];
    int code = EXIT_DONE;
    const char *const *spec = s->problem.causal ? causal_variants : encoder_variants;
    if (s->window > 0) {
        snprintf(own, sizeof own, "window:window=%lld", (long long)s->window);
        code = lineup_add_if_it_fits(c, context, own, &s->problem, l);
    }
    for (; *spec && code == EXIT_DONE; spec++)
        code = lineup_add_if_it_fits(c, context, *spec, &s->problem, l);
    return code;
}

/* The SPECs of the command line: read before the input, so that a misspelt one does not wait for it. */
static int assemble_given(const cli *c, fovea_context *context, lineup *l)
{
    int code = lineup_add(c, context, cli_text(c, "--baseline"), l);
    l->has_baseline = code == EXIT_DONE;
    for (unsigned n = 0; n < cli_count(c, "--variant") && code == EXIT_DONE; n++)
        code = lineup_add(c, context, cli_text_at(c, "--variant", n), l);
    return code;
}

/* ------------------------------------------------------------------ output */

static int for_people(const cli *c)
{
    const char *format = cli_text(c, "--format");
    return strcmp(format, "table") == 0 || strcmp(format, "md") == 0;
}

static void print_header(const cli *c, const fovea_context *context, const source *s)
{
    if (!for_people(c))
        return;
    const unsigned threads = fovea_context_threads(context);
    printf("%s\n%s, %s, %s; instruction set %s, %u thread%s\n\n", s->text, s->shape,
           qkv_dtype_name(s->problem.dtype), s->problem.causal ? "causal" : "not causal",
           fovea_context_isa(context), threads, threads == 1 ? "" : "s");
}

static void print_legend(table *t, const lineup *l, int64_t sampled, int64_t lq)
{
    char line[160];
    snprintf(line, sizeof line,
             "time: median %s interquartile range of %zu interleaved runs. speed-up: over %.60s.",
             cli_unicode() ? "±" : "+-", l->result[0].times.samples,
             fovea_recipe_spec(l->recipe[0]));
    table_remark(t, line);
    table_remark(t, "select: choosing keys beforehand, part of the time. density: (query, key) "
                    "pairs the pattern lets through,");
    table_remark(t, "of those that dense attention visits; realised: pairs whose value was used. "
                    "GFLOP: 2 (d + dv) per pair let");
    table_remark(t, "through. MiB: q, k, v, o moved once.");
    lineup_explain_errors(t, sampled, lq);
}

/* What the results were taken on, beside the environment; new reference. */
static json_t *describe(const source *s, int64_t sampled)
{
    const fovea_problem *p = &s->problem;
    return json_pack("{s:s, s:b, s:[IIIIIII], s:s, s:b, s:I}", "data", s->text, "synthetic",
                     s->synthetic, "shape", (json_int_t)p->batch, (json_int_t)p->hq,
                     (json_int_t)p->hkv, (json_int_t)p->lq, (json_int_t)p->lk, (json_int_t)p->d,
                     (json_int_t)p->dv, "dtype", qkv_dtype_name(p->dtype), "causal", p->causal,
                     "rows", (json_int_t)sampled);
}

static int print_results(const cli *c, const fovea_context *context, const source *s,
                         const lineup *l, int64_t sampled)
{
    table *t = table_create(columns, sizeof columns / sizeof *columns);
    if (!t)
        return cli_fail(c, EXIT_RESOURCE, "no memory for a table");
    for (unsigned i = 0; i < l->count; i++) {
        table_row(t);
        lineup_cells(t, l, i);
        if (i == 0)
            table_emphasise(t);
    }
    print_legend(t, l, sampled, s->problem.lq);
    print_header(c, context, s);
    const int code = cli_print(c, context, t, describe(s, sampled));
    table_free(t);
    return code;
}

static int compare(const cli *c, fovea_context *context, source *s, lineup *l)
{
    int64_t sampled = 0;
    int code = EXIT_DONE;
    adopt_edits(l->recipe[0], &s->problem);
    if (cli_count(c, "--variant") == 0)
        code = add_defaults(c, context, s, l);
    if (code == EXIT_DONE)
        code = lineup_measure(c, context, s, l, &sampled);
    return code == EXIT_DONE ? print_results(c, context, s, l, sampled) : code;
}

static int run(const cli *c)
{
    source s;
    lineup l = {0};
    fovea_context *context = NULL;
    int code = cli_context(c, &context);
    if (code != EXIT_DONE)
        return code;
    code = assemble_given(c, context, &l);
    if (code == EXIT_DONE)
        code = source_open(c, &s);
    if (code == EXIT_DONE) {
        code = compare(c, context, &s, &l);
        source_free(&s);
    }
    lineup_free(&l);
    fovea_context_destroy(context);
    return code;
}

const cli_command cli_compare = {
    .name = "compare",
    .summary = "variants side by side: time, speed-up, work, error, recall",
    .usage = "fovea compare [--variant SPEC ...] [--baseline SPEC] (--sample [NAME] | --qkv F | "
             "--q F --k F --v F | --shape SHAPE)",
    .options = options,
    .max_words = 1,
    .run = run,
    .shared = qkv_options,
    .words = source_words,
};
