/* exp2 for arguments <= 0 (and NaN): degree 6, 0.94 ulp with fma and 1.18 without (scanned; tests/kernels.c demands 2).
   Weighted least-squares minimax of 2^f on [-1/2, 1/2] with the constant term fixed to 1; relative error of the polynomial
   2.0e-9. Below -126 (-126.5 on some instruction sets) the result is 0; -infinity gives exactly 0. */
#ifndef FV_BODY_EXP2_H
#define FV_BODY_EXP2_H
FV_INLINE vf v_exp2_part(vf f) /* 2^f, |f| <= 1/2 */
{
    vf p = v_fma(v_set1(0x1.41fbbcp-13f), f, v_set1(0x1.5f3e54p-10f));
    p = v_fma(p, f, v_set1(0x1.3b2d4cp-7f));
    p = v_fma(p, f, v_set1(0x1.c6aee8p-5f));
    p = v_fma(p, f, v_set1(0x1.ebfbdcp-3f));
    p = v_fma(p, f, v_set1(0x1.62e430p-1f));
    return v_fma(p, f, v_set1(1.0f));
}

FV_INLINE vf v_exp2(vf x)
{
    vf n;
    x = v_exp2_clamp(x);
    n = v_round(x);
    return v_exp2_scale(x, v_exp2_part(v_sub(x, n)), n);
}
#endif
