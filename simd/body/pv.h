/* pv: weighted values of a block, ot[c][lane] = alpha[lane] ot[c][lane] + sum_j p[j][lane] v[j][c], j ascending, one fma
   each. Contract: kernel.h. Micro-tile `mr` columns x `nv` vectors from vector n0: V_MC x V_TILE; with masks, which live in
   registers too on some instruction sets, V_MASK_MC x V_MASK_TILE. Values by broadcast, so any row stride costs the same.
   Registers: the accumulators, nv weights (and masks), 1 broadcast. Bound: mr * nv fma per key. Prefetch: with each key, once per
   16 columns, a line of the row `far` that has its number, to L2. */
enum { PV_MOST = (int)V_MC > (int)V_MASK_MC ? (int)V_MC : (int)V_MASK_MC }; /* columns of the largest micro-tile */

typedef enum pv_kind { PV_FULL, PV_LOW, PV_HIGH, PV_SOME, PV_NONE } pv_kind; /* vectors in which lanes see a key */
typedef struct pv_run {
    int end;
    pv_kind kind;
} pv_run;
enum {
    PV_NARROW = (int)V_MASK_TILE < (int)V_TILE,
    PV_RUNS = 12, /* runs of a block that are told apart */
    PV_SHORT = 4, /* keys of a run that is not worth a loop of its own */
    PV_LONG = 16  /* keys that are worth a pass over the accumulators of their own */
};

static pv_kind pv_kind_of(uint32_t lanes, const int nv)
{
    const uint32_t all = (uint32_t)((1ull << (nv * VL)) - 1), low = (uint32_t)((1ull << (nv / 2 * VL)) - 1);
    if (lanes == all)
        return PV_FULL;
    if (!lanes)
        return PV_NONE;
    if (nv % 2 == 0 && !(lanes & low))
        return PV_HIGH;
    return nv % 2 == 0 && !(lanes & ~low) ? PV_LOW : PV_SOME;
}

/* Runs of keys of one kind, for vectors n0 to n0 + nv. Short ones, and those there is no room for, count as PV_SOME, which is
   right of every key. */
static int pv_runs(const uint32_t *rows, int nk, const int n0, const int nv, pv_run *run)
{
    const uint32_t all = (uint32_t)((1ull << (nv * VL)) - 1);
    int n = 0;
    for (int j = 0; j < nk;) {
        const uint32_t first = rows[j] >> (n0 * VL) & all;
        pv_kind kind = pv_kind_of(first, nv);
        int end = j + 1;
        if (kind == PV_FULL)
            while (end < nk && (rows[end] >> (n0 * VL) & all) == all)
                end++;
        else
            while (end < nk && pv_kind_of(rows[end] >> (n0 * VL) & all, nv) == kind)
                end++;
        if (end - j < PV_SHORT)
            kind = PV_SOME;
        if (n == PV_RUNS) {
            kind = PV_SOME;
            run[--n].kind = PV_SOME;
        }
        if (n && run[n - 1].kind == kind)
            n--;
        run[n++] = (pv_run){end, kind};
        j = end;
    }
    return n;
}

/* One key: its weights p, its values x. */
FV_INLINE void pv_key(const float *x, const float *p, vf (*acc)[V_TILE], const int mr, const int nv)
{
    vf w[V_TILE];
    FV_UNROLL
    for (int n = 0; n < nv; n++)
        w[n] = v_load(p + n * VL);
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < nv; n++)
            acc[r][n] = v_fma(v_set1(x[r]), w[n], acc[r][n]);
}

/* One key for the lanes of vectors `from` to `to` that see it. */
FV_INLINE void pv_key_masked(const float *x, const float *p, uint32_t lanes, vf (*acc)[V_TILE], const int mr, const int from,
                             const int to)
{
    vf w[V_TILE];
    vm see[V_TILE];
    FV_UNROLL
    for (int n = from; n < to; n++) {
        w[n] = v_load(p + n * VL);
        see[n] = v_mask(lanes >> (n * VL) & FV_VECTOR_BITS);
    }
    FV_UNROLL
    for (int r = 0; r < mr; r++) {
        const vf value = v_set1(x[r]);
        FV_UNROLL
        for (int n = from; n < to; n++)
            acc[r][n] = v_fma_mask(see[n], value, w[n], acc[r][n]);
    }
}

