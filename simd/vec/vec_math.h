/* Accurate functions for code outside the hot loop: SLEEF where the build has it, else libm lane by lane.
   tanh and log to 1 ulp. Included after a vec_<isa>.h. */
#ifndef FV_VEC_MATH_H
#define FV_VEC_MATH_H
#include <math.h>

#ifdef HAVE_SLEEF
#include <sleef.h>
#endif

#if defined(HAVE_SLEEF) && defined(__AVX512F__)
static inline vf v_tanh(vf x) { return Sleef_tanhf16_u10avx512f(x); }
static inline vf v_log(vf x) { return Sleef_logf16_u10avx512f(x); }
#elif defined(HAVE_SLEEF) && defined(__AVX2__)
static inline vf v_tanh(vf x) { return Sleef_tanhf8_u10avx2(x); }
static inline vf v_log(vf x) { return Sleef_logf8_u10avx2(x); }
#elif defined(HAVE_SLEEF) && defined(__ARM_NEON)
static inline vf v_tanh(vf x) { return Sleef_tanhf4_u10advsimd(x); }
static inline vf v_log(vf x) { return Sleef_logf4_u10advsimd(x); }
#else
static inline vf v_by_lane(float (*f)(float), vf x)
{
    float t[VL];
    v_store(t, x);
    for (int i = 0; i < VL; i++)
        t[i] = f(t[i]);
    return v_load(t);
}
#ifdef HAVE_SLEEF
static inline float one_tanh(float x) { return Sleef_tanhf_u10(x); }
static inline float one_log(float x) { return Sleef_logf_u10(x); }
#else
static inline float one_tanh(float x) { return tanhf(x); }
static inline float one_log(float x) { return logf(x); }
#endif
static inline vf v_tanh(vf x) { return v_by_lane(one_tanh, x); }
static inline vf v_log(vf x) { return v_by_lane(one_log, x); }
#endif
#endif
