/* Pruned rows that are normalised a tile at a time, in the lanes: a bias of zeros makes the plan take them one by one, and both
   forms must keep the same keys, with weights that agree, whatever the scores are: far apart, nearly or quite equal, in ascending
   order, infinite, NaN. And what one row gets must not change by a bit with what its neighbours in the tile hold. */
#include <fovea/fovea.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LQ = 45, D = 20, DV = 19, MOST = 4200 };

enum kind { PLAIN, WHOLE, RISING, EQUAL, FAR, NEAR, ODD, KINDS };

static const char *const specs[] = {
    "topk:k=1",         "topk:k=7",       "topk:k=64",  "topk:k=80",     "topk:k=81",  "topk:k=300", "topk:k=5000",
    "topp:p=0.02",      "topp:p=0.5",     "topp:p=0.9", "topp:p=0.9999", "topp:p=1",   "threshold:rel=2",
    "threshold:rel=3,renorm=0", "sparsemax", "entmax15",
    "threshold:prob=0",  "threshold:prob=0.003", "threshold:prob=0.01,renorm=0", "threshold:prob=0.6", "localv:k=3", "localv:k=200",
    "relu", "relu:power=0.5", "sigmoid", "sigmoid:bias=-2.5",
};
static const int64_t lengths[] = {1, 5, 33, 130, 260, 700, 1024, 1500, 4200};

static uint64_t state;

static double uniform(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(state >> 11) * 0x1p-53;
}

static double gaussian(void)
{
    return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}

typedef struct problem {
    float q[LQ * D], k[MOST * D], v[MOST * DV], bias[MOST];
    float o[LQ * DV], lse[LQ];
    uint8_t mask[LQ * MOST];
} problem;

/* Scores are q . k / 4. */
static void fill(problem *x, int64_t lk, enum kind kind)
{
    for (int64_t i = 0; i < LQ * D; i++)
        x->q[i] = (float)(kind == WHOLE   ? floor(3 * uniform()) - 1
                          : kind == EQUAL ? 1
                          : kind == FAR   ? 40 * gaussian()
                          : kind == NEAR  ? 1 + 1e-6 * gaussian()
                                          : gaussian());
    for (int64_t j = 0; j < lk * D; j++)
        x->k[j] = (float)(kind == WHOLE    ? floor(3 * uniform()) - 1
                          : kind == EQUAL  ? 0.5
                          : kind == RISING ? (double)(j / D) * 0.002
                          : kind == NEAR   ? 1 + 1e-6 * gaussian()
                                           : gaussian());
    for (int64_t j = 0; j < lk * DV; j++)
        x->v[j] = (float)gaussian();
    for (int64_t n = 0; kind == ODD && n < 3; n++) /* a row becomes NaN or infinite, a key as well */
        x->q[(int64_t)(uniform() * LQ) * D] = n == 0 ? NAN : n == 1 ? INFINITY : -INFINITY;
    memset(x->bias, 0, sizeof x->bias);
}

static int has_lse(const char *spec)
{
    return strcmp(spec, "sparsemax") != 0 && strcmp(spec, "entmax15") != 0 && !strstr(spec, "relu") && !strstr(spec, "sigmoid");
}

/* What o is at most, as a multiple of what it is for a probability. */
static double scale(const char *spec, int64_t lk)
{
    return !strncmp(spec, "relu:", 5) ? 40 * sqrt((double)lk) : !strncmp(spec, "sigmoid", 7) ? 1 + (double)lk / 8 : !strcmp(spec, "relu") ? 40 : 1;
}

