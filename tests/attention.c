/* Attention through the public interface, for every instruction set of this CPU and every element type: against the
   oracle of ref/attention_ref.h over random shapes, edits and patterns, and the properties that need no oracle. */
#include "attention_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ patterns, by their definitions */

static int keep_left8(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j >= p - 8 && j <= p;
}

static int keep_around(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j >= p - 5 && j <= p + 7;
}

static int keep_streaming(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j <= p && (j < 3 || j >= p - 9);
}

static int keep_window_or_stride(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j <= p && (j >= p - 20 || (p - j) % 7 == 0);
}

static int keep_strided12(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j <= p && (p - j < 12 || (p - j) % 12 == 0);
}

static int keep_stride5(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return (p - j) % 5 == 0;
}

static int keep_not_near(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j < p - 3 || j > p + 3;
}

static int keep_chunk16(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j <= p && p >= 0 && j / 16 == p / 16;
}

/* LongNet (arXiv 2307.02486): a branch (w, r) joins the positions t of a segment of w with (t mod w) mod r = h mod r; a
   key of two branches counts twice. */
static int branch(int64_t h, int64_t p, int64_t j, int64_t w, int64_t r)
{
    return p / w == j / w && p % w % r == h % r && j % w % r == h % r;
}

static int keep_longnet(int64_t h, int64_t p, int64_t j)
{
    return branch(h, p, j, 16, 1) + branch(h, p, j, 48, 3);
}

static const attention_rule dense = {"dense", NULL, 0, 1};

static const attention_rule rules[] = {
    {"dense", NULL, 0, 1},
    {"dense:causal", NULL, 1, 1},
    {"window:window=9", keep_left8, 1, 1},
    {"window:left=5,right=7", keep_around, 0, 1},
    {"streaming:sinks=3,window=10", keep_streaming, 1, 1},
    {"pattern:causal & (window(left=20) | stride(7))", keep_window_or_stride, 1, 2},
    {"sparse-strided:stride=12", keep_strided12, 1, 2},
    {"pattern:stride(5)", keep_stride5, 0, 1},
    {"pattern:!window(left=3,right=3)", keep_not_near, 0, 1},
    {"chunked:chunk=16", keep_chunk16, 1, 1},
    {"longnet:segments=16+48,dilations=1+3", keep_longnet, 0, 2},
};

enum { RULES = sizeof rules / sizeof rules[0], LONGNET = RULES - 1 };

/* ------------------------------------------------------------------ against the oracle */

static int64_t pick(draw *d, const int64_t *from, int64_t n)
{
    return from[draw_below(d, n)];
}

/* Some edits, each in about a third of the cases. */
static void random_edits(attention_case *c, draw *d)
{
    fovea_problem *p = &c->problem;
    p->causal = draw_below(d, 2) == 0;
    p->scale = draw_below(d, 3) ? 0 : 0.02 + draw_uniform(d);
    p->softcap = draw_below(d, 3) ? 0 : 0.5 + 5 * draw_uniform(d);
    p->alibi = draw_below(d, 3) == 0;
    if (draw_below(d, 3) == 0)
        case_add_bias(c, d, draw_below(d, 2) == 0, draw_below(d, 2) == 0, draw_below(d, 2) == 0);
    if (draw_below(d, 3) == 0)
        case_add_sinks(c, d);
    else if (draw_below(d, 3) == 0) {
        p->has_sink = 1;
        p->sink = draw_gaussian(d);
    }
    if (draw_below(d, 2) == 0) { /* recording the mask is a path of its own */
        c->arguments.mask = NULL;
        c->arguments.kept = NULL;
    }
}

