/* Oracle of the row normalisers; see normalise_ref.h. */
#include "ref/normalise_ref.h"

#include <math.h>

/* Key i stands before key j when keys are taken by falling score, equal ones by rising index. */
static int before(const float *s, int64_t i, int64_t j)
{
    return s[i] > s[j] || (s[i] == s[j] && i < j);
}

static int64_t rank(const float *s, int64_t n, int64_t j)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += before(s, i, j);
    return count;
}

/* p_j = exp(s_j) / (sum over the counted keys of exp(s) + exp(sink)) for kept keys, each quotient as a sum of
   exponentials of differences, so that nothing overflows and no maximum is needed. */
static void weights(const float *s, int64_t n, const uint8_t *counted, double sink, ref_row *out)
{
    out->lse = -INFINITY;
    for (int64_t j = 0; j < n; j++) {
        long double sum = isinf(sink) ? 0 : expl((long double)sink - s[j]);
        for (int64_t i = 0; i < n; i++)
            if (!counted || counted[i])
                sum += expl((long double)s[i] - s[j]);
        out->p[j] = out->keep[j] ? (double)(1 / sum) : 0;
        if (!counted || counted[j])
            out->lse = (double)(s[j] + logl(sum));
    }
}

void ref_topk(const float *s, int64_t n, int64_t k, double sink, ref_row *out)
{
    for (int64_t j = 0; j < n; j++)
        out->keep[j] = rank(s, n, j) < k;
    weights(s, n, out->keep, sink, out);
}

void ref_topp(const float *s, int64_t n, double p, double sink, ref_row *out)
{
    for (int64_t j = 0; j < n; j++) {
        long double preceding = 0, all = 0;
        for (int64_t i = 0; i < n; i++) {
            all += expl((long double)s[i] - s[j]);
            if (before(s, i, j))
                preceding += expl((long double)s[i] - s[j]);
        }
        out->keep[j] = p == 1 || preceding / all < p;
    }
    weights(s, n, out->keep, sink, out);
}

void ref_threshold_rel(const float *s, int64_t n, double rel, int renorm, double sink, ref_row *out)
{
    for (int64_t j = 0; j < n; j++) {
        out->keep[j] = 1;
        for (int64_t i = 0; i < n; i++)
            if ((double)s[i] - s[j] > rel)
                out->keep[j] = 0;
    }
    weights(s, n, renorm ? out->keep : 0, sink, out);
}

void ref_threshold_prob(const float *s, int64_t n, double prob, int renorm, double sink, ref_row *out)
{
    for (int64_t j = 0; j < n; j++) {
        long double all = 0;
        for (int64_t i = 0; i < n; i++)
            all += expl((long double)s[i] - s[j]);
        out->keep[j] = 1 / all >= prob;
    }
    weights(s, n, renorm ? out->keep : 0, sink, out);
}

void ref_localv(const float *s, int64_t n, int64_t k, double sink, ref_row *out)
{
    for (int64_t j = 0; j < n; j++)
        out->keep[j] = rank(s, n, j) < k;
    weights(s, n, 0, sink, out);
}

static long double entmax_weight(float s, long double alpha, long double tau)
{
    long double x = (alpha - 1) * s - tau;
    return x > 0 ? powl(x, 1 / (alpha - 1)) : 0;
}

void ref_entmax(const float *s, int64_t n, double alpha, ref_row *out)
{
    long double top = s[0], lo, hi;
    for (int64_t j = 1; j < n; j++)
        top = s[j] > top ? s[j] : top;
    lo = (alpha - 1) * top - 1;
    hi = (alpha - 1) * top;
    for (int step = 0; step < 100; step++) {
        long double tau = lo + (hi - lo) / 2, sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += entmax_weight(s[j], alpha, tau);
        if (sum > 1)
            lo = tau;
        else
            hi = tau;
    }
    for (int64_t j = 0; j < n; j++) {
        out->p[j] = (double)entmax_weight(s[j], alpha, lo);
        out->keep[j] = out->p[j] > 0;
    }
}

void ref_relu(const float *s, int64_t n, double power, ref_row *out)
{
    for (int64_t j = 0; j < n; j++) {
        out->p[j] = (double)(fmaxl(s[j], 0) * expl(-power * logl(n)));
        out->keep[j] = 1;
    }
}

void ref_sigmoid(const float *s, int64_t n, double bias, ref_row *out)
{
    for (int64_t j = 0; j < n; j++) {
        out->p[j] = (double)(0.5L + 0.5L * tanhl(((long double)s[j] + bias) / 2));
        if (s[j] + bias < -20)
            out->p[j] = (double)expl((long double)s[j] + bias) * (1 - expl((long double)s[j] + bias));
        out->keep[j] = 1;
    }
}
