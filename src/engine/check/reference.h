/* The oracle of the kernel check: each operation of simd/kernel.h in double, one loop per formula, with the error
   that a float kernel may have. It was written from the contracts and shares no code with the kernels.

   u = 2^-24. c(n) = min(n, 4 sqrt(n) + 8) is the growth of a float sum of n terms: n is the worst case of any order
   of summation, with the product's rounding or without it (fused), the other the working value for long sums
   (doc/numerics.md). One ulp is at most 2 u, relative. Every bound that is not exact has 2^-126 added by the
   comparison: results below it may be flushed. */
#ifndef FV_CHECK_REFERENCE_H
#define FV_CHECK_REFERENCE_H
#include "kernel.h"

#define FV_EXACT (-1.0)
#define FV_FLUSH 0x1p-126

/* What a kernel must give: |got - value| <= allowed + FV_FLUSH. NaN wants NaN, an infinity itself. allowed =
   FV_EXACT: the same bits (any NaN for NaN). */
typedef struct fv_want {
    double value, allowed;
} fv_want;

/* Number formats. Encoding rounds to nearest even. */
uint16_t fv_ref_to_half(fvk_dtype dtype, double x);
double fv_ref_from_half(fvk_dtype dtype, uint16_t bits);

/* want = scale x, one rounding; exact when scale is 1. */
fv_want fv_ref_scaled(double x, double scale);

/* One key against `lanes` queries: want[i] = scale sum_t q[t * lanes + i] k[t]. `pair`: made by the bf16 dot. */
void fv_ref_scores(const double *q, int d, int lanes, const double *k, double scale, int pair, fv_want *want);

/* want[c * lanes + i] = alpha[i] o[c * lanes + i] + sum over the j that i sees of p[j * lanes + i] v[j * dv + c];
   alpha NULL: without the first term. rows as in the contract. */
void fv_ref_values(const double *p, int nk, int lanes, const double *v, int dv, const uint32_t *rows,
                   const float *alpha, const double *o, fv_want *want);

/* One query of the softmax: nk scores `stride` apart, state m and l, mx at least every score.
   p: as many, stride apart. */
typedef struct fv_ref_state {
    fv_want m, l, alpha;
    int seen; /* a score above FVK_HIDDEN, now or before; else alpha, the factor of sums made so far, has no meaning */
} fv_ref_state;
fv_ref_state fv_ref_softmax(const float *s, int nk, int stride, double m, double mx, double l, fv_want *p);

/* End of the softmax of one query; sink FVK_HIDDEN: none. */
void fv_ref_finish(double m, double l, double sink, fv_want *r, fv_want *lse);

/* One edited score. */
fv_want fv_ref_edit(double s, const fvk_edit *edit, int lane, int key);

/* exp(x - shift). */
fv_want fv_ref_exp(double x, double shift);

/* Sum of n floats, all >= 0. */
fv_want fv_ref_sum(const float *x, size_t n);
#endif