static void run(problem *x, const char *spec, int64_t lk, int causal, int with_bias, const char *isa)
{
    fovea_context_options options = {.struct_size = sizeof options, .isa = isa};
    fovea_context *context;
    fovea_recipe *recipe;
    fovea_plan *plan;
    fovea_problem p;
    fovea_error err;
    fovea_arguments a = {.struct_size = sizeof a, .q = x->q, .k = x->k, .v = x->v, .o = x->o, .mask = x->mask};
    cr_assert(fovea_context_create(&options, &context, &err) == FOVEA_OK, "%s", err.text);
    fovea_problem_init(&p, 1, 1, 1, LQ, lk, D, DV, FOVEA_F32);
    p.causal = causal;
    p.has_bias = with_bias;
    cr_assert(fovea_recipe_parse(context, spec, &recipe, &err) == FOVEA_OK, "%s", err.text);
    cr_assert(fovea_plan_create(context, &p, recipe, &plan, &err) == FOVEA_OK, "%s", err.text);
    if (with_bias)
        a.bias = x->bias;
    if (has_lse(spec))
        a.lse = x->lse;
    memset(x->mask, 0, sizeof x->mask);
    cr_assert(fovea_execute(plan, &a, NULL, 0, &err) == FOVEA_OK, "%s", err.text);
    fovea_plan_destroy(plan);
    fovea_recipe_destroy(recipe);
    fovea_context_destroy(context);
}

static int near(float a, float b, double allowed)
{
    return isnan(a) ? isnan(b) : fabs((double)a - (double)b) <= allowed || a == b;
}

static void compare(const char *spec, int64_t lk, enum kind kind, int causal, const char *isa)
{
    problem *x = malloc(sizeof *x), *y = malloc(sizeof *y);
    cr_assert(x && y);
    fill(x, lk, kind);
    *y = *x;
    run(x, spec, lk, causal, 0, isa);
    run(y, spec, lk, causal, 1, isa);
    for (int64_t i = 0; i < LQ; i++) {
        for (int64_t j = 0; j < lk; j++)
            cr_assert(x->mask[i * lk + j] == y->mask[i * lk + j], "%s lk=%d kind %d causal %d: key %d of row %d is kept %d, want %d",
                      spec, (int)lk, (int)kind, causal, (int)j, (int)i, x->mask[i * lk + j], y->mask[i * lk + j]);
        for (int64_t c = 0; c < DV; c++)
            cr_assert(near(x->o[i * DV + c], y->o[i * DV + c], 2e-5 * scale(spec, lk)), "%s lk=%d kind %d causal %d: o[%d][%d] = %g, want %g", spec,
                      (int)lk, (int)kind, causal, (int)i, (int)c, (double)x->o[i * DV + c], (double)y->o[i * DV + c]);
        cr_assert(!has_lse(spec) || near(x->lse[i], y->lse[i], 2e-6 * (1 + fabs((double)y->lse[i]))), "%s lk=%d kind %d: lse[%d] = %g, want %g",
                  spec, (int)lk, (int)kind, (int)i, (double)x->lse[i], (double)y->lse[i]);
    }
    free(x);
    free(y);
}

Test(columns, keep_what_rows_keep)
{
    state = 11;
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++)
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            for (int kind = 0; kind < KINDS; kind++)
                compare(specs[s], lengths[l], (enum kind)kind, (int)(s + l) % 2, NULL);
}

Test(columns, other_instruction_sets)
{
    static const char *const isas[] = {"generic", "scalar"};
    state = 12;
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++)
        for (int i = 0; i < 2; i++)
            for (int kind = 0; kind < KINDS; kind += 2)
                compare(specs[s], lengths[3 + (s + (size_t)kind) % 5], (enum kind)kind, i, isas[i]);
}

/* Every third row stays; the others become large, small or NaN. */
Test(columns, rows_do_not_touch_each_other)
{
    problem *x = malloc(sizeof *x), *y = malloc(sizeof *y);
    cr_assert(x && y);
    state = 13;
    for (size_t s = 0; s < sizeof specs / sizeof *specs; s++)
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            for (int kind = 0; kind < ODD; kind++) {
                fill(x, lengths[l], (enum kind)kind);
                *y = *x;
                for (int64_t i = 0; i < LQ * D; i++)
                    if (i / D % 3)
                        y->q[i] = (float)(i / D % 9 == 1 ? NAN : i / D % 9 < 5 ? 60 * gaussian() : 0.01 * gaussian());
                run(x, specs[s], lengths[l], 0, 0, NULL);
                run(y, specs[s], lengths[l], 0, 0, NULL);
                for (int64_t i = 0; i < LQ; i += 3)
                    cr_assert(memcmp(x->o + i * DV, y->o + i * DV, DV * sizeof(float)) == 0,
                              "%s lk=%d kind %d: row %d changes with its neighbours", specs[s], (int)lengths[l], kind, (int)i);
            }
    free(x);
    free(y);
}
