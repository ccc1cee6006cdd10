/* pack: a tile of query rows, transposed once and scaled. VL x VL blocks in registers, the rest with partial loads.
   Included once per element type with FV_T (element), FV_LOAD (VL elements), FV_LOAD_N (n elements), FV_NAME. */
/* w <= VL columns from t of few numbers, four at a time: a transposition of VL x VL would mostly move zeros. */
#if defined(V_HAS_QUADS) && defined(FV_QUADS)
FV_INLINE void FVK_JOIN(FV_NAME, _narrow)(const void *const *q, int rows, int t, int w, vf c, float *qt)
{
    static const float nothing[4];
    const float *p[VL];
    for (int u = 0; u < w; u += 4) {
        const int width = w - u < 4 ? w - u : 4;
        vf r[4];
        for (int i = 0; i < VL; i++)
            p[i] = i < rows ? (const float *)q[i] + t + u : nothing;
        v_load_quads(p, width, r);
        for (int i = 0; i < width; i++)
            v_store(qt + (size_t)(t + u + i) * LANES, v_mul(c, r[i]));
    }
}
#endif

/* VL rows from q, w <= VL columns from t. */
FV_INLINE void FVK_JOIN(FV_NAME, _block)(const void *const *q, int rows, int t, int w, vf c, float *qt)
{
    vf r[VL];
#if defined(V_HAS_QUADS) && defined(FV_QUADS)
    if (w <= VL / 2) {
        FVK_JOIN(FV_NAME, _narrow)(q, rows, t, w, c, qt);
        return;
    }
#endif
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
        const int rows = n - v * VL < VL ? n - v * VL : VL;
        if (rows <= 0) {
            for (int t = 0; t < d; t++)
                v_store(qt + (size_t)t * LANES + v * VL, v_zero());
            continue;
        }
        for (int t = 0; t < d; t += VL)
            FVK_JOIN(FV_NAME, _block)(q + v * VL, rows, t, d - t < VL ? d - t : VL, c, qt + v * VL);
    }
}
