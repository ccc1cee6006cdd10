/* What the machine can do: independent fma chains, and a streaming read. Used to give every figure its limit. */
double FVK(peak_f32)(uint64_t n)
{
    enum { CHAINS = 12 };
    vf acc[CHAINS];
    volatile float seed = 1.0f;
    vf a = v_set1(seed), b = v_set1(1e-30f * seed); /* unknown to the compiler: nothing folds */
    float sum = 0;
    uint64_t rounds = n / (2 * VL * CHAINS) + 1;
    FV_UNROLL
    for (int i = 0; i < CHAINS; i++)
        acc[i] = v_set1((float)i);
    for (uint64_t r = 0; r < rounds; r++) {
        FV_UNROLL
        for (int i = 0; i < CHAINS; i++)
            acc[i] = v_fma(a, acc[i], b);
    }
    for (int i = 0; i < CHAINS; i++)
        sum += v_sum(acc[i]);
    seed = sum;
    return (double)rounds * 2 * VL * CHAINS;
}

double FVK(read_f32)(const void *block, size_t bytes)
{
    const float *x = block;
    vf acc[8];
    vf sum = v_zero();
    size_t n = bytes / sizeof(float), i = 0;
    for (int r = 0; r < 8; r++)
        acc[r] = v_zero();
    for (; i + 8 * VL <= n; i += 8 * VL) {
        v_prefetch1(x + i + 512);
        FV_UNROLL
        for (int r = 0; r < 8; r++)
            acc[r] = v_add(acc[r], v_load(x + i + r * VL));
    }
    for (int r = 0; r < 8; r++)
        sum = v_add(sum, acc[r]);
    return v_sum(sum);
}
