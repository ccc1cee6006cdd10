/* small: keys in the vector lanes, for few keys. Scores of a row stand side by side, s[panel][row][LANES], made by qk with
   the roles exchanged (keys packed, query rows by broadcast). Contracts: kernel.h.

   Softmax works on VL rows at a time: maxima and sums across lanes are taken by folding VL vectors into one, not by a
   reduction each. Values: V_MC rows x V_TILE vectors of columns, weights by broadcast, so that neither
   lanes nor transpositions are spent on output. Bound: rows * keys * (d + dv) / VL fma, and V_TILE * VL / keys of it for
   lanes without a key in the scores. */

/* One key against n rows: products along the head, VL rows folded at once. */
void FVK(small_tail_f32)(const float *k, int d, const void *const *q, int n, float *s)
{
    for (int i = 0; i < n; i += VL) {
        vf acc[VL];
        for (int r = 0; r < VL; r++) {
            const float *x = i + r < n ? q[i + r] : k;
            vf sum = v_zero();
            int t = 0;
            for (; t + VL <= d; t += VL)
                sum = v_fma(v_load(x + t), v_load(k + t), sum);
            if (t < d)
                sum = v_fma(v_load_n(x + t, d - t), v_load_n(k + t, d - t), sum);
            acc[r] = sum;
        }
        v_store(s + i, v_fold_add(acc));
    }
}

/* Keys in panels that some of the rows from i to before `end` see. */
FV_INLINE int small_keys(const fvk_small *a, int i, int end)
{
    const int all = a->nk - a->tail;
    int most = a->see ? 0 : all;
    for (; a->see && i < end; i++)
        most = a->see[i] > most ? a->see[i] : most;
    return most < all ? most : all;
}

/* Adds a row's bias and hides the keys whose bias is -infinity; other finite ones saturate as in the lanes driver. */
FV_INLINE vf small_bias(vf x, vf b)
{
    vf y = v_add(x, v_max(v_set1(FVK_LOWEST), v_mul(b, v_set1((float)FVK_LOG2E))));
    y = v_select(v_eq(b, v_set1(FVK_HIDDEN)), b, y);
    return v_select(v_eq(x, v_set1(FVK_HIDDEN)), x, y);
}

/* Largest score of row i in each lane, over `vectors` vectors; with a bias it is added and stored. */
FV_INLINE vf small_top(const fvk_small *a, int i, int vectors, const int biased)
{
    float *s = a->s + (ptrdiff_t)i * LANES;
    vf top = v_set1(FVK_HIDDEN);
    for (int v = 0; v < vectors; v += V_TILE, s += a->panel)
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++) {
            const int j = (v + n) * VL;
            vf x;
            if (v + n >= vectors)
                break;
            x = v_load(s + n * VL);
            if (biased) {
                int left = a->nk - a->tail - j;
                x = small_bias(x, left >= VL ? v_load(a->bias[i] + j) : v_load_n(a->bias[i] + j, left));
                v_store(s + n * VL, x);
            }
            top = v_max(top, x);
        }
    return top;
}

/* Exponentials of row i in place; returns their sum in each lane. */
FV_INLINE vf small_exp(const fvk_small *a, int i, int vectors, vf ref)
{
    float *s = a->s + (ptrdiff_t)i * LANES;
    vf sum = v_zero();
    for (int v = 0; v < vectors; v += V_TILE, s += a->panel)
        for (int n = 0; n < V_TILE && v + n < vectors; n++) {
            vf x = v_exp2(v_sub(v_load(s + n * VL), ref));
            v_store(s + n * VL, x);
            sum = v_add(sum, x);
        }
    return sum;
}

/* Row by row when there are few, else the rows' vectors folded together. */
FV_INLINE vf small_largest(vf x[VL], int rows)
{
    float y[VL];
    if (rows > 2)
        return v_fold_max(x);
    v_store(y, v_zero());
    for (int r = 0; r < rows; r++)
        y[r] = v_largest(x[r]);
    return v_load(y);
}

FV_INLINE vf small_sum(vf x[VL], int rows)
{
    float y[VL];
    if (rows > 2)
        return v_fold_add(x);
    v_store(y, v_zero());
    for (int r = 0; r < rows; r++)
        y[r] = v_sum(x[r]);
    return v_load(y);
}

