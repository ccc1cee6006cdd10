/* The measuring room of the tool (src/lab/eval): reference, metrics, quantiles, clock and synthetic data, and the
   numbers as people see them. Calls nothing of libfovea. Expected numbers are worked out by hand in the comments, or
   by a second formulation below. */
#include "eval/clock.h"
#include "eval/limits.h"
#include "eval/metrics.h"
#include "eval/quantile.h"
#include "eval/reference.h"
#include "eval/synthetic.h"
#include "report/quantity.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance || (isinf(a) && a == b);
}

/* A contiguous f32 problem, filled by hand: fovea_problem_init belongs to the library. */
static fovea_problem small_problem(int64_t b, int64_t hq, int64_t hkv, int64_t lq, int64_t lk,
                                   int64_t d, int64_t dv)
{
    fovea_problem p;
    memset(&p, 0, sizeof p);
    p.struct_size = sizeof p;
    p.batch = b, p.hq = hq, p.hkv = hkv, p.lq = lq, p.lk = lk, p.d = d, p.dv = dv;
    p.q = (fovea_strides){hq * lq * d, lq * d, d};
    p.k = (fovea_strides){hkv * lk * d, lk * d, d};
    p.v = (fovea_strides){hkv * lk * dv, lk * dv, dv};
    p.o = (fovea_strides){hq * lq * dv, lq * dv, dv};
    p.nrows = -1;
    return p;
}

/* ------------------------------------------------------------------ reference: numbers by hand */

/* Two keys whose scores differ by ln 3: probabilities 1/4 and 3/4, lse = s_0 + ln 4. */
Test(reference, two_keys_by_hand)
{
    fovea_problem p = small_problem(1, 1, 1, 1, 2, 1, 2);
    const float q[] = {2}, k[] = {0.5f, 0.5f + 0.5493061443340549f}, v[] = {4, 0, 8, 1};
    const fovea_arguments a = {.q = q, .k = k, .v = v};
    const int64_t row = 0;
    double o[2], prob[2], lse;
    p.scale = 1;
    cr_assert_eq(reference_rows(&p, &a, 0, 0, &row, 1, o, prob, &lse), 0);
    cr_assert(near(prob[0], 0.25, 1e-7) &&
              near(prob[1], 0.75, 1e-7)); /* 1e-7: ln 3 / 2 was rounded to float */
    cr_assert(near(o[0], 7, 1e-6) && near(o[1], 0.75, 1e-7));
    cr_assert(near(lse, 1 + log(4), 1e-6));
}

/* Default scale: d = 4 halves the product. A sink at the height of both scores takes a third. */
Test(reference, default_scale_and_sink)
{
    fovea_problem p = small_problem(1, 1, 1, 1, 2, 4, 1);
    const float q[] = {1, 1, 1, 1}, k[] = {1, 1, 1, 1, 4, 0, 0, 0}, v[] = {3, 6};
    const fovea_arguments a = {.q = q, .k = k, .v = v};
    const int64_t row = 0;
    double o, prob[2], lse;
    p.has_sink = 1;
    p.sink = 2; /* the scores are 4 / 2 = 2 */
    cr_assert_eq(reference_rows(&p, &a, 0, 0, &row, 1, &o, prob, &lse), 0);
    cr_assert(near(prob[0], 1.0 / 3, 1e-15) && near(prob[1], 1.0 / 3, 1e-15));
    cr_assert(near(o, 3, 1e-14) && near(lse, 2 + log(3), 1e-14));
}

/* lq = 3, lk = 2: row 0 stands before every key (p = -1). Later keys hold NaN and must not leak. */
Test(reference, causal_rows_and_nan_behind_the_mask)
{
    fovea_problem p = small_problem(1, 1, 1, 3, 2, 1, 1);
    const float q[] = {1, 1, 1}, k[] = {1, NAN}, v[] = {5, NAN};
    const fovea_arguments a = {.q = q, .k = k, .v = v};
    const int64_t rows[] = {0, 1};
    double o[2], prob[4], lse[2];
    p.causal = 1;
    p.has_sink = 1; /* a sink does not give a row without keys a finite lse */
    p.sink = -INFINITY;
    cr_assert_eq(reference_rows(&p, &a, 0, 0, rows, 2, o, prob, lse), 0);
    cr_assert(o[0] == 0 && prob[0] == 0 && prob[1] == 0 && lse[0] == -INFINITY);
    cr_assert(o[1] == 5 && prob[2] == 1 && prob[3] == 0 && lse[1] == 1);
    const int64_t last = 2; /* here the NaN is visible */
    cr_assert_eq(reference_rows(&p, &a, 0, 0, &last, 1, o, prob, lse), 0);
    cr_assert(isnan(o[0]) && isnan(lse[0]));
}

