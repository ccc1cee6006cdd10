/* widen: rows of a 16-bit type to float, exact. Included once per type with FV_T, FV_LOAD, FV_LOAD_N, FV_NAME. */
void FVK(FV_NAME)(const void *const *row, int n, int d, float *out, ptrdiff_t ld)
{
    for (int j = 0; j < n; j++) {
        const FV_T *x = row[j];
        float *y = out + j * ld;
        int t = 0;
        for (; t + VL <= d; t += VL)
            v_store(y + t, FV_LOAD(x + t));
        if (t < d)
            v_store_n(y + t, FV_LOAD_N(x + t, d - t), d - t);
    }
}
