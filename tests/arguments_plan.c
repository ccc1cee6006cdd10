/* Every field of a problem, every argument of a plan and of the questions to it, invalid in turn; and the answers. */
#include "attention_case.h"
#include "refusal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, HQ = 4, HKV = 2, LQ = 6, LK = 10, D = 8, DV = 5 };

#define COUNT(list) (sizeof list / sizeof *list)

#define PROBLEM(field) offsetof(fovea_problem, field)

static const int64_t late[] = {1, 3, 6}, falling[] = {0, 4, 3, 6}, short_end[] = {0, 3, 5}, good_q[] = {0, 3, 6},
                     good_k[] = {0, 4, 10}, twice[] = {1, 1}, beyond[] = {0, 6}, negative[] = {-1, 2},
                     good_rows[] = {0, 5};

static const poke bad_problems[] = {
    {"struct_size", PROBLEM(struct_size), SIZE, 8, NULL, FOVEA_ERROR_STRUCT, {"struct_size", "8"}},
    {"batch 0", PROBLEM(batch), I64, 0, NULL, FOVEA_ERROR_BATCH, {"batch", "0", "1"}},
    {"batch -2", PROBLEM(batch), I64, -2, NULL, FOVEA_ERROR_BATCH, {"batch", "-2", "1"}},
    {"hq 0", PROBLEM(hq), I64, 0, NULL, FOVEA_ERROR_HEADS, {"hq", "0", "1"}},
    {"hq -4", PROBLEM(hq), I64, -4, NULL, FOVEA_ERROR_HEADS, {"hq", "-4", "1"}},
    {"hkv 0", PROBLEM(hkv), I64, 0, NULL, FOVEA_ERROR_HEADS, {"hkv", "0", "1"}},
    {"hq 5 of 2", PROBLEM(hq), I64, 5, NULL, FOVEA_ERROR_HEADS, {"hq", "5", "hkv", "2"}},
    {"hkv 8 of 4", PROBLEM(hkv), I64, 8, NULL, FOVEA_ERROR_HEADS, {"hq", "4", "hkv", "8"}},
    {"lq -1", PROBLEM(lq), I64, -1, NULL, FOVEA_ERROR_LENGTH, {"lq", "-1", "0"}},
    {"lq huge", PROBLEM(lq), I64, 0x1p62, NULL, FOVEA_ERROR_LENGTH, {"lq", "4611686018427387904"}},
    {"lk -1", PROBLEM(lk), I64, -1, NULL, FOVEA_ERROR_LENGTH, {"lk", "-1", "0"}},
    {"lk huge", PROBLEM(lk), I64, 0x1p62, NULL, FOVEA_ERROR_LENGTH, {"lk", "4611686018427387904"}},
    {"d 0", PROBLEM(d), I64, 0, NULL, FOVEA_ERROR_DIM, {"d", "0", "1..65536"}},
    {"d 65537", PROBLEM(d), I64, 65537, NULL, FOVEA_ERROR_DIM, {"d", "65537", "1..65536"}},
    {"dv 0", PROBLEM(dv), I64, 0, NULL, FOVEA_ERROR_DIM, {"dv", "0", "1..65536"}},
    {"dv 65537", PROBLEM(dv), I64, 65537, NULL, FOVEA_ERROR_DIM, {"dv", "65537", "1..65536"}},
    {"dtype 3", PROBLEM(dtype), INT, 3, NULL, FOVEA_ERROR_DTYPE, {"dtype", "3", "F32"}},
    {"dtype -1", PROBLEM(dtype), INT, -1, NULL, FOVEA_ERROR_DTYPE, {"dtype", "-1", "F32"}},
    {"precision 2", PROBLEM(precision), INT, 2, NULL, FOVEA_ERROR_PRECISION, {"precision", "2", "EXACT"}},
    {"q.batch", PROBLEM(q.batch), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"q.batch", "-7"}},
    {"q.head", PROBLEM(q.head), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"q.head", "-7"}},
    {"q.token", PROBLEM(q.token), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"q.token", "-7"}},
    {"k.batch", PROBLEM(k.batch), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"k.batch", "-7"}},
    {"k.head", PROBLEM(k.head), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"k.head", "-7"}},
    {"k.token", PROBLEM(k.token), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"k.token", "-7"}},
    {"v.batch", PROBLEM(v.batch), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"v.batch", "-7"}},
    {"v.head", PROBLEM(v.head), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"v.head", "-7"}},
    {"v.token", PROBLEM(v.token), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"v.token", "-7"}},
    {"o.batch", PROBLEM(o.batch), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"o.batch", "-7"}},
    {"o.head", PROBLEM(o.head), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"o.head", "-7"}},
    {"o.token", PROBLEM(o.token), I64, -7, NULL, FOVEA_ERROR_STRIDE, {"o.token", "-7"}},
    {"o rows overlap", PROBLEM(o.token), I64, DV - 1, NULL, FOVEA_ERROR_STRIDE, {"o.token", "4", "5"}},
    {"o heads overlap", PROBLEM(o.head), I64, DV - 1, NULL, FOVEA_ERROR_STRIDE, {"o.head", "4", "5"}},
    {"o batches overlap", PROBLEM(o.batch), I64, 0, NULL, FOVEA_ERROR_STRIDE, {"o.batch", "0", "5"}},
    {"scale -1", PROBLEM(scale), F64, -1, NULL, FOVEA_ERROR_SCALE, {"scale", "-1", "0"}},
    {"scale NaN", PROBLEM(scale), F64, NAN, NULL, FOVEA_ERROR_SCALE, {"scale", "nan"}},
    {"scale infinite", PROBLEM(scale), F64, INFINITY, NULL, FOVEA_ERROR_SCALE, {"scale", "inf"}},
    {"softcap -1", PROBLEM(softcap), F64, -1, NULL, FOVEA_ERROR_SOFTCAP, {"softcap", "-1", "0"}},
    {"softcap NaN", PROBLEM(softcap), F64, NAN, NULL, FOVEA_ERROR_SOFTCAP, {"softcap", "nan"}},
    {"softcap infinite", PROBLEM(softcap), F64, INFINITY, NULL, FOVEA_ERROR_SOFTCAP, {"softcap", "inf"}},
    {"nseq -1", PROBLEM(nseq), I64, -1, NULL, FOVEA_ERROR_SEQLENS, {"nseq", "-1"}},
    {"nrows -2", PROBLEM(nrows), I64, -2, NULL, FOVEA_ERROR_ROWS, {"nrows", "-2", "-1"}},
    {"nrows 7 of 6", PROBLEM(nrows), I64, 7, NULL, FOVEA_ERROR_ROWS, {"nrows", "7", "6"}},
    {"rows NULL", PROBLEM(nrows), I64, 2, NULL, FOVEA_ERROR_NULL, {"rows", "NULL"}},
    {"page_size -1", PROBLEM(page_size), I64, -1, NULL, FOVEA_ERROR_PAGES, {"page_size", "-1"}},
};