/* bf16 0x3fc0 = 1.5, f16 0x3e00 = 1.5, 0x0001 = 2^-24, 0xfc00 = -infinity, 0x7bff = 65504. */
Test(reference, stored_types)
{
    const uint16_t bf16[] = {0x3fc0, 0xc000},
                   f16[] = {0x3e00, 0x0001, 0xfc00, 0x7bff, 0x8000, 0x7e00};
    cr_assert_eq(reference_element(FOVEA_BF16, bf16, 0), 1.5);
    cr_assert_eq(reference_element(FOVEA_BF16, bf16, 1), -2);
    cr_assert_eq(reference_element(FOVEA_F16, f16, 0), 1.5);
    cr_assert_eq(reference_element(FOVEA_F16, f16, 1), ldexp(1, -24));
    cr_assert_eq(reference_element(FOVEA_F16, f16, 2), -INFINITY);
    cr_assert_eq(reference_element(FOVEA_F16, f16, 3), 65504);
    cr_assert(reference_element(FOVEA_F16, f16, 4) == 0 &&
              signbit(reference_element(FOVEA_F16, f16, 4)));
    cr_assert(isnan(reference_element(FOVEA_F16, f16, 5)));
}

/* Slopes published for 8 heads are 1/2, 1/4, ..; for 12 heads the eight of 8, then 2^-0.5, 2^-1.5, .. */
Test(reference, alibi_slopes)
{
    cr_assert_eq(reference_alibi_slope(8, 0), 0.5);
    cr_assert_eq(reference_alibi_slope(8, 7), ldexp(1, -8));
    cr_assert_eq(reference_alibi_slope(12, 7), ldexp(1, -8));
    cr_assert(near(reference_alibi_slope(12, 8), exp2(-0.5), 1e-15));
    cr_assert(near(reference_alibi_slope(12, 11), exp2(-3.5), 1e-15));
    cr_assert_eq(reference_alibi_slope(1, 0), ldexp(1, -8));
}

Test(reference, spread_rows)
{
    int64_t rows[4];
    reference_spread(10, 4, rows); /* 10/4 - 1, 20/4 - 1, 30/4 - 1, 40/4 - 1 rounded down */
    cr_assert(rows[0] == 1 && rows[1] == 4 && rows[2] == 6 && rows[3] == 9);
    reference_spread(7, 1, rows);
    cr_assert_eq(rows[0], 6);
    reference_spread(4, 4, rows);
    cr_assert(rows[0] == 0 && rows[1] == 1 && rows[2] == 2 && rows[3] == 3);
}

Test(reference, refuses_what_it_does_not_compute)
{
    fovea_problem p = small_problem(1, 1, 1, 1, 1, 1, 1);
    const float x[] = {1};
    fovea_arguments a = {.q = x, .k = x, .v = x};
    const int64_t row = 0;
    double o, prob;
    p.page_size = 16;
    cr_assert_eq(reference_rows(&p, &a, 0, 0, &row, 1, &o, &prob, NULL), -1);
    p.page_size = 0;
    p.nseq = 1;
    cr_assert_eq(reference_rows(&p, &a, 0, 0, &row, 1, &o, &prob, NULL), -1);
    p.nseq = 0;
    a.k = NULL;
    cr_assert_eq(reference_rows(&p, &a, 0, 0, &row, 1, &o, &prob, NULL), -1);
}

/* ------------------------------------------------------------------ reference: a second formulation

   One pass with a running maximum, values folded in as they come (Milakov and Gimelshein, 2018), in long double; the
   row's q, k, v are fetched by explicit indices instead of the strides' walk. */

