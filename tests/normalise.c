/* Row normalisers against the oracle of ref/normalise_ref.c, and properties that need none.

   Bounds. The library works in double and rounds once to float, so a softmax weight is within half an ulp of float
   (2^-24, relative) of the oracle plus what double leaves (n 2^-52 for a sum of n terms); below the normal range half
   of the smallest subnormal, 2^-150. Sparse maps: tau carries about 2^-46 here, so a weight (x - tau)^a at the distance
   e = x - tau from the edge of the support errs by a e^(a-1) 2^-46. For a < 1 that grows towards the edge; the bound
   2^(-46 a - 10) covers every e above 2^-37, and the seeded rows have no score nearer to it. */
#include "drive/normalise.h"
#include "ref/normalise_ref.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONG = 300, MOST = 2000 }; /* ordinary rows, and rows long enough to be sampled */

typedef struct row {
    int64_t n;
    float s[MOST], p[MOST];
    uint8_t keep[MOST];
    float lse;
    double ref_p[MOST];
    uint8_t ref_keep[MOST];
    ref_row ref;
} row;

static uint64_t state;

static double uniform(void) /* 0 <= x < 1 */
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(state >> 11) * 0x1p-53;
}

static double gaussian(void)
{
    return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}

enum kind { PLAIN, TIES, SHARP, EQUAL, RISING, KINDS };

static void fill(row *r, int64_t n, enum kind kind)
{
    r->n = n;
    r->ref = (ref_row){.p = r->ref_p, .keep = r->ref_keep};
    for (int64_t j = 0; j < n; j++) {
        double x = gaussian();
        r->s[j] = (float)(kind == PLAIN   ? x
                          : kind == TIES  ? floor(2 * x) / 2
                          : kind == SHARP ? 15 * x
                          : kind == EQUAL ? 0.75
                                          : 0.01 * (double)j);
    }
}

static int64_t some_length(void)
{
    return uniform() < 0.2 ? 1 + (int64_t)(4 * uniform()) : 1 + (int64_t)(LONG * uniform());
}

static double exps(const float *x, int64_t n, float shift, float lo, float *y)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        int under = x[j] < lo;
        y[j] = under ? FVK_DROPPED : expf(x[j] - shift);
        sum += under ? 0 : (double)y[j];
    }
    return sum;
}

static int64_t count(const float *x, int64_t n, float t)
{
    int64_t above = 0;
    for (int64_t j = 0; j < n; j++)
        above += x[j] > t;
    return above;
}

static int range(const float *x, int64_t n, float *least, float *most)
{
    int finite = 1;
    *least = INFINITY;
    *most = -INFINITY;
    for (int64_t j = 0; j < n; j++) {
        finite &= isfinite(x[j]) != 0;
        *least = x[j] < *least ? x[j] : *least;
        *most = x[j] > *most ? x[j] : *most;
    }
    return finite;
}

static int64_t sift(const float *x, int64_t n, float lo, float hi, float *y, int32_t *at)
{
    int64_t m = 0;
    for (int64_t j = 0; j < n; j++)
        if (!(x[j] < lo) && !(x[j] > hi)) {
            y[m] = x[j];
            at[m++] = (int32_t)j;
        }
    return m;
}

static double mass(const float *x, const float *w, int64_t n, float t, int64_t *number)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        sum += x[j] > t ? (double)w[j] : 0;
    *number = count(x, n, t);
    return sum;
}

static void scale(const float *x, int64_t n, double c, float *y)
{
    for (int64_t j = 0; j < n; j++)
        y[j] = (float)((double)x[j] * c);
}

static double veil(const float *x, const float *e, int64_t n, float lo, float *y, int64_t *number)
{
    double sum = 0;
    *number = 0;
    for (int64_t j = 0; j < n; j++) {
        int under = x[j] < lo;
        sum += under ? 0 : (double)e[j];
        *number += !under;
        y[j] = under ? FVK_DROPPED : e[j];
    }
    return sum;
}

static double over(float x, const fvk_ramp *ramp)
{
    double r = ((double)x - ramp->shift) * ramp->slope - ramp->tau;
    return r < 0 ? 0 : r;
}

static void moments(const float *x, int64_t n, const fvk_ramp *ramp, int square, double sum[3])
{
    sum[0] = sum[1] = sum[2] = 0;
    for (int64_t j = 0; j < n; j++) {
        double y = over(x[j], ramp);
        sum[0] += y > 0;
        sum[1] += y;
        sum[2] += square ? y * y : 0;
    }
}

