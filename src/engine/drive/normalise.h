/* Normalisers other than the online softmax: functions of one whole row of scores. Rows of a table; the pruned driver
   calls them by row, the variants name them. */
#ifndef FV_DRIVE_NORMALISE_H
#define FV_DRIVE_NORMALISE_H
#include "drive/columns.h"
#include "kernel.h"
#include <stddef.h>
#include <stdint.h>

struct fv_row_kernels { /* of the instruction set in use */
    fvk_exp_fn *exps;
    fvk_count_fn *count;
    fvk_range_fn *range;
    fvk_sift_fn *sift;
    fvk_mass_fn *mass;
    fvk_scale_fn *scale;
    fvk_veil_fn *veil;
    fvk_moments_fn *moments;
    fvk_ramp_fn *ramp;
};

/* Bytes of scratch, aligned to 64, for a row of n scores. */
size_t fv_normalise_scratch(int64_t n);

/* One row: n visible, edited scores in natural units (n >= 1), ascending key order. sink is the sink logit or -INFINITY.
   arg: see each row of the table. The answer is a list of the keys kept, those whose value row can enter the output: places
   at[0..m) in s, ascending, and weights p[0..m); both have room for n + FVK_SIFT_ROOM. Or, where may_spread is set and so is
   `spread` then, numbers for all keys in s, weights when multiplied by factor, FVK_DROPPED for those not kept. */
typedef struct fv_scores {
    float *s; /* contents lost */
    int64_t n;
    int may_spread, spread;
    const double *arg;
    float sink;
    const fv_row_kernels *kernel;
    void *scratch; /* fv_normalise_scratch(n) */
    float *p;
    int32_t *at;
    float max, least; /* of s; max is NaN when s holds NaN */
    float factor;
    float lse;        /* of rows with lse; includes the sink */
} fv_scores;

typedef int64_t fv_normalise_fn(fv_scores *row);

typedef struct fv_normaliser {
    const char *name; /* "topk", "topp", "threshold-rel", "threshold-prob", "localv", "sparsemax", "entmax15", "entmax",
                         "relu", "sigmoid" */
    const char *arguments; /* meaning of arg[0..3], for people */
    int has_lse;
    int own_range; /* apply takes any row and sets max and least itself; the others get rows of finite maximum */
    fv_normalise_fn *apply;
    fv_columns_fn *columns; /* the same for a tile of rows; NULL: one by one */
} fv_normaliser;

const fv_normaliser *fv_normaliser_find(const char *name); /* NULL when there is none */
const fv_normaliser *fv_normaliser_at(unsigned index);     /* NULL past the last one */

/* Sets max and least; returns 1 when the maximum is finite. */
int fv_scores_range(fv_scores *row);

/* Fills in p, at, max, least, lse; returns the number of keys kept. When that is n, at is left as it was: all keys. */
int64_t fv_normalise(const fv_normaliser *normaliser, fv_scores *row);
#endif
