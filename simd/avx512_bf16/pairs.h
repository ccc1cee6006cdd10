/* The native bf16 dot, for lane tiles of any width: two products per 32-bit element. Scores pair along the head
   dimension, where neighbours lie together in a key row; values pair along the keys, and so are interleaved once per block.
   A pair is one word: the even element in its low half. */
#include "body/name.h"
#include "body/exp2.h"

enum { PAIR_COLUMNS = 8 }; /* of a panel of values_pair */

/* 16 rows from q, w <= 32 elements from t: words transposed in registers. */
FV_INLINE void pack_pair_block(const void *const *q, int rows, int t, int w, uint32_t *qt)
{
    const __mmask32 here = w < 32 ? (1u << w) - 1 : ~0u;
    vf r[VL];
    FV_UNROLL
    for (int i = 0; i < VL; i++)
        r[i] = i < rows ? _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(here, (const uint16_t *)q[i] + t)) : v_zero();
    v_transpose(r);
    for (int i = 0; i < (w + 1) / 2; i++)
        v_store((float *)(qt + (size_t)i * LANES), r[i]);
}

void FVK(pack_pair_bf16)(const void *const *q, int n, int d, void *out)
{
    for (int v = 0; v < V_TILE; v++) {
        int rows = n - v * VL < 0 ? 0 : n - v * VL < VL ? n - v * VL : VL;
        for (int t = 0; t < d; t += 32)
            pack_pair_block(q + v * VL, rows, t, d - t < 32 ? d - t : 32, (uint32_t *)out + (size_t)(t / 2) * LANES + v * VL);
    }
}

/* Registers: 16 accumulators, 2 query vectors, 1 broadcast. Bound: V_MR * V_TILE vdpbf16ps per pair of t. Prefetch as in
   body/qk.h, per 64 bytes of a key row. */
FV_INLINE void qk_pair_tile(const uint32_t *qt, int d, const void *const *k, const uint32_t *rows, vf scale, float *s,
                            vf *mx, const void *const *next_k, const void *const *far, ptrdiff_t shift, int width,
                            const int mr)
{
    const ptrdiff_t pairs = d / 2;
    vf acc[V_MR][V_TILE];
    const uint16_t *kr[V_MR];
    ptrdiff_t i = 0;
    FV_UNROLL
    for (int r = 0; r < mr; r++) {
        kr[r] = k[r];
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            acc[r][n] = v_zero();
    }
    while (i < pairs) {
        const ptrdiff_t stop = pairs - i > 16 ? i + 16 : pairs;
        if (next_k)
            for (int r = 0; r < mr; r++)
                v_prefetch1((const uint16_t *)next_k[r] + 2 * i);
        if (far && 2 * i < width)
            for (int r = 0; r < mr; r++)
                v_prefetch2((const char *)far[r] + shift + 4 * i);
        FV_UNROLL_4
        for (; i < stop; i++) {
            __m512bh q[V_TILE];
            FV_UNROLL
            for (int n = 0; n < V_TILE; n++)
                q[n] = (__m512bh)_mm512_loadu_si512(qt + i * LANES + n * VL);
            FV_UNROLL
            for (int r = 0; r < mr; r++) {
                uint32_t pair;
                memcpy(&pair, kr[r] + 2 * i, 4);
                __m512bh x = (__m512bh)_mm512_set1_epi32((int)pair);
                FV_UNROLL
                for (int n = 0; n < V_TILE; n++)
                    acc[r][n] = _mm512_dpbf16_ps(acc[r][n], x, q[n]);
            }
        }
    }
    if (d % 2) /* the last element's partner is 0 */
        FV_UNROLL
        for (int r = 0; r < mr; r++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32(kr[r][d - 1]);
            FV_UNROLL
            for (int n = 0; n < V_TILE; n++)
                acc[r][n] = _mm512_dpbf16_ps(acc[r][n], x, (__m512bh)_mm512_loadu_si512(qt + pairs * LANES + n * VL));
        }
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

void FVK(qk_pair_bf16)(const void *qt, int d, const void *const *k, int nk, const uint32_t *rows, float scale,
                                   float *s, float *mx, const void *const *next_k, const void *const *far,
                                   ptrdiff_t shift, int width)
{
    const vf c = v_set1(scale);
    vf m[V_TILE];
    int j = 0;
    for (int n = 0; n < V_TILE; n++)
        m[n] = v_load(mx + n * VL);
    for (; j + V_MR <= nk; j += V_MR) {
        const void *const *next = j + 2 * V_MR <= nk ? k + j + V_MR : next_k;
        qk_pair_tile(qt, d, k + j, rows ? rows + j : NULL, c, s + (size_t)j * LANES, m, next, far ? far + j : NULL, shift,
                     width, V_MR);
    }
    for (; j + 4 <= nk; j += 4)
        qk_pair_tile(qt, d, k + j, rows ? rows + j : NULL, c, s + (size_t)j * LANES, m, NULL, NULL, 0, 0, 4);
    for (; j < nk; j++)
        qk_pair_tile(qt, d, k + j, rows ? rows + j : NULL, c, s + (size_t)j * LANES, m, NULL, NULL, 0, 0, 1);
    for (int n = 0; n < V_TILE; n++)
        v_store(mx + n * VL, m[n]);
}

/* ------------------------------------------------------------------ precision=fast: probabilities in bf16 */

/* p[j] and p[j + 1] of 16 lanes, rounded and interleaved. */
FV_INLINE __m512i pair_of(vf even, vf odd)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                           20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

/* softmax of body/softmax.h, written as pairs over the scores already read. The sum is of the unrounded probabilities: the
   log-sum-exp stays that of exact precision, and an output's error stays within half a unit of bf16 per term; with the sum
   of the rounded ones it could be twice that. */
void FVK(softmax_pair_bf16)(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    for (int n = 0; n < V_TILE; n++) {
        vf old = v_load(m + n * VL), now = v_max(old, v_load(mx + n * VL));
        const vf ref = v_select(v_eq(now, v_set1(FVK_HIDDEN)), v_zero(), now), scale = v_exp2(v_sub(old, ref));
        vf sum = v_zero(), sum2 = v_zero();
        const float *a = s + n * VL;
        float *p = s + n * VL;
        int j = 0;
        v_store(m + n * VL, now);
        v_store(alpha + n * VL, scale);
        FV_UNROLL_2
        for (; j + 2 <= nk; j += 2, a += 2 * LANES, p += LANES) {
            vf x = v_exp2(v_sub(v_load(a), ref));
            vf y = v_exp2(v_sub(v_load(a + LANES), ref));
            _mm512_storeu_si512(p, pair_of(x, y));
            sum = v_add(sum, x);
            sum2 = v_add(sum2, y);
        }
        if (j < nk) {
            vf x = v_exp2(v_sub(v_load(a), ref));
            _mm512_storeu_si512(p, pair_of(x, v_zero()));
            sum = v_add(sum, x);
        }
        v_store(l + n * VL, v_fma(v_load(l + n * VL), scale, v_add(sum, sum2)));
    }
}

#ifndef V_NARROW /* values are turned the same way for tiles of any width */
/* Words of w <= 16 columns of two rows; b NULL: a row of zeros. */
FV_INLINE __m512i words_of(const uint16_t *a, const uint16_t *b, int w)
{
    const __mmask16 here = (__mmask16)((1u << w) - 1);
    __m512i x = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(here, a));
    __m512i y = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(b ? here : 0, b ? b : a));
    return _mm512_or_si512(x, _mm512_slli_epi32(y, 16));
}