static void ramp(const float *x, int64_t n, const fvk_ramp *shape, int square, float *y)
{
    for (int64_t j = 0; j < n; j++) {
        double z = over(x[j], shape);
        y[j] = (float)(square ? z * z : z);
    }
}

static const fv_row_kernels kernel = {exps, count, range, sift, mass, scale, veil, moments, ramp};

static unsigned turn;

/* Applies a row of the table, and spreads its list where it did not do so itself, which two of four calls allow; the element behind the promised scratch must stay as it was. */
static void apply(row *r, const char *name, double a0, double a1, float sink)
{
    const fv_normaliser *normaliser = fv_normaliser_find(name);
    const double arg[4] = {a0, a1, 0, 0};
    static float weight[MOST + FVK_SIFT_ROOM];
    static int32_t at[MOST + FVK_SIFT_ROOM];
    static float scratch[16 * MOST];
    size_t used = fv_normalise_scratch(r->n) / sizeof *scratch;
    static float s[MOST];
    fv_scores x = {.s = s, .n = r->n, .may_spread = turn++ >> 1 & 1, .arg = arg, .sink = sink, .kernel = &kernel, .scratch = scratch, .p = weight, .at = at,
                   .lse = 99};
    int64_t m;
    memcpy(s, r->s, (size_t)r->n * sizeof *s);
    cr_assert(normaliser, "%s is not in the table", name);
    scratch[used] = 1234;
    m = fv_normalise(normaliser, &x);
    cr_assert(scratch[used] == 1234, "%s wrote beyond its scratch", name);
    if (!normaliser->has_lse && isfinite(x.max))
        cr_assert(x.lse == 99, "%s has no lse but wrote one", name);
    r->lse = x.lse;
    for (int64_t j = 0; j < r->n; j++) {
        r->p[j] = 0;
        r->keep[j] = 0;
    }
    cr_assert(!x.spread || x.may_spread, "%s spreads unasked", name);
    for (int64_t j = 0; x.spread && j < r->n; j++)
        if (!(s[j] < 0)) {
            r->p[j] = s[j] * x.factor;
            r->keep[j] = 1;
            m--;
        }
    cr_assert(!x.spread || m == 0, "%s miscounts by %lld", name, (long long)m);
    for (int64_t i = 0; i < m; i++) {
        int64_t j = m == r->n ? i : at[i];
        cr_assert(j >= 0 && j < r->n && !r->keep[j], "%s: key %lld listed", name, (long long)j);
        r->p[j] = weight[i];
        r->keep[j] = 1;
    }
}

/* Exponentials that are floats. x = s - shift is rounded, which exp makes |x| u, and exp itself errs by 1 ulp = 2 u. In the
   sum the first averages to at most log(n + 1) u, for the mean of |x| over a softmax is below its entropy. The shift is
   within log(n + 1) of the lse, so |x| <= |log p| + log(n + 1). In units of u: */
static double exp_units(const row *r, double p)
{
    return 4 + (p > 0 ? fabs(log(p)) : 0) + 2 * log((double)r->n + 1);
}

static void same_weights(const row *r, const char *name, double extra)
{
    const int exps = fv_normaliser_find(name)->has_lse;
    for (int64_t j = 0; j < r->n; j++) {
        double units = 1 + (exps ? exp_units(r, r->ref_p[j]) : 0);
        double bound = (units * 0x1p-24 + (double)r->n * 0x1p-51) * fabs(r->ref_p[j]) + 0x1p-149 + extra;
        cr_assert(fabs(r->p[j] - r->ref_p[j]) <= bound, "%s n=%lld j=%lld s=%a: p=%.9g, oracle %.17g, bound %.3g", name,
                  (long long)r->n, (long long)j, r->s[j], r->p[j], r->ref_p[j], bound);
    }
}

static void same_row(const row *r, const char *name)
{
    double bound = 0x1p-24 * (fabs(r->ref.lse) + exp_units(r, 0)) + 0x1p-40;
    same_weights(r, name, 0);
    for (int64_t j = 0; j < r->n; j++)
        cr_assert(r->keep[j] == r->ref_keep[j], "%s n=%lld j=%lld s=%a: keep=%d, oracle %d", name, (long long)r->n,
                  (long long)j, r->s[j], r->keep[j], r->ref_keep[j]);
    cr_assert(r->lse == r->ref.lse || fabs(r->lse - r->ref.lse) <= bound, "%s n=%lld: lse=%.9g, oracle %.17g", name,
              (long long)r->n, r->lse, r->ref.lse);
}

