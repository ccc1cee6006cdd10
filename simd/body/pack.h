/* pack: a tile of query rows, transposed once and scaled. VL x VL blocks in registers, the rest element by element.
   Included once per element type with FV_T (element), FV_LOAD (VL elements), FV_LOAD_N (n elements), FV_NAME. */
void FVK(FV_NAME)(const void *const *q, int n, int d, float scale, float *qt)
{
    const vf c = v_set1(scale);
    for (int v = 0; v < V_TILE; v++)
        for (int t = 0; t < d; t += VL) {
            vf r[VL];
            int w = d - t < VL ? d - t : VL;
            for (int i = 0; i < VL; i++) {
                int lane = v * VL + i;
                if (lane >= n)
                    r[i] = v_zero();
                else if (w == VL)
                    r[i] = v_mul(c, FV_LOAD((const FV_T *)q[lane] + t));
                else
                    r[i] = v_mul(c, FV_LOAD_N((const FV_T *)q[lane] + t, w));
            }
            v_transpose(r);
            for (int i = 0; i < w; i++)
                v_store(qt + (size_t)(t + i) * LANES + v * VL, r[i]);
        }
}
