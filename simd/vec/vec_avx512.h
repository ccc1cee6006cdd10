/* Vector operations for AVX-512 (F, BW, DQ, VL): 16 floats, mask registers. Contract: vec/README. */
#ifndef FV_VEC_H
#define FV_VEC_H
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef V_NARROW /* tiles of one vector: every product has a broadcast of its own, which is one load per fma */
#define V_ISA avx512_narrow
enum { V_TILE = 1, V_MR = 12, V_MC = 16 };
#else
#define V_ISA avx512
enum { V_TILE = 2, V_MR = 8, V_MC = 12 };
#endif
#if defined(__clang__)
#define V_UNROLL _Pragma("clang loop unroll(full)")
#else
#define V_UNROLL _Pragma("GCC unroll 16")
#endif
#define V_HAS_FMA 1
enum { VL = 16, V_REGS = 32, V_QK_UNROLLED = 1 };
enum { V_MASK_TILE = V_TILE, V_MASK_MC = V_MC };

typedef __m512 vf;
typedef __mmask16 vm;

static inline vf v_zero(void) { return _mm512_setzero_ps(); }
static inline vf v_set1(float x) { return _mm512_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
/* A value the compiler may not load again: gcc turns one load and two uses into two loads. */
static inline vf v_hold(vf x)
{
    __asm__("" : "+v"(x));
    return x;
}
static inline vf v_load_quad(const float *p) { return _mm512_broadcast_f32x4(_mm_loadu_ps(p)); }
static inline void v_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_abs(vf a) { return _mm512_abs_ps(a); }
static inline vm v_mask(uint32_t bits) { return (vm)bits; }
static inline vm v_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vm v_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vf v_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
/* c + a b in lanes of m, c elsewhere, whatever a b is there */
static inline vf v_fma_mask(vm m, vf a, vf b, vf c) { return _mm512_mask3_fmadd_ps(a, b, c, m); }
static inline vf v_load_n(const float *p, int n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
static inline void v_store_n(float *p, vf x, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}
/* Word i goes to the upper half of lane i, by one permutation; widening and shifting would be two instructions. */
static inline vf v_from_bf16(__m256i x)
{
    const __m512i place = _mm512_setr_epi32(0, 1 << 16, 2 << 16, 3 << 16, 4 << 16, 5 << 16, 6 << 16, 7 << 16, 8 << 16, 9 << 16,
                                            10 << 16, 11 << 16, 12 << 16, 13 << 16, 14 << 16, 15 << 16);
    return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, place, _mm512_castsi256_si512(x)));
}
static inline vf v_load_bf16(const uint16_t *p) { return v_from_bf16(_mm256_loadu_si256((const __m256i *)p)); }
static inline vf v_load_bf16_n(const uint16_t *p, int n)
{
    return v_from_bf16(_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p));
}
static inline vf v_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline vf v_load_f16_n(const uint16_t *p, int n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p));
}
static inline float v_sum(vf x) { return _mm512_reduce_add_ps(x); }
static inline __attribute__((always_inline)) vf v_quads(vf a, vf b, vf c, vf d)
{
    __m512d x = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
    __m512d y = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
}
static inline vf v_halves(vf a, vf b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
static inline vf v_sum_quads(const vf x[4]) { return v_halves(v_halves(x[0], x[1]), v_halves(x[2], x[3])); }
static inline __attribute__((always_inline)) vf v_sums(const vf x[16])
{
    const vf quads[4] = {v_quads(x[0], x[1], x[2], x[3]), v_quads(x[4], x[5], x[6], x[7]), v_quads(x[8], x[9], x[10], x[11]),
                         v_quads(x[12], x[13], x[14], x[15])};
    return v_sum_quads(quads);
}
static inline float v_largest(vf x) { return _mm512_reduce_max_ps(x); }
static inline uint32_t v_bits(vm m) { return m; }
#define V_HAS_PACK 1
static inline vm v_nlt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ); }
static inline vm v_and(vm a, vm b) { return _kand_mask16(a, b); }
/* Not by a compressing store: that one is microcode on Zen 4. */
static inline int v_pack(vm m, vf x, int32_t first, float *y, int32_t *at)
{
    __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm512_storeu_ps(y, _mm512_maskz_compress_ps(m, x));
    _mm512_storeu_si512(at, _mm512_maskz_compress_epi32(m, _mm512_add_epi32(_mm512_set1_epi32(first), lane)));
    return __builtin_popcount(m);
}
typedef __m512d vd;
enum { V_PARTS = 2 };
static inline vd v_dset1(double x) { return _mm512_set1_pd(x); }
static inline vd v_part(vf x, int part)
{
    return _mm512_cvtps_pd(part ? _mm512_extractf32x8_ps(x, 1) : _mm512_castps512_ps256(x));
}
static inline vd v_dload(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static inline vd v_dfma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
static inline vf v_join(const vd part[V_PARTS])
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(part[0])), _mm512_cvtpd_ps(part[1]), 1);
}
static inline vd v_dmax(vd a, vd b) { return _mm512_max_pd(a, b); }
static inline vd v_dcount(vd n, vd a)
{
    return _mm512_mask_add_pd(n, _mm512_cmp_pd_mask(a, _mm512_setzero_pd(), _CMP_GT_OQ), n, _mm512_set1_pd(1));
}
static inline double v_dsum(vd x) { return _mm512_reduce_add_pd(x); }
/* The two ends of exp2, see vec/README. */
static inline vf v_round(vf x) { return _mm512_roundscale_ps(x, 8); }
/* Lanes below -126 are masked out, not computed: an underflowing vscalef costs a hundred cycles. */
static inline vf v_exp2_clamp(vf x) { return x; }
static inline vf v_exp2_scale(vf x, vf p, vf n)
{
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ), p, n);
}
/* macros: gcc 12 takes an inline function that only prefetches for one without effect, and drops the calls */
#define v_prefetch1(p) __builtin_prefetch((p), 0, 3)
#define v_prefetch2(p) __builtin_prefetch((p), 0, 2)