static float some_sink(void)
{
    double u = uniform();
    return u < 0.5 ? -INFINITY : (float)(u < 0.9 ? 3 * gaussian() : u < 0.95 ? 40 : 1000);
}

static int64_t some_count(int64_t n)
{
    return 1 + (int64_t)((double)(n + 2) * uniform());
}

/* ------------------------------------------------------------------ oracle */

Test(normalise, topk_and_localv)
{
    row r;
    state = 11;
    for (int i = 0; i < 600; i++) {
        float sink = some_sink();
        int64_t k;
        fill(&r, some_length(), (enum kind)(i % KINDS));
        k = some_count(r.n);
        apply(&r, "topk", (double)k, 0, sink);
        ref_topk(r.s, r.n, k, sink, &r.ref);
        same_row(&r, "topk");
        apply(&r, "localv", (double)k, 0, sink);
        ref_localv(r.s, r.n, k, sink, &r.ref);
        same_row(&r, "localv");
    }
}

Test(normalise, topp)
{
    row r;
    state = 12;
    for (int i = 0; i < 600; i++) {
        float sink = some_sink();
        double p = i % 9 == 0 ? 1 : i % 7 == 0 ? 1 - 1e-3 * uniform() : uniform() + 1e-9;
        fill(&r, some_length(), (enum kind)(i % KINDS));
        apply(&r, "topp", p, 0, sink);
        ref_topp(r.s, r.n, p, sink, &r.ref);
        same_row(&r, "topp");
    }
}

/* Rows long enough for a sample to bracket the cut, and for lists to be shortened on the way. */
Test(normalise, long_rows)
{
    static const double few[] = {0.01, 0.1, 0.5, 0.97};
    row r;
    state = 18;
    for (int i = 0; i < 60; i++) {
        float sink = some_sink();
        double share = few[i % 4];
        int64_t k;
        fill(&r, 500 + (int64_t)((MOST - 500) * uniform()), (enum kind)(i % KINDS));
        if (i % 3 == 0) /* what no sample sees */
            r.s[r.n / 3] = 30;
        k = 1 + (int64_t)(share * (double)r.n);
        apply(&r, "topk", (double)k, 0, sink);
        ref_topk(r.s, r.n, k, sink, &r.ref);
        same_row(&r, "topk");
        apply(&r, "topp", share, 0, sink);
        ref_topp(r.s, r.n, share, sink, &r.ref);
        same_row(&r, "topp");
    }
}

Test(normalise, topp_keeps_the_crossing_key)
{
    row r;
    state = 13;
    fill(&r, 20, EQUAL);
    apply(&r, "topp", 0.95, 0, -INFINITY); /* 19 twentieths reach it exactly */
    for (int64_t j = 0; j < 20; j++)
        cr_assert(r.keep[j] == (j < 19), "key %lld", (long long)j);
    apply(&r, "topp", 0.951, 0, -INFINITY);
    cr_assert(r.keep[19] == 1);
    apply(&r, "topp", 1e-30, 0, -INFINITY);
    cr_assert(r.keep[0] == 1 && r.keep[1] == 0 && r.p[0] == 1);
}

Test(normalise, threshold)
{
    row r;
    state = 14;
    for (int i = 0; i < 600; i++) {
        float sink = some_sink();
        double rel = 6 * uniform(), prob = pow(10, -4 * uniform());
        int renorm = i & 1;
        fill(&r, some_length(), (enum kind)(i % KINDS));
        apply(&r, "threshold-rel", rel, renorm, sink);
        ref_threshold_rel(r.s, r.n, rel, renorm, sink, &r.ref);
        same_row(&r, "threshold-rel");
        apply(&r, "threshold-prob", prob, renorm, sink);
        ref_threshold_prob(r.s, r.n, prob, renorm, sink, &r.ref);
        same_row(&r, "threshold-prob");
    }
}

