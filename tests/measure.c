/* src/lab/eval/measure.c with the library: what compare and bench report must agree with what can be counted by hand
   and with the reference computed apart. */
#include "eval/measure.h"
#include "eval/reference.h"
#include "eval/synthetic.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, HQ = 4, HKV = 2, L = 40, D = 16, DV = 24, ROWS = 5 };

static float q[B * HQ * L * D], k[B * HKV * L * D], v[B * HKV * L * DV];
static int64_t rows[ROWS];

static fovea_context *open_context(void)
{
    fovea_context *context = NULL;
    fovea_error err = {0};
    cr_assert_eq(fovea_context_create(NULL, &context, &err), FOVEA_OK, "%s", err.text);
    return context;
}

static measure_input causal_input(void)
{
    const synthetic_shape shape = {B, HQ, HKV, L, L, D, DV, 0.25};
    measure_input input;
    memset(&input, 0, sizeof input);
    cr_assert_eq(synthetic_fill(SYNTHETIC_SINKS_AND_LOCAL, 1, &shape, q, k, v), 0);
    reference_spread(L, ROWS, rows);
    fovea_problem_init(&input.problem, B, HQ, HKV, L, L, D, DV, FOVEA_F32);
    input.problem.causal = 1;
    input.arguments = (fovea_arguments){.struct_size = sizeof input.arguments, .q = q, .k = k, .v = v};
    input.nrows = ROWS;
    input.rows = rows;
    return input;
}

/* Plans and runs; results in the order of the specs. */
static void run_all(const measure_input *input, const char *const *specs, unsigned count, measure_result *results)
{
    const measure_options options = {.repeat = 3, .seconds = 10};
    fovea_context *context = open_context();
    fovea_recipe *recipes[4];
    fovea_error err = {0};
    measure *m = NULL;
    for (unsigned i = 0; i < count; i++)
        cr_assert_eq(fovea_recipe_parse(context, specs[i], &recipes[i], &err), FOVEA_OK, "%s", err.text);
    cr_assert_eq(measure_create(context, input, (const fovea_recipe *const *)recipes, count, &m, NULL, &err), FOVEA_OK,
                 "%s", err.text);
    cr_assert_eq(measure_run(m, &options, results, &err), FOVEA_OK, "%s", err.text);
    measure_destroy(m);
    for (unsigned i = 0; i < count; i++)
        fovea_recipe_destroy(recipes[i]);
    fovea_context_destroy(context);
}

/* Dense keeps every causal pair, B HQ L (L + 1) / 2 of them, recalls all, and differs from the double reference by
   rounding: scores are sums of D products of size up to |s| ~ 10, so p is off by some D |s| u, o by (D |s| + L) u in
   all, u = 2^-24. */
Test(measure, dense_is_the_reference)
{
    const char *const specs[] = {"dense"};
    const measure_input input = causal_input();
    measure_result r;
    run_all(&input, specs, 1, &r);
    cr_assert_eq(r.kept, B * HQ * L * (L + 1) / 2);
    cr_assert_eq(r.density_realised, 1);
    cr_assert_eq(r.recall.min, 1);
    cr_assert_eq(r.recall.rows, B * HQ * ROWS);
    cr_assert(r.errors.rel_l2 > 0 && r.errors.rel_l2 < (10 * D + L) * ldexp(1, -24), "%g", r.errors.rel_l2);
    cr_assert_gt(r.errors.cosine, 1 - 1e-9);
    cr_assert(r.times.samples == 3 && r.times.best > 0 && r.times.median >= r.times.best);
}