/* Scores of the tail's key t for VL rows, bias added. */
FV_INLINE vf small_tail(const fvk_small *a, int i, int rows, int t, const int biased)
{
    vf x = v_load(a->end + t * a->lde + i);
    float b[VL];
    if (biased) {
        v_store(b, v_zero());
        for (int r = 0; r < rows; r++)
            b[r] = a->bias[i + r][a->nk - a->tail + t];
        x = small_bias(x, v_load(b));
        v_store(a->end + t * a->lde + i, x);
    }
    return x;
}

/* Vectors: as many as the values of these rows, or of neighbours in the same tile of them, are weighted with. */
FV_INLINE void small_softmax_rows(const fvk_small *a, int i, int rows, const int biased)
{
    const int from = i - V_MC < 0 ? 0 : i - V_MC, to = i + rows + V_MC < a->n ? i + rows + V_MC : a->n;
    const int vectors = (small_keys(a, from, to) + VL - 1) / VL;
    vf x[VL], m, l;
    float ref[VL];
    for (int r = 0; r < VL; r++)
        x[r] = r < rows ? small_top(a, i + r, vectors, biased) : v_set1(FVK_HIDDEN);
    m = small_largest(x, rows);
    for (int t = 0; t < a->tail; t++)
        m = v_max(m, small_tail(a, i, rows, t, biased));
    v_store(a->m + i, m);
    m = softmax_reference(m);
    v_store(ref, m);
    for (int r = 0; r < VL; r++)
        x[r] = r < rows ? small_exp(a, i + r, vectors, v_set1(ref[r])) : v_zero();
    l = small_sum(x, rows);
    for (int t = 0; t < a->tail; t++) {
        float *e = a->end + t * a->lde + i;
        vf y = v_exp2(v_sub(v_load(e), m));
        v_store(e, y);
        l = v_add(l, y);
    }
    v_store(a->l + i, l);
}

void FVK(small_softmax_f32)(const fvk_small *a)
{
    for (int i = 0; i < a->n; i += VL) {
        int rows = a->n - i < VL ? a->n - i : VL;
        if (a->bias)
            small_softmax_rows(a, i, rows, 1);
        else
            small_softmax_rows(a, i, rows, 0);
    }
}

/* mr rows from i, nv vectors of columns from c, the last of `width` columns. */
FV_INLINE void small_pv_tile(const fvk_small *a, int i, int nk, const void *const *v, int c, int width, const float *r,
                             float *const *o, const int mr, const int nv)
{
    vf acc[V_MC][V_TILE];
    const float *p = a->s + (ptrdiff_t)i * LANES;
    FV_UNROLL
    for (int x = 0; x < mr; x++)
        FV_UNROLL
        for (int n = 0; n < nv; n++)
            acc[x][n] = v_zero();
    for (int j0 = 0; j0 < nk; j0 += LANES, p += a->panel) {
        const int stop = nk - j0 < LANES ? nk - j0 : LANES;
        for (int j = 0; j < stop; j++) {
            const float *y = (const float *)v[j0 + j] + c, *w = fv_opaque(p + j);
            vf col[V_TILE];
            FV_UNROLL
            for (int n = 0; n < nv; n++)
                col[n] = n + 1 < nv || width == VL ? v_load(y + n * VL) : v_load_n(y + n * VL, width);
            FV_UNROLL
            for (int x = 0; x < mr; x++)
                FV_UNROLL
                for (int n = 0; n < nv; n++)
                    acc[x][n] = v_fma(v_set1(w[x * LANES]), col[n], acc[x][n]);
        }
    }
    for (int t = 0; t < a->tail; t++) {
        const float *y = (const float *)v[a->nk - a->tail + t] + c, *w = fv_opaque(a->end + t * a->lde + i);
        vf col[V_TILE];
        FV_UNROLL
        for (int n = 0; n < nv; n++)
            col[n] = n + 1 < nv || width == VL ? v_load(y + n * VL) : v_load_n(y + n * VL, width);
        FV_UNROLL
        for (int x = 0; x < mr; x++)
            FV_UNROLL
            for (int n = 0; n < nv; n++)
                acc[x][n] = v_fma(v_set1(w[x]), col[n], acc[x][n]);
    }
    FV_UNROLL
    for (int x = 0; x < mr; x++)
        FV_UNROLL
        for (int n = 0; n < nv; n++) {
            vf y = v_mul(v_set1(r[i + x]), acc[x][n]);
            if (n + 1 < nv || width == VL)
                v_store(o[i + x] + c + n * VL, y);
            else
                v_store_n(o[i + x] + c + n * VL, y, width);
        }
}