static attention_case *random_case(draw *d, const attention_rule *rule, uint64_t seed)
{
    static const int64_t lengths[] = {1, 2, 3, 5, 8, 9, 17, 33, 64, 70, 129, 150},
                         sizes[] = {1, 3, 4, 8, 16, 20, 33, 64, 80, 257};
    static const int64_t groups[] = {1, 1, 2, 3, 5};
    fovea_dtype dtype = (fovea_dtype)draw_below(d, 3);
    int64_t hkv = 1 + draw_below(d, 2), hq = hkv * pick(d, groups, 5), batch = 1 + draw_below(d, 2);
    int64_t lq = pick(d, lengths, 12), lk = pick(d, lengths, 12), size = pick(d, sizes, 10), dv = pick(d, sizes, 10);
    attention_case *c;
    if (rule == &rules[LONGNET] && lq > lk) /* segments are counted from position 0 */
        lq = lk;
    while (batch * hq * lq * lk * (size + dv) > 2000000) { /* keeps the oracle fast */
        batch = 1;
        size = (size + 1) / 2;
        dv = (dv + 2) / 3;
    }
    c = case_new(batch, hq, hkv, lq, lk, size, dv, dtype, seed);
    random_edits(c, d);
    return c;
}

ParameterizedTestParameters(attention, equals_the_oracle)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, attention, equals_the_oracle)
{
    attention_run run = with_isa(isa);
    draw d = {2024};
    for (uint64_t seed = 0; seed < 66; seed++) {
        const attention_rule *rule = &rules[seed % RULES];
        attention_case *c = random_case(&d, rule, seed);
        case_verify(c, rule, run);
        case_free(c);
    }
}

ParameterizedTestParameters(attention, patterns)
{
    return every_isa();
}

/* Few query rows and many: different drivers. lq = lk and the tail of longer keys. */
ParameterizedTest(unsigned *isa, attention, patterns)
{
    static const int64_t lq[] = {1, 3, 40, 130, 8}, lk[] = {130, 130, 130, 130, 8};
    attention_run run = with_isa(isa);
    for (int r = 0; r < RULES; r++)
        for (int n = 0; n < 5; n++)
            for (int causal = 0; causal < 2; causal++) {
                attention_case *c =
                    case_new(1, 4, 2, lq[n], lk[n], 20, 12, (fovea_dtype)(r % 3), (uint64_t)(r * 10 + n));
                c->problem.causal = causal;
                case_verify(c, &rules[r], run);
                case_free(c);
            }
}

ParameterizedTestParameters(attention, head_sizes)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, attention, head_sizes)
{
    static const int64_t size[] = {1, 3, 257, 64}, other[] = {257, 1, 3, 128};
    attention_run run = with_isa(isa);
    for (int n = 0; n < 4; n++)
        for (int type = 0; type < 3; type++)
            for (int64_t lq = 2; lq <= 37; lq += 35) {
                attention_case *c = case_new(1, 2, 1, lq, 50, size[n], other[n], (fovea_dtype)type, (uint64_t)n);
                c->problem.causal = type == 1;
                case_verify(c, &dense, run);
                case_free(c);
            }
}

ParameterizedTestParameters(attention, many_keys)
{
    return every_isa();
}

/* Long enough that the keys of one row are split. Few rows: 1, or 5 of a group of 1. */
ParameterizedTest(unsigned *isa, attention, many_keys)
{
    attention_run run = with_isa(isa);
    for (int type = 0; type < 3; type++)
        for (int64_t lq = 1; lq <= 5; lq += 4) {
            attention_case *c = case_new(1, 2, lq == 1 ? 1 : 2, lq, 9000, 24, 16, (fovea_dtype)type, 77);
            draw d = {5};
            c->problem.causal = 1;
            case_verify(c, &dense, run);
            case_verify(c, &rules[5], run);
            case_add_sinks(c, &d);
            c->problem.softcap = 2;
            c->problem.alibi = 1;
            case_verify(c, &dense, run);
            case_free(c);
        }
}

ParameterizedTestParameters(attention, fast_bf16)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, attention, fast_bf16)
{
    attention_run run = with_isa(isa);
    for (int64_t lq = 1; lq <= 70; lq += 69) {
        attention_case *c = case_new(1, 4, 2, lq, 150, 64, 40, FOVEA_BF16, 3);
        c->problem.precision = FOVEA_PRECISION_FAST;
        case_verify(c, &rules[1], run);
        case_verify(c, &rules[5], run);
        case_free(c);
    }
}