typedef struct online {
    long double top, sum, o[8];
} online;

static void online_add(online *x, long double score, const float *v, int64_t dv)
{
    if (score > x->top) {
        const long double shrink = expl(x->top - score);
        x->sum *= shrink;
        for (int64_t t = 0; t < dv; t++)
            x->o[t] *= shrink;
        x->top = score;
    }
    const long double weight = expl(score - x->top);
    x->sum += weight;
    for (int64_t t = 0; t < dv; t++)
        x->o[t] += weight * v[t];
}

static online second_formulation(const fovea_problem *p, const fovea_arguments *a, int64_t b,
                                 int64_t h, int64_t i)
{
    static const float nothing[8];
    const int64_t g = h / (p->hq / p->hkv);
    const float *q = (const float *)a->q + ((b * p->hq + h) * p->lq + i) * p->d;
    online x = {.top = -INFINITY};
    for (int64_t j = 0; j < p->lk; j++) {
        const float *k = (const float *)a->k + ((b * p->hkv + g) * p->lk + j) * p->d;
        const int64_t away = i + p->lk - p->lq - j;
        long double s = 0;
        for (int64_t t = 0; t < p->d; t++)
            s += (long double)q[t] * k[t];
        s = p->softcap * tanhl(s * p->scale / p->softcap) + a->bias[(h * p->lq + i) * p->lk + j];
        s -= (away < 0 ? -away : away) * (long double)reference_alibi_slope(p->hq, h);
        if (away >= 0)
            online_add(&x, s, (const float *)a->v + ((b * p->hkv + g) * p->lk + j) * p->dv, p->dv);
    }
    online_add(&x, a->sinks[h], nothing, p->dv);
    return x;
}

Test(reference, agrees_with_a_second_formulation)
{
    enum { B = 2, HQ = 6, HKV = 2, LQ = 5, LK = 9, D = 7, DV = 3 };
    fovea_problem p = small_problem(B, HQ, HKV, LQ, LK, D, DV);
    static float q[B * HQ * LQ * D], k[B * HKV * LK * D], v[B * HKV * LK * DV], bias[HQ * LQ * LK],
        sinks[HQ];
    const synthetic_shape shape = {B, HQ, HKV, LQ, LK, D, DV, 0.4};
    cr_assert_eq(synthetic_fill(SYNTHETIC_GAUSSIAN, 3, &shape, q, k, v), 0);
    for (int i = 0; i < HQ * LQ * LK; i++)
        bias[i] = (float)sin(i);
    for (int i = 0; i < HQ; i++)
        sinks[i] = (float)i - 2;
    p.causal = p.alibi = p.has_bias = p.has_sinks = 1;
    p.scale = 0.4, p.softcap = 1.5;
    p.bias_head = LQ * LK, p.bias_row = LK;
    const fovea_arguments a = {.q = q, .k = k, .v = v, .bias = bias, .sinks = sinks};
    const int64_t rows[] = {0, 2, 4};
    double o[3 * DV], prob[3 * LK], lse[3];
    for (int64_t b = 0; b < B; b++)
        for (int64_t h = 0; h < HQ; h++) {
            cr_assert_eq(reference_rows(&p, &a, b, h, rows, 3, o, prob, lse), 0);
            for (int r = 0; r < 3; r++) {
                const online x = second_formulation(&p, &a, b, h, rows[r]);
                cr_assert(near(lse[r], (double)(x.top + logl(x.sum)), 1e-13));
                for (int t = 0; t < DV; t++)
                    cr_assert(near(o[r * DV + t], (double)(x.o[t] / x.sum), 1e-13),
                              "b %d h %d row %d", (int)b, (int)h, r);
            }
        }
}

