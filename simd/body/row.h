/* Passes over one row of scores for the normalisers: accurate exponentials (SLEEF's, 1 ulp) and counting. */
void FVK(exp_f32)(const float *x, int64_t n, float shift, float *y)
{
    const vf c = v_set1(shift);
    int64_t j = 0;
    for (; j + VL <= n; j += VL)
        v_store(y + j, v_exp(v_sub(v_load(x + j), c)));
    if (j < n)
        v_store_n(y + j, v_exp(v_sub(v_load_n(x + j, (int)(n - j)), c)), (int)(n - j));
}

/* Each lane counts in a float, exact up to 2^24; blocks of 2^20 vectors keep far below. Two chains of additions. */
int64_t FVK(count_f32)(const float *x, int64_t n, float t)
{
    const vf limit = v_set1(t), one = v_set1(1.0f);
    int64_t count = 0, j = 0;
    while (j < n) {
        int64_t stop = n - j > (int64_t)VL << 20 ? j + ((int64_t)VL << 20) : n;
        vf a = v_zero(), b = v_zero();
        for (; j + 2 * VL <= stop; j += 2 * VL) {
            a = v_add(a, v_select(v_lt(limit, v_load(x + j)), one, v_zero()));
            b = v_add(b, v_select(v_lt(limit, v_load(x + j + VL)), one, v_zero()));
        }
        count += (int64_t)v_sum(a) + (int64_t)v_sum(b);
        for (; j < stop; j++)
            count += x[j] > t;
    }
    return count;
}

/* x - x is 0 for finite x and NaN else, so its sum tells. max(x, a) with the accumulator second passes over NaN. */
int FVK(range_f32)(const float *x, int64_t n, float *least, float *most)
{
    vf low = v_set1(INFINITY), high = v_set1(-INFINITY), odd = v_zero();
    float a = INFINITY, b = -INFINITY, rest = 0;
    int64_t j = 0;
    for (; j + VL <= n; j += VL) {
        vf y = v_load(x + j);
        high = v_max(y, high);
        low = v_select(v_lt(y, low), y, low);
        odd = v_add(odd, v_sub(y, y));
    }
    for (; j < n; j++) {
        a = x[j] < a ? x[j] : a;
        b = x[j] > b ? x[j] : b;
        rest += x[j] - x[j];
    }
    rest += v_sum(odd);
    high = v_max(high, v_set1(b));
    *most = v_largest(high);
    *least = -v_largest(v_sub(v_zero(), v_select(v_lt(v_set1(a), low), v_set1(a), low)));
    return rest == 0;
}
