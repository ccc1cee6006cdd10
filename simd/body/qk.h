/* qk: scores of a block of keys for a tile of queries, s[j][lane] = sum_t qt[t][lane] k[j][t], t ascending, one fma each.
   Contract: kernel.h. Micro-tile V_MR keys x V_TILE vectors; registers: V_MR * V_TILE accumulators + V_TILE query
   vectors + 1 broadcast. Bound: V_MR * V_TILE fma per t. Prefetch: per 64 bytes of a key row, one line of the rows `far` to
   L2 (body/far.h), so that what is read next comes from far memory meanwhile, and with next_k one line of the next micro-tile's row to
   L1.
   Wide heads are summed in slices of columns, each for all keys of the block, the scores waiting in memory in between:
   every micro-tile reads the packed queries, which shall stay in L1 beside the scores. No bit depends on the slices. */
enum { QK_SLICE = 192, QK_WHOLE = 256 }; /* columns of a slice, at most; heads that are not cut */

/* Column t of mr keys. */
FV_INLINE void qk_column(const float *qt, const float *const *kr, int t, vf (*acc)[V_TILE], const int mr, const int vectors)
{
    vf q[V_TILE];
    FV_UNROLL
    for (int n = 0; n < vectors; n++)
        q[n] = v_load(qt + n * VL);
    FV_UNROLL
    for (int r = 0; r < mr; r++) {
        vf x = v_set1(kr[r][t]);
        FV_UNROLL
        for (int n = 0; n < vectors; n++)
            acc[r][n] = v_fma(x, q[n], acc[r][n]);
    }
}

/* Columns t to d of mr keys; t > 0 goes on from the scores that are there. */
FV_INLINE void qk_tile(const float *qt, int t, int d, const void *const *k, const uint32_t *rows, float *s, vf *mx,
                       const void *const *next_k, fvk_far far, const int mr,
                       const int vectors, int from, int live)
{
    vf acc[V_MR][V_TILE];
    const float *kr[V_MR];
    FV_UNROLL
    for (int r = 0; r < mr; r++) {
        kr[r] = k[r < live ? r : 0];
        FV_UNROLL
        for (int n = 0; n < vectors; n++)
            acc[r][n] = t && r < live ? v_load(s + r * LANES + n * VL) : v_zero();
    }
    while (t < d) {
        if (next_k)
            for (int r = 0; r < mr; r++)
                v_prefetch1((const float *)next_k[r] + t);
        if (far.row && t < far.width && far.in_order) { /* as many lines in the order of memory */
            const char *line = (const char *)far.row[0] + far.shift + t / 16 * (mr * 64);
            for (int r = 0; r < mr; r++)
                v_prefetch2(line + r * 64);
        } else if (far.row && t < far.width)
            for (int r = 0; r < mr; r++)
                v_prefetch2((const char *)far.row[r] + far.shift + (size_t)t * sizeof(float));
        if (!V_QK_UNROLLED || d - t < 16) {
            const int stop = d - t > 16 ? t + 16 : d;
            for (; t < stop; t++)
                qk_column(qt + (size_t)t * LANES, kr, t, acc, mr, vectors);
            continue;
        }
        FV_UNROLL
        for (int u = 0; u < 16; u++)
            qk_column(fv_opaque(qt + (size_t)t * LANES + u * LANES), kr, t + u, acc, mr, vectors);
        t += 16;
    }
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < vectors && r < live; n++) {
            vf x = acc[r][n];
            if (rows)
                x = v_select(v_mask(rows[r] >> ((from + n) * VL)), x, v_set1(FVK_HIDDEN));
            v_store(s + r * LANES + n * VL, x);
            mx[n] = v_max(mx[n], x);
        }
}

/* V_MR keys that some lanes do not see. Vectors of the tile in front or behind that see none of them, as in half of a causal
   edge, are not computed. */
FV_INLINE void qk_edge(const float *qt, int t, int d, const void *const *k, const uint32_t *rows, float *s, vf *mx,
                       const void *const *next_k, fvk_far far)
{
    uint32_t any = 0;
    int from = 0, to = V_TILE;
    for (int r = 0; r < V_MR; r++)
        any |= rows[r];
    while (from < V_TILE && !(any >> (from * VL) & FV_VECTOR_BITS))
        from++;
    while (to > from && !(any >> ((to - 1) * VL) & FV_VECTOR_BITS))
        to--;
    if (to - from < V_TILE && to - from <= 2)
        for (int r = 0; r < V_MR; r++)
            for (int n = 0; n < V_TILE; n++)
                if (n < from || n >= to)
                    v_store(s + r * LANES + n * VL, v_set1(FVK_HIDDEN));
    if (to == from)
        return;
    if (V_TILE > 1 && to - from == 1)
        qk_tile(qt + from * VL, t, d, k, rows, s + from * VL, mx + from, next_k, far, V_MR, 1, from, V_MR);
    else if (V_TILE > 2 && to - from == 2)
        qk_tile(qt + from * VL, t, d, k, rows, s + from * VL, mx + from, next_k, far, V_MR, 2, from, V_MR);
    else
        qk_tile(qt, t, d, k, rows, s, mx, next_k, far, V_MR, V_TILE, 0, V_MR);
}