ParameterizedTestParameters(attention, extreme_edits)
{
    return every_isa();
}

/* One key takes all, all keys weigh the same, the sink takes all or nothing. */
ParameterizedTest(unsigned *isa, attention, extreme_edits)
{
    static const double scales[] = {1e-20, 1e-3, 30, 1000}, caps[] = {0, 0.01, 200}, sinks[] = {-1e4, 90, 1e4};
    attention_run run = with_isa(isa);
    for (int n = 0; n < 4 * 3 * 4 * 2; n++) {
        attention_case *c = case_new(1, 2, 1, n & 1 ? 3 : 30, 60, 16, 8, (fovea_dtype)(n % 3), (uint64_t)n);
        c->problem.causal = 1;
        c->problem.scale = scales[n / 2 % 4];
        c->problem.softcap = caps[n / 8 % 3];
        c->problem.has_sink = n / 24 < 3;
        c->problem.sink = n / 24 < 3 ? sinks[n / 24] : 0;
        case_verify(c, &dense, run);
        case_free(c);
    }
}

/* ------------------------------------------------------------------ edges */

ParameterizedTestParameters(attention, empty)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, attention, empty)
{
    static const char *const specs[] = {"dense", "window:window=4", "topk:k=3", "longnet:segments=16,dilations=2"};
    attention_run run = with_isa(isa);
    for (int n = 0; n < 4; n++) {
        attention_case *c = case_new(2, 4, 2, 0, 30, 8, 8, FOVEA_F32, 1);
        c->problem.causal = 1;
        case_run(c, specs[n], run); /* the guards stay: nothing is written */
        cr_assert(c->kept == 0);
        case_free(c);
        for (int64_t lq = 1; lq <= 20; lq += 19) {
            c = case_new(2, 4, 2, lq, 0, 8, 5, FOVEA_F32, 1);
            draw d = {9};
            case_add_sinks(c, &d);
            case_run(c, specs[n], run);
            for (size_t i = 0; i < c->o_count; i++)
                cr_assert(c->o[i] == 0, "%s, no keys: o = %g", specs[n], (double)c->o[i]);
            for (size_t i = 0; i < c->rows; i++)
                cr_assert(c->lse[i] == -INFINITY && c->row_max[i] == -INFINITY, "%s, no keys: lse %g, row_max %g",
                          specs[n], (double)c->lse[i], (double)c->row_max[i]);
            case_free(c);
        }
    }
}

ParameterizedTestParameters(attention, rows_without_keys)
{
    return every_isa();
}

/* More queries than keys under causal: the first rows see nothing. So does a row whose bias is all -infinity. */
ParameterizedTest(unsigned *isa, attention, rows_without_keys)
{
    static const int64_t lq[] = {40, 7}, lk[] = {9, 3};
    attention_run run = with_isa(isa);
    for (int n = 0; n < 2; n++)
        for (int sink = 0; sink < 2; sink++) {
            attention_case *c = case_new(1, 2, 2, lq[n], lk[n], 16, 16, FOVEA_F32, 4);
            draw d = {1};
            c->problem.causal = 1;
            c->problem.has_sink = sink;
            c->problem.sink = 0.5;
            case_verify(c, &dense, run);
            c->problem.causal = 0;
            case_add_bias(c, &d, 0, 0, 0);
            for (int64_t j = 0; j < lk[n]; j++)
                c->bias[3 * lk[n] + j] = -INFINITY;
            case_verify(c, &dense, run);
            cr_assert(c->lse[3] == -INFINITY && c->o[3 * 16] == 0);
            case_free(c);
        }
}

/* ------------------------------------------------------------------ properties */

ParameterizedTestParameters(attention, constant_values_come_back)
{
    return every_isa();
}