/* Those that another field must prepare. */
static const poke bad_sinks[] = {
    {"sink NaN", PROBLEM(sink), F64, NAN, NULL, FOVEA_ERROR_SINK, {"sink", "nan"}},
    {"sink infinite", PROBLEM(sink), F64, INFINITY, NULL, FOVEA_ERROR_SINK, {"sink", "inf"}},
    {"sink and sinks", PROBLEM(has_sinks), INT, 1, NULL, FOVEA_ERROR_SINK, {"has_sink", "has_sinks"}},
};
static const poke bad_biases[] = {
    {"bias_batch", PROBLEM(bias_batch), I64, -5, NULL, FOVEA_ERROR_BIAS, {"bias", "-5"}},
    {"bias_head", PROBLEM(bias_head), I64, -5, NULL, FOVEA_ERROR_BIAS, {"bias", "-5"}},
    {"bias_row", PROBLEM(bias_row), I64, -5, NULL, FOVEA_ERROR_BIAS, {"bias", "-5"}},
};
static const poke bad_sequences[] = {
    {"cu_q NULL", PROBLEM(cu_q), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"cu_q", "NULL"}},
    {"cu_k NULL", PROBLEM(cu_k), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"cu_k", "NULL"}},
    {"cu_q starts late", PROBLEM(cu_q), POINTER, 0, late, FOVEA_ERROR_SEQLENS, {"cu_q", "1", "0"}},
    {"cu_k starts late", PROBLEM(cu_k), POINTER, 0, late, FOVEA_ERROR_SEQLENS, {"cu_k", "1", "0"}},
    {"cu_q ends early", PROBLEM(cu_q), POINTER, 0, short_end, FOVEA_ERROR_SEQLENS, {"cu_q", "5", "6"}},
    {"cu_k ends early", PROBLEM(cu_k), POINTER, 0, short_end, FOVEA_ERROR_SEQLENS, {"cu_k", "5", "10"}},
    {"batch 2", PROBLEM(batch), I64, 2, NULL, FOVEA_ERROR_SEQLENS, {"batch", "2", "1"}},
    {"bias too", PROBLEM(has_bias), INT, 1, NULL, FOVEA_ERROR_BIAS, {"bias", "nseq"}},
    {"rows too", PROBLEM(nrows), I64, 0, NULL, FOVEA_ERROR_ROWS, {"nrows", "0", "nseq"}},
};
static const poke bad_lists[] = {
    {"rows repeat", PROBLEM(rows), POINTER, 0, twice, FOVEA_ERROR_ROWS, {"rows[1]", "1"}},
    {"rows beyond", PROBLEM(rows), POINTER, 0, beyond, FOVEA_ERROR_ROWS, {"rows[1]", "6", "5"}},
    {"rows negative", PROBLEM(rows), POINTER, 0, negative, FOVEA_ERROR_ROWS, {"rows[0]", "-1", "5"}},
};
static const poke bad_pages[] = {
    {"page_table_stride", PROBLEM(page_table_stride), I64, 2, NULL, FOVEA_ERROR_PAGES, {"page_table_stride", "2", "3"}},
    {"page_count", PROBLEM(page_count), I64, 0, NULL, FOVEA_ERROR_PAGES, {"page_count", "0", "1"}},
};

