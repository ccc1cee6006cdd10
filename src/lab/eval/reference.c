/* Dense attention in double on sampled rows. See reference.h; shares no arithmetic with the library on purpose. */
#include "eval/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double from_bf16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* IEEE binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static double from_f16(uint16_t bits)
{
    const int exponent = (bits >> 10) & 31;
    const int fraction = bits & 1023;
    double magnitude;
    if (exponent == 31)
        magnitude = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        magnitude = ldexp(fraction, -24);
    else
        magnitude = ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

double reference_element(fovea_dtype dtype, const void *data, int64_t index)
{
    switch (dtype) {
    case FOVEA_BF16:
        return from_bf16(((const uint16_t *)data)[index]);
    case FOVEA_F16:
        return from_f16(((const uint16_t *)data)[index]);
    default:
        return ((const float *)data)[index];
    }
}

static void load_row(fovea_dtype dtype, const void *data, int64_t offset, int64_t n, double *out)
{
    for (int64_t t = 0; t < n; t++)
        out[t] = reference_element(dtype, data, offset + t);
}

/* Four partial sums, so that the adds do not wait for each other. */
static double dot(const double *a, const double *b, int64_t n)
{
    double sum[4] = {0, 0, 0, 0};
    int64_t t = 0;
    for (; t + 4 <= n; t += 4)
        for (int u = 0; u < 4; u++)
            sum[u] += a[t + u] * b[t + u];
    for (; t < n; t++)
        sum[0] += a[t] * b[t];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

double reference_alibi_slope(int64_t heads, int64_t head)
{
    int64_t power = 1;
    while (power * 2 <= heads)
        power *= 2;
    if (head < power)
        return exp2(-8.0 * (double)(head + 1) / (double)power);
    const int64_t odd = 2 * (head - power); /* index into the slopes of 2 power */
    return exp2(-8.0 * (double)(odd + 1) / (double)(2 * power));
}

void reference_spread(int64_t lq, int64_t n, int64_t *rows)
{
    /* (i + 1) lq / n without the product, which could overflow */
    const int64_t whole = lq / n, rest = lq % n;
    for (int64_t i = 0; i < n; i++)
        rows[i] = (i + 1) * whole + (i + 1) * rest / n - 1;
}

/* Score of a visible pair before the bias, from the scaled product. */
static double capped(const fovea_problem *problem, double s)
{
    return problem->softcap > 0 ? problem->softcap * tanh(s / problem->softcap) : s;
}

static const float *bias_row(const fovea_problem *problem, const fovea_arguments *arguments,
                             int64_t batch, int64_t head, int64_t row)
{
    if (!problem->has_bias || !arguments->bias)
        return NULL;
    return arguments->bias + batch * problem->bias_batch + head * problem->bias_head +
           row * problem->bias_row;
}

/* Scores of all rows, key by key; hidden pairs get -infinity. q: [nrows, d], k: one row of d. */
static void scores(const fovea_problem *problem, const fovea_arguments *arguments, int64_t batch,
                   int64_t head, const int64_t *rows, int64_t nrows, const double *q, double *k,
                   double *s)
{
    const int64_t lk = problem->lk, d = problem->d;
    const double scale = problem->scale > 0 ? problem->scale : 1 / sqrt((double)d);
    const double slope = problem->alibi ? reference_alibi_slope(problem->hq, head) : 0;
    const int64_t base =
        batch * problem->k.batch + head / (problem->hq / problem->hkv) * problem->k.head;
    for (int64_t j = 0; j < lk; j++) {
        load_row(problem->dtype, arguments->k, base + j * problem->k.token, d, k);
        for (int64_t r = 0; r < nrows; r++) {
            const int64_t position = rows[r] + lk - problem->lq;
            const float *bias = bias_row(problem, arguments, batch, head, rows[r]);
            const double add = bias ? bias[j] : 0;
            if ((problem->causal && j > position) || add == -INFINITY) {
                s[r * lk + j] = -INFINITY;
                continue;
            }
            s[r * lk + j] = capped(problem, scale * dot(q + r * d, k, d)) + add -
                            slope * (double)llabs((long long)(position - j));
        }
    }
}

/* In place; returns lse. A NaN score makes the row NaN, as it should. */
static double softmax_row(double *s, int64_t lk, int has_sink, double sink)
{
    double top = -INFINITY;
    int64_t visible = 0;
    for (int64_t j = 0; j < lk; j++) {
        visible += s[j] != -INFINITY;
        if (s[j] > top || isnan(s[j]))
            top = s[j];
        if (isnan(top))
            break;
    }
    if (visible == 0) {
        memset(s, 0, (size_t)lk * sizeof *s);
        return -INFINITY;
    }
    if (has_sink && sink > top)
        top = sink;
    double sum = has_sink ? exp(sink - top) : 0;
    for (int64_t j = 0; j < lk; j++) {
        s[j] = s[j] == -INFINITY ? 0 : exp(s[j] - top);
        sum += s[j];
    }
    for (int64_t j = 0; j < lk; j++)
        s[j] /= sum;
    return top + log(sum);
}

static void weigh_values(const fovea_problem *problem, const fovea_arguments *arguments,
                         int64_t batch, int64_t head, int64_t nrows, const double *p, double *v,
                         double *o)
{
    const int64_t lk = problem->lk, dv = problem->dv;
    const int64_t base =
        batch * problem->v.batch + head / (problem->hq / problem->hkv) * problem->v.head;
    memset(o, 0, (size_t)(nrows * dv) * sizeof *o);
    for (int64_t j = 0; j < lk; j++) {
        load_row(problem->dtype, arguments->v, base + j * problem->v.token, dv, v);
        for (int64_t r = 0; r < nrows; r++) {
            const double weight = p[r * lk + j];
            if (weight ==
                0) /* hidden, or too small for a double: its value, NaN perhaps, adds nothing */
                continue;
            for (int64_t t = 0; t < dv; t++)
                o[r * dv + t] += weight * v[t];
        }
    }
}

int reference_rows(const fovea_problem *problem, const fovea_arguments *arguments, int64_t batch,
                   int64_t head, const int64_t *rows, int64_t nrows, double *o, double *p,
                   double *lse)
{
    const int64_t d = problem->d, lk = problem->lk;
    if (problem->nseq || problem->page_size || !arguments->q || !arguments->k || !arguments->v)
        return -1;
    const int64_t widest = d > problem->dv ? d : problem->dv;
    double *q = malloc((size_t)(nrows * d + widest) * sizeof *q);
    if (!q)
        return -1;
    double *row = q + nrows * d;
    for (int64_t r = 0; r < nrows; r++)
        load_row(problem->dtype, arguments->q,
                 batch * problem->q.batch + head * problem->q.head + rows[r] * problem->q.token, d,
                 q + r * d);
    scores(problem, arguments, batch, head, rows, nrows, q, row, p);
    const int own_sinks = problem->has_sinks && arguments->sinks;
    const double sink = own_sinks ? arguments->sinks[head] : problem->sink;
    for (int64_t r = 0; r < nrows; r++) {
        const double value = softmax_row(p + r * lk, lk, own_sinks || problem->has_sink, sink);
        if (lse)
            lse[r] = value;
    }
    if (o)
        weigh_values(problem, arguments, batch, head, nrows, p, row, o);
    free(q);
    return 0;
}
