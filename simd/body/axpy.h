/* axpy: values weighted by n <= 8 rows of probabilities, read once. Included once per element type with FV_T, FV_LOAD,
   FV_LOAD_N, FV_AXPY. Contract: kernel.h.

   Rows are taken in chunks that stay in L1 while tiles of n rows x 1 to 8 vectors of columns, accumulators in registers,
   pass over them; each tile asks for its columns of the next chunk, so that memory works at an even pace. When one
   tile holds all columns there are no chunks, only a distance.

   Bound: n fma for each value vector; a load and a store of each accumulator per chunk. */
FV_INLINE int FV_NAME(axpy_vectors)(const int n)
{
    enum { LARGE = V_REGS == 32 && sizeof(FV_T) == 4 ? 3 : V_REGS / 16 }; /* 16-bit: 2 vectors are one line */
    return n > 4 ? LARGE : n > 2 ? V_REGS / 8 : V_REGS / 4;
}

/* One row of values, x, for n rows of weights: p[0], p[ldp], ... */
FV_INLINE void FV_NAME(axpy_add)(const float *p, ptrdiff_t ldp, const FV_T *x, vf acc[8][8], const int n, const int nv)
{
    vf y[8];
    FV_UNROLL
    for (int i = 0; i < nv; i++)
        y[i] = FV_LOAD(x + i * VL);
    FV_UNROLL
    for (int r = 0; r < n; r++) {
        vf a;
        if (r == 4)
            p = fv_opaque(p + 4 * ldp);
        a = v_set1(p[r % 4 * ldp]);
        FV_UNROLL
        for (int i = 0; i < nv; i++)
            acc[r][i] = v_fma(a, y[i], acc[r][i]);
    }
}

FV_INLINE void FV_NAME(axpy_tile)(const float *p, ptrdiff_t ldp, int nk, const void *const *v, int c,
                                  ahead_walk *ahead, float *o, ptrdiff_t ldo, const int n, const int nv)
{
    enum { LINE = 64 / (int)sizeof(FV_T) };
    ahead_walk walk = *ahead;
    vf acc[8][8];
    FV_UNROLL
    for (int r = 0; r < n; r++)
        FV_UNROLL
        for (int i = 0; i < nv; i++)
            acc[r][i] = v_load(o + r * ldo + c + i * VL);
    for (int j = 0; j < nk; j++) {
        ahead_step(&walk, (nv * VL + LINE - 1) / LINE);
        FV_NAME(axpy_add)(p + j, ldp, (const FV_T *)v[j] + c, acc, n, nv);
    }
    *ahead = walk;
    FV_UNROLL
    for (int r = 0; r < n; r++)
        FV_UNROLL
        for (int i = 0; i < nv; i++)
            v_store(o + r * ldo + c + i * VL, acc[r][i]);
}

/* w < VL columns of one row, or keys of which the row does not see all. */
FV_INLINE void FV_NAME(axpy_part)(const float *p, int nk, const void *const *v, int c, int w, const uint32_t *rows, int row,
                                  float *o)
{
    vf acc = w < VL ? v_load_n(o + c, w) : v_load(o + c);
    for (int j = 0; j < nk; j++) {
        const FV_T *x = (const FV_T *)v[j] + c;
        if (!rows || (rows[j] >> row & 1))
            acc = v_fma(v_set1(p[j]), w < VL ? FV_LOAD_N(x, w) : FV_LOAD(x), acc);
    }
    if (w < VL)
        v_store_n(o + c, acc, w);
    else
        v_store(o + c, acc);
}

