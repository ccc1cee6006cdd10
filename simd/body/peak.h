/* What the machine can do, so that every figure has its limit: fma fed from L1, and a streaming read. */

/* The fma peak of a matrix kernel: a register tile fed from L1 by broadcast, as in qk, and nothing else. A loop on registers
   alone runs no faster per cycle, but on CPUs that pay for loads with clock it is a peak that no kernel can have. */
double FVK(peak_f32)(uint64_t n)
{
    enum { STEPS = 64, WORK = 2 * V_MR * LANES * STEPS };
    volatile float seed = 1.0f;
    float k[V_MR * STEPS], q[STEPS * LANES], sum = 0;
    uint32_t bits = 1;
    vf acc[V_MR][V_TILE];
    uint64_t rounds = n / WORK + 1;
    /* numbers of both signs with full significands: zeros and small integers run at a higher clock */
    for (int i = 0; i < STEPS * (V_MR + LANES); i++) {
        bits = bits * 1664525u + 1013904223u;
        *(i < STEPS * V_MR ? &k[i] : &q[i - STEPS * V_MR]) = seed * ((float)(bits >> 8) * 0x1p-24f - 0.5f);
    }
    FV_UNROLL
    for (int r = 0; r < V_MR; r++)
        FV_UNROLL
        for (int v = 0; v < V_TILE; v++)
            acc[r][v] = v_set1((float)r);
    for (uint64_t i = 0; i < rounds; i++) {
        const float *x = fv_opaque(k), *y = fv_opaque(q);
        FV_UNROLL_4
        for (int t = 0; t < STEPS; t++) {
            vf w[V_TILE];
            FV_UNROLL
            for (int v = 0; v < V_TILE; v++)
                w[v] = v_load(y + t * LANES + v * VL);
            FV_UNROLL
            for (int r = 0; r < V_MR; r++)
                FV_UNROLL
                for (int v = 0; v < V_TILE; v++)
                    acc[r][v] = v_fma(v_set1(x[r * STEPS + t]), w[v], acc[r][v]);
        }
    }
    FV_UNROLL
    for (int r = 0; r < V_MR; r++)
        FV_UNROLL
        for (int v = 0; v < V_TILE; v++)
            sum += v_sum(acc[r][v]);
    seed = sum;
    return (double)rounds * WORK;
}

/* Four lines at a time, each asked for 1 KiB before. Hardware prefetchers look at how far one load instruction steps: from
   DRAM this loop is a fifth faster than the same with steps of 512 bytes, with or without requests of its own. */
double FVK(read_f32)(const void *block, size_t bytes)
{
    enum { STEP = 64, AHEAD = 256, CHAINS = STEP / VL < 8 ? STEP / VL : 8 };
    const float *x = block;
    vf acc[CHAINS];
    vf sum = v_zero();
    size_t n = bytes / sizeof(float), i = 0;
    for (int r = 0; r < CHAINS; r++)
        acc[r] = v_zero();
    for (; i + STEP <= n; i += STEP) {
        FV_UNROLL
        for (int r = 0; r < STEP; r += 16)
            v_prefetch1(x + i + AHEAD + r);
        FV_UNROLL
        for (int r = 0; r < STEP / VL; r++)
            acc[r % CHAINS] = v_add(acc[r % CHAINS], v_load(x + i + r * VL));
    }
    for (int r = 0; r < CHAINS; r++)
        sum = v_add(sum, acc[r]);
    return v_sum(sum);
}
