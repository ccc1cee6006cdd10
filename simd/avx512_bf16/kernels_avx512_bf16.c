/* Kernels of the instruction set avx512_bf16: the native dot on pairs along the head dimension. Keys need no change of
   layout (pairs along d are neighbours); queries are packed once, qt[t / 2][lane] = (q[t], q[t + 1]) in one 32-bit word. */
#include "vec/vec_avx512.h"
#undef V_ISA
#define V_ISA avx512_bf16
#include "body/name.h"

/* Pair t of a key row, the missing partner of an odd d being 0. */
static inline __m512bh key_pair(const uint16_t *k, int t, int d)
{
    uint32_t pair = k[t];
    if (t + 1 < d)
        memcpy(&pair, k + t, 4);
    return (__m512bh)_mm512_set1_epi32((int)pair);
}

void fvk_pack_pair_bf16__avx512_bf16(const void *const *q, int n, int d, void *out)
{
    uint32_t *qt = out;
    for (int t = 0; t < d; t += 2)
        for (int lane = 0; lane < LANES; lane++) {
            uint32_t pair = 0;
            if (lane < n) {
                const uint16_t *x = (const uint16_t *)q[lane] + t;
                pair = x[0] | (t + 1 < d ? (uint32_t)x[1] << 16 : 0);
            }
            qt[(size_t)(t / 2) * LANES + lane] = pair;
        }
}

/* Registers: 16 accumulators, 2 query vectors, 1 broadcast. Bound: V_MR * V_TILE vdpbf16ps per pair of t. */
FV_INLINE void qk_pair_tile(const uint32_t *qt, int d, const void *const *k, const uint32_t *rows, vf scale, float *s,
                            vf *mx, const int mr)
{
    vf acc[V_MR][V_TILE];
    const uint16_t *kr[V_MR];
    int t = 0;
    FV_UNROLL
    for (int r = 0; r < mr; r++) {
        kr[r] = k[r];
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            acc[r][n] = v_zero();
    }
    for (; t + 2 <= d; t += 2) {
        __m512bh q[V_TILE];
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            q[n] = (__m512bh)_mm512_loadu_si512(qt + (size_t)(t / 2) * LANES + n * VL);
        FV_UNROLL
        for (int r = 0; r < mr; r++) {
            uint32_t pair;
            memcpy(&pair, kr[r] + t, 4);
            __m512bh x = (__m512bh)_mm512_set1_epi32((int)pair);
            FV_UNROLL
            for (int n = 0; n < V_TILE; n++)
                acc[r][n] = _mm512_dpbf16_ps(acc[r][n], x, q[n]);
        }
    }
    if (t < d)
        FV_UNROLL
        for (int r = 0; r < mr; r++)
            FV_UNROLL
            for (int n = 0; n < V_TILE; n++)
                acc[r][n] = _mm512_dpbf16_ps(acc[r][n], key_pair(kr[r], t, d),
                                             (__m512bh)_mm512_loadu_si512(qt + (size_t)(t / 2) * LANES + n * VL));
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++) {
            vf x = v_mul(scale, acc[r][n]);
            if (rows)
                x = v_select(v_mask(rows[r] >> (n * VL)), x, v_set1(FVK_HIDDEN));
            v_store(s + r * LANES + n * VL, x);
            mx[n] = v_max(mx[n], x);
        }
}

void fvk_qk_pair_bf16__avx512_bf16(const void *qt, int d, const void *const *k, int nk, const uint32_t *rows, float scale,
                                   float *s, float *mx)
{
    const vf c = v_set1(scale);
    vf m[V_TILE];
    int j = 0;
    for (int n = 0; n < V_TILE; n++)
        m[n] = v_load(mx + n * VL);
    for (; j + V_MR <= nk; j += V_MR)
        qk_pair_tile(qt, d, k + j, rows ? rows + j : NULL, c, s + (size_t)j * LANES, m, V_MR);
    if (j + 4 <= nk) {
        qk_pair_tile(qt, d, k + j, rows ? rows + j : NULL, c, s + (size_t)j * LANES, m, 4);
        j += 4;
    }
    for (; j < nk; j++)
        qk_pair_tile(qt, d, k + j, rows ? rows + j : NULL, c, s + (size_t)j * LANES, m, 1);
    for (int n = 0; n < V_TILE; n++)
        v_store(mx + n * VL, m[n]);
}

double fvk_peak_bf16__avx512_bf16(uint64_t n)
{
    enum { CHAINS = 14 };
    __m512 acc[CHAINS];
    volatile int seed = 0x3f803f80;
    __m512bh a = (__m512bh)_mm512_set1_epi32(seed);
    float sum = 0;
    uint64_t rounds = n / (4 * VL * CHAINS) + 1;
    FV_UNROLL
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm512_set1_ps((float)i);
    for (uint64_t r = 0; r < rounds; r++)
        FV_UNROLL
        for (int i = 0; i < CHAINS; i++)
            acc[i] = _mm512_dpbf16_ps(acc[i], a, a);
    for (int i = 0; i < CHAINS; i++)
        sum += v_sum(acc[i]);
    seed = (int)sum;
    return (double)rounds * 4 * VL * CHAINS;
}
