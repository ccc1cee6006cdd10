/* pv: weighted values of a block, ot[c][lane] = alpha[lane] ot[c][lane] + sum_j p[j][lane] v[j][c], j ascending, one fma
   each. Contract: kernel.h. Micro-tile `mr` columns x `nv` vectors from vector n0: V_MC x V_TILE; with masks, which live in
   registers too on some instruction sets, V_MASK_MC x V_MASK_TILE. Values by broadcast, so any row stride costs the same.
   Registers: the accumulators, nv weights (and masks), 1 broadcast. Bound: mr * nv fma per key. */
enum { PV_MOST = 12 }; /* columns of the largest micro-tile of any instruction set */

FV_INLINE void pv_tile(const float *p, int nk, const void *const *v, int c, const uint32_t *rows, const float *alpha,
                       float *ot, const int mr, const int n0, const int nv)
{
    vf acc[PV_MOST][V_TILE];
    p += n0 * VL;
    ot += n0 * VL;
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < nv; n++)
            acc[r][n] = alpha ? v_mul(v_load(alpha + (n0 + n) * VL), v_load(ot + r * LANES + n * VL)) : v_zero();
    FV_UNROLL_2
    for (int j = 0; j < nk; j++) {
        const float *x = fv_opaque((const float *)v[j] + c);
        vf w[V_TILE];
        FV_UNROLL
        for (int n = 0; n < nv; n++)
            w[n] = v_load(p + (size_t)j * LANES + n * VL);
        if (rows && (rows[j] & FV_TILE_BITS) != FV_TILE_BITS) {
            FV_UNROLL
            for (int n = 0; n < nv; n++) {
                const uint32_t lanes = rows[j] >> ((n0 + n) * VL) & FV_VECTOR_BITS;
                const vm see = v_mask(lanes);
                if (!lanes)
                    continue; /* half of a causal edge is not computed */
                FV_UNROLL
                for (int r = 0; r < mr; r++)
                    acc[r][n] = v_fma_mask(see, v_set1(x[r]), w[n], acc[r][n]);
            }
        } else {
            FV_UNROLL
            for (int r = 0; r < mr; r++)
                FV_UNROLL
                for (int n = 0; n < nv; n++)
                    acc[r][n] = v_fma(v_set1(x[r]), w[n], acc[r][n]);
        }
    }
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < nv; n++)
            v_store(ot + r * LANES + n * VL, acc[r][n]);
}

/* All columns, mc at a time and what is left by powers of two. */
FV_INLINE void pv_columns(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                          float *ot, const int mc, const int n0, const int nv)
{
    int c = 0;
    for (; c + mc <= dv; c += mc)
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, mc, n0, nv);
    if (mc > 8 && c + 8 <= dv) {
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, 8, n0, nv);
        c += 8;
    }
    if (mc > 4 && c + 4 <= dv) {
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, 4, n0, nv);
        c += 4;
    }
    if (mc > 2 && c + 2 <= dv) {
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, 2, n0, nv);
        c += 2;
    }
    for (; c < dv; c++)
        pv_tile(p, nk, v, c, rows, alpha, ot + (size_t)c * LANES, 1, n0, nv);
}

void FVK(pv_f32)(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha, float *ot)
{
    if (!rows)
        pv_columns(p, nk, v, dv, NULL, alpha, ot, V_MC, 0, V_TILE);
    else
        FV_UNROLL
        for (int n0 = 0; n0 < V_TILE; n0 += V_MASK_TILE)
            pv_columns(p, nk, v, dv, rows, alpha, ot, V_MASK_MC, n0, V_MASK_TILE);
}

/* The same for few columns, four at a time. */
#ifdef V_HAS_QUADS
FV_INLINE void store_narrow(const float *ot, int t, int w, vf c, float *const *o, int rows)
{
    float *p[VL];
    for (int u = 0; u < w; u += 4) {
        const int width = w - u < 4 ? w - u : 4;
        vf x[4];
        for (int i = 0; i < 4; i++)
            x[i] = i < width ? v_mul(c, v_load(ot + (size_t)(t + u + i) * LANES)) : v_zero();
        for (int i = 0; i < rows; i++)
            p[i] = o[i] + t + u;
        v_store_quads(p, rows, width, x);
    }
}
#endif

/* VL columns from t, of `rows` <= VL lanes; w <= VL columns exist. */
FV_INLINE void store_block(const float *ot, int t, int w, vf c, float *const *o, int rows)
{
    vf x[VL];
#ifdef V_HAS_QUADS
    if (w <= VL / 2) {
        store_narrow(ot, t, w, c, o, rows);
        return;
    }
#endif
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