/* line: number of the line of `far` that is asked for with each key, or -1. */
FV_INLINE void pv_tile(const float *p, int nk, const void *const *v, int c, const uint32_t *rows, const pv_run *run,
                       const float *alpha, float *ot, const fvk_far *far, int line, const int mr, const int n0, const int nv)
{
    vf acc[PV_MOST][V_TILE];
    p += n0 * VL;
    ot += n0 * VL;
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < nv; n++)
            acc[r][n] = alpha ? v_mul(v_load(alpha + (n0 + n) * VL), v_load(ot + r * LANES + n * VL)) : v_zero();
    if (!rows && far && line >= 0) {
        /* the line of each row, or as many that follow each other */
        const char *next = (const char *)far->row[0] + far->shift + (ptrdiff_t)line * nk * 64;
        FV_UNROLL_2
        for (int j = 0; j < nk; j++) {
            v_prefetch2(far->in_order ? next + j * 64 : (const char *)far->row[j] + far->shift + line * 64);
            pv_key(fv_opaque((const float *)v[j] + c), p + (size_t)j * LANES, acc, mr, nv);
        }
    } else if (!rows) {
        FV_UNROLL_2
        for (int j = 0; j < nk; j++)
            pv_key(fv_opaque((const float *)v[j] + c), p + (size_t)j * LANES, acc, mr, nv);
    }
    for (int j = 0; rows && j < nk; j = (run++)->end) {
        const int end = run->end;
        switch (run->kind) {
        case PV_FULL:
            FV_UNROLL_2
            for (int i = j; i < end; i++)
                pv_key(fv_opaque((const float *)v[i] + c), p + (size_t)i * LANES, acc, mr, nv);
            break;
        case PV_LOW:
            for (int i = j; nv > 1 && i < end; i++)
                pv_key_masked(fv_opaque((const float *)v[i] + c), p + (size_t)i * LANES, rows[i] >> (n0 * VL), acc, mr, 0, nv / 2);
            break;
        case PV_HIGH:
            for (int i = j; nv > 1 && i < end; i++)
                pv_key_masked(fv_opaque((const float *)v[i] + c), p + (size_t)i * LANES, rows[i] >> (n0 * VL), acc, mr, nv / 2, nv);
            break;
        case PV_SOME:
            for (int i = j; i < end; i++)
                pv_key_masked(fv_opaque((const float *)v[i] + c), p + (size_t)i * LANES, rows[i] >> (n0 * VL), acc, mr, 0, nv);
            break;
        case PV_NONE:
            break;
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
                          float *ot, const fvk_far *far, const int mc, const int n0, const int nv)
{
    pv_run run[PV_RUNS];
    int c = 0;
    if (rows)
        pv_runs(rows, nk, n0, nv, run);
    for (; c + mc <= dv; c += mc) {
        const int line = (c + mc - 1) / 16; /* the last that these columns reach into: new, if they begin before it */
        pv_tile(p, nk, v, c, rows, run, alpha, ot + (size_t)c * LANES, far, far && 16 * line >= c && 16 * line < far->width ? line : -1,
                mc, n0, nv);
    }
    if (mc > 8 && c + 8 <= dv) {
        pv_tile(p, nk, v, c, rows, run, alpha, ot + (size_t)c * LANES, NULL, -1, 8, n0, nv);
        c += 8;
    }
    if (mc > 4 && c + 4 <= dv) {
        pv_tile(p, nk, v, c, rows, run, alpha, ot + (size_t)c * LANES, NULL, -1, 4, n0, nv);
        c += 4;
    }
    if (mc > 2 && c + 2 <= dv) {
        pv_tile(p, nk, v, c, rows, run, alpha, ot + (size_t)c * LANES, NULL, -1, 2, n0, nv);
        c += 2;
    }
    for (; c < dv; c++)
        pv_tile(p, nk, v, c, rows, run, alpha, ot + (size_t)c * LANES, NULL, -1, 1, n0, nv);
}

static __attribute__((noinline)) void pv_plain(const float *p, int nk, const void *const *v, int dv, const float *alpha, float *ot)
{
    pv_columns(p, nk, v, dv, NULL, alpha, ot, NULL, V_MC, 0, V_TILE);
}

/* The same, and asks: apart, so that the loop which nearly all blocks take stands alone. */
static __attribute__((noinline)) void pv_asking(const float *p, int nk, const void *const *v, int dv, const float *alpha, float *ot,
                                                const fvk_far *far)
{
    pv_columns(p, nk, v, dv, NULL, alpha, ot, far, V_MC, 0, V_TILE);
}

/* Keys with masks. Where these want a smaller micro-tile, long runs of keys that all lanes see go without. */
static void pv_masked(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha, float *ot)
{
    float one[LANES];
    int j = 0;
    for (int i = 0; i < LANES; i++)
        one[i] = 1;
    while (j < nk) {
        const int first = j;
        int end = j;
        while (PV_NARROW && end < nk && (rows[end] & FV_TILE_BITS) == FV_TILE_BITS)
            end++;
        if (end - first >= PV_LONG) {
            pv_plain(p + (size_t)first * LANES, end - first, v + first, dv, alpha, ot);
            j = end;
        } else {
            int full = 0;
            while (j < nk && full < PV_LONG) {
                full = PV_NARROW && (rows[j] & FV_TILE_BITS) == FV_TILE_BITS ? full + 1 : 0;
                j++;
            }
            j -= full == PV_LONG ? PV_LONG : 0;
            FV_UNROLL
            for (int n0 = 0; n0 < V_TILE; n0 += V_MASK_TILE)
                pv_columns(p + (size_t)first * LANES, j - first, v + first, dv, rows + first, alpha, ot, NULL, V_MASK_MC, n0,
                           V_MASK_TILE);
        }
        alpha = one;
    }
}

void FVK(pv_f32)(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha, float *ot,
                 const fvk_far *far)
{
    const fvk_far ask = far_begin(far, nk);
    if (rows && nk)
        pv_masked(p, nk, v, dv, rows, alpha, ot);
    else if (ask.row)
        pv_asking(p, nk, v, dv, alpha, ot, &ask);
    else
        pv_plain(p, nk, v, dv, alpha, ot);
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