/* Panels of 8 columns, so that pv_pair reads one stream. */
void FVK(values_pair_bf16)(const void *const *v, int nk, int dv, uint32_t *vt)
{
    const ptrdiff_t panel = (ptrdiff_t)((nk + 1) / 2) * PAIR_COLUMNS;
    for (int j = 0; j < nk; j += 2, vt += PAIR_COLUMNS) {
        const uint16_t *a = v[j], *b = j + 1 < nk ? v[j + 1] : NULL;
        uint32_t *out = vt;
        int c = 0;
        for (; c + VL <= dv; c += VL, out += 2 * panel) {
            __m512i x = words_of(a + c, b ? b + c : NULL, VL);
            _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(x));
            _mm256_storeu_si256((__m256i *)(out + panel), _mm512_extracti64x4_epi64(x, 1));
        }
        if (c < dv) {
            __m512i x = words_of(a + c, b ? b + c : NULL, dv - c);
            _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(x));
            if (dv - c > PAIR_COLUMNS)
                _mm256_storeu_si256((__m256i *)(out + panel), _mm512_extracti64x4_epi64(x, 1));
        }
    }
}
#endif

/* pv of body/pv.h on pairs, mr columns of a panel. Registers: mr * V_TILE accumulators, 2 weights, 1 broadcast. Bound:
   mr * V_TILE vdpbf16ps per pair of keys. */
FV_INLINE void pv_pair_tile(const uint32_t *p, int nk, const uint32_t *vt, const float *alpha, float *ot, const int mr)
{
    vf acc[PAIR_COLUMNS][V_TILE];
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            acc[r][n] = alpha ? v_mul(v_load(alpha + n * VL), v_load(ot + r * LANES + n * VL)) : v_zero();
    FV_UNROLL_2
    for (int j = 0; j < nk; j += 2, p += LANES, vt += PAIR_COLUMNS) {
        __m512bh w[V_TILE];
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            w[n] = (__m512bh)_mm512_loadu_si512(p + n * VL);
        FV_UNROLL
        for (int r = 0; r < mr; r++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32((int)vt[r]);
            FV_UNROLL
            for (int n = 0; n < V_TILE; n++)
                acc[r][n] = _mm512_dpbf16_ps(acc[r][n], x, w[n]);
        }
    }
    FV_UNROLL
    for (int r = 0; r < mr; r++)
        FV_UNROLL
        for (int n = 0; n < V_TILE; n++)
            v_store(ot + r * LANES + n * VL, acc[r][n]);
}

void FVK(pv_pair_bf16)(const void *p, int nk, const uint32_t *vt, int dv, const float *alpha, float *ot)
{
    const ptrdiff_t panel = (ptrdiff_t)((nk + 1) / 2) * PAIR_COLUMNS;
    int c = 0;
    for (; c + PAIR_COLUMNS <= dv; c += PAIR_COLUMNS, vt += panel)
        pv_pair_tile(p, nk, vt, alpha, ot + (size_t)c * LANES, PAIR_COLUMNS);
    if (c + 4 <= dv) {
        pv_pair_tile(p, nk, vt, alpha, ot + (size_t)c * LANES, 4);
        c += 4;
        vt += 4;
    }
    for (; c < dv; c++, vt++)
        pv_pair_tile(p, nk, vt, alpha, ot + (size_t)c * LANES, 1);
}

/* ------------------------------------------------------------------ the machine */

#ifndef V_NARROW
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
#endif
