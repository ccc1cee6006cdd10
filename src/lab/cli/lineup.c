/* Measuring variants side by side; see lineup.h. */
#include "cli/lineup.h"

#include "cli/progress.h"
#include "eval/reference.h"
#include "report/quantity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int already_in(const lineup *l, const fovea_recipe *recipe)
{
    for (unsigned i = 0; i < l->count; i++)
        if (strcmp(fovea_recipe_spec(l->recipe[i]), fovea_recipe_spec(recipe)) == 0)
            return 1;
    return 0;
}

static int append(const cli *c, fovea_recipe *recipe, lineup *l)
{
    fovea_recipe **grown = realloc(l->recipe, (l->count + 1) * sizeof *grown);
    if (!grown) {
        fovea_recipe_destroy(recipe);
        return cli_fail(c, EXIT_RESOURCE, "no memory for %u variants", l->count + 1);
    }
    l->recipe = grown;
    l->recipe[l->count++] = recipe;
    return EXIT_DONE;
}

int lineup_add(const cli *c, fovea_context *context, const char *spec, lineup *l)
{
    fovea_error err = {0};
    fovea_recipe *recipe = NULL;
    if (fovea_recipe_parse(context, spec, &recipe, &err))
        return cli_fail_error(c, &err);
    if (already_in(l, recipe)) {
        fovea_recipe_destroy(recipe);
        return EXIT_DONE;
    }
    return append(c, recipe, l);
}

int lineup_add_if_it_fits(const cli *c, fovea_context *context, const char *spec,
                          const fovea_problem *problem, lineup *l)
{
    fovea_error err = {0};
    const unsigned before = l->count;
    const int code = lineup_add(c, context, spec, l);
    if (code != EXIT_DONE || l->count == before)
        return code;
    fovea_plan *plan = NULL;
    const fovea_status status = fovea_plan_create(context, problem, l->recipe[before], &plan, &err);
    fovea_plan_destroy(plan);
    if (status != FOVEA_ERROR_SHAPE && status != FOVEA_ERROR_VALUE)
        return status ? cli_fail_error(c, &err) : EXIT_DONE;
    cli_note(c, "left out %s, which does not fit: %s", spec, err.text);
    fovea_recipe_destroy(l->recipe[--l->count]);
    return EXIT_DONE;
}

/* ------------------------------------------------------------------ measuring */

static void show(void *user, const char *what, double part)
{
    progress_show(user, what, part);
}

/* Kernel names belong to the plans, which do not live as long as the table. */
static int keep_kernel_names(lineup *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        const char *name = l->result[i].cost.kernel;
        l->kernel[i] = malloc(strlen(name ? name : "") + 1);
        if (!l->kernel[i])
            return -1;
        strcpy(l->kernel[i], name ? name : "");
        l->result[i].cost.kernel = l->kernel[i];
    }
    return 0;
}

static int run_measure(const cli *c, measure *m, lineup *l)
{
    fovea_error err = {0};
    int code = source_check_memory(c, measure_bytes(m), "the comparison");
    if (code != EXIT_DONE)
        return code;
    progress bar = progress_start(c);
    const measure_options options = {
        .repeat = (unsigned)cli_integer(c, "--repeat"),
        .seconds = cli_real(c, "--budget"),
        .progress = show,
        .user = &bar,
        .beside = l->beside,
        .beside_user = l->beside_user,
    };
    const fovea_status status = measure_run(m, &options, l->result, &err);
    progress_end(&bar);
    if (status)
        return cli_fail_error(c, &err);
    return keep_kernel_names(l) ? cli_fail(c, EXIT_RESOURCE, "no memory for names of kernels")
                                : EXIT_DONE;
}

static int plan_and_run(const cli *c, fovea_context *context, const measure_input *input, lineup *l)
{
    fovea_error err = {0};
    measure *m = NULL;
    unsigned culprit = 0;
    if (measure_create(context, input, (const fovea_recipe *const *)l->recipe, l->count, &m,
                       &culprit, &err)) {
        if (err.status == FOVEA_ERROR_MEMORY)
            return cli_fail_error(c, &err);
        fovea_error named = {.status = err.status};
        snprintf(named.text, sizeof named.text, "--variant %.160s: %.320s",
                 fovea_recipe_spec(l->recipe[culprit]), err.text);
        return cli_fail_error(c, &named);
    }
    const int code = run_measure(c, m, l);
    measure_destroy(m);
    return code;
}

