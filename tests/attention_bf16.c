/* The native bf16 dot, and products of tiles, which a plan takes where they were measured to beat fma: here that measurement is
   set, so that both answers are tested on any CPU that has the instruction. Against the oracle, and which path is taken at all. */
#include "attention_case.h"

#include "plan/plan.h"
#include <math.h>
#include <string.h>

enum { SLOW = 50, FAST = 200, LQ = 170, LK = 499, D = 37, DV = 45 };

static int keep_stride5(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return (p - j) % 5 == 0;
}

static int keep_left300(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j >= p - 299 && j <= p;
}

static const attention_rule rules[] = {
    {"dense", NULL, 0, 1},
    {"dense:causal", NULL, 1, 1},
    {"window:window=300", keep_left300, 1, 1},
    {"pattern:stride(5)", keep_stride5, 0, 1},
};

/* Skips where the CPU or the build lacks the instruction. */
static attention_run with_dot(int percent)
{
    if (fovea_isa_available("avx512_bf16") != 1)
        cr_skip_test("no avx512_bf16");
    atomic_store(&fv_plan_pair_percent[FVK_AVX512_BF16], percent);
    return (attention_run){"avx512_bf16", 1};
}

Test(attention_bf16, against_the_oracle)
{
    attention_run run = with_dot(FAST);
    for (size_t n = 0; n < sizeof rules / sizeof *rules; n++)
        for (int fast = 0; fast < 2; fast++) {
            attention_case *c = case_new(1, 2, 1, LQ, LK, D, DV, FOVEA_BF16, 80 + n);
            c->problem.precision = fast ? FOVEA_PRECISION_FAST : FOVEA_PRECISION_EXACT;
            case_verify(c, &rules[n], run);
            case_free(c);
        }
}

Test(attention_bf16, with_edits)
{
    attention_run run = with_dot(FAST);
    draw d = {7};
    attention_case *c = case_new(2, 2, 2, 40, 300, 64, 64, FOVEA_BF16, 90);
    c->problem.precision = FOVEA_PRECISION_FAST;
    c->problem.softcap = 3;
    c->problem.alibi = 1;
    case_verify(c, &rules[0], run);
    case_add_sinks(c, &d);
    case_verify(c, &rules[1], run);
    case_add_bias(c, &d, 1, 1, 1);
    case_verify(c, &rules[1], run);
    case_free(c);
}

/* NaN in hidden values does not leak through the pairs of keys; with an odd number of them. */
Test(attention_bf16, hidden_values)
{
    attention_run run = with_dot(FAST);
    attention_case *a = case_new(1, 1, 1, LQ, LQ, 32, 32, FOVEA_BF16, 91);
    attention_case *b = case_new(1, 1, 1, LQ, LQ, 32, 32, FOVEA_BF16, 91);
    a->problem.precision = b->problem.precision = FOVEA_PRECISION_FAST;
    case_run(a, "dense:causal", run);
    for (int64_t i = 32 * (LQ - 60); i < 32 * LQ; i++)
        b->v[i] = b->k[i] = NAN;
    case_store(b);
    case_run(b, "dense:causal", run);
    for (int64_t row = 0; row < LQ - 60; row++)
        cr_assert(memcmp(case_output(a, 0, 0, row), case_output(b, 0, 0, row), 32 * sizeof(float)) == 0, "row %d",
                  (int)row);
    cr_assert(isnan(case_output(b, 0, 0, LQ - 60)[0]));
    case_free(a);
    case_free(b);
}

/* ------------------------------------------------------------------ tiles */

static attention_run with_tiles(void)
{
    if (fovea_isa_available("amx") != 1)
        cr_skip_test("no amx");
    atomic_store(&fv_plan_pair_percent[FVK_AMX], 10 * FAST);
    return (attention_run){"amx", 1};
}

