/* pv: weighted values of a block, ot[c][lane] = alpha[lane] ot[c][lane] + sum_j p[j][lane] v[j][c], j ascending, one fma
   each. Contract: kernel.h. Micro-tile V_MC columns x V_TILE vectors; values by broadcast, so any row stride costs the
   same. Bound: V_MC * V_TILE fma per key. */
FV_INLINE void pv_tile(const float *p, int nk, const void *const *v, int c, const uint32_t *rows, const float *alpha,
                       float *ot, const int mr)
{
    vf acc[V_MC][V_TILE];
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            acc[r][n] = alpha ? v_mul(v_load(alpha + n * VL), v_load(ot + r * LANES + n * VL)) : v_zero();
    FV_UNROLL_2
    for (int j = 0; j < nk; j++) {
        const float *x = fv_opaque((const float *)v[j] + c);
        vf w[V_TILE];
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            w[n] = v_load(p + (size_t)j * LANES + n * VL);
        if (rows && (rows[j] & FV_TILE_BITS) != FV_TILE_BITS) {
            FV_UNROLL
            for (int n = 0; n < V_TILE; n++) {
                vm see = v_mask(rows[j] >> (n * VL));
                if (rows[j] >> (n * VL) & FV_VECTOR_BITS) /* half of a causal edge is not computed */
                    FV_UNROLL
                    for (int r = 0; r < mr; r++)
                        acc[r][n] = v_fma_mask(see, v_set1(x[r]), w[n], acc[r][n]);
            }
        } else {
            FV_UNROLL
            for (int r = 0; r < mr; r++)
                FV_UNROLL
                for (int n = 0; n < V_TILE; n++)
                    acc[r][n] = v_fma(v_set1(x[r]), w[n], acc[r][n]);
        }
    }
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            v_store(ot + r * LANES + n * VL, acc[r][n]);
}

FV_INLINE void pv_columns(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                          float *ot)
{
    int c = 0;
    for (; c + V_MC <= dv; c += V_MC)
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, V_MC);
    if (V_MC > 8 && c + 8 <= dv) {
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, 8);
        c += 8;
    }
    if (V_MC > 4 && c + 4 <= dv) {
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, 4);
        c += 4;
    }
    if (V_MC > 2 && c + 2 <= dv) {
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, 2);
        c += 2;
    }
    for (; c < dv; c++)
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, 1);
}

void FVK(pv_f32)(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha, float *ot)
{
    if (rows)
        pv_columns(p, nk, v, dv, rows, alpha, ot);
    else
        pv_columns(p, nk, v, dv, NULL, alpha, ot);
}

/* VL columns from t, of `rows` <= VL lanes; w <= VL columns exist. */
FV_INLINE void store_block(const float *ot, int t, int w, vf c, float *const *o, int rows)
{
    vf x[VL];
    if (rows == VL && w == VL) {
        FV_UNROLL
        for (int i = 0; i < VL; i++)
            x[i] = v_mul(c, v_load(ot + (size_t)(t + i) * LANES));
        v_transpose(x);
        FV_UNROLL
        for (int i = 0; i < VL; i++)
            v_store(o[i] + t, x[i]);
        return;
    }
    for (int i = 0; i < VL; i++)
        x[i] = i < w ? v_mul(c, v_load(ot + (size_t)(t + i) * LANES)) : v_zero();
    v_transpose(x);
    for (int i = 0; i < rows; i++) {
        if (w == VL)
            v_store(o[i] + t, x[i]);
        else
            v_store_n(o[i] + t, x[i], w);
    }
}

void FVK(store_f32)(const float *ot, int dv, const float *r, float *const *o, int n)
{
    for (int v = 0; v < V_TILE && v * VL < n; v++) {
        const vf c = v_load(r + v * VL);
        int rows = n - v * VL < VL ? n - v * VL : VL;
        for (int t = 0; t < dv; t += VL)
            store_block(ot + v * VL, t, dv - t < VL ? dv - t : VL, c, o + v * VL, rows);
    }
}