FV_INLINE void FV_NAME(axpy_chunk)(const float *p, ptrdiff_t ldp, int nk, const void *const *v, int dv,
                                   const void *const *far, float *o, ptrdiff_t ldo, const int n)
{
    const void *spare[8];
    ahead_walk ahead = ahead_begin(far, nk, (size_t)dv * sizeof(FV_T), spare);
    const int nv = FV_NAME(axpy_vectors)(n);
    int c = 0;
    for (; c + nv * VL <= dv; c += nv * VL)
        FV_NAME(axpy_tile)(p, ldp, nk, v, c, &ahead, o, ldo, n, nv);
    if (nv > 4 && c + 4 * VL <= dv) {
        FV_NAME(axpy_tile)(p, ldp, nk, v, c, &ahead, o, ldo, n, 4);
        c += 4 * VL;
    }
    if (nv > 2 && c + 2 * VL <= dv) {
        FV_NAME(axpy_tile)(p, ldp, nk, v, c, &ahead, o, ldo, n, 2);
        c += 2 * VL;
    }
    for (; c + VL <= dv; c += VL)
        FV_NAME(axpy_tile)(p, ldp, nk, v, c, &ahead, o, ldo, n, 1);
    if (c < dv)
        for (int r = 0; r < n; r++)
            FV_NAME(axpy_part)(p + r * ldp, nk, v, c, dv - c, NULL, 0, o + r * ldo);
}

FV_INLINE int FV_NAME(axpy_all)(const uint32_t *rows, int nk, int n)
{
    uint32_t all = (1u << n) - 1;
    for (int j = 0; rows && j < nk; j++)
        all &= rows[j];
    return all == (1u << n) - 1;
}

FV_INLINE void FV_NAME(axpy_rows)(const float *p, ptrdiff_t ldp, int nk, const void *const *v, int dv,
                                  const uint32_t *rows, float *o, ptrdiff_t ldo, const fvk_ahead *ahead, const int n)
{
    enum { MOST = 64, L1_BYTES = 12 << 10 };
    const size_t row = (size_t)dv * sizeof(FV_T);
    const int fit = (int)(L1_BYTES / row), chunk = fit > MOST ? MOST : fit < 8 ? 8 : fit;
    const int distance = dv <= FV_NAME(axpy_vectors)(n) * VL ? ahead_rows(ahead, row) : chunk;
    const void *edge[MOST];
    for (int j = 0; j < nk; j += chunk) {
        int w = nk - j < chunk ? nk - j : chunk;
        const uint32_t *see = rows ? rows + j : NULL;
        if (FV_NAME(axpy_all)(see, w, n)) {
            const void *const *far = ahead_group(v, nk, j + distance, w, ahead, edge);
            for (int i = 0; i < w; i += 8)
                v_prefetch1(far + w + i); /* pointers of the chunk after that: why, in ahead.h */
            FV_NAME(axpy_chunk)(p + j, ldp, w, v + j, dv, far, o, ldo, n);
        } else
            for (int r = 0; r < n; r++)
                for (int c = 0; c < dv; c += VL)
                    FV_NAME(axpy_part)(p + r * ldp + j, w, v + j, c, dv - c < VL ? dv - c : VL, see, r, o + r * ldo);
    }
}

void FVK(FV_AXPY)(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv, const uint32_t *rows,
                  const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead)
{
    for (int r = 0; r < n; r++)
        for (int c = 0; c < dv; c++)
            o[r * ldo + c] = alpha ? alpha[r] * o[r * ldo + c] : 0;
    switch (n) {
    case 1: FV_NAME(axpy_rows)(p, ldp, nk, v, dv, rows, o, ldo, ahead, 1); break;
    case 2: FV_NAME(axpy_rows)(p, ldp, nk, v, dv, rows, o, ldo, ahead, 2); break;
    case 3: FV_NAME(axpy_rows)(p, ldp, nk, v, dv, rows, o, ldo, ahead, 3); break;
    case 4: FV_NAME(axpy_rows)(p, ldp, nk, v, dv, rows, o, ldo, ahead, 4); break;
    case 5: FV_NAME(axpy_rows)(p, ldp, nk, v, dv, rows, o, ldo, ahead, 5); break;
    case 6: FV_NAME(axpy_rows)(p, ldp, nk, v, dv, rows, o, ldo, ahead, 6); break;
    case 7: FV_NAME(axpy_rows)(p, ldp, nk, v, dv, rows, o, ldo, ahead, 7); break;
    default: FV_NAME(axpy_rows)(p, ldp, nk, v, dv, rows, o, ldo, ahead, 8); break;
    }
}