/* Whole tiles and what is left of them: head sizes, keys and columns about 16 and 32. */
Test(attention_bf16, tiles_against_the_oracle)
{
    static const int64_t size[][3] = {{LK, D, DV}, {LK, 64, 128}, {257, 96, 16}, {130, 33, 1}, {64, 1, 33}, {31, 128, 80}};
    attention_run run = with_tiles(), two = {"amx", 2};
    for (size_t n = 0; n < sizeof rules / sizeof *rules; n++)
        for (size_t i = 0; i < sizeof size / sizeof *size; i++)
            for (int fast = 0; fast < 2; fast++) {
                attention_case *c = case_new(1, 2, 1, 99, size[i][0], size[i][1], size[i][2], FOVEA_BF16, 80 + n);
                attention_case *again = case_new(1, 2, 1, 99, size[i][0], size[i][1], size[i][2], FOVEA_BF16, 80 + n);
                c->problem.precision = again->problem.precision = fast ? FOVEA_PRECISION_FAST : FOVEA_PRECISION_EXACT;
                case_verify(c, &rules[n], run);
                case_run(c, rules[n].spec, run);
                case_run(again, rules[n].spec, two);
                case_same(c, again, "two threads");
                case_free(c);
                case_free(again);
            }
}

/* An infinite value that a row sees is in its output, as everywhere, though tiles multiply finite values only. */
Test(attention_bf16, tiles_and_infinite_values)
{
    attention_run run = with_tiles();
    attention_case *c = case_new(1, 1, 1, 64, 256, 64, 64, FOVEA_BF16, 93);
    c->v[64 * 100 + 5] = INFINITY;
    case_store(c);
    case_run(c, "dense", run);
    for (int64_t row = 0; row < 64; row++) {
        cr_assert(isinf(case_output(c, 0, 0, row)[5]));
        cr_assert(isfinite(case_output(c, 0, 0, row)[6]));
    }
    case_free(c);
}

/* 1 when any element of the outputs differs. */
static int differ(const attention_case *a, const attention_case *b)
{
    return memcmp(a->o, b->o, a->o_count * sizeof *a->o) != 0;
}

/* Exact precision never rounds a probability; fast does, where the dot is fast, and only then; the log-sum-exp is the same. */
Test(attention_bf16, which_path)
{
    for (int percent = SLOW; percent <= FAST; percent += FAST - SLOW) {
        attention_run run = with_dot(percent), two = {run.isa, 2};
        attention_case *exact = case_new(1, 2, 2, 64, LK, 64, 64, FOVEA_BF16, 92);
        attention_case *fast = case_new(1, 2, 2, 64, LK, 64, 64, FOVEA_BF16, 92);
        attention_case *again = case_new(1, 2, 2, 64, LK, 64, 64, FOVEA_BF16, 92);
        fast->problem.precision = again->problem.precision = FOVEA_PRECISION_FAST;
        case_run(exact, "dense", run);
        case_run(fast, "dense", run);
        case_run(again, "dense", two);
        cr_assert(differ(exact, fast) == (percent == FAST), "%d %%", percent);
        cr_assert(memcmp(exact->lse, fast->lse, exact->rows * sizeof *exact->lse) == 0);
        case_same(fast, again, "two threads");
        case_free(exact);
        case_free(fast);
        case_free(again);
    }
}

Test(attention_bf16, explained)
{
    static const char *const said[2][2] = {{"not taken", "pv_f32"}, {"taken for scores and values", "pv_pair_bf16"}};
    for (int quick = 0; quick < 2; quick++) {
        attention_run run = with_dot(quick ? FAST : SLOW);
        fovea_context_options options = {.struct_size = sizeof options, .isa = run.isa, .threads = 1};
        fovea_context *context;
        fovea_recipe *recipe;
        fovea_plan *plan;
        fovea_problem p;
        fovea_problem_init(&p, 1, 1, 1, 64, 64, 64, 64, FOVEA_BF16);
        p.precision = FOVEA_PRECISION_FAST;
        cr_assert(fovea_context_create(&options, &context, NULL) == FOVEA_OK);
        cr_assert(fovea_recipe_parse(context, "dense", &recipe, NULL) == FOVEA_OK);
        cr_assert(fovea_plan_create(context, &p, recipe, &plan, NULL) == FOVEA_OK);
        for (int i = 0; i < 2; i++)
            cr_assert(strstr(fovea_plan_explain(plan), said[quick][i]), "%s", fovea_plan_explain(plan));
        fovea_plan_destroy(plan);
        fovea_recipe_destroy(recipe);
        fovea_context_destroy(context);
    }
}