/* o = sum p v / sum p with the same p above and below: two sums of at most 2n roundings each, and the division. */
ParameterizedTest(unsigned *isa, attention, constant_values_come_back)
{
    const double bound = 1.25 * (2 * attention_ref_growth(2 * 150) + 4) * 0x1p-24;
    attention_run run = with_isa(isa);
    for (int r = 0; r < RULES; r++)
        for (int64_t lq = 2; lq <= 80; lq += 78) {
            attention_case *c = case_new(1, 3, 1, lq, 150, 32, 7, (fovea_dtype)(r % 3), (uint64_t)r);
            for (int64_t i = 0; i < 150 * 7; i++)
                c->v[i] = 1.25f;
            case_store(c);
            case_run(c, rules[r].spec, run);
            for (size_t i = 0; i < c->o_count; i++)
                if (c->lse[i / 7] == -INFINITY ? c->o[i] != 0 : !(fabs((double)c->o[i] - 1.25) <= bound))
                    cr_assert(0, "%s, %s: %.9g", c->name, rules[r].spec, (double)c->o[i]);
            case_free(c);
        }
}

ParameterizedTestParameters(attention, widest_choice_equals_dense)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, attention, widest_choice_equals_dense)
{
    static const attention_rule all[] = {
        {"window:left=500,right=500", NULL, 0, 1},
        {"window:window=500", NULL, 1, 1},
        {"topk:k=500", NULL, 0, 1},
        {"topk:k=70", NULL, 0, 1},
        {"topp:p=1", NULL, 0, 1},
        {"threshold:rel=1000", NULL, 0, 1},
        {"localv:k=70", NULL, 0, 1},
        {"pattern:all", NULL, 0, 1},
        {"pattern:stride(1)", NULL, 0, 1},
        {"pattern:dilated(step=1,left=500,right=500)", NULL, 0, 1},
        {"pattern:random(block=16,count=5,seed=3)", NULL, 0, 1},
        {"pattern:self | !self", NULL, 0, 2},
        {"blockwindow:block=16,blocks=50", NULL, 1, 1},
        {"longnet:segments=500,dilations=1", NULL, 0, 1},
        {"chunked:chunk=500", NULL, 1, 1},
    };
    attention_run run = with_isa(isa);
    for (size_t n = 0; n < sizeof all / sizeof *all; n++)
        for (int64_t lq = 2; lq <= 70; lq += 68) {
            attention_case *c = case_new(1, 4, 2, lq, 70, 16, 24, (fovea_dtype)(n % 3), n);
            case_verify(c, &all[n], run);
            c->problem.causal = 1;
            case_verify(c, &all[n], run);
            case_free(c);
        }
}

/* Keys first..first+n-1 of a case, with the same queries. */
static attention_case *part_of_keys(const attention_case *whole, int64_t first, int64_t n)
{
    const fovea_problem *p = &whole->problem;
    attention_case *c = case_new(1, p->hq, p->hkv, p->lq, n, p->d, p->dv, p->dtype, 0);
    memcpy(c->q, whole->q, (size_t)(p->hq * p->lq * p->d) * sizeof(float));
    for (int64_t h = 0; h < p->hkv; h++) {
        memcpy(c->k + h * n * p->d, whole->k + (h * p->lk + first) * p->d, (size_t)(n * p->d) * sizeof(float));
        memcpy(c->v + h * n * p->dv, whole->v + (h * p->lk + first) * p->dv, (size_t)(n * p->dv) * sizeof(float));
    }
    case_store(c);
    return c;
}

/* o = sum_i w_i o_i with w = softmax of the parts' lse: an error of lse_i moves w_i relatively by itself and, through
   the sum, by the weighted mean of all; that of o_i is weighted. */
