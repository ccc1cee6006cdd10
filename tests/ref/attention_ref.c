/* Every bound below is the first-order sum of named roundings; U is half the distance from 1 to the next float. */
#include "attention_ref.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define U 0x1p-24
#define FAST_P 0x1p-8 /* relative error of a probability rounded to bf16 (8 significant bits) */

enum { EXP_ULP = 2, TANH_ULP = 2 }; /* classes of the elementary functions; an ulp is at most 2 U relative */

typedef struct row_scores {
    double *s, *ds, *p; /* [lk] score, its error, probability */
    double *tails;      /* [lk] scratch of longest_rise */
    int *count;         /* [lk] how often a key enters */
    double n;           /* terms */
    double m, top;      /* largest score; largest of |m| and |sink| */
    double rises;       /* most changes of the running maximum */
} row_scores;

double attention_ref_growth(double n)
{
    double working = 4 * sqrt(n) + 8;
    return n < working ? n : working;
}

/* Press, Smith, Lewis 2021 (arXiv 2108.12409): slopes of a power of two are geometric, from 2^(-8/n) to 2^-8; other
   counts take the power of two below, then every second slope of the power above. */
double attention_ref_slope(int64_t h, int64_t n)
{
    int64_t below = 1;
    while (below * 2 <= n)
        below *= 2;
    if (h < below)
        return pow(2, -8.0 * (double)(h + 1) / (double)below);
    return pow(2, -4.0 * (double)(2 * (h - below) + 1) / (double)below);
}

static double bias_at(const attention_ref *r, int64_t h, int64_t i, int64_t j)
{
    return r->bias ? (double)r->bias[h * r->bias_head + i * r->bias_row + j] : 0;
}

static int count_of(const attention_ref *r, int64_t h, int64_t i, int64_t j)
{
    int64_t p = i + r->lk - r->lq;
    if ((r->causal && j > p) || bias_at(r, h, i, j) == -INFINITY)
        return 0;
    return r->keep ? r->keep(h, p, j) : 1;
}

int attention_ref_sees(const attention_ref *r, int64_t h, int64_t i, int64_t j)
{
    return count_of(r, h, i, j) > 0;
}

/* Score of one pair and its error: the dot (growth), scale rounded and applied (2), tanh and its cap (class, cap
   rounded, product, quotient), each later edit (rounded operand, product, sum), and the change of units to log2
   (constant, product). */
static void score(const attention_ref *r, int64_t h, int64_t i, int64_t j, double *s, double *ds)
{
    const float *q = r->q + (h * r->lq + i) * r->d;
    const float *k = r->k + (h / (r->hq / r->hkv) * r->lk + j) * r->d;
    double scale = r->scale != 0 ? r->scale : 1 / sqrt((double)r->d), x = 0, size = 0, e;
    for (int64_t t = 0; t < r->d; t++) {
        x += (double)q[t] * k[t];
        size += fabs((double)q[t] * k[t]);
    }
    x *= scale;
    size *= scale;
    e = (attention_ref_growth((double)r->d) + 2) * U * size;
    if (r->softcap != 0) {
        e += U * fabs(x);
        x = r->softcap * tanh(x / r->softcap);
        e += (2 * TANH_ULP + 2) * U * fabs(x);
    }
    if (r->alibi) {
        double far = attention_ref_slope(h, r->hq) * fabs((double)(i + r->lk - r->lq - j));
        x -= far;
        e += 2 * U * far + U * fabs(x);
    }
    if (r->bias) {
        double b = bias_at(r, h, i, j);
        x += b;
        e += 2 * U * fabs(b) + U * fabs(x);
    }
    *s = x;
    *ds = e + 2 * U * fabs(x);
}

/* Length of the longest rising subsequence of the visible scores. A running maximum over the keys in order, over any
   part of them, or over the maxima of pieces changes no more often than that. */
static double longest_rise(const attention_ref *r, row_scores *x)
{
    int64_t n = 0;
    for (int64_t j = 0; j < r->lk; j++) {
        int64_t lo = 0, hi = n;
        if (!x->count[j] || isnan(x->s[j]))
            continue;
        while (lo < hi) {
            int64_t mid = lo + (hi - lo) / 2;
            if (x->tails[mid] < x->s[j])
                lo = mid + 1;
            else
                hi = mid;
        }
        x->tails[lo] = x->s[j];
        n += lo == n;
    }
    return (double)n;
}

/* Relative error of exp(s - m) as it stands in a sum: the score, the difference's rounding, exp; then, for each
   change of the maximum, one more exp and its product. */
static double weight_error(const row_scores *x, double s, double ds)
{
    double changes = x->rises * (2 * EXP_ULP + 1) * U;
    return ds + U * (fabs(s) + x->top) + 2 * EXP_ULP * U + changes;
}

