/* Normalisers that work on a whole tile of rows at once, in the lanes: the fast form of those of normalise.h. */
#ifndef FV_DRIVE_COLUMNS_H
#define FV_DRIVE_COLUMNS_H
#include "kernel.h"
#include <stddef.h>
#include <stdint.h>

typedef struct fv_row_kernels fv_row_kernels; /* normalise.h */

typedef struct fv_column_kernels { /* of the instruction set in use */
    fvk_column_weigh_fn *weigh;
    fvk_column_moments_fn *moments;
    fvk_column_sums_fn *sums;
    fvk_column_search_fn *search;
    fvk_column_collect_fn *collect;
    fvk_column_add_fn *add;
} fv_column_kernels;

/* FV_COLUMNS_ROOM: numbers per lane among which a cut is searched at the end. MOST: keys, whose count must be exact in a float. */
enum { FV_COLUMNS_ROOM = 384, FV_COLUMNS_MOST = 1 << 24 };

/* A tile of n keys: scores s[j][lanes], FVK_HIDDEN where a lane does not see the key, in natural units. Wherever lane i of `live`
   stays in it, the answer is: weights e[j][i], 0 for keys not kept, to be multiplied by factor; bit i of rows[j], whether key j is
   kept; kept, their number; lse. Other lanes are left for the row form, their scores as they were, their weights and bits of no
   account. Lanes do not depend on each other. */
typedef struct fv_columns {
    const fv_column_kernels *kernel;
    const fv_row_kernels *row;
    const double *arg;
    float *s, *e;
    int64_t n;
    int lanes;
    uint32_t live; /* each sees at least one key, and all its scores are finite */
    uint32_t *rows;
    int clean; /* 1, or 0 when the weights of keys not kept are of no account either */
    const void *const *value; /* [n]: rows of so many bytes, which will be read where they are kept */
    size_t value_bytes;
    float *y;    /* [FV_COLUMNS_ROOM][lanes] */
    int32_t *at; /* the same */
    float seen[FVK_MAX_LANES]; /* number of keys */
    float top[FVK_MAX_LANES], sink[FVK_MAX_LANES]; /* largest score; logit or -INFINITY */
    int64_t kept[FVK_MAX_LANES];
    float factor[FVK_MAX_LANES], lse[FVK_MAX_LANES];
} fv_columns;

static inline int fv_columns_has(uint32_t lanes, int i)
{
    return (int)(lanes >> i & 1);
}

/* Numbers of x above lo and not above hi side by side, for the lanes asked for, and FVK_HIDDEN behind them. Lanes that have too many
   leave them. Returns the length of the longest. */
int fv_columns_collect(fv_columns *c, const float *x, const float *lo, const float *hi, uint32_t *lanes, int32_t *count);
/* Counts to c->kept. */
void fv_columns_keep(fv_columns *c, const float *count);

typedef void fv_columns_fn(fv_columns *c);
fv_columns_fn fv_columns_topk, fv_columns_topp, fv_columns_threshold_rel, fv_columns_threshold_prob, fv_columns_localv,
    fv_columns_sparsemax, fv_columns_entmax15, fv_columns_relu, fv_columns_sigmoid;
#endif