static void refuse_problem(fovea_context *context, const fovea_problem *base, const poke *p)
{
    fovea_recipe *recipe = new_recipe(context, "dense");
    fovea_problem problem = *base;
    fovea_error err = {FOVEA_OK, ""};
    fovea_plan *plan = NOTHING;
    poke_apply(p, &problem);
    check_refusal(p->what, fovea_plan_create(context, &problem, recipe, &plan, &err), p->status, &err, p->facts);
    cr_assert(plan == NULL, "%s left a plan", p->what);
    plan = NOTHING;
    cr_assert(fovea_plan_create(context, &problem, recipe, &plan, NULL) == p->status && plan == NULL);
    fovea_recipe_destroy(recipe);
}

static void refuse_problems(fovea_context *context, const fovea_problem *base, const poke *bad, size_t n)
{
    fovea_recipe *recipe = new_recipe(context, "dense");
    fovea_error err = {FOVEA_OK, ""};
    fovea_plan *plan = NULL;
    cr_assert(fovea_plan_create(context, base, recipe, &plan, &err) == FOVEA_OK, "before %s: %s", bad->what, err.text);
    fovea_plan_destroy(plan);
    fovea_recipe_destroy(recipe);
    for (size_t i = 0; i < n; i++)
        refuse_problem(context, base, &bad[i]);
}

static fovea_problem some_problem(void)
{
    fovea_problem p;
    fovea_problem_init(&p, B, HQ, HKV, LQ, LK, D, DV, FOVEA_F32);
    return p;
}

Test(plan_arguments, problem)
{
    fovea_context *context = new_context();
    fovea_problem p = some_problem();
    refuse_problems(context, &p, bad_problems, COUNT(bad_problems));
    p.has_sink = 1;
    refuse_problems(context, &p, bad_sinks, COUNT(bad_sinks));
    p = some_problem();
    p.has_bias = 1;
    refuse_problems(context, &p, bad_biases, COUNT(bad_biases));
    p = some_problem();
    p.nrows = 2;
    p.rows = good_rows;
    refuse_problems(context, &p, bad_lists, COUNT(bad_lists));
    p = some_problem();
    p.page_size = 4;
    p.page_table_stride = 3;
    p.page_count = 9;
    refuse_problems(context, &p, bad_pages, COUNT(bad_pages));
    fovea_context_destroy(context);
}