Test(normalise, threshold_borders_belong_to_the_kept)
{
    row r = {.n = 4, .s = {0, -2, -2.0000002f, 1}};
    apply(&r, "threshold-rel", 3, 1, -INFINITY);
    cr_assert(r.keep[0] == 1 && r.keep[1] == 1 && r.keep[2] == 0 && r.keep[3] == 1);
    r = (row){.n = 4, .s = {5, 5, 5, 5}};
    apply(&r, "threshold-prob", 0.25, 1, 3);
    cr_assert(r.keep[0] && r.keep[1] && r.keep[2] && r.keep[3], "the sink must not count in the mass");
    apply(&r, "threshold-prob", 0.26, 1, 3);
    cr_assert(!r.keep[0] && r.p[0] == 0 && r.lse == -INFINITY, "a row that loses all its keys");
    apply(&r, "threshold-prob", 0.26, 0, -INFINITY);
    cr_assert(!r.keep[0] && r.p[0] == 0 && fabs(r.lse - (5 + log(4))) < 1e-6, "renorm=0: lse over all visible keys");
}

static void check_sparse(row *r, const char *name, double arg, double alpha)
{
    double power = 1 / (alpha - 1), edge = power < 1 ? pow(0x1p-46, power) * 0x1p-10 : 0x1p-46;
    apply(r, name, arg, 0, -INFINITY);
    ref_entmax(r->s, r->n, alpha, &r->ref);
    same_weights(r, name, edge);
    for (int64_t j = 0; j < r->n; j++) {
        cr_assert(r->keep[j] || r->p[j] == 0, "%s: a weight outside the support", name);
        if (r->ref_p[j] > 2 * edge)
            cr_assert(r->keep[j] == 1, "%s n=%lld j=%lld: lost a key of weight %g", name, (long long)r->n, (long long)j,
                      r->ref_p[j]);
    }
}

Test(normalise, sparse_maps)
{
    static const double alphas[] = {1.01, 1.2, 1.5, 1.9, 2, 2.5, 4, 7};
    row r;
    state = 15;
    for (int i = 0; i < 120; i++) {
        double alpha = alphas[i % 8];
        fill(&r, some_length(), (enum kind)(i % KINDS));
        check_sparse(&r, "sparsemax", 0, 2);
        check_sparse(&r, "entmax15", 0, 1.5);
        check_sparse(&r, "entmax", alpha, alpha);
    }
}

Test(normalise, long_sparse_rows)
{
    row r;
    state = 19;
    for (int i = 0; i < 24; i++) {
        fill(&r, 500 + (int64_t)((MOST - 500) * uniform()), (enum kind)(i % KINDS));
        for (int64_t j = 0; j < r.n; j++)
            r.s[j] *= i % 2 ? 0.2f : 1;
        if (i % 3 == 0) /* what no sample sees */
            r.s[r.n / 3] = r.s[0] + 0.5f;
        check_sparse(&r, "sparsemax", 0, 2);
        check_sparse(&r, "entmax15", 0, 1.5);
    }
}

Test(normalise, relu_and_sigmoid)
{
    row r;
    state = 16;
    for (int i = 0; i < 400; i++) {
        double power = i % 3 == 0 ? 1 : 2 * uniform(), bias = 5 * gaussian();
        fill(&r, some_length(), (enum kind)(i % KINDS));
        apply(&r, "relu", power, 0, -INFINITY);
        ref_relu(r.s, r.n, power, &r.ref);
        same_weights(&r, "relu", 0);
        apply(&r, "sigmoid", bias, 0, -INFINITY);
        ref_sigmoid(r.s, r.n, bias, &r.ref);
        same_weights(&r, "sigmoid", 0);
        apply(&r, "sigmoid", bias, 1, -INFINITY);
        ref_sigmoid(r.s, r.n, -log((double)r.n), &r.ref);
        same_weights(&r, "sigmoid", 0);
        for (int64_t j = 0; j < r.n; j++)
            cr_assert(r.keep[j] == 1, "all visible keys are kept");
    }
}

/* ------------------------------------------------------------------ properties */

static const struct {
    const char *name;
    double a0, a1;
} summing[] = {
    {"topk", 9, 0},      {"topp", 0.8, 0},   {"threshold-rel", 2, 1}, {"threshold-prob", 0.001, 1},
    {"sparsemax", 0, 0}, {"entmax15", 0, 0}, {"entmax", 1.3, 0},      {"entmax", 3, 0},
};

Test(normalise, weights_sum_to_one)
{
    row r;
    state = 21;
    for (int i = 0; i < 200; i++) {
        fill(&r, some_length(), (enum kind)(i % KINDS));
        for (size_t v = 0; v < sizeof summing / sizeof *summing; v++) {
            double sum = 0;
            apply(&r, summing[v].name, summing[v].a0, summing[v].a1, -INFINITY);
            for (int64_t j = 0; j < r.n; j++)
                sum += r.p[j];
            if (strcmp(summing[v].name, "threshold-prob") == 0 && sum == 0)
                continue;
            cr_assert(fabs(sum - 1) <= 0x1p-24 + (double)r.n * 0x1p-150, "%s: %.9g", summing[v].name, sum);
        }
    }
}

