/* A plan: everything that a problem, a recipe and a CPU decide together. Immutable once made. */
#ifndef FV_PLAN_PLAN_H
#define FV_PLAN_PLAN_H
#include "core/context.h"
#include "drive/work.h"
#include <stdatomic.h>

struct fovea_plan {
    const fovea_context *context;
    fv_work work, narrow; /* narrow.kernel.lanes = 0: the instruction set has no narrow tiles */
    fv_lengths *lengths; /* distinct pairs of lengths */
    int64_t shapes;
    fovea_problem problem; /* as given, strides filled in; arrays are copies */
    int64_t *cu;           /* cu_q then cu_k */
    int64_t *rows;
    float *slopes;
    char *spec;
    int has_lse;
    size_t workspace;
    const fvk_row *main_kernel, *narrow_kernel; /* scores; of narrow tiles */
    int pair_percent;           /* bf16 dot in percent of the fma rate; 0 when it was not asked */
    int pair_here;              /* 1: the instruction sets allowed have a bf16 dot for the problem's type */
    char *_Atomic text;         /* explain; NULL until asked for */
};

/* problem has been checked. */
fovea_status fv_plan_make(const fovea_context *context, const fovea_problem *problem, const fovea_recipe *recipe,
                          fovea_plan *plan, fovea_error *err);
void fv_plan_clear(fovea_plan *plan);

/* choose.c: kernels of work and narrow for the problem's type; NULL fields where none is needed. 0 when the build lacks one. */
int fv_plan_choose(fovea_plan *plan);
/* Rate of the bf16 dot in percent of the fma rate, measured when the first plan asks; 0 until then. Tests set it, to have
   the native path taken, or not, on any CPU that runs it. */
extern atomic_int fv_plan_pair_percent[FVK_ISAS];
/* Rate of fma of these instruction sets on one thread, GFLOP/s; measured at the first call. */
double fv_plan_fma_rate(unsigned isas);
/* explain.c; made at the first call, NULL without memory. */
const char *fv_plan_describe(const fovea_plan *plan);
const char *fv_driver_name(fv_driver driver);
/* cost.c */
fovea_status fv_plan_count(const fovea_plan *plan, fovea_cost *cost, fovea_error *err);
#endif