/* A window of 4 keeps 1 + 2 + 3 + 4 (L - 3) pairs a head. Recall and error by the reference's probabilities. */
Test(measure, window_loses_what_the_reference_says)
{
    const char *const specs[] = {"dense", "window:window=4"};
    const measure_input input = causal_input();
    measure_result r[2];
    double p[ROWS * L], o[ROWS * DV], sum = 0, least = 1, dd = 0, rr = 0;
    run_all(&input, specs, 2, r);
    for (int64_t b = 0; b < B; b++)
        for (int64_t h = 0; h < HQ; h++) {
            cr_assert_eq(reference_rows(&input.problem, &input.arguments, b, h, rows, ROWS, o, p, NULL), 0);
            for (int i = 0; i < ROWS; i++) {
                const float *values = v + (b * HKV + h / (HQ / HKV)) * L * DV;
                double mass = 0;
                for (int64_t j = rows[i] < 3 ? 0 : rows[i] - 3; j <= rows[i]; j++)
                    mass += p[i * L + j];
                for (int t = 0; t < DV; t++) {
                    double kept = 0;
                    for (int64_t j = rows[i] < 3 ? 0 : rows[i] - 3; j <= rows[i]; j++)
                        kept += p[i * L + j] * values[j * DV + t] / mass;
                    dd += pow(kept - o[i * DV + t], 2);
                    rr += pow(o[i * DV + t], 2);
                }
                sum += mass;
                least = fmin(least, mass);
            }
        }
    cr_assert_eq(r[1].kept, B * HQ * (6 + 4 * (L - 3)));
    cr_assert_float_eq(r[1].density_realised, (6.0 + 4 * (L - 3)) / (L * (L + 1) / 2.0), 1e-12);
    cr_assert(least < 0.9, "the case must lose something");
    cr_assert_float_eq(r[1].recall.mean, sum / (B * HQ * ROWS), 1e-6); /* probabilities are kept as float */
    cr_assert_float_eq(r[1].recall.min, least, 1e-6);
    cr_assert_float_eq(r[1].errors.rel_l2, sqrt(dd / rr), 1e-5);
}

/* Outputs in [b, l, h, dv] order are gathered by their strides: the same numbers. */
Test(measure, layout_of_the_output_does_not_matter)
{
    const char *const specs[] = {"dense"};
    measure_input input = causal_input();
    measure_result r[2];
    run_all(&input, specs, 1, &r[0]);
    input.problem.o = (fovea_strides){.batch = L * HQ * DV, .head = DV, .token = HQ * DV};
    run_all(&input, specs, 1, &r[1]);
    cr_assert_eq(r[0].errors.rel_l2, r[1].errors.rel_l2);
    cr_assert_eq(r[0].errors.max_abs, r[1].errors.max_abs);
    input.problem.o = (fovea_strides){0, 0, 0}; /* contiguous */
    run_all(&input, specs, 1, &r[1]);
    cr_assert_eq(r[0].errors.rel_l2, r[1].errors.rel_l2);
}

/* A recipe that does not fit is named, before anything runs. */
Test(measure, names_the_culprit)
{
    fovea_context *context = open_context();
    measure_input input = causal_input();
    fovea_recipe *recipes[2];
    fovea_error err = {0};
    measure *m = NULL;
    unsigned culprit = 9;
    input.problem.lq = L / 2; /* bigbird wants lq = lk */
    input.nrows = 1;
    rows[0] = 0;
    cr_assert_eq(fovea_recipe_parse(context, "dense", &recipes[0], &err), FOVEA_OK);
    cr_assert_eq(fovea_recipe_parse(context, "bigbird:block=4,random=1", &recipes[1], &err), FOVEA_OK);
    cr_assert_eq(measure_create(context, &input, (const fovea_recipe *const *)recipes, 2, &m, &culprit, &err),
                 FOVEA_ERROR_SHAPE);
    cr_assert(culprit == 1 && m == NULL && err.text[0]);
    fovea_recipe_destroy(recipes[0]);
    fovea_recipe_destroy(recipes[1]);
    fovea_context_destroy(context);
}

/* What will be allocated: at least the output, the mask and the reference's probabilities. */
Test(measure, bytes)
{
    fovea_context *context = open_context();
    const measure_input input = causal_input();
    fovea_recipe *recipe = NULL;
    fovea_error err = {0};
    measure *m = NULL;
    cr_assert_eq(fovea_recipe_parse(context, "dense", &recipe, &err), FOVEA_OK);
    cr_assert_eq(measure_create(context, &input, (const fovea_recipe *const *)&recipe, 1, &m, NULL, &err), FOVEA_OK);
    cr_assert_geq(measure_bytes(m), (double)fovea_plan_workspace(measure_plan(m, 0)) + B * HQ * L * DV * 4.0 +
                                        B * HQ * ROWS * L * 5.0 + B * HQ * ROWS * DV * 12.0);
    measure_destroy(m);
    fovea_recipe_destroy(recipe);
    fovea_context_destroy(context);
}
