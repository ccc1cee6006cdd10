/* Vector operations for AVX2 + FMA + F16C: 8 floats, masks as vectors. Contract: vec/README. */
#ifndef FV_VEC_H
#define FV_VEC_H
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef V_NARROW /* tiles of two vectors */
#define V_ISA avx2_narrow
enum { V_TILE = 2, V_MR = 6, V_MC = 6 };
#else
#define V_ISA avx2
enum { V_TILE = 3, V_MR = 4, V_MC = 4 };
#endif
#if defined(__clang__)
#define V_UNROLL _Pragma("clang loop unroll(full)")
#else
#define V_UNROLL _Pragma("GCC unroll 16")
#endif
#define V_HAS_FMA 1
enum { VL = 8, V_REGS = 16, V_QK_UNROLLED = 0 };
enum { V_MASK_TILE = 1, V_MASK_MC = 8 }; /* masks take vector registers */

typedef __m256 vf;
typedef __m256 vm;

static inline vf v_zero(void) { return _mm256_setzero_ps(); }
static inline vf v_set1(float x) { return _mm256_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
/* A value the compiler may not load again: gcc turns one load and two uses into two loads. */
static inline vf v_hold(vf x)
{
    __asm__("" : "+x"(x));
    return x;
}
static inline vf v_load_quad(const float *p) { return _mm256_broadcast_ps((const __m128 *)p); }
static inline void v_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vm v_mask(uint32_t bits)
{
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i x = _mm256_and_si256(_mm256_set1_epi32((int)bits), bit);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(x, bit));
}
static inline vm v_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline vm v_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vf v_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
static inline vf v_fma_mask(vm m, vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(_mm256_and_ps(a, m), _mm256_and_ps(b, m), c);
}
static inline __m256i v_first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vf v_load_n(const float *p, int n) { return _mm256_maskload_ps(p, v_first(n)); }
static inline void v_store_n(float *p, vf x, int n) { _mm256_maskstore_ps(p, v_first(n), x); }
static inline vf v_load_bf16(const uint16_t *p)
{
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
static inline vf v_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
/* The first n < 8 halves in registers: a buffer on the stack would cost a call, and every accumulator a spill. */
static inline __m128i v_first_halves(const uint16_t *p, int n)
{
    uint64_t low = 0, rest = 0;
    const uint16_t *q = p + (n & 4);
    uint32_t two;
    if (n & 2) {
        memcpy(&two, q, 4);
        rest = two;
    }
    if (n & 1)
        rest |= (uint64_t)q[n & 2] << 16 * (n & 2);
    if (!(n & 4))
        return _mm_cvtsi64_si128((long long)rest);
    memcpy(&low, p, 8);
    return _mm_set_epi64x((long long)rest, (long long)low);
}
static inline vf v_load_bf16_n(const uint16_t *p, int n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v_first_halves(p, n)), 16));
}
static inline vf v_load_f16_n(const uint16_t *p, int n) { return _mm256_cvtph_ps(v_first_halves(p, n)); }
static inline float v_sum(vf x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
/* hadd is two shuffles and an addition, and neighbours of neighbours are what is wanted here */
static inline __attribute__((always_inline)) vf v_quads(vf a, vf b, vf c, vf d)
{
    return _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
}
static inline vf v_sum_quads(const vf x[2])
{
    return _mm256_add_ps(_mm256_permute2f128_ps(x[0], x[1], 0x20), _mm256_permute2f128_ps(x[0], x[1], 0x31));
}
static inline __attribute__((always_inline)) vf v_sums(const vf x[8])
{
    const vf quads[2] = {v_quads(x[0], x[1], x[2], x[3]), v_quads(x[4], x[5], x[6], x[7])};
    return v_sum_quads(quads);
}
static inline float v_largest(vf x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
static inline uint32_t v_bits(vm m) { return (uint32_t)_mm256_movemask_ps(m); }
typedef __m256d vd;
enum { V_PARTS = 2 };
static inline vd v_dset1(double x) { return _mm256_set1_pd(x); }
static inline vd v_part(vf x, int part)
{
    return _mm256_cvtps_pd(part ? _mm256_extractf128_ps(x, 1) : _mm256_castps256_ps128(x));
}
static inline vd v_dload(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
static inline vd v_dfma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }
static inline vf v_join(const vd part[V_PARTS])
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(part[0])), _mm256_cvtpd_ps(part[1]), 1);
}
static inline vd v_dmax(vd a, vd b) { return _mm256_max_pd(a, b); }
static inline vd v_dcount(vd n, vd a)
{
    return _mm256_add_pd(n, _mm256_and_pd(_mm256_cmp_pd(a, _mm256_setzero_pd(), _CMP_GT_OQ), _mm256_set1_pd(1)));
}
static inline double v_dsum(vd x)
{
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
static inline vf v_round(vf x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf v_exp2_scale(vf x, vf p, vf n)
{
    (void)x;
    __m256i e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(p, _mm256_castsi256_ps(e));
}
static inline vf v_exp2_clamp(vf x) { return v_max(v_set1(-127.0f), x); }
/* macros: gcc 12 takes an inline function that only prefetches for one without effect, and drops the calls */
#define v_prefetch1(p) __builtin_prefetch((p), 0, 3)
#define v_prefetch2(p) __builtin_prefetch((p), 0, 2)

static inline __attribute__((always_inline)) void v_transpose(vf r[8])
{
    __m256 t[8];
    V_UNROLL
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    V_UNROLL
    for (int i = 0; i < 2; i++) {
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    V_UNROLL
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x20);
        t[4 + i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x31);
    }
    V_UNROLL
    for (int i = 0; i < 8; i++)
        r[i] = t[i];
}

#define V_HAS_QUADS 1
/* Within each 128 bits: element j of r[i] <-> element i of r[j]. */
static inline __attribute__((always_inline)) void v_turn_quads(vf r[4])
{
    __m256 a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpackhi_ps(r[0], r[1]);
    __m256 c = _mm256_unpacklo_ps(r[2], r[3]), d = _mm256_unpackhi_ps(r[2], r[3]);
    r[0] = _mm256_shuffle_ps(a, c, 0x44);
    r[1] = _mm256_shuffle_ps(a, c, 0xee);
    r[2] = _mm256_shuffle_ps(b, d, 0x44);
    r[3] = _mm256_shuffle_ps(b, d, 0xee);
}
static inline __attribute__((always_inline)) void v_load_quads(const float *const *p, int w, vf r[4])
{
    const __m128i m = _mm256_castsi256_si128(v_first(w));
    V_UNROLL
    for (int i = 0; i < 4; i++)
        if (w == 4)
            r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p[i])), _mm_loadu_ps(p[4 + i]), 1);
        else
            r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_maskload_ps(p[i], m)), _mm_maskload_ps(p[4 + i], m), 1);
    v_turn_quads(r);
}
static inline __attribute__((always_inline)) void v_store_quads(float *const *p, int n, int w, vf r[4])
{
    const __m128i m = _mm256_castsi256_si128(v_first(w));
    v_turn_quads(r);
    V_UNROLL
    for (int i = 0; i < 4; i++) {
        const __m128 low = _mm256_castps256_ps128(r[i]), high = _mm256_extractf128_ps(r[i], 1);
        if (i < n && w == 4)
            _mm_storeu_ps(p[i], low);
        else if (i < n)
            _mm_maskstore_ps(p[i], m, low);
        if (4 + i < n && w == 4)
            _mm_storeu_ps(p[4 + i], high);
        else if (4 + i < n)
            _mm_maskstore_ps(p[4 + i], m, high);
    }
}

/* Lane i joins the lanes of r[i]; r is left transposed. */
static inline __attribute__((always_inline)) vf v_fold(vf r[VL], vf (*join)(vf, vf))
{
    v_transpose(r);
    for (int n = VL / 2; n; n /= 2)
        for (int i = 0; i < n; i++)
            r[i] = join(r[i], r[i + n]);
    return r[0];
}
static inline vf v_fold_max(vf r[VL]) { return v_fold(r, v_max); }
static inline vf v_fold_add(vf r[VL]) { return v_fold(r, v_add); }
#endif
