/* Vector operations by the compiler's own vectors: 4 floats, whatever the machine. Contract: vec/README. */
#ifndef FV_VEC_H
#define FV_VEC_H
#include "vec/half.h"
#include <stddef.h>

#define V_ISA generic
#define V_HAS_FMA 0
enum { VL = 4, V_REGS = 16, V_TILE = 2, V_MR = 4, V_MC = 4, V_QK_UNROLLED = 0 };
enum { V_MASK_TILE = V_TILE, V_MASK_MC = V_MC };

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vm __attribute__((vector_size(16)));

static inline vf v_set1(float x) { return (vf){x, x, x, x}; }
static inline vf v_zero(void) { return v_set1(0); }
static inline vf v_load(const float *p)
{
    vf x;
    memcpy(&x, p, sizeof x);
    return x;
}
static inline vf v_hold(vf x) { return x; }
static inline vf v_load_quad(const float *p) { return v_load(p); }
static inline void v_store(float *p, vf x) { memcpy(p, &x, sizeof x); }
static inline vf v_add(vf a, vf b) { return a + b; }
static inline vf v_sub(vf a, vf b) { return a - b; }
static inline vf v_mul(vf a, vf b) { return a * b; }
static inline vf v_div(vf a, vf b) { return a / b; }
static inline vf v_fma(vf a, vf b, vf c) { return a * b + c; }
static inline vf v_select(vm m, vf a, vf b) { return (vf)(((vm)a & m) | ((vm)b & ~m)); }
static inline vf v_max(vf a, vf b) { return v_select(a > b, a, b); }
static inline vf v_abs(vf a) { return (vf)((vm)a & 0x7fffffff); }
static inline vm v_mask(uint32_t bits)
{
    const vm bit = {1, 2, 4, 8};
    return ((int32_t)bits & bit) == bit;
}
static inline vm v_eq(vf a, vf b) { return a == b; }
static inline vm v_lt(vf a, vf b) { return a < b; }
static inline vf v_fma_mask(vm m, vf a, vf b, vf c)
{
    return v_fma((vf)((vm)a & m), (vf)((vm)b & m), c);
}
static inline vf v_load_n(const float *p, int n)
{
    vf x = {0, 0, 0, 0};
    memcpy(&x, p, (size_t)n * 4);
    return x;
}
static inline void v_store_n(float *p, vf x, int n) { memcpy(p, &x, (size_t)n * 4); }
static inline vf v_load_bf16(const uint16_t *p)
{
    return (vf){half_from_bf16(p[0]), half_from_bf16(p[1]), half_from_bf16(p[2]), half_from_bf16(p[3])};
}
static inline vf v_load_f16(const uint16_t *p)
{
    return (vf){half_from_f16(p[0]), half_from_f16(p[1]), half_from_f16(p[2]), half_from_f16(p[3])};
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
static inline float v_sum(vf x) { return (x[0] + x[2]) + (x[1] + x[3]); }
static inline vf v_sums(const vf x[4]) { return (vf){v_sum(x[0]), v_sum(x[1]), v_sum(x[2]), v_sum(x[3])}; }
static inline vf v_quads(vf a, vf b, vf c, vf d)
{
    const vf x[4] = {a, b, c, d};
    return v_sums(x);
}
static inline vf v_sum_quads(const vf x[1]) { return x[0]; }
static inline float v_largest(vf x)
{
    float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
    return a > b ? a : b;
}
static inline uint32_t v_bits(vm m)
{
    return (uint32_t)((m[0] & 1) | (m[1] & 2) | (m[2] & 4) | (m[3] & 8));
}
typedef double vd __attribute__((vector_size(16)));
typedef int64_t vdm __attribute__((vector_size(16)));
enum { V_PARTS = 2 };
static inline vd v_dset1(double x) { return (vd){x, x}; }
static inline vd v_part(vf x, int part) { return (vd){(double)x[2 * part], (double)x[2 * part + 1]}; }
static inline vd v_dload(const float *p) { return (vd){(double)p[0], (double)p[1]}; }
static inline vd v_dfma(vd a, vd b, vd c) { return a * b + c; }
static inline vf v_join(const vd part[V_PARTS])
{
    return (vf){(float)part[0][0], (float)part[0][1], (float)part[1][0], (float)part[1][1]};
}
static inline vd v_dmax(vd a, vd b)
{
    vdm m = a > b;
    return (vd)(((vdm)a & m) | ((vdm)b & ~m));
}
static inline vd v_dcount(vd n, vd a) { return n + (vd)((vdm)(a > v_dset1(0)) & (vdm)v_dset1(1)); }
static inline double v_dsum(vd x) { return x[0] + x[1]; }
static inline vf v_round(vf x)
{
    const vf magic = v_set1(12582912.0f); /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    return (x + magic) - magic;
}
static inline vf v_exp2_scale(vf x, vf p, vf n)
{
    (void)x;
    /* the integer n out of the low bits of n + 1.5 2^23; NaN gives some power, and p is NaN then */
    vm e = (vm)(n + v_set1(12582912.0f)) - 0x4b400000;
    return p * (vf)((e + 127) << 23);
}
static inline vf v_exp2_clamp(vf x) { return v_max(v_set1(-127.0f), x); }
/* macros: gcc 12 takes an inline function that only prefetches for one without effect, and drops the calls */
#define v_prefetch1(p) __builtin_prefetch((p), 0, 3)
#define v_prefetch2(p) __builtin_prefetch((p), 0, 2)
static inline __attribute__((always_inline)) void v_transpose(vf r[4])
{
    vf t[4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            t[j][i] = r[i][j];
    for (int i = 0; i < 4; i++)
        r[i] = t[i];
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
