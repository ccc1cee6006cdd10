/* pack: a tile of query rows, transposed once and scaled. VL x VL blocks in registers, the rest with partial loads.
   Included once per element type with FV_T (element), FV_LOAD (VL elements), FV_LOAD_N (n elements), FV_NAME. */
/* VL rows from q, w <= VL columns from t. */
FV_INLINE void FVK_JOIN(FV_NAME, _block)(const void *const *q, int rows, int t, int w, vf c, float *qt)
{
    vf r[VL];
    if (rows == VL && w == VL) {
        FV_UNROLL
        for (int i = 0; i < VL; i++)
            r[i] = v_mul(c, FV_LOAD((const FV_T *)q[i] + t));
        v_transpose(r);
        FV_UNROLL
        for (int i = 0; i < VL; i++)
            v_store(qt + (size_t)(t + i) * LANES, r[i]);
        return;
    }
    for (int i = 0; i < VL; i++)
        r[i] = i >= rows ? v_zero()
                         : v_mul(c, w == VL ? FV_LOAD((const FV_T *)q[i] + t) : FV_LOAD_N((const FV_T *)q[i] + t, w));
    v_transpose(r);
    for (int i = 0; i < w; i++)
        v_store(qt + (size_t)(t + i) * LANES, r[i]);
}

void FVK(FV_NAME)(const void *const *q, int n, int d, float scale, float *qt)
{
    const vf c = v_set1(scale);
    for (int v = 0; v < V_TILE; v++) {
        int rows = n - v * VL < 0 ? 0 : n - v * VL < VL ? n - v * VL : VL;
        for (int t = 0; t < d; t += VL)
            FVK_JOIN(FV_NAME, _block)(q + v * VL, rows, t, d - t < VL ? d - t : VL, c, qt + v * VL);
    }
}