/* The same tensor in [b, token, head, dim] order gives the same rows. */
Test(reference, follows_strides)
{
    enum { H = 2, L = 4, D = 3 };
    fovea_problem p = small_problem(1, H, H, L, L, D, D);
    float x[H * L * D], turned[H * L * D];
    for (int i = 0; i < H * L * D; i++)
        x[i] = (float)cos(i);
    for (int h = 0; h < H; h++)
        for (int l = 0; l < L; l++)
            memcpy(turned + (l * H + h) * D, x + (h * L + l) * D, sizeof(float) * D);
    const fovea_arguments a = {.q = x, .k = x, .v = x}, b = {.q = turned, .k = turned, .v = turned};
    const int64_t rows[] = {1, 3};
    double o[2 * D], turned_o[2 * D], prob[2 * L];
    cr_assert_eq(reference_rows(&p, &a, 0, 1, rows, 2, o, prob, NULL), 0);
    p.q = p.k = p.v = (fovea_strides){H * L * D, D, H * D};
    cr_assert_eq(reference_rows(&p, &b, 0, 1, rows, 2, turned_o, prob, NULL), 0);
    cr_assert_arr_eq(o, turned_o, sizeof o);
}

/* ------------------------------------------------------------------ metrics */

/* Row 1: o = (3, 4), r = (0, 5). Row 2: equal. dd = 9 + 1 = 10, rr = 25 + 4 = 29; cosines 4/5 and 1. */
Test(metrics, errors_by_hand)
{
    const float o[] = {3, 4, 2, 0};
    const double r[] = {0, 5, 2, 0};
    const metrics_errors e = metrics_compare(o, r, 2, 2);
    cr_assert(near(e.rel_l2, sqrt(10.0 / 29), 1e-15));
    cr_assert_eq(e.max_abs, 3);
    cr_assert(near(e.cosine, 0.9, 1e-15));
}

Test(metrics, errors_of_zero_rows)
{
    const float zero[] = {0, 0}, one[] = {1, 0};
    const double r0[] = {0, 0}, r1[] = {1, 0};
    const metrics_errors same = metrics_compare(zero, r0, 1, 2);
    cr_assert(same.rel_l2 == 0 && same.max_abs == 0 && same.cosine == 1);
    const metrics_errors lost = metrics_compare(zero, r1, 1, 2);
    cr_assert(lost.rel_l2 == 1 && lost.max_abs == 1 && lost.cosine == 0);
    const metrics_errors gained = metrics_compare(one, r0, 1, 2);
    cr_assert(isinf(gained.rel_l2) && gained.max_abs == 1 && gained.cosine == 0);
    cr_assert(isnan(metrics_compare(zero, r0, 0, 2).rel_l2));
}

/* NaN must not hide behind a comparison, wherever it stands. */
Test(metrics, nan_shows)
{
    const double r[] = {1, 1, 1, 1};
    for (int at = 0; at < 4; at++) {
        float o[] = {1, 9, 1, 1};
        o[at] = NAN;
        const metrics_errors e = metrics_compare(o, r, 2, 2);
        cr_assert(isnan(e.rel_l2) && isnan(e.max_abs) && isnan(e.cosine), "NaN at %d", at);
    }
}

/* With a sink the row sums to 0.8: the kept 0.6 are 3/4 of what the keys hold. */
Test(metrics, recall_by_hand)
{
    const float p[] = {0.5f, 0.2f, 0.1f, 0};
    const uint8_t kept[] = {1, 0, 1, 1}, all[] = {1, 1, 1, 1}, none[] = {0, 0, 0, 0};
    cr_assert(near(metrics_recall_row(p, kept, 4), 0.75, 1e-7));
    cr_assert_eq(metrics_recall_row(p, all, 4), 1);
    cr_assert_eq(metrics_recall_row(p, none, 4), 0);
    cr_assert(isnan(metrics_recall_row(p + 3, kept, 1)));
}

/* 101 rows of recall 0, 0.01, .. 1 and one that does not count: the first percentile is exactly the second smallest. */
Test(metrics, recall_summary)
{
    double values[102];
    for (int i = 0; i <= 100; i++)
        values[i] = (100 - i) / 100.0;
    values[101] = NAN;
    const metrics_recall r = metrics_recall_summary(values, 102);
    cr_assert_eq(r.rows, 101);
    cr_assert(near(r.mean, 0.5, 1e-12) && near(r.p1, 0.01, 1e-12) && r.min == 0);
    cr_assert(isnan(metrics_recall_summary(values, 0).mean));
}

