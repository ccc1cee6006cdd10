/* The oracle of the kernel check, in double. */
#include "check/reference.h"

#include <math.h>
#include <string.h>

static const double u = 0x1p-24;

/* c(n) u with its higher orders: n u / (1 - n u). */
static double growth(double n)
{
    double working = 4 * sqrt(n) + 8, c = n < working ? n : working;
    return c * u / (1 - c * u);
}

/* ------------------------------------------------------------------ number formats */

static uint16_t to_f16(double x)
{
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    double a = fabs(x);
    int e;
    if (isnan(x))
        return sign | 0x7e00;
    if (a >= 65520) /* half way between the largest, 65504, and the next step */
        return sign | 0x7c00;
    if (a < 0x1p-14) /* subnormal: a count of 2^-24; 1024 of them are the smallest normal number's bits */
        return (uint16_t)(sign | (unsigned)nearbyint(a * 0x1p24));
    a = frexp(a, &e); /* a in [1/2, 1): 11 bits of it; a carry runs into the exponent, as it must */
    return (uint16_t)(sign | (((unsigned)(e + 13) << 10) + (unsigned)nearbyint(a * 2048)));
}

static uint16_t to_bf16(double x)
{
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (isnan(x))
        return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint16_t fv_ref_to_half(fvk_dtype dtype, double x)
{
    return dtype == FVK_F16 ? to_f16(x) : to_bf16(x);
}

double fv_ref_from_half(fvk_dtype dtype, uint16_t bits)
{
    int fraction_bits = dtype == FVK_F16 ? 10 : 7, exponents = dtype == FVK_F16 ? 31 : 255;
    int exponent = (bits & 0x7fff) >> fraction_bits, fraction = bits & ((1 << fraction_bits) - 1);
    double sign = bits >> 15 ? -1 : 1;
    if (exponent == exponents)
        return fraction ? NAN : sign * INFINITY;
    if (exponent)
        fraction += 1 << fraction_bits;
    else
        exponent = 1;
    return sign * ldexp(fraction, exponent - exponents / 2 - fraction_bits);
}

/* ------------------------------------------------------------------ products and sums */

fv_want fv_ref_scaled(double x, double scale)
{
    /* ulp(1); the product of two floats is exact in double */
    return (fv_want){x * scale, scale == 1 ? FV_EXACT : 2 * u * fabs(x * scale)};
}

void fv_ref_scores(const double *q, int d, int lanes, const double *k, double scale, int pair, fv_want *want)
{
    double sum[FVK_MAX_LANES] = {0}, size[FVK_MAX_LANES] = {0}, lost[FVK_MAX_LANES] = {0};
    for (int t = 0; t < d; t++)
        for (int i = 0; i < lanes; i++) {
            double term = q[t * lanes + i] * k[t];
            sum[i] += term;
            size[i] += fabs(term);
            if (pair && (fabs(q[t * lanes + i]) < FV_FLUSH || fabs(k[t]) < FV_FLUSH))
                lost[i] += fabs(term); /* the bf16 dot takes subnormal inputs for 0 */
        }
    for (int i = 0; i < lanes; i++) {
        want[i].value = scale * sum[i];
        want[i].allowed = growth(d) * size[i];
        if (pair) /* a pair's two products meet the sum in an order of their own, each step flushed; scale rounds */
            want[i].allowed = scale * (2 * want[i].allowed + lost[i] + d * FV_FLUSH) + u * fabs(want[i].value);
    }
}

void fv_ref_values(const double *p, int nk, int lanes, const double *v, int dv, const uint32_t *rows,
                   const float *alpha, const double *o, fv_want *want)
{
    for (int c = 0; c < dv; c++) {
        double sum[FVK_MAX_LANES] = {0}, size[FVK_MAX_LANES] = {0};
        for (int i = 0; i < lanes && alpha; i++) {
            sum[i] = alpha[i] * o[c * lanes + i];
            size[i] = fabs(sum[i]);
        }
        for (int j = 0; j < nk; j++)
            for (int i = 0; i < lanes; i++)
                if (!rows || (rows[j] >> i & 1)) {
                    double term = p[j * lanes + i] * v[(size_t)j * dv + c];
                    sum[i] += term;
                    size[i] += fabs(term);
                }
        for (int i = 0; i < lanes; i++)
            want[c * lanes + i] = (fv_want){sum[i], growth(nk + 1.0) * size[i]};
    }
}

fv_want fv_ref_sum(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return (fv_want){sum, growth((double)n) * sum};
}

/* ------------------------------------------------------------------ softmax */

/* Relative error of exp2(x), x itself a rounded difference: 2 ulp of the result, and |x| u in x, which exp2 turns
   into ln 2 |x| u of the result. */
static double exp2_error(double x)
{
    return isfinite(x) ? (4 + FVK_LN2 * fabs(x)) * u : 0;
}

fv_ref_state fv_ref_softmax(const float *s, int nk, int stride, double m, double mx, double l, fv_want *p)
{
    const double hidden = (double)FVK_HIDDEN, top = fmax(m, mx), x = m == top ? 0 : m - top;
    double sum = l * exp2(x), error = sum * (exp2_error(x) + u);
    int none = l == 0;
    fv_ref_state state = {.m = {top, FV_EXACT}, .alpha = {exp2(x), exp2_error(x) * exp2(x)}, .seen = top > hidden};
    for (int j = 0; j < nk; j++) {
        double score = (double)s[(size_t)j * stride], e = exp2(score - top);
        fv_want *want = &p[(size_t)j * stride];
        if (score == hidden) { /* counts for nothing, also in a row where nothing is visible: an exact 0 */
            *want = (fv_want){0, FV_EXACT};
            continue;
        }
        none = 0;
        *want = (fv_want){e, exp2_error(score - top) * e};
        sum += e;
        error += want->allowed;
    }
    /* l exp2(m - m') is one more product; every term is >= 0, so the sum's growth is relative; each exp2 may be
       flushed */
    state.l = (fv_want){sum, error + growth(nk + 1.0) * sum + (nk + l) * FV_FLUSH};
    if (none)
        state.l = (fv_want){0, FV_EXACT}; /* who has seen no key is told by l == 0 */
    return state;
}

void fv_ref_finish(double m, double l, double sink, fv_want *r, fv_want *lse)
{
    double top, down, up, sum, error;
    if (isnan(l)) { /* a visible NaN, even when the running maximum passed over it */
        r->value = lse->value = NAN;
        return;
    }
    if (m == (double)FVK_HIDDEN) {
        *r = (fv_want){0, FV_EXACT};
        *lse = (fv_want){-INFINITY, FV_EXACT};
        return;
    }
    top = fmax(m, sink);
    down = exp2(m - top);
    up = sink == (double)FVK_HIDDEN ? 0 : exp2(sink - top);
    sum = l * down + up;
    /* relative error of the sum: its worse term, a product and an addition */
    error = fmax(down > FV_FLUSH ? exp2_error(m - top) : 0, up > FV_FLUSH ? exp2_error(sink - top) : 0) + 2 * u;
    /* the factor's own exp2, a division (or a reciprocal and a product): 2 u */
    *r = (fv_want){down / sum, down / sum * (error + exp2_error(m - top) + 2 * u)};
    /* top ln 2: the constant's rounding and the product's; log to 4 ulp (the C library and SLEEF promise less than
       that); one addition */
    *lse = (fv_want){top * FVK_LN2 + log(sum), error + (2 * fabs(top) * FVK_LN2 + 8 * fabs(log(sum))) * u};
    lse->allowed += u * fabs(lse->value);
}

fv_want fv_ref_exp(double x, double shift)
{
    double y = x - shift, e = exp(y);
    /* 1 ulp, and the rounding of the difference: |y| u, which exp makes relative */
    return (fv_want){e, isfinite(y) ? (2 + fabs(y)) * u * e : 0};
}

/* ------------------------------------------------------------------ edits */

fv_want fv_ref_edit(double s, const fvk_edit *edit, int lane, int key)
{
    double cap = (double)edit->cap, unit = (double)edit->unit, x = s, far = 0, error = 0;
    fv_want want;
    if (cap > 0) {
        /* s / cap as a product with a rounded 1 / cap: 2 u, and tanh does not enlarge a relative error; tanh itself
           2 ulp (C libraries; SLEEF promises 1): 4 u; cap times it, perhaps with the unit folded into cap: 2 u */
        x = cap * tanh(s / cap);
        error = 8 * u * fabs(x) + fmax(1, cap) * FV_FLUSH;
    }
    if (edit->slope) /* difference, product: 2 u, and one more when the unit is folded into the slope */
        far = (double)edit->slope[lane] * fabs((double)edit->pos[lane] - (double)edit->kpos[key]);
    want.value = (x - far) * unit;
    /* the subtraction and the product with the unit */
    want.allowed = (error + 3 * u * far + 2 * u * fabs(x - far)) * unit;
    if (cap == 0 && !edit->slope && edit->unit == 1.0f)
        want.allowed = FV_EXACT;
    return want;
}