/* 16 x 16 transposition: r[i] lane j <-> r[j] lane i */
static inline __attribute__((always_inline)) void v_transpose(vf r[16])
{
    __m512 t[16];
    V_UNROLL
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    V_UNROLL
    for (int i = 0; i < 4; i++) {
        __m512d a = _mm512_castps_pd(t[4 * i]), b = _mm512_castps_pd(t[4 * i + 2]);
        __m512d c = _mm512_castps_pd(t[4 * i + 1]), d = _mm512_castps_pd(t[4 * i + 3]);
        r[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        r[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        r[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d));
        r[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
    }
    V_UNROLL
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_f32x4(r[i], r[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0xdd);
    }
    V_UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0x88);
        r[8 + i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0xdd);
        r[4 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0x88);
        r[12 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0xdd);
    }
}

#define V_HAS_QUADS 1
/* Within each 128 bits: element j of r[i] <-> element i of r[j]. */
static inline __attribute__((always_inline)) void v_turn_quads(vf r[4])
{
    __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1])), b = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
    __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3])), d = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
    r[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    r[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    r[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    r[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
}
static inline __attribute__((always_inline)) void v_load_quads(const float *const *p, int w, vf r[4])
{
    V_UNROLL
    for (int i = 0; i < 4; i++)
        if (w == 4) { /* loads under a mask, not shuffles */
            vf x = _mm512_broadcast_f32x4(_mm_loadu_ps(p[i]));
            x = _mm512_mask_broadcast_f32x4(x, 0x00f0, _mm_loadu_ps(p[4 + i]));
            x = _mm512_mask_broadcast_f32x4(x, 0x0f00, _mm_loadu_ps(p[8 + i]));
            r[i] = _mm512_mask_broadcast_f32x4(x, 0xf000, _mm_loadu_ps(p[12 + i]));
        } else {
            const __mmask8 m = (__mmask8)((1u << w) - 1);
            vf x = _mm512_castps128_ps512(_mm_maskz_loadu_ps(m, p[i]));
            x = _mm512_insertf32x4(x, _mm_maskz_loadu_ps(m, p[4 + i]), 1);
            x = _mm512_insertf32x4(x, _mm_maskz_loadu_ps(m, p[8 + i]), 2);
            r[i] = _mm512_insertf32x4(x, _mm_maskz_loadu_ps(m, p[12 + i]), 3);
        }
    v_turn_quads(r);
}
static inline __attribute__((always_inline)) void v_store_quad(float *p, __m128 x, int w)
{
    if (w == 4) {
        _mm_storeu_ps(p, x);
        return;
    }
    __asm__("" : "+v"(x)); /* gcc would make one vextractf32x4 of it, whose mask does not hide faults */
    _mm_mask_storeu_ps(p, (__mmask8)((1u << w) - 1), x);
}
static inline __attribute__((always_inline)) void v_store_quads(float *const *p, int n, int w, vf r[4])
{
    v_turn_quads(r);
    V_UNROLL
    for (int i = 0; i < 4; i++) {
        if (i < n)
            v_store_quad(p[i], _mm512_castps512_ps128(r[i]), w);
        if (4 + i < n)
            v_store_quad(p[4 + i], _mm512_extractf32x4_ps(r[i], 1), w);
        if (8 + i < n)
            v_store_quad(p[8 + i], _mm512_extractf32x4_ps(r[i], 2), w);
        if (12 + i < n)
            v_store_quad(p[12 + i], _mm512_extractf32x4_ps(r[i], 3), w);
    }
}

/* Halves of pairs joined until one vector is left: lane i comes from r[i]. 30 shuffles for 16 vectors. */
static inline __attribute__((always_inline)) vf v_fold(vf r[16], vf (*join)(vf, vf))
{
    __m512 a[8], b[4], c[2];
    V_UNROLL
    for (int i = 0; i < 8; i++)
        a[i] = join(_mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]), _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]));
    V_UNROLL
    for (int i = 0; i < 4; i++) {
        __m512d x = _mm512_castps_pd(a[2 * i]), y = _mm512_castps_pd(a[2 * i + 1]);
        b[i] = join(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    }
    for (int i = 0; i < 2; i++)
        c[i] = join(_mm512_shuffle_f32x4(b[2 * i], b[2 * i + 1], 0x88), _mm512_shuffle_f32x4(b[2 * i], b[2 * i + 1], 0xdd));
    return join(_mm512_shuffle_f32x4(c[0], c[1], 0x88), _mm512_shuffle_f32x4(c[0], c[1], 0xdd));
}
static inline vf v_fold_max(vf r[16]) { return v_fold(r, v_max); }
static inline vf v_fold_add(vf r[16]) { return v_fold(r, v_add); }
#endif
