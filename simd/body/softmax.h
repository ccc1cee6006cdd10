#include <float.h>

/* Online softmax of a score block in place, one pass: load, exp2, store, add. One vector of lanes at a time, so that the
   reference and the sums stay in registers beside the polynomial; two keys at a time give independent chains.
   Cost: about 8 vector operations per VL scores. */
FV_INLINE vf softmax_reference(vf m)
{
    return v_select(v_eq(m, v_set1(FVK_HIDDEN)), v_zero(), m);
}

void FVK(softmax_f32)(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    for (int n = 0; n < V_TILE; n++) {
        vf old = v_load(m + n * VL), now = v_max(old, v_load(mx + n * VL));
        const vf ref = softmax_reference(now), scale = v_exp2(v_sub(old, ref));
        vf sum = v_zero(), sum2 = v_zero();
        float *a = s + n * VL;
        int j = 0;
        v_store(m + n * VL, now);
        v_store(alpha + n * VL, scale);
        FV_UNROLL_2
        for (; j + 2 <= nk; j += 2, a += 2 * LANES) {
            vf x = v_exp2(v_sub(v_load(a), ref));
            vf y = v_exp2(v_sub(v_load(a + LANES), ref));
            v_store(a, x);
            v_store(a + LANES, y);
            sum = v_add(sum, x);
            sum2 = v_add(sum2, y);
        }
        if (j < nk) {
            vf x = v_exp2(v_sub(v_load(a), ref));
            v_store(a, x);
            sum = v_add(sum, x);
        }
        v_store(l + n * VL, v_fma(v_load(l + n * VL), scale, v_add(sum, sum2)));
    }
}

void FVK(finish_f32)(const float *m, const float *l, const float *sink, float *r, float *lse)
{
    for (int n = 0; n < V_TILE; n++) {
        vf top = v_load(m + n * VL), sum = v_load(l + n * VL), scale = v_set1(1.0f);
        vm empty = v_eq(sum, v_zero()); /* a row with a key has sum >= 1, or NaN */
        if (sink) {
            vf x = v_load(sink + n * VL), high = v_max(x, top);
            scale = v_exp2(v_sub(top, high));
            sum = v_fma(sum, scale, v_exp2(v_sub(x, high)));
            top = high;
        }
        v_store(r + n * VL, v_select(empty, v_zero(), v_div(scale, sum)));
        if (lse) {
            vf x = v_fma(top, v_set1((float)FVK_LN2), v_log(sum));
            x = v_select(v_eq(top, v_set1(FVK_LOWEST)), v_set1(-FLT_MAX), x);
            v_store(lse + n * VL, v_select(empty, v_set1(-INFINITY), x));
        }
    }
}
