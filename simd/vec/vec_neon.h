/* Vector operations for AArch64 NEON: 4 floats, masks as vectors. Contract: vec/README. */
#ifndef FV_VEC_H
#define FV_VEC_H
#include "vec/half.h"
#include <arm_neon.h>
#include <stddef.h>

#define V_ISA neon
#define V_HAS_FMA 1
enum { VL = 4, V_REGS = 32, V_TILE = 4, V_MR = 4, V_MC = 4, V_QK_UNROLLED = 0 };
enum { V_MASK_TILE = V_TILE, V_MASK_MC = V_MC };

typedef float32x4_t vf;
typedef uint32x4_t vm;

static inline vf v_set1(float x) { return vdupq_n_f32(x); }
static inline vf v_zero(void) { return vdupq_n_f32(0); }
static inline vf v_load(const float *p) { return vld1q_f32(p); }
/* A value the compiler may not load again: gcc turns one load and two uses into two loads. */
static inline vf v_hold(vf x)
{
    __asm__("" : "+w"(x));
    return x;
}
static inline vf v_load_quad(const float *p) { return v_load(p); }
static inline void v_store(float *p, vf x) { vst1q_f32(p, x); }
static inline vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf v_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }
static inline vf v_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf v_abs(vf a) { return vabsq_f32(a); }
static inline vm v_mask(uint32_t bits)
{
    static const uint32_t one[4] = {1, 2, 4, 8};
    return vtstq_u32(vdupq_n_u32(bits), vld1q_u32(one));
}
static inline vm v_eq(vf a, vf b) { return vceqq_f32(a, b); }
static inline vm v_lt(vf a, vf b) { return vcltq_f32(a, b); }
static inline vf v_fma_mask(vm m, vf a, vf b, vf c)
{
    vf x = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), m));
    vf y = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(b), m));
    return vfmaq_f32(c, x, y);
}
static inline vf v_load_n(const float *p, int n)
{
    float t[4] = {0};
    memcpy(t, p, (size_t)n * 4);
    return vld1q_f32(t);
}
static inline void v_store_n(float *p, vf x, int n)
{
    float t[4];
    vst1q_f32(t, x);
    memcpy(p, t, (size_t)n * 4);
}
static inline vf v_load_bf16(const uint16_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}
static inline vf v_load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
static inline vf v_load_bf16_n(const uint16_t *p, int n)
{
    uint16_t t[4] = {0};
    memcpy(t, p, (size_t)n * 2);
    return v_load_bf16(t);
}
static inline vf v_load_f16_n(const uint16_t *p, int n)
{
    uint16_t t[4] = {0};
    memcpy(t, p, (size_t)n * 2);
    return v_load_f16(t);
}
static inline float v_sum(vf x) { return vaddvq_f32(x); }
static inline vf v_sums(const vf x[4]) { return vpaddq_f32(vpaddq_f32(x[0], x[1]), vpaddq_f32(x[2], x[3])); }
static inline vf v_quads(vf a, vf b, vf c, vf d)
{
    const vf x[4] = {a, b, c, d};
    return v_sums(x);
}
static inline vf v_sum_quads(const vf x[1]) { return x[0]; }
static inline float v_largest(vf x) { return vmaxvq_f32(x); }
static inline uint32_t v_bits(vm m)
{
    static const uint32_t bit[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(m, vld1q_u32(bit)));
}
typedef float64x2_t vd;
enum { V_PARTS = 2 };
static inline vd v_dset1(double x) { return vdupq_n_f64(x); }
static inline vd v_part(vf x, int part) { return part ? vcvt_high_f64_f32(x) : vcvt_f64_f32(vget_low_f32(x)); }
static inline vd v_dload(const float *p) { return vcvt_f64_f32(vld1_f32(p)); }
static inline vd v_dfma(vd a, vd b, vd c) { return vfmaq_f64(c, a, b); }
static inline vf v_join(const vd part[V_PARTS]) { return vcvt_high_f32_f64(vcvt_f32_f64(part[0]), part[1]); }
static inline vd v_dmax(vd a, vd b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }
static inline vd v_dcount(vd n, vd a)
{
    uint64x2_t one = vreinterpretq_u64_f64(vdupq_n_f64(1));
    return vaddq_f64(n, vreinterpretq_f64_u64(vandq_u64(vcgtq_f64(a, vdupq_n_f64(0)), one)));
}
static inline double v_dsum(vd x) { return vaddvq_f64(x); }
static inline vf v_round(vf x) { return vrndnq_f32(x); }
static inline vf v_exp2_scale(vf x, vf p, vf n)
{
    (void)x;
    int32x4_t e = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
    return vmulq_f32(p, vreinterpretq_f32_s32(e));
}
static inline vf v_exp2_clamp(vf x) { return v_max(v_set1(-127.0f), x); }
/* macros: gcc 12 takes an inline function that only prefetches for one without effect, and drops the calls */
#define v_prefetch1(p) __builtin_prefetch((p), 0, 3)
#define v_prefetch2(p) __builtin_prefetch((p), 0, 2)
static inline __attribute__((always_inline)) void v_transpose(vf r[4])
{
    float32x4x2_t a = vtrnq_f32(r[0], r[1]), b = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    r[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    r[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    r[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
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