static void *at_most_a_megabyte(void *user, size_t bytes, size_t alignment)
{
    void *block = NULL;
    (void)user;
    return bytes > 1 << 20 || posix_memalign(&block, alignment, bytes) ? NULL : block;
}

static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

/* Lengths in range whose products leave 64 bits, or the memory there is. */
Test(plan_arguments, problem_too_large)
{
    const int64_t most = INT32_MAX;
    const struct {
        int64_t batch, hq, hkv, lq, lk, d, dv;
        fovea_status status;
    } sizes[] = {
        {most, most, most, most, most, 65536, 65536, FOVEA_ERROR_OVERFLOW},
        {1, most, most, most, 1, 65536, 65536, FOVEA_ERROR_OVERFLOW},
        {most, 1, 1, most, most, 1, 65536, FOVEA_ERROR_OVERFLOW},
        {most, 1, 1, 1, 1, 1, 1, FOVEA_ERROR_MEMORY},
    };
    fovea_context_options o = {.struct_size = sizeof o, .allocate = at_most_a_megabyte, .release = release};
    fovea_context *context = NULL;
    cr_assert(fovea_context_create(&o, &context, NULL) == FOVEA_OK);
    for (size_t n = 0; n < COUNT(sizes); n++) {
        fovea_recipe *recipe = new_recipe(context, "dense");
        fovea_problem p;
        fovea_error err = {FOVEA_OK, ""};
        fovea_plan *plan = NOTHING;
        fovea_status status;
        fovea_problem_init(&p, sizes[n].batch, sizes[n].hq, sizes[n].hkv, sizes[n].lq, sizes[n].lk, sizes[n].d,
                           sizes[n].dv, FOVEA_F32);
        status = fovea_plan_create(context, &p, recipe, &plan, &err);
        cr_assert(status == sizes[n].status && plan == NULL, "size %zu: status %d (%s): %s", n, status,
                  fovea_status_text(status), err.text);
        fovea_recipe_destroy(recipe);
    }
    fovea_context_destroy(context);
}

Test(plan_arguments, problem_sequences)
{
    const poke falls = {"cu_q falls", PROBLEM(cu_q), POINTER, 0, falling, FOVEA_ERROR_SEQLENS, {"cu_q", "3", "4"}};
    static const int64_t three_k[] = {0, 3, 5, 10}, three_q[] = {0, 2, 4, 6};
    fovea_context *context = new_context();
    fovea_problem p;
    fovea_problem_init(&p, 1, HQ, HKV, LQ, LK, D, DV, FOVEA_F32);
    p.nseq = 2;
    p.cu_q = good_q;
    p.cu_k = good_k;
    refuse_problems(context, &p, bad_sequences, COUNT(bad_sequences));
    p.nseq = 3;
    p.cu_q = three_q;
    p.cu_k = three_k;
    refuse_problems(context, &p, &falls, 1);
    fovea_context_destroy(context);
}

Test(plan_arguments, plan_pointers)
{
    fovea_context *context = new_context();
    fovea_recipe *recipe = new_recipe(context, "dense");
    fovea_problem p = some_problem();
    fovea_error err = {FOVEA_OK, ""};
    fovea_plan *plan = NOTHING;
    check_refusal("context", fovea_plan_create(NULL, &p, recipe, &plan, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"context", "NULL"});
    cr_assert(plan == NULL);
    plan = NOTHING;
    check_refusal("problem", fovea_plan_create(context, NULL, recipe, &plan, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"problem", "NULL"});
    cr_assert(plan == NULL);
    plan = NOTHING;
    check_refusal("recipe", fovea_plan_create(context, &p, NULL, &plan, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"recipe", "NULL"});
    cr_assert(plan == NULL);
    check_refusal("plan", fovea_plan_create(context, &p, recipe, NULL, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"plan", "NULL"});
    fovea_plan_destroy(NULL);
    fovea_problem_init(NULL, 1, 1, 1, 1, 1, 1, 1, FOVEA_F32);
    fovea_recipe_destroy(recipe);
    fovea_context_destroy(context);
}