Test(quantile, definition)
{
    double x[] = {40, 10, 30, 20};
    quantile_sort(x, 4);
    cr_assert(x[0] == 10 && x[3] == 40);
    cr_assert_eq(quantile_sorted(x, 4, 0), 10);
    cr_assert_eq(quantile_sorted(x, 4, 0.5), 25);
    cr_assert(near(quantile_sorted(x, 4, 0.25), 17.5, 1e-12));
    cr_assert_eq(quantile_sorted(x, 4, 1), 40);
    cr_assert_eq(quantile_sorted(x, 1, 0.5), 10);
    cr_assert(isnan(quantile_sorted(x, 0, 0.5)));
}

/* ------------------------------------------------------------------ clock */

Test(clock, summary)
{
    double ns[] = {5, 1, 3, 2, 4};
    const clock_times t = clock_summary(ns, 5);
    cr_assert(t.best == 1 && t.median == 3 && t.spread == 2 && t.samples == 5);
}

typedef struct turns {
    unsigned order[64], count, fail_at;
} turns;

/* Longer than a sample must last, so that a turn is one call. */
static int take_turn(void *user, unsigned runner)
{
    turns *t = user;
    const uint64_t start = clock_ns();
    while (clock_ns() - start < 2 * CLOCK_SAMPLE_NS)
        ;
    t->order[t->count++ % 64] = runner;
    return t->count == t->fail_at ? 7 : 0;
}

Test(clock, rounds_are_interleaved)
{
    turns t = {{0}, 0, 0};
    clock_times times[3];
    const clock_race race = {
        .runners = 3, .run = take_turn, .user = &t, .rounds = 4, .seconds = 100};
    cr_assert_eq(clock_run(&race, times), 0);
    cr_assert_eq(t.count, 3 * (1 + 4)); /* a warm-up each, then the rounds */
    for (unsigned i = 0; i < t.count; i++)
        cr_assert_eq(t.order[i], i % 3);
    for (int r = 0; r < 3; r++)
        cr_assert(times[r].samples == 4 && times[r].best >= 2 * CLOCK_SAMPLE_NS &&
                  times[r].median >= times[r].best);
}

static int count_turn(void *user, unsigned runner)
{
    (void)runner;
    ++*(unsigned *)user;
    return 0;
}

/* A function of no length is called CLOCK_CALLS_MAX times to a sample, and once more before it when it is rehearsed. */
Test(clock, rehearsals_are_not_timed)
{
    unsigned count = 0;
    clock_times times[1];
    clock_race race = {
        .runners = 1, .run = count_turn, .user = &count, .rounds = 3, .sample_ns = 1e10, .seconds = 100};
    cr_assert_eq(clock_run(&race, times), 0);
    cr_assert_eq(count, 1 + 3 * CLOCK_CALLS_MAX);
    race.rehearse = 1;
    count = 0;
    cr_assert_eq(clock_run(&race, times), 0);
    cr_assert_eq(count, 1 + 3 * (CLOCK_CALLS_MAX + 1));
    cr_assert_eq(times[0].calls, CLOCK_CALLS_MAX);
}

Test(clock, samples_can_be_longer)
{
    turns t = {{0}, 0, 0};
    clock_times times[1] = {{0}};
    const clock_race race = {.runners = 1,
                             .run = take_turn,
                             .user = &t,
                             .rounds = 1,
                             .sample_ns = 10 * CLOCK_SAMPLE_NS,
                             .seconds = 100};
    /* a turn of 2 out of 10: five calls, fewer when something interrupts the one that is counted by */
    for (int tries = 0; tries < 50 && times[0].calls < 2; tries++) {
        t.count = 0;
        cr_assert_eq(clock_run(&race, times), 0);
        cr_assert_eq(t.count, 1 + times[0].calls);
    }
    cr_assert(times[0].calls >= 2 && times[0].calls <= 5, "%u", times[0].calls);
}