static void check_merged(const attention_case *whole, attention_case *const part[2])
{
    const fovea_problem *p = &whole->problem;
    attention_ref r = case_reference(whole, 0, &dense), of[2];
    for (int i = 0; i < 2; i++)
        of[i] = case_reference(part[i], 0, &dense);
    for (int64_t row = 0; row < p->hq * p->lq; row++) {
        double w[2], mean = 0, lse[2] = {part[0]->lse[row], part[1]->lse[row]}, top = lse[0] > lse[1] ? lse[0] : lse[1];
        double sum = exp(lse[0] - top) + exp(lse[1] - top);
        for (int i = 0; i < 2; i++) {
            w[i] = exp(lse[i] - top) / sum;
            mean += w[i] * of[i].lse_bound[row];
        }
        for (int64_t c = 0; c < p->dv; c++) {
            int64_t at = row * p->dv + c;
            double o = 0, bound = 0;
            for (int i = 0; i < 2; i++) {
                o += w[i] * part[i]->o[at];
                bound += w[i] * (of[i].o_bound[at] + fabs((double)part[i]->o[at]) * expm1(of[i].lse_bound[row] + mean));
            }
            case_near(whole, "merged o", row / p->lq, row % p->lq, c, o, r.o[at], bound);
        }
        case_near(whole, "merged lse", row / p->lq, row % p->lq, 0, top + log(sum), r.lse[row], mean);
    }
    attention_ref_free(&r);
    attention_ref_free(&of[0]);
    attention_ref_free(&of[1]);
}

ParameterizedTestParameters(attention, keys_split_in_two_merge_by_lse)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, attention, keys_split_in_two_merge_by_lse)
{
    attention_run run = with_isa(isa);
    for (int type = 0; type < 3; type++)
        for (int64_t lq = 1; lq <= 40; lq += 39) {
            attention_case *whole = case_new(1, 4, 2, lq, 130, 32, 20, (fovea_dtype)type, 11);
            attention_case *part[2] = {part_of_keys(whole, 0, 47), part_of_keys(whole, 47, 83)};
            case_run(part[0], "dense", run);
            case_run(part[1], "dense", run);
            check_merged(whole, part);
            case_free(part[0]);
            case_free(part[1]);
            case_free(whole);
        }
}

/* Both runs are within their bounds of one truth: so is their difference within the sum. */
static void check_near_each_other(const attention_case *a, const attention_case *b, const int64_t *same_row)
{
    const fovea_problem *p = &b->problem;
    attention_ref ra = case_reference(a, 0, &dense), rb = case_reference(b, 0, &dense);
    for (int64_t row = 0; row < p->hq * p->lq; row++) {
        int64_t other = same_row ? same_row[row] : row;
        for (int64_t c = 0; c < p->dv; c++)
            case_near(b, "o of another way", row / p->lq, row % p->lq, c, b->o[row * p->dv + c],
                      a->o[other * p->dv + c], ra.o_bound[other * p->dv + c] + rb.o_bound[row * p->dv + c]);
        case_near(b, "lse of another way", row / p->lq, row % p->lq, 0, b->lse[row], a->lse[other],
                  ra.lse_bound[other] + rb.lse_bound[row]);
    }
    attention_ref_free(&ra);
    attention_ref_free(&rb);
}

ParameterizedTestParameters(attention, shared_heads_equal_copied_heads)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, attention, shared_heads_equal_copied_heads)
{
    enum { HQ = 6, HKV = 2, LK = 60, D = 24, DV = 12 };
    attention_run run = with_isa(isa);
    for (int type = 0; type < 3; type++)
        for (int64_t lq = 1; lq <= 50; lq += 49) {
            attention_case *gqa = case_new(1, HQ, HKV, lq, LK, D, DV, (fovea_dtype)type, 12);
            attention_case *mha = case_new(1, HQ, HQ, lq, LK, D, DV, (fovea_dtype)type, 0);
            memcpy(mha->q, gqa->q, (size_t)(HQ * lq * D) * sizeof(float));
            for (int64_t h = 0; h < HQ; h++) {
                memcpy(mha->k + h * LK * D, gqa->k + h / 3 * LK * D, LK * D * sizeof(float));
                memcpy(mha->v + h * LK * DV, gqa->v + h / 3 * LK * DV, LK * DV * sizeof(float));
            }
            case_store(mha);
            gqa->problem.causal = mha->problem.causal = 1;
            case_run(gqa, "dense", run);
            case_run(mha, "dense", run);
            check_near_each_other(gqa, mha, NULL);
            case_free(gqa);
            case_free(mha);
        }
}