/* Recipes that do not fit a problem. */
Test(plan_arguments, recipe_and_problem)
{
    static const struct {
        const char *spec;
        int has_sink;
        fovea_status status;
        const char *facts[FACTS];
    } bad[] = {
        {"document:lengths=4+5", 0, FOVEA_ERROR_SHAPE, {"4+5", "10"}},
        {"bigbird:block=2", 0, FOVEA_ERROR_SHAPE, {"lq", "lk"}},
        {"pattern:random(block=4,count=9)", 0, FOVEA_ERROR_VALUE, {"count", "9", "3"}},
        {"axial:size=3+3,axis=0", 0, FOVEA_ERROR_SHAPE, {"9", "10"}},
        {"blocks:mask=file:none.npy", 0, FOVEA_ERROR_FILE, {"none.npy"}},
        {"sparsemax", 1, FOVEA_ERROR_SINK, {"sink", "sparsemax"}},
    };
    fovea_context *context = new_context();
    for (size_t n = 0; n < COUNT(bad); n++) {
        fovea_recipe *recipe = new_recipe(context, bad[n].spec);
        fovea_problem p = some_problem();
        fovea_error err = {FOVEA_OK, ""};
        fovea_plan *plan = NOTHING;
        p.has_sink = bad[n].has_sink;
        check_refusal(bad[n].spec, fovea_plan_create(context, &p, recipe, &plan, &err), bad[n].status, &err,
                      bad[n].facts);
        cr_assert(plan == NULL, "%s left a plan", bad[n].spec);
        fovea_recipe_destroy(recipe);
    }
    fovea_context_destroy(context);
}

Test(plan_arguments, plan_questions)
{
    fovea_context *context = new_context();
    fovea_recipe *recipe = new_recipe(context, "dense");
    fovea_problem p = some_problem();
    fovea_plan *plan = NULL;
    fovea_error err = {FOVEA_OK, ""};
    fovea_cost cost;
    uint8_t row[LK];
    static const struct {
        int64_t sequence, head, row;
        fovea_status status;
        const char *facts[FACTS];
    } bad[] = {
        {-1, 0, 0, FOVEA_ERROR_SEQLENS, {"sequence", "-1", "1"}},
        {B, 0, 0, FOVEA_ERROR_SEQLENS, {"sequence", "2", "1"}},
        {0, -1, 0, FOVEA_ERROR_HEADS, {"head", "-1", "3"}},
        {0, HQ, 0, FOVEA_ERROR_HEADS, {"head", "4", "3"}},
        {0, 0, -1, FOVEA_ERROR_ROWS, {"row", "-1", "5"}},
        {0, 0, LQ, FOVEA_ERROR_ROWS, {"row", "6", "5"}},
    };
    cr_assert(fovea_plan_create(context, &p, recipe, &plan, &err) == FOVEA_OK);
    memset(row, 0xff, sizeof row);
    memset(&cost, 0xff, sizeof cost);
    for (size_t n = 0; n < COUNT(bad); n++)
        check_refusal("plan_row", fovea_plan_row(plan, bad[n].sequence, bad[n].head, bad[n].row, row, &err),
                      bad[n].status, &err, bad[n].facts);
    check_refusal("plan_row plan", fovea_plan_row(NULL, 0, 0, 0, row, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"plan", "NULL"});
    check_refusal("plan_row out", fovea_plan_row(plan, 0, 0, 0, NULL, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"out", "NULL"});
    for (int j = 0; j < LK; j++)
        cr_assert(row[j] == 0xff, "a refused plan_row wrote");
    check_refusal("plan_cost plan", fovea_plan_cost(NULL, &cost, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"plan", "NULL"});
    check_refusal("plan_cost cost", fovea_plan_cost(plan, NULL, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"cost", "NULL"});
    cr_assert(isnan(cost.flops), "a refused plan_cost wrote");
    fovea_plan_destroy(plan);
    fovea_recipe_destroy(recipe);
    fovea_context_destroy(context);
}