static void fill_scores(const attention_ref *r, int64_t h, int64_t i, row_scores *x)
{
    double sink = r->sinks ? (double)r->sinks[h] : -INFINITY;
    x->n = 0;
    x->m = -INFINITY;
    for (int64_t j = 0; j < r->lk; j++) {
        x->count[j] = count_of(r, h, i, j);
        x->p[j] = 0;
        if (!x->count[j])
            continue;
        score(r, h, i, j, &x->s[j], &x->ds[j]);
        x->n += x->count[j];
        if (!(x->s[j] <= x->m)) /* a NaN stays */
            x->m = isnan(x->m) ? x->m : x->s[j];
    }
    x->top = sink > -INFINITY && fabs(sink) > fabs(x->m) ? fabs(sink) : fabs(x->m);
    x->rises = longest_rise(r, x) * (r->passes ? r->passes : 1);
}

static void run_row(attention_ref *r, int64_t h, int64_t i, row_scores *x)
{
    int64_t row = h * r->lq + i;
    double *o = r->o + row * r->dv, *bound = r->o_bound + row * r->dv;
    double sink = r->sinks ? (double)r->sinks[h] : -INFINITY, top, sum, mean = 0, worst = 0, growth;
    fill_scores(r, h, i, x);
    for (int64_t j = 0; j < r->lk; j++)
        r->visible[row] += x->count[j];
    for (int64_t c = 0; c < r->dv; c++)
        o[c] = bound[c] = 0;
    r->lse_bound[row] = r->row_max_bound[row] = 0;
    r->lse[row] = r->row_max[row] = -INFINITY;
    if (x->n == 0)
        return;
    top = sink > x->m ? sink : x->m;
    sum = exp(sink - top);
    for (int64_t j = 0; j < r->lk; j++)
        if (x->count[j])
            sum += x->count[j] * exp(x->s[j] - top);
    /* the denominator inherits the weighted mean of its terms' errors; the sink's: rounded, change of units */
    mean = exp(sink - top) / sum * (sink > -INFINITY ? weight_error(x, sink, 3 * U * fabs(sink)) : 0);
    for (int64_t j = 0; j < r->lk; j++)
        if (x->count[j]) {
            x->p[j] = x->count[j] * exp(x->s[j] - top) / sum;
            mean += x->p[j] * weight_error(x, x->s[j], x->ds[j]);
            worst = x->ds[j] > worst ? x->ds[j] : worst;
        }
    growth = attention_ref_growth(x->n);
    r->lse[row] = top + log(sum);
    r->row_max[row] = x->m;
    /* m back to nats (2), the sum (growth), its logarithm (1 ulp) and the last sum */
    r->lse_bound[row] = mean + (growth + 2) * U + 2 * U * x->top + 3 * U * fabs(log(sum)) + U * fabs(r->lse[row]);
    r->row_max_bound[row] = worst + 3 * U * fabs(x->m);
    for (int64_t j = 0; j < r->lk; j++) {
        const float *v = r->v + (h / (r->hq / r->hkv) * r->lk + j) * r->dv;
        double dp;
        if (!x->count[j])
            continue;
        /* own error, the denominator's, its sum, the weighted sum, a rounded reciprocal and its product */
        dp = expm1(weight_error(x, x->s[j], x->ds[j]) + mean + 2 * growth * U + 2 * U + (r->fast ? FAST_P : 0));
        for (int64_t c = 0; c < r->dv; c++) {
            o[c] += x->p[j] * v[c];
            bound[c] += (x->p[j] * dp + FLT_MIN) * fabs((double)v[c]); /* weights below the normal range may vanish */
        }
    }
    for (int64_t c = 0; c < r->dv; c++)
        bound[c] += FLT_MIN;
}

static double *doubles(int64_t n)
{
    double *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);
    if (!x)
        abort();
    return x;
}

void attention_ref_run(attention_ref *r)
{
    int64_t rows = r->hq * r->lq;
    row_scores x = {.s = doubles(r->lk), .ds = doubles(r->lk), .p = doubles(r->lk), .tails = doubles(r->lk)};
    x.count = calloc((size_t)r->lk + 1, sizeof *x.count);
    r->visible = calloc((size_t)rows + 1, sizeof *r->visible);
    if (!x.count || !r->visible)
        abort();
    r->o = doubles(rows * r->dv);
    r->o_bound = doubles(rows * r->dv);
    r->lse = doubles(rows);
    r->lse_bound = doubles(rows);
    r->row_max = doubles(rows);
    r->row_max_bound = doubles(rows);
    for (int64_t h = 0; h < r->hq; h++)
        for (int64_t i = 0; i < r->lq; i++)
            run_row(r, h, i, &x);
    free(x.s);
    free(x.ds);
    free(x.p);
    free(x.tails);
    free(x.count);
}

void attention_ref_free(attention_ref *r)
{
    free(r->o);
    free(r->o_bound);
    free(r->lse);
    free(r->lse_bound);
    free(r->row_max);
    free(r->row_max_bound);
    free(r->visible);
}