Test(clock, budget_and_failure)
{
    turns t = {{0}, 0, 0};
    clock_times times[1];
    clock_race race = {.runners = 1, .run = take_turn, .user = &t, .rounds = 50, .seconds = 0};
    cr_assert_eq(clock_run(&race, times), 0);
    cr_assert_eq(times[0].samples, CLOCK_ROUNDS_MIN);
    t.count = 0;
    t.fail_at = 3;
    cr_assert_eq(clock_run(&race, times), 7);
    cr_assert_eq(t.count, 3);
}

/* ------------------------------------------------------------------ limits */

/* 100 flop at 10 GFLOP/s take 10 ns, 100 byte at 20 GB/s 5 ns: fma binds, and 20 ns are 50 %. */
Test(limits, verdict)
{
    limits l = {.fma = 10, .bf16 = 40, .read = 20};
    limits_verdict v = limits_judge(&l, 100, 100, 0, 20);
    cr_assert_str_eq(v.limit, "fma");
    cr_assert(near(v.percent, 50, 1e-12));
    v = limits_judge(&l, 100, 100, 1, 20); /* bf16: 2.5 ns, so that reading binds */
    cr_assert_str_eq(v.limit, "read");
    cr_assert(near(v.percent, 25, 1e-12));
    v = limits_judge(&l, 400, 100, 1, 20);
    cr_assert_str_eq(v.limit, "bf16");
    cr_assert(near(v.percent, 50, 1e-12));
    l.bf16 = 0; /* an instruction set without */
    cr_assert_str_eq(limits_judge(&l, 400, 100, 1, 20).limit, "fma");
    cr_assert(isnan(limits_judge(&l, 0, 0, 0, 20).percent));
    cr_assert(limits_kernel_uses_bf16("fvk_qk_bf16__avx512_bf16"));
    cr_assert(limits_kernel_uses_bf16("fvk_qk_pair_bf16__amx"));
    cr_assert_not(limits_kernel_uses_bf16("fvk_qk_bf16__avx512"));
    cr_assert_not(limits_kernel_uses_bf16(NULL));
}

/* ------------------------------------------------------------------ synthetic data */

enum { SB = 2, SHQ = 4, SHKV = 2, SLQ = 96, SLK = 256, SD = 64, SDV = 8 };

static const synthetic_shape structure_shape = {SB, SHQ, SHKV, SLQ, SLK, SD, SDV, 0.125};

static float made_q[SB * SHQ * SLQ * SD], made_k[SB * SHKV * SLK * SD],
    made_v[SB * SHKV * SLK * SDV];

static void make(int kind, uint64_t seed)
{
    cr_assert_eq(
        synthetic_fill((synthetic_kind)kind, seed, &structure_shape, made_q, made_k, made_v), 0);
}

/* Causal probabilities of a few rows of one head. */
static void made_rows(int64_t b, int64_t h, const int64_t *rows, int64_t nrows, double *prob)
{
    fovea_problem p = small_problem(SB, SHQ, SHKV, SLQ, SLK, SD, SDV);
    const fovea_arguments a = {.q = made_q, .k = made_k, .v = made_v};
    p.causal = 1;
    p.scale = 0.125;
    cr_assert_eq(reference_rows(&p, &a, b, h, rows, nrows, NULL, prob, NULL), 0);
}

static double entropy(const double *p, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        sum -= p[j] > 0 ? p[j] * log(p[j]) : 0;
    return sum;
}

Test(synthetic, deterministic_and_seeded)
{
    static float again[SB * SHKV * SLK * SD];
    for (int kind = 0; kind < SYNTHETIC_KINDS; kind++) {
        make(kind, 1);
        memcpy(again, made_k, sizeof again);
        make(kind, 1);
        cr_assert_arr_eq(again, made_k, sizeof again, "%s is not repeatable",
                         synthetic_name((unsigned)kind));
        make(kind, 2);
        cr_assert_arr_neq(again, made_k, sizeof again, "%s ignores its seed",
                          synthetic_name((unsigned)kind));
        for (size_t i = 0; i < sizeof made_q / sizeof *made_q; i++)
            cr_assert(isfinite(made_q[i]));
    }
}