/* ------------------------------------------------------------------ answers */

static int keep_window_or_stride(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j <= p && (j >= p - 20 || (p - j) % 7 == 0);
}

static int keep_by_head(int64_t h, int64_t p, int64_t j) /* LongNet with one branch: segment 48, every third */
{
    return p / 48 == j / 48 && p % 48 % 3 == h % 3 && j % 48 % 3 == h % 3;
}

static const attention_rule asked[] = {
    {"dense", NULL, 0, 1},
    {"dense:causal", NULL, 1, 1},
    {"pattern:causal & (window(left=20) | stride(7))", keep_window_or_stride, 1, 1},
    {"longnet:segments=48,dilations=3", keep_by_head, 0, 1},
    {"topk:k=3,pattern=\"causal & (window(left=20) | stride(7))\"", keep_window_or_stride, 1,
     1}, /* before the choice */
};

static void check_answers(const fovea_plan *plan, const attention_case *c, const attention_rule *rule)
{
    const fovea_problem *p = &c->problem;
    attention_ref r = case_reference(c, 0, rule);
    double visible = 0, all = 0;
    fovea_cost cost;
    fovea_error err = {FOVEA_OK, ""};
    for (int64_t h = 0; h < p->hq; h++)
        for (int64_t i = 0; i < p->lq; i++) {
            uint8_t row[150];
            memset(row, 0xff, sizeof row);
            cr_assert(fovea_plan_row(plan, p->batch - 1, h, i, row, &err) == FOVEA_OK, "%s", err.text);
            visible += (double)r.visible[h * p->lq + i];
            all += (double)(r.causal ? i + p->lk - p->lq + 1 : p->lk);
            for (int64_t j = 0; j < p->lk; j++)
                if (row[j] != attention_ref_sees(&r, h, i, j))
                    cr_assert(0, "%s: plan_row says %d for head %lld, row %lld, key %lld", rule->spec, row[j],
                              (long long)h, (long long)i, (long long)j);
            cr_assert(row[p->lk] == 0xff, "%s: plan_row wrote more than lk bytes", rule->spec);
        }
    attention_ref_free(&r);
    cr_assert(fovea_plan_cost(plan, &cost, &err) == FOVEA_OK, "%s", err.text);
    visible *= (double)p->batch;
    all *= (double)p->batch;
    cr_assert(cost.visible_pairs == visible, "%s: %g visible pairs, not %g", rule->spec, cost.visible_pairs, visible);
    if (p->causal == r.causal)
        cr_assert(cost.dense_pairs == all, "%s: %g dense pairs, not %g", rule->spec, cost.dense_pairs, all);
    cr_assert(fabs(cost.density - cost.visible_pairs / cost.dense_pairs) < 1e-12);
    cr_assert(cost.flops == 2.0 * (double)(p->d + p->dv) * visible, "%s: %g flops", rule->spec, cost.flops);
    cr_assert(cost.kernel && *cost.kernel && cost.isa && *cost.isa && cost.driver && *cost.driver);
    cr_assert(strlen(fovea_plan_explain(plan)) > 20);
}

Test(plan_answers, rows_and_costs_are_the_definition)
{
    for (size_t n = 0; n < COUNT(asked); n++)
        for (int64_t lq = 1; lq <= 100; lq += 99)
            for (int causal = 0; causal < 2; causal++) {
                attention_case *c = case_new(2, 6, 3, lq, 100, 4, 6, FOVEA_F32, 80);
                fovea_context *context = new_context();
                fovea_recipe *recipe = new_recipe(context, asked[n].spec);
                fovea_error err = {FOVEA_OK, ""};
                fovea_plan *plan = NULL;
                c->problem.causal = causal;
                cr_assert(fovea_plan_create(context, &c->problem, recipe, &plan, &err) == FOVEA_OK, "%s", err.text);
                check_answers(plan, c, &asked[n]);
                fovea_plan_destroy(plan);
                fovea_recipe_destroy(recipe);
                fovea_context_destroy(context);
                case_free(c);
            }
}
