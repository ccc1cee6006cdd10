/* Normalisers other than the online softmax: functions of one whole row of scores. Rows of a table; the pruned driver
   calls them by row, the variants name them. */
#ifndef FV_DRIVE_NORMALISE_H
#define FV_DRIVE_NORMALISE_H
#include "kernel.h"
#include <stddef.h>
#include <stdint.h>

/* One row: n visible, edited scores in natural units (n >= 1), ascending key order. sink is the sink logit or -INFINITY.
   Writes p[n] (weights of the values; 0 where dropped), keep[n] (1 when the value row can enter the output) and, for rows
   with lse, *lse (includes the sink). scratch holds 2 n floats. arg: see each row. kernel: of the instruction set in
   use. */
typedef struct fv_row_kernels {
    fvk_exp_fn *exps;
    fvk_count_fn *count;
    fvk_range_fn *range;
} fv_row_kernels;
typedef void fv_normalise_fn(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel,
                             float *p, uint8_t *keep, float *scratch, float *lse);

typedef struct fv_normaliser {
    const char *name; /* "topk", "topp", "threshold-rel", "threshold-prob", "localv", "sparsemax", "entmax15", "entmax",
                         "relu", "sigmoid" */
    const char *arguments; /* meaning of arg[0..3], for people */
    int has_lse;
    fv_normalise_fn *apply;
} fv_normaliser;

const fv_normaliser *fv_normaliser_find(const char *name); /* NULL when there is none */
const fv_normaliser *fv_normaliser_at(unsigned index);     /* NULL past the last one */
#endif