int lineup_measure(const cli *c, fovea_context *context, const source *s, lineup *l,
                   int64_t *sampled)
{
    const int64_t lq = s->problem.lq, wanted = cli_integer(c, "--rows");
    *sampled = wanted < lq ? wanted : lq;
    int64_t *rows = calloc((size_t)*sampled + 1, sizeof *rows);
    l->result = calloc(l->count, sizeof *l->result);
    l->kernel = calloc(l->count, sizeof *l->kernel);
    int code = EXIT_DONE;
    if (!rows || !l->result || !l->kernel) {
        code = cli_fail(c, EXIT_RESOURCE, "no memory for %u results", l->count);
    } else {
        if (*sampled > 0)
            reference_spread(lq, *sampled, rows);
        const measure_input input = {s->problem, s->arguments, *sampled, rows};
        code = plan_and_run(c, context, &input, l);
    }
    free(rows);
    return code;
}

void lineup_free(lineup *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        fovea_recipe_destroy(l->recipe[i]);
        if (l->kernel)
            free(l->kernel[i]);
    }
    free(l->recipe);
    free(l->result);
    free(l->kernel);
    memset(l, 0, sizeof *l);
}

/* ------------------------------------------------------------------ cells */

static void time_cells(table *t, const lineup *l, unsigned i)
{
    const measure_result *r = &l->result[i], *base = &l->result[0];
    const double select_ns =
        0; /* no variant selects before it attends: the whole time is attending */
    table_real(t, "best_ns", r->times.best, quantity_time(r->times.best, cli_unicode()).text);
    table_real(t, "median_ns", r->times.median,
               quantity_time_spread(r->times.median, r->times.spread, cli_unicode()).text);
    table_real(t, "spread_ns", r->times.spread, NULL);
    table_real(t, "select_ns", select_ns, "0");
    table_real(t, "attend_ns", r->times.median - select_ns, NULL);
    table_integer(t, "samples", (int64_t)r->times.samples, NULL);
    if (l->has_baseline) {
        const double speedup = base->times.median / r->times.median;
        table_text(t, "baseline", fovea_recipe_spec(l->recipe[0]));
        table_real(t, "speedup", speedup, quantity_ratio(speedup).text);
    } else {
        table_null(t, "baseline", "-");
        table_null(t, "speedup", "-");
    }
}

void lineup_cells(table *t, const lineup *l, unsigned i)
{
    const measure_result *r = &l->result[i];
    table_text(t, "variant", fovea_recipe_spec(l->recipe[i]));
    time_cells(t, l, i);
    table_real(t, "density", r->cost.density, quantity_percent(r->cost.density).text);
    table_real(t, "density_realised", r->density_realised,
               quantity_percent(r->density_realised).text);
    table_real(t, "flops", r->cost.flops, quantity_amount(r->cost.flops / 1e9).text);
    table_real(t, "bytes", r->cost.bytes, quantity_amount(r->cost.bytes / 0x1p20).text);
    table_real(t, "rel_l2", r->errors.rel_l2, quantity_error(r->errors.rel_l2).text);
    table_real(t, "max_abs", r->errors.max_abs, quantity_error(r->errors.max_abs).text);
    table_real(t, "cosine", r->errors.cosine, quantity_share(r->errors.cosine).text);
    table_real(t, "recall_mean", r->recall.mean, quantity_share(r->recall.mean).text);
    table_real(t, "recall_p1", r->recall.p1, quantity_share(r->recall.p1).text);
    table_real(t, "recall_min", r->recall.min, quantity_share(r->recall.min).text);
    table_text(t, "kernel", l->kernel[i]);
}

void lineup_explain_errors(table *t, int64_t sampled, int64_t lq)
{
    char line[160];
    snprintf(line, sizeof line,
             "rel L2, max abs, cosine: output against dense attention in double precision, on %lld "
             "of %lld rows",
             (long long)sampled, (long long)lq);
    table_remark(t, line);
    table_remark(t, "of each head. recall: share of a row's dense attention weight that lies on "
                    "the keys kept: mean,");
    table_remark(t, "worst 1 % (p1), worst row (min).");
}
