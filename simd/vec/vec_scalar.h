/* Vector operations for plain C: one float. The slow truth that every other instruction set is compared with by
   people; the checker compares with double. Contract: vec/README. */
#ifndef FV_VEC_H
#define FV_VEC_H
#include "vec/half.h"
#include <math.h>
#include <stddef.h>

#define V_ISA scalar
#define V_HAS_FMA 0
enum { VL = 1, V_REGS = 16, V_TILE = 8, V_MR = 1, V_MC = 1, V_QK_UNROLLED = 0 };
enum { V_MASK_TILE = V_TILE, V_MASK_MC = V_MC };

typedef float vf;
typedef int vm;

static inline vf v_zero(void) { return 0; }
static inline vf v_set1(float x) { return x; }
static inline vf v_load(const float *p) { return *p; }
static inline vf v_hold(vf x) { return x; }
static inline vf v_load_quad(const float *p) { return v_load(p); }
static inline void v_store(float *p, vf x) { *p = x; }
static inline vf v_add(vf a, vf b) { return a + b; }
static inline vf v_sub(vf a, vf b) { return a - b; }
static inline vf v_mul(vf a, vf b) { return a * b; }
static inline vf v_div(vf a, vf b) { return a / b; }
static inline vf v_fma(vf a, vf b, vf c) { return a * b + c; }
static inline vf v_max(vf a, vf b) { return a > b ? a : b; }
static inline vf v_abs(vf a) { return fabsf(a); }
static inline vm v_mask(uint32_t bits) { return (int)(bits & 1); }
static inline vm v_eq(vf a, vf b) { return a == b; }
static inline vm v_lt(vf a, vf b) { return a < b; }
static inline vf v_select(vm m, vf a, vf b) { return m ? a : b; }
static inline vf v_fma_mask(vm m, vf a, vf b, vf c) { return m ? a * b + c : c; }
static inline vf v_load_n(const float *p, int n) { return n > 0 ? *p : 0; }
static inline void v_store_n(float *p, vf x, int n)
{
    if (n > 0)
        *p = x;
}
static inline vf v_load_bf16(const uint16_t *p) { return half_from_bf16(*p); }
static inline vf v_load_f16(const uint16_t *p) { return half_from_f16(*p); }
static inline vf v_load_bf16_n(const uint16_t *p, int n) { return n > 0 ? half_from_bf16(*p) : 0; }
static inline vf v_load_f16_n(const uint16_t *p, int n) { return n > 0 ? half_from_f16(*p) : 0; }
static inline float v_sum(vf x) { return x; }
static inline vf v_sums(const vf x[1]) { return x[0]; }
static inline vf v_quads(vf a, vf b, vf c, vf d) { return a + b + c + d; } /* no quads: not called */
static inline vf v_sum_quads(const vf x[1]) { return x[0]; }
static inline float v_largest(vf x) { return x; }
static inline uint32_t v_bits(vm m) { return (uint32_t)m; }
typedef double vd;
enum { V_PARTS = 1 };
static inline vd v_dset1(double x) { return x; }
static inline vd v_part(vf x, int part)
{
    (void)part;
    return (double)x;
}
static inline vd v_dload(const float *p) { return (double)*p; }
static inline vd v_dfma(vd a, vd b, vd c) { return a * b + c; }
static inline vf v_join(const vd part[V_PARTS]) { return (float)part[0]; }
static inline vd v_dmax(vd a, vd b) { return a > b ? a : b; }
static inline vd v_dcount(vd n, vd a) { return n + (a > 0); }
static inline double v_dsum(vd x) { return x; }
static inline vf v_round(vf x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    return (x + magic) - magic;
}
static inline vf v_exp2_scale(vf x, vf p, vf n)
{
    (void)x;
    return n == n ? p * half_bits_float((uint32_t)((int32_t)n + 127) << 23) : p;
}
static inline vf v_exp2_clamp(vf x) { return v_max(v_set1(-127.0f), x); }
static inline void v_prefetch1(const void *p) { (void)p; }
static inline void v_prefetch2(const void *p) { (void)p; }
static inline __attribute__((always_inline)) void v_transpose(vf r[1]) { (void)r; }
static inline vf v_fold_max(vf r[1]) { return r[0]; }
static inline vf v_fold_add(vf r[1]) { return r[0]; }
#endif
