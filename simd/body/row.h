/* Passes over one row of scores for the normalisers: exponentials, counting and the range. */

/* exp of x - c, roughly 1 ulp: by exp2 of y log2 e = n + f, f to its last bit: with the product's low part where there is an
   fma, else by taking n ln 2 from y in two parts, the first of which is exact. Below -88, which is less than a normal
   float, the result is 0. */
FV_INLINE vf row_exp(vf x, vf c)
{
    vf y = v_max(v_set1(-88.0f), v_sub(x, c)), t = v_mul(y, v_set1((float)FVK_LOG2E)), n = v_round(t), f;
#if V_HAS_FMA
    f = v_fma(y, v_set1((float)FVK_LOG2E), v_sub(v_zero(), n));
    f = v_fma(y, v_set1((float)(FVK_LOG2E - (double)(float)FVK_LOG2E)), f);
#else
    f = v_sub(y, v_mul(n, v_set1(0x1.63p-1f)));
    f = v_sub(f, v_mul(n, v_set1((float)(FVK_LN2 - 0x1.63p-1))));
    f = v_mul(f, v_set1((float)FVK_LOG2E));
#endif
    return v_exp2_scale(t, v_exp2_part(f), n);
}

FV_INLINE double exp_row(const float *x, int64_t n, float shift, float lo, float *y, const int veiled)
{
    const vf c = v_set1(shift), low = v_set1(lo), dropped = v_set1(FVK_DROPPED);
    vd sum[V_PARTS];
    double all = 0;
    int64_t j = 0;
    for (int i = 0; i < V_PARTS; i++)
        sum[i] = v_dset1(0);
    for (; j + VL <= n; j += VL) {
        vf z = v_load(x + j), e = row_exp(z, c);
        vm under = v_lt(z, low);
        v_store(y + j, veiled ? v_select(under, dropped, e) : e);
        e = veiled ? v_select(under, v_zero(), e) : e;
        FV_UNROLL
        for (int i = 0; i < V_PARTS; i++)
            sum[i] = sum[i] + v_part(e, i);
    }
    if (j < n) {
        vf z = v_load_n(x + j, (int)(n - j)), e = row_exp(z, c);
        vm under = v_lt(z, low);
        v_store_n(y + j, v_select(under, dropped, e), (int)(n - j));
        e = v_select(v_mask((1u << (n - j)) - 1), v_select(under, v_zero(), e), v_zero());
        for (int i = 0; i < V_PARTS; i++)
            sum[i] = sum[i] + v_part(e, i);
    }
    for (int i = 0; i < V_PARTS; i++)
        all += v_dsum(sum[i]);
    return all;
}

double FVK(exp_f32)(const float *x, int64_t n, float shift, float lo, float *y)
{
    return lo == -INFINITY ? exp_row(x, n, shift, lo, y, 0) : exp_row(x, n, shift, lo, y, 1);
}

/* Each lane counts in a float, exact up to 2^24; blocks of 2^20 vectors keep far below. Four chains of additions. */
int64_t FVK(count_f32)(const float *x, int64_t n, float t)
{
    const vf limit = v_set1(t), one = v_set1(1.0f);
    int64_t count = 0, j = 0;
    while (j < n) {
        int64_t stop = n - j > (int64_t)VL << 20 ? j + ((int64_t)VL << 20) : n;
        vf a[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
        for (; j + 4 * VL <= stop; j += 4 * VL)
            FV_UNROLL
            for (int i = 0; i < 4; i++)
                a[i] = v_add(a[i], v_select(v_lt(limit, v_load(x + j + i * VL)), one, v_zero()));
        for (; j + VL <= stop; j += VL)
            a[0] = v_add(a[0], v_select(v_lt(limit, v_load(x + j)), one, v_zero()));
        count += (int64_t)v_sum(v_add(v_add(a[0], a[1]), v_add(a[2], a[3])));
        for (; j < stop; j++)
            count += x[j] > t;
    }
    return count;
}

/* x - x is 0 for finite x and NaN else, so its sum tells. max(x, a) with the accumulator second passes over NaN. Two
   chains of each, for a maximum takes as long as four other instructions. */
int FVK(range_f32)(const float *x, int64_t n, float *least, float *most)
{
    vf low[2], high[2], odd[2];
    float a = INFINITY, b = -INFINITY, rest = 0;
    int64_t j = 0;
    for (int i = 0; i < 2; i++) {
        low[i] = v_set1(INFINITY);
        high[i] = v_set1(-INFINITY);
        odd[i] = v_zero();
    }
    for (; j + 2 * VL <= n; j += 2 * VL)
        FV_UNROLL
        for (int i = 0; i < 2; i++) {
            vf y = v_load(x + j + i * VL);
            high[i] = v_max(y, high[i]);
            low[i] = v_select(v_lt(y, low[i]), y, low[i]);
            odd[i] = v_add(odd[i], v_sub(y, y));
        }
    for (; j < n; j++) {
        a = x[j] < a ? x[j] : a;
        b = x[j] > b ? x[j] : b;
        rest += x[j] - x[j];
    }
    rest += v_sum(v_add(odd[0], odd[1]));
    high[0] = v_max(high[0], v_max(high[1], v_set1(b)));
    low[0] = v_select(v_lt(low[1], low[0]), low[1], low[0]);
    *most = v_largest(high[0]);
    *least = -v_largest(v_sub(v_zero(), v_select(v_lt(v_set1(a), low[0]), v_set1(a), low[0])));
    return rest == 0;
}

/* The softmax and the edits of the lanes family for one row. */
void FVK(row_softmax_f32)(float *s, int64_t n, float *m, float *l, float *alpha)
{
    vf top = v_set1(*m), sum = v_zero(), ref;
    float now;
    int64_t j = 0;
    for (; j + VL <= n; j += VL)
        top = v_max(top, v_load(s + j));
    if (j < n)
        top = v_max(top, v_select(v_mask((1u << (n - j)) - 1), v_load_n(s + j, (int)(n - j)), top));
    now = v_largest(top);
    ref = softmax_reference(v_set1(now));
    for (j = 0; j + VL <= n; j += VL) {
        vf x = v_exp2(v_sub(v_load(s + j), ref));
        v_store(s + j, x);
        sum = v_add(sum, x);
    }
    if (j < n) {
        vf x = v_exp2(v_sub(v_load_n(s + j, (int)(n - j)), ref));
        v_store_n(s + j, x, (int)(n - j));
        sum = v_add(sum, v_select(v_mask((1u << (n - j)) - 1), x, v_zero()));
    }
    v_store_n(alpha, v_exp2(v_sub(v_set1(*m), ref)), 1);
    *m = now;
    *l = *l * *alpha + v_sum(sum);
}

void FVK(row_edit_f32)(float *s, int nk, const fvk_edit *e)
{
    vf slope = e->slope ? v_set1(*e->slope) : v_zero(), pos = e->slope ? v_set1(*e->pos) : v_zero();
    int j = 0;
    for (; j + VL <= nk; j += VL)
        v_store(s + j, edit_one(v_load(s + j), e, slope, pos, e->slope ? v_load(e->kpos + j) : v_zero()));
    if (j < nk)
        v_store_n(s + j, edit_one(v_load_n(s + j, nk - j), e, slope, pos,
                                  e->slope ? v_load_n(e->kpos + j, nk - j) : v_zero()), nk - j);
}