/* What is left of a block, n < V_MR keys: a micro-tile with fewer accumulators takes as long as one sum, so one tile of half
   or of full height, the missing keys' places taken by the first of them. */
static __attribute__((noinline)) void qk_rest(const float *qt, int t, int d, const void *const *k, int n, const uint32_t *rows,
                                              float *s, float *mx)
{
    vf m[V_TILE];
    for (int i = 0; i < V_TILE; i++)
        m[i] = v_load(mx + i * VL);
    if (n > (V_MR + 1) / 2)
        qk_tile(qt, t, d, k, rows, s, m, NULL, (fvk_far){NULL, 0, 0, 0}, V_MR, V_TILE, 0, n);
    else
        qk_tile(qt, t, d, k, rows, s, m, NULL, (fvk_far){NULL, 0, 0, 0}, (V_MR + 1) / 2, V_TILE, 0, n);
    for (int i = 0; i < V_TILE; i++)
        v_store(mx + i * VL, m[i]);
}

static void qk_plain(const float *qt, int t, int d, const void *const *k, int nk, float *s, float *mx, const void *const *next_k,
                     const fvk_far *far)
{
    vf m[V_TILE];
    int j = 0;
    for (int n = 0; n < V_TILE; n++)
        m[n] = v_load(mx + n * VL);
    for (; far->in_order && j + V_MR <= nk; j += V_MR)
        qk_tile(qt, t, d, k + j, NULL, s + (size_t)j * LANES, m, next_k && j + 2 * V_MR <= nk ? k + j + V_MR : next_k,
                far_from(far, j, 1), V_MR, V_TILE, 0, V_MR);
    for (; j + V_MR <= nk; j += V_MR)
        qk_tile(qt, t, d, k + j, NULL, s + (size_t)j * LANES, m, next_k && j + 2 * V_MR <= nk ? k + j + V_MR : next_k,
                far_from(far, j, 0), V_MR, V_TILE, 0, V_MR);
    for (int n = 0; n < V_TILE; n++)
        v_store(mx + n * VL, m[n]);
    if (j < nk)
        qk_rest(qt, t, d, k + j, nk - j, NULL, s + (size_t)j * LANES, mx);
}

/* Whether all lanes see V_MR keys. */
FV_INLINE int qk_is_plain(const uint32_t *rows)
{
    uint32_t all = FV_TILE_BITS;
    for (int r = 0; r < V_MR; r++)
        all &= rows[r];
    return all == FV_TILE_BITS;
}

/* Keys with masks; of these, whole micro-tiles that all lanes see as if they had none. */
static void qk_masked(const float *qt, int t, int d, const void *const *k, int nk, const uint32_t *rows, float *s, float *mx,
                      const void *const *next_k, const fvk_far *far)
{
    vf m[V_TILE];
    int j = 0;
    while (j + V_MR <= nk) {
        const int first = j;
        while (j + V_MR <= nk && qk_is_plain(rows + j))
            j += V_MR;
        if (j > first) {
            const fvk_far here = far_from(far, first, far->in_order);
            qk_plain(qt, t, d, k + first, j - first, s + (size_t)first * LANES, mx, next_k, &here);
        }
        for (int n = 0; n < V_TILE; n++)
            m[n] = v_load(mx + n * VL);
        for (; j + V_MR <= nk && !qk_is_plain(rows + j); j += V_MR)
            qk_edge(qt, t, d, k + j, rows + j, s + (size_t)j * LANES, m,
                    next_k && j + 2 * V_MR <= nk ? k + j + V_MR : next_k, far_from(far, j, 0));
        for (int n = 0; n < V_TILE; n++)
            v_store(mx + n * VL, m[n]);
    }
    if (j < nk)
        qk_rest(qt, t, d, k + j, nk - j, rows + j, s + (size_t)j * LANES, mx);
}

void FVK(qk_f32)(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s, float *mx,
                 const void *const *next_k, const fvk_far *far)
{
    const int slices = d > QK_WHOLE ? (d + QK_SLICE - 1) / QK_SLICE : 1, step = ((d + slices - 1) / slices + 15) & ~15;
    const fvk_far ask = far_begin(far, nk);
    float partial[LANES] = {0}; /* maxima of unfinished sums, of no account */
    for (int t = 0, stop; t < d; t = stop) {
        float *top = d - t > step ? partial : mx;
        stop = d - t > step ? t + step : d;
        if (rows)
            qk_masked(qt, t, stop, k, nk, rows, s, top, next_k, &ask);
        else
            qk_plain(qt, t, stop, k, nk, s, top, next_k, &ask);
    }
}

void FVK(hide_f32)(float *s, int nk, const uint32_t *rows, float *mx)
{
    for (int n = 0; n < V_TILE; n++) {
        vf m = v_load(mx + n * VL);
        for (int j = 0; j < nk; j++) {
            vf x = v_load(s + (size_t)j * LANES + n * VL);
            if (rows) {
                x = v_select(v_mask(rows[j] >> (n * VL)), x, v_set1(FVK_HIDDEN));
                v_store(s + (size_t)j * LANES + n * VL, x);
            }
            m = v_max(m, x);
        }
        v_store(mx + n * VL, m);
    }
}