Test(synthetic, names)
{
    for (int kind = 0; kind < SYNTHETIC_KINDS; kind++)
        cr_assert_eq(synthetic_find(synthetic_name((unsigned)kind)), kind);
    cr_assert_eq(synthetic_find("gauss"), -1);
    cr_assert_null(synthetic_name(SYNTHETIC_KINDS));
}

/* n = 65536 draws: the mean has standard error 1/256, the variance sqrt(2)/256; five of them are allowed. Neighbours
   and heads must not be correlated. */
Test(synthetic, gaussian_moments)
{
    make(SYNTHETIC_GAUSSIAN, 5);
    const size_t n = sizeof made_k / sizeof *made_k;
    double sum = 0, squares = 0, neighbours = 0, heads = 0, sizes = 0;
    for (size_t i = 0; i < n; i++) {
        sum += made_k[i];
        squares += (double)made_k[i] * made_k[i];
        neighbours += (double)made_k[i] * made_k[(i + 1) % n];
        sizes += pow((double)made_k[i] * made_k[(i + 1) % n], 2);
        heads += (double)made_k[i] * made_k[(i + SLK * SD) % n];
    }
    const double error = 5 / sqrt((double)n);
    cr_assert(fabs(sum / (double)n) < error);
    cr_assert(fabs(squares / (double)n - 1) < sqrt(2) * error);
    cr_assert(fabs(sizes / (double)n - 1) < sqrt(8) * error); /* neighbours' sizes neither */
    cr_assert(fabs(neighbours / (double)n) < error && fabs(heads / (double)n) < error);
}

Test(synthetic, needle_holds_most_of_the_row)
{
    const int64_t rows[] = {0, 17, 40, 95};
    double prob[4 * SLK], mass = 0;
    make(SYNTHETIC_NEEDLE, 7);
    for (int64_t h = 0; h < SHQ; h++) {
        made_rows(1, h, rows, 4, prob);
        for (int r = 0; r < 4; r++) {
            const int64_t target = synthetic_needle_target(7, &structure_shape, 1, h, rows[r]);
            cr_assert(target >= 0 && target <= rows[r] + SLK - SLQ);
            mass += prob[r * SLK + target] / (4 * SHQ);
        }
    }
    cr_assert_gt(mass, 0.75, "mean mass on the needle %g", mass);
}

Test(synthetic, sinks_and_local_hold_most_of_the_row)
{
    const int64_t rows[] = {20, 95};
    double prob[2 * SLK];
    make(SYNTHETIC_SINKS_AND_LOCAL, 7);
    made_rows(0, 1, rows, 2, prob);
    for (int r = 0; r < 2; r++) {
        const int64_t p = rows[r] + SLK - SLQ;
        double sinks = 0, local = 0;
        for (int j = 0; j < 4; j++)
            sinks += prob[r * SLK + j];
        for (int64_t j = p - 31; j <= p; j++)
            local += prob[r * SLK + j];
        cr_assert(sinks > 0.05 && local > 0.3 && sinks + local > 0.75, "sinks %g local %g", sinks,
                  local);
    }
}

Test(synthetic, clustered_mass_lies_in_the_cluster)
{
    const int64_t row = 95;
    double prob[SLK], inside = 0;
    int64_t members = 0;
    make(SYNTHETIC_CLUSTERED, 7);
    made_rows(1, 3, &row, 1, prob);
    const int64_t aim = synthetic_query_cluster(7, &structure_shape, 1, 3, row);
    for (int64_t j = 0; j < SLK; j++)
        if (synthetic_key_cluster(7, &structure_shape, 1, 1, j) == aim) {
            inside += prob[j];
            members++;
        }
    cr_assert(members > 0 && members % 16 == 0 && members < SLK / 2);
    cr_assert_gt(inside, 0.6, "mass inside %g", inside);
}

/* The share of a key's square that lies outside the span of 8 (= 64/8) basis vectors is about the 5 % noise squared.
   The span is found from the keys themselves by Gram-Schmidt with the largest remainder first. */