/* Scores on a grid of 2^-10 can be shifted by 8 without rounding, so nothing but lse may change, bit for bit. */
Test(normalise, a_shift_changes_nothing)
{
    row r, moved;
    state = 22;
    for (int i = 0; i < 100; i++) {
        fill(&r, some_length(), (enum kind)(i % KINDS));
        for (int64_t j = 0; j < r.n; j++)
            r.s[j] = (float)(floor(r.s[j] * 1024) / 1024);
        for (size_t v = 0; v < sizeof summing / sizeof *summing; v++) {
            moved = r;
            for (int64_t j = 0; j < r.n; j++)
                moved.s[j] += 8;
            apply(&r, summing[v].name, summing[v].a0, summing[v].a1, 0.25f);
            apply(&moved, summing[v].name, summing[v].a0, summing[v].a1, 8.25f);
            cr_assert(memcmp(r.p, moved.p, (size_t)r.n * sizeof *r.p) == 0, "%s", summing[v].name);
            cr_assert(memcmp(r.keep, moved.keep, (size_t)r.n) == 0, "%s", summing[v].name);
        }
    }
}

Test(normalise, everything_kept_is_softmax)
{
    static const struct {
        const char *name;
        double a0, a1;
    } all[] = {{"topk", 1e12, 0},
               {"topk", MOST, 0},
               {"localv", 1e12, 0},
               {"topp", 1, 0},
               {"threshold-rel", FLT_MAX, 1},
               {"threshold-rel", FLT_MAX, 0},
               {"threshold-prob", 0, 1},
               {"threshold-prob", 0, 0}};
    row r;
    state = 23;
    for (int i = 0; i < 100; i++) {
        float sink = some_sink();
        fill(&r, some_length(), (enum kind)(i % KINDS));
        for (size_t v = 0; v < sizeof all / sizeof *all; v++) {
            apply(&r, all[v].name, all[v].a0, all[v].a1, sink);
            ref_topk(r.s, r.n, r.n, sink, &r.ref);
            same_row(&r, all[v].name);
        }
    }
}

Test(normalise, entmax_meets_its_special_cases)
{
    row r, exact;
    state = 24;
    for (int i = 0; i < 200; i++) {
        fill(&r, some_length(), (enum kind)(i % KINDS));
        exact = r;
        apply(&r, "entmax", 2, 0, -INFINITY);
        apply(&exact, "sparsemax", 0, 0, -INFINITY);
        for (int64_t j = 0; j < r.n; j++)
            cr_assert(fabs(r.p[j] - exact.p[j]) <= 0x1p-23 * exact.p[j] + 0x1p-45);
        apply(&r, "entmax", 1.5, 0, -INFINITY);
        apply(&exact, "entmax15", 0, 0, -INFINITY);
        for (int64_t j = 0; j < r.n; j++)
            cr_assert(fabs(r.p[j] - exact.p[j]) <= 0x1p-23 * exact.p[j] + 0x1p-45);
    }
}

Test(normalise, one_key)
{
    row r = {.n = 1, .s = {-7.5f}};
    for (size_t v = 0; v < sizeof summing / sizeof *summing; v++) {
        apply(&r, summing[v].name, summing[v].a0, summing[v].a1, -INFINITY);
        cr_assert(r.p[0] == 1 && r.keep[0] == 1, "%s: %g", summing[v].name, r.p[0]);
    }
    apply(&r, "topk", 1, 0, -7.5f);
    cr_assert(r.p[0] == 0.5f && fabs(r.lse - (-7.5 + log(2))) < 1e-6);
    apply(&r, "relu", 1, 0, -INFINITY);
    cr_assert(r.p[0] == 0 && r.keep[0] == 1);
}

Test(normalise, ties_go_to_the_lower_key)
{
    row r = {.n = 6, .s = {1, 2, 1, 1, 2, 1}};
    static const uint8_t expected[6] = {1, 1, 1, 0, 1, 0};
    apply(&r, "topk", 4, 0, -INFINITY);
    cr_assert(memcmp(r.keep, expected, 6) == 0);
    apply(&r, "localv", 4, 0, -INFINITY);
    cr_assert(memcmp(r.keep, expected, 6) == 0);
    apply(&r, "topp", 0.82, 0, -INFINITY); /* masses e/Z = 0.106, e^2/Z = 0.288: 0.576, 0.682, 0.788, 0.894 */
    cr_assert(r.keep[0] && r.keep[1] && r.keep[2] && r.keep[3] && r.keep[4] && !r.keep[5]);
}