/* All columns of mr rows. */
FV_INLINE void small_pv_rows(const fvk_small *a, int i, int nk, const void *const *v, int dv, const float *r,
                             float *const *o, const int mr)
{
    int c = 0;
    for (; c + V_TILE * VL <= dv; c += V_TILE * VL)
        small_pv_tile(a, i, nk, v, c, VL, r, o, mr, V_TILE);
    for (; c + VL <= dv; c += VL)
        small_pv_tile(a, i, nk, v, c, VL, r, o, mr, 1);
    if (c < dv)
        small_pv_tile(a, i, nk, v, c, dv - c, r, o, mr, 1);
}

/* 0, or NaN where a row has a number that is NaN or infinite. */
FV_INLINE vf small_odd(const float *x, int dv, vf odd)
{
    int c = 0;
    for (; c + VL <= dv; c += VL)
        odd = v_fma(v_load(x + c), v_zero(), odd);
    if (c < dv)
        odd = v_fma(v_load_n(x + c, dv - c), v_zero(), odd);
    return odd;
}

/* 1 when no output is NaN or infinite: then no value behind a weight of 0 was, and that is as good as a pair left out. Four
   rows at a time, for each is a chain. */
FV_INLINE int small_finite(float *const *o, int n, int dv)
{
    vf a = v_zero(), b = v_zero(), c = v_zero(), d = v_zero();
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        a = small_odd(o[i], dv, a);
        b = small_odd(o[i + 1], dv, b);
        c = small_odd(o[i + 2], dv, c);
        d = small_odd(o[i + 3], dv, d);
    }
    for (; i < n; i++)
        a = small_odd(o[i], dv, a);
    return v_sum(v_add(v_add(a, b), v_add(c, d))) == 0;
}

/* Row i, pair by pair, in the order of the tiles: what is hidden is left out. */
static void small_pv_careful(const fvk_small *a, int i, const void *const *v, int dv, float r, float *o)
{
    const int nk = a->see ? a->see[i] : a->nk;
    for (int c = 0; c < dv; c += VL) {
        const int w = dv - c < VL ? dv - c : VL;
        vf acc = v_zero();
        for (int j = 0; j < nk; j++) {
            const float *y = (const float *)v[j] + c;
            const float *p = j < a->nk - a->tail ? a->s + j / LANES * a->panel + (ptrdiff_t)i * LANES + j % LANES
                                                 : a->end + (j - a->nk + a->tail) * a->lde + i;
            if (!a->bias || a->bias[i][j] != FVK_HIDDEN)
                acc = v_fma(v_set1(*p), w == VL ? v_load(y) : v_load_n(y, w), acc);
        }
        acc = v_mul(v_set1(r), acc);
        if (w == VL)
            v_store(o + c, acc);
        else
            v_store_n(o + c, acc, w);
    }
}

void FVK(small_pv_f32)(const fvk_small *a, const void *const *v, int dv, const float *r, float *const *o)
{
    int i = 0;
    for (; i + V_MC <= a->n; i += V_MC)
        small_pv_rows(a, i, small_keys(a, i, i + V_MC), v, dv, r, o, V_MC);
    if (V_MC > 8 && i + 8 <= a->n) {
        small_pv_rows(a, i, small_keys(a, i, i + 8), v, dv, r, o, 8);
        i += 8;
    }
    if (V_MC > 4 && i + 4 <= a->n) {
        small_pv_rows(a, i, small_keys(a, i, i + 4), v, dv, r, o, 4);
        i += 4;
    }
    for (; i < a->n; i++)
        small_pv_rows(a, i, small_keys(a, i, i + 1), v, dv, r, o, 1);
    if ((a->see || a->bias) && !small_finite(o, a->n, dv))
        for (i = 0; i < a->n; i++)
            small_pv_careful(a, i, v, dv, r[i], o[i]);
}