Test(synthetic, low_rank_keys_span_few_directions)
{
    enum { RANK = SD / 8 };
    static double rest[SLK][SD];
    double all = 0, left = 0;
    make(SYNTHETIC_LOW_RANK, 7);
    for (int j = 0; j < SLK; j++)
        for (int t = 0; t < SD; t++) {
            rest[j][t] = made_k[j * SD + t];
            all += rest[j][t] * rest[j][t];
        }
    for (int round = 0; round < RANK; round++) {
        int top = 0;
        double best = 0, axis[SD];
        for (int j = 0; j < SLK; j++) {
            double square = 0;
            for (int t = 0; t < SD; t++)
                square += rest[j][t] * rest[j][t];
            if (square > best)
                best = square, top = j;
        }
        for (int t = 0; t < SD; t++)
            axis[t] = rest[top][t] / sqrt(best);
        for (int j = 0; j < SLK; j++) {
            double along = 0;
            for (int t = 0; t < SD; t++)
                along += rest[j][t] * axis[t];
            for (int t = 0; t < SD; t++)
                rest[j][t] -= along * axis[t];
        }
    }
    for (int j = 0; j < SLK; j++)
        for (int t = 0; t < SD; t++)
            left += rest[j][t] * rest[j][t];
    cr_assert(left / all < 0.02 && left / all > 0.0005, "left %g", left / all);
}

/* Attention of the kinds differs as promised: gaussian is close to uniform, low-rank is in between, needle is
   peaked. */
Test(synthetic, entropies_are_ordered)
{
    const int64_t row = 95;
    double prob[SLK], of[SYNTHETIC_KINDS];
    for (int kind = 0; kind < SYNTHETIC_KINDS; kind++) {
        of[kind] = 0;
        make(kind, 11);
        for (int64_t h = 0; h < SHQ; h++) {
            made_rows(0, h, &row, 1, prob);
            of[kind] += entropy(prob, SLK) / SHQ;
        }
    }
    cr_assert_gt(of[SYNTHETIC_GAUSSIAN], 0.85 * log(SLK));
    cr_assert_gt(of[SYNTHETIC_GAUSSIAN], of[SYNTHETIC_LOW_RANK]);
    cr_assert_gt(of[SYNTHETIC_LOW_RANK], of[SYNTHETIC_NEEDLE]);
}

/* ------------------------------------------------------------------ numbers for people */

Test(quantity, texts)
{
    cr_assert_str_eq(quantity_time(812, 1).text, "812 ns");
    cr_assert_str_eq(quantity_time(1235, 0).text, "1.24 us");
    cr_assert_str_eq(quantity_time(99960, 0).text, "100 us");
    cr_assert_str_eq(quantity_time(45.25e6, 1).text, "45.2 ms");
    cr_assert_str_eq(quantity_time(NAN, 1).text, "-");
    cr_assert_str_eq(quantity_time_spread(1.235e6, 30000, 1).text, "1.24 ± 0.03 ms");
    cr_assert_str_eq(quantity_time_spread(1.235e6, 30000, 0).text, "1.24 +- 0.03 ms");
    cr_assert_str_eq(quantity_percent(0.1234).text, "12.3 %");
    cr_assert_str_eq(quantity_percent(1).text, "100 %");
    cr_assert_str_eq(quantity_ratio(12.34).text, "12.3x");
    cr_assert_str_eq(quantity_ratio(0.866).text, "0.87x");
    cr_assert_str_eq(quantity_error(3.14e-7).text, "3.1e-07");
    cr_assert_str_eq(quantity_error(0).text, "0");
    cr_assert_str_eq(quantity_amount(0.01234).text, "0.0123");
    cr_assert_str_eq(quantity_amount(12345).text, "12345");
    cr_assert_str_eq(quantity_bytes(1.5 * 0x1p30).text, "1.50 GiB");
    cr_assert_str_eq(quantity_bytes(512).text, "512 bytes");
}

/* A share that lost something must not be shown as all. */
Test(quantity, shares_are_not_rounded_up)
{
    cr_assert_str_eq(quantity_share(1).text, "1.0000");
    cr_assert_str_eq(quantity_share(0.99997).text, "0.9999");
    cr_assert_str_eq(quantity_share(1 - 1e-9).text, "1.0000");
    cr_assert_str_eq(quantity_share(0.5).text, "0.5000");
}