Test(normalise, scores_that_are_no_numbers)
{
    row r = {.n = 3};
    for (unsigned i = 0; fv_normaliser_at(i); i++) {
        const char *name = fv_normaliser_at(i)->name;
        int by_key = strcmp(name, "relu") == 0 || strcmp(name, "sigmoid") == 0;
        double a0 = strcmp(name, "topp") == 0 || strcmp(name, "threshold-prob") == 0 ? 0.5 : 1.25;
        r.s[0] = 1, r.s[1] = NAN, r.s[2] = 0.5f;
        apply(&r, name, a0, 1, -INFINITY);
        cr_assert(isnan(r.p[1]) && r.keep[1] == 1, "%s hides a NaN", name);
        cr_assert(by_key ? !isnan(r.p[0]) : isnan(r.p[0]), "%s", name);
        if (fv_normaliser_at(i)->has_lse)
            cr_assert(isnan(r.lse), "%s", name);
        r.s[1] = INFINITY;
        apply(&r, name, a0, 1, -INFINITY);
        cr_assert(by_key ? !isnan(r.p[0]) : isnan(r.p[0]), "%s with +infinity", name);
        r.s[0] = r.s[1] = r.s[2] = -INFINITY;
        apply(&r, name, a0, 1, -INFINITY);
        cr_assert(r.p[0] == 0 && r.p[2] == 0, "%s: a row without mass", name);
        if (fv_normaliser_at(i)->has_lse)
            cr_assert(r.lse == -INFINITY && r.keep[0] == 0, "%s: a row without mass", name);
        r.s[1] = 2;
        apply(&r, name, a0, 1, -INFINITY);
        cr_assert(r.p[0] == 0 && r.p[1] > 0 && r.p[2] == 0, "%s: -infinity weighs nothing", name);
    }
}

/* Long rows in every order: the selection must neither stop short nor take quadratic time. */
Test(normalise, very_long_rows, .timeout = 60)
{
    const int64_t n = 100000;
    float *s = malloc((size_t)n * sizeof *s), *p = malloc((size_t)(n + FVK_SIFT_ROOM) * sizeof *p);
    void *scratch = malloc(fv_normalise_scratch(n));
    int32_t *at = malloc((size_t)(n + FVK_SIFT_ROOM) * sizeof *at);
    cr_assert(s && p && scratch && at);
    state = 25;
    for (int order = 0; order < 5; order++) {
        for (int64_t j = 0; j < n; j++)
            s[j] = (float)(order == 0   ? 1e-4 * (double)j
                           : order == 1 ? -1e-4 * (double)j
                           : order == 2 ? 3
                           : order == 3 ? 1e-4 * (double)(j < n / 2 ? j : n - j)
                                        : gaussian());
        for (unsigned i = 0; fv_normaliser_at(i); i++) {
            const fv_normaliser *row = fv_normaliser_at(i);
            const double arg[4] = {strcmp(row->name, "topp") == 0     ? 0.5
                                   : strcmp(row->name, "entmax") == 0 ? 1.5
                                                                      : 1000,
                                   0};
            fv_scores x = {.s = s, .n = n, .arg = arg, .sink = -INFINITY, .kernel = &kernel, .scratch = scratch, .p = p, .at = at};
            int64_t kept = fv_normalise(row, &x);
            if (strcmp(row->name, "topk") == 0 || strcmp(row->name, "localv") == 0)
                cr_assert(kept == 1000, "%s keeps %lld", row->name, (long long)kept);
            if (strcmp(row->name, "topp") == 0 && order == 2)
                cr_assert(kept == n / 2, "topp keeps %lld", (long long)kept);
        }
    }
    free(s), free(p), free(scratch), free(at);
}

Test(normalise, table)
{
    unsigned n = 0;
    for (; fv_normaliser_at(n); n++)
        cr_assert(fv_normaliser_find(fv_normaliser_at(n)->name) == fv_normaliser_at(n));
    cr_assert(n == 10);
    cr_assert(fv_normaliser_find("softmax") == NULL && fv_normaliser_find("") == NULL);
}