ParameterizedTestParameters(attention, decoding_equals_the_last_prefilled_row)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, attention, decoding_equals_the_last_prefilled_row)
{
    enum { HQ = 4, L = 90, D = 40 };
    attention_run run = with_isa(isa);
    for (int type = 0; type < 3; type++) {
        attention_case *prefill = case_new(1, HQ, 2, L, L, D, D, (fovea_dtype)type, 13);
        attention_case *decode = case_new(1, HQ, 2, 1, L, D, D, (fovea_dtype)type, 0);
        int64_t last[HQ];
        for (int64_t h = 0; h < HQ; h++) {
            last[h] = h * L + L - 1;
            memcpy(decode->q + h * D, prefill->q + last[h] * D, D * sizeof(float));
        }
        memcpy(decode->k, prefill->k, 2 * L * D * sizeof(float));
        memcpy(decode->v, prefill->v, 2 * L * D * sizeof(float));
        case_store(decode);
        prefill->problem.causal = decode->problem.causal = 1;
        case_run(prefill, "dense", run);
        case_run(decode, "dense", run);
        check_near_each_other(prefill, decode, last);
        case_free(prefill);
        case_free(decode);
    }
}

ParameterizedTestParameters(attention, order_of_keys_changes_rounding_only)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, attention, order_of_keys_changes_rounding_only)
{
    enum { LK = 140, D = 16 };
    attention_run run = with_isa(isa);
    for (int64_t lq = 1; lq <= 40; lq += 39) {
        attention_case *a = case_new(1, 2, 2, lq, LK, D, D, FOVEA_F32, 14),
                       *b = case_new(1, 2, 2, lq, LK, D, D, FOVEA_F32, 0);
        memcpy(b->q, a->q, (size_t)(2 * lq * D) * sizeof(float));
        for (int64_t j = 0; j < LK; j++) { /* 51 and 140 have no common divisor */
            int64_t from = (51 * j + 7) % LK;
            for (int64_t h = 0; h < 2; h++) {
                memcpy(b->k + (h * LK + j) * D, a->k + (h * LK + from) * D, D * sizeof(float));
                memcpy(b->v + (h * LK + j) * D, a->v + (h * LK + from) * D, D * sizeof(float));
            }
        }
        case_store(b);
        case_run(a, "dense", run);
        case_run(b, "dense", run);
        check_near_each_other(a, b, NULL);
        case_free(a);
        case_free(b);
    }
}

/* ------------------------------------------------------------------ threads */

ParameterizedTestParameters(attention, threads_change_no_bit)
{
    return every_isa();
}

/* tests/threads.c takes the orders of workers apart; this one takes every instruction set and type. */
ParameterizedTest(unsigned *isa, attention, threads_change_no_bit)
{
    static const unsigned counts[] = {2, 3, 8};
    static const struct {
        const char *spec;
        int64_t lq, lk;
    } of[] = {{"dense", 130, 130}, {"dense", 1, 9000}, {"sparse-strided:stride=12", 130, 130}, {"topk:k=7", 40, 60},
              /* tiles that share no list; rows searched in the lanes from a sample */
              {"bigbird:block=16,random=2", 700, 700}, {"topk:k=7", 70, 1100}, {"sparsemax", 70, 1100}};
    attention_run run = with_isa(isa);
    for (size_t n = 0; n < sizeof of / sizeof *of; n++)
        for (int type = 0; type < 3; type++) {
            attention_case *one = case_new(1, 4, 2, of[n].lq, of[n].lk, 16, 12, (fovea_dtype)type, 15);
            attention_case *many = case_new(1, 4, 2, of[n].lq, of[n].lk, 16, 12, (fovea_dtype)type, 15);
            one->problem.causal = many->problem.causal = 1;
            case_run(one, of[n].spec, run);
            for (int k = 0; k < 3; k++) {
                case_run(many, of[n].spec, (attention_run){run.isa, counts[k]});
                case_same(one, many, "threads");
                cr_assert(one->kept == many->kept);
            }
            case_free(one);
            case_free(many);
        }
}
