/* dot: scores of n <= 8 query rows against keys read once, in address order: one row at a time, so that memory sees one
   stream. Included once per element type with FV_T, FV_LOAD, FV_LOAD_N, FV_DOT, FV_AXPY.
   axpy: values weighted by n rows of probabilities, read once in chunks of 16 rows that stay in L1 while column blocks of
   4 vectors x 2 rows of accumulators pass over them. */
FV_INLINE void FV_NAME(dot_rows)(const float *q, ptrdiff_t ldq, int d, const void *const *k, int nk,
                                 const void *const *ahead, float *s, ptrdiff_t lds, const int n)
{
    for (int j = 0; j < nk; j++) {
        const FV_T *x = k[j];
        vf acc[4][2];
        int t = 0;
        if (ahead)
            for (size_t line = 0; line < (size_t)d * sizeof(FV_T); line += 64)
                v_prefetch1((const char *)ahead[j] + line);
        FV_UNROLL
        for (int r = 0; r < n; r++)
            acc[r][0] = acc[r][1] = v_zero();
        for (; t + 2 * VL <= d; t += 2 * VL) {
            vf a = FV_LOAD(x + t), b = FV_LOAD(x + t + VL);
            FV_UNROLL
            for (int r = 0; r < n; r++) {
                acc[r][0] = v_fma(a, v_load(q + r * ldq + t), acc[r][0]);
                acc[r][1] = v_fma(b, v_load(q + r * ldq + t + VL), acc[r][1]);
            }
        }
        for (; t < d; t += VL) {
            vf a = d - t < VL ? FV_LOAD_N(x + t, d - t) : FV_LOAD(x + t);
            FV_UNROLL
            for (int r = 0; r < n; r++)
                acc[r][0] = v_fma(a, d - t < VL ? v_load_n(q + r * ldq + t, d - t) : v_load(q + r * ldq + t), acc[r][0]);
        }
        FV_UNROLL
        for (int r = 0; r < n; r++)
            s[r * lds + j] = v_sum(v_add(acc[r][0], acc[r][1]));
    }
}

void FVK(FV_DOT)(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s, ptrdiff_t lds)
{
    const int row = d * (int)sizeof(FV_T), far = row < 4096 ? 4096 / row : 1; /* rows of about 4 KiB */
    for (int j = 0; j < nk; j += 16) { /* 16 key rows stay in L1 for all query rows */
        int w = nk - j < 16 ? nk - j : 16, r = 0;
        const void *const *ahead = j + far + w <= nk ? k + j + far : NULL;
        for (; r + 4 <= n; r += 4, ahead = NULL)
            FV_NAME(dot_rows)(q + r * ldq, ldq, d, k + j, w, ahead, s + r * lds + j, lds, 4);
        if (r + 2 <= n) {
            FV_NAME(dot_rows)(q + r * ldq, ldq, d, k + j, w, ahead, s + r * lds + j, lds, 2);
            r += 2;
            ahead = NULL;
        }
        if (r < n)
            FV_NAME(dot_rows)(q + r * ldq, ldq, d, k + j, w, ahead, s + r * lds + j, lds, 1);
    }
}

FV_INLINE void FV_NAME(axpy_block)(const float *p, ptrdiff_t ldp, int nk, const void *const *v, int c, const uint32_t *rows,
                                   int row, const void *const *ahead, float *o, ptrdiff_t ldo, const int n, const int nv)
{
    vf acc[2][4];
    FV_UNROLL
    for (int r = 0; r < n; r++)
        FV_UNROLL
        for (int i = 0; i < nv; i++)
            acc[r][i] = v_load(o + r * ldo + c + i * VL);
    for (int j = 0; j < nk; j++) {
        const FV_T *x = (const FV_T *)v[j] + c;
        vf y[4];
        if (ahead)
            for (size_t line = 0; line < (size_t)(nv * VL) * sizeof(FV_T); line += 64)
                v_prefetch1((const FV_T *)ahead[j] + c + line / sizeof(FV_T));
        FV_UNROLL
        for (int i = 0; i < nv; i++)
            y[i] = FV_LOAD(x + i * VL);
        FV_UNROLL
        for (int r = 0; r < n; r++) {
            vf w = v_set1(p[r * ldp + j]);
            if (rows && !(rows[j] >> (row + r) & 1))
                continue;
            FV_UNROLL
            for (int i = 0; i < nv; i++)
                acc[r][i] = v_fma(w, y[i], acc[r][i]);
        }
    }
    FV_UNROLL
    for (int r = 0; r < n; r++)
        FV_UNROLL
        for (int i = 0; i < nv; i++)
            v_store(o + r * ldo + c + i * VL, acc[r][i]);
}

FV_INLINE void FV_NAME(axpy_tail)(const float *p, int nk, const void *const *v, int c, int w, const uint32_t *rows, int row,
                                  float *o)
{
    vf acc = v_load_n(o + c, w);
    for (int j = 0; j < nk; j++)
        if (!rows || (rows[j] >> row & 1))
            acc = v_fma(v_set1(p[j]), FV_LOAD_N((const FV_T *)v[j] + c, w), acc);
    v_store_n(o + c, acc, w);
}

FV_INLINE void FV_NAME(axpy_chunk)(const float *p, ptrdiff_t ldp, int nk, const void *const *v, int dv,
                                   const uint32_t *rows, int row, const void *const *ahead, float *o, ptrdiff_t ldo,
                                   const int n)
{
    int c = 0;
    for (; c + 4 * VL <= dv; c += 4 * VL)
        FV_NAME(axpy_block)(p, ldp, nk, v, c, rows, row, ahead, o, ldo, n, 4);
    for (; c + VL <= dv; c += VL)
        FV_NAME(axpy_block)(p, ldp, nk, v, c, rows, row, ahead, o, ldo, n, 1);
    if (c < dv)
        for (int r = 0; r < n; r++)
            FV_NAME(axpy_tail)(p + r * ldp, nk, v, c, dv - c, rows, row + r, o + r * ldo);
}

void FVK(FV_AXPY)(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv, const uint32_t *rows,
                  const float *alpha, float *o, ptrdiff_t ldo)
{
    for (int r = 0; r < n; r++)
        for (int c = 0; c < dv; c++)
            o[r * ldo + c] = alpha ? alpha[r] * o[r * ldo + c] : 0;
    for (int j = 0; j < nk; j += 16) {
        int w = nk - j < 16 ? nk - j : 16, r = 0;
        const uint32_t *see = rows ? rows + j : NULL;
        const void *const *ahead = j + 16 + w <= nk ? v + j + 16 : NULL;
        for (; r + 2 <= n; r += 2, ahead = NULL)
            FV_NAME(axpy_chunk)(p + r * ldp + j, ldp, w, v + j, dv, see, r, ahead, o + r * ldo, ldo, 2);
        if (r < n)
            FV_NAME(axpy_chunk)(p + r * ldp + j, ldp, w, v + j, dv, see, r, ahead, o + r * ldo, ldo, 1);
    }
}
