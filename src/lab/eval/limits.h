/* What the machine can do, measured in this process: the ceilings that `bench` holds results against. */
#ifndef FV_LAB_EVAL_LIMITS_H
#define FV_LAB_EVAL_LIMITS_H
#include <fovea/fovea.h>

typedef struct limits {
    double fma;  /* GFLOP/s of fused multiply-add, float */
    double bf16; /* GFLOP/s of the bf16 dot product; 0 when the instruction set has none */
    double read; /* GB/s (10^9) of reading memory */
} limits;

/* Of the context's instruction set and as many threads as the context has, all at once. `bytes` is the working set
   that is read, shared out over the threads: with the bytes of a problem the bandwidth is that of the cache level
   that the problem lives in. Takes about 3 * seconds. */
limits limits_measure(const fovea_context *context, size_t bytes, double seconds);

/* One of them alone, in about `seconds`. */
double limits_fma(const fovea_context *context, double seconds);
double limits_bf16(const fovea_context *context, double seconds);
double limits_read(const fovea_context *context, size_t bytes, double seconds);

/* The larger of each: a disturbed measurement is always too low. */
limits limits_larger(limits a, limits b);

/* Which ceiling binds, and how close to it a result came. */
typedef struct limits_verdict {
    const char *limit; /* "fma", "bf16", "read" */
    double percent;    /* lower bound of the time / the time, in percent; NaN when unknown */
} limits_verdict;

/* The larger of flops / peak and bytes / bandwidth is the lower bound of the time. uses_bf16: the kernel multiplies
   by bf16 dot products, so that its peak is limits->bf16. */
limits_verdict limits_judge(const limits *l, double flops, double bytes, int uses_bf16, double ns);

/* 1 when a kernel name ("fvk_qk_bf16__avx512_bf16") is of an instruction set with a bf16 dot product. */
int limits_kernel_uses_bf16(const char *kernel);
#endif
