/* What the two halves of the pruned driver share: the state of one tile, and how its keys and scores are reached. */
#ifndef FV_DRIVE_PRUNED_H
#define FV_DRIVE_PRUNED_H
#include "drive/work.h"

/* Most keys whose values are handed to a kernel at a time. */
enum { FV_PRUNED_NEAR_KEYS = 4096 };

typedef struct fv_pruned {
    const fv_work *work;
    fv_tensors *tensors;
    fv_task task;
    fv_place place[FVK_MAX_LANES];
    int n, thin;         /* rows; few enough for the rows family */
    ptrdiff_t lds;       /* items between neighbouring rows of s and at */
    int64_t keys;        /* of the tile */
    const fv_span *span; /* where they come from */
    size_t spans;
    int32_t *key;        /* [keys] */
    uint32_t *see;       /* [keys]: rows that see it, only where a bias may hide single pairs */
    const void **k, **v; /* [keys] */
    float *s;            /* s[row][lds]: scores, then the weights kept */
    int32_t *at;         /* at[row][lds]: which of the tile's keys, ascending; not there for rows that keep all of them */
    int64_t kept[FVK_MAX_LANES];
    uint32_t spread;     /* rows with a weight per key of the tile instead, FVK_DROPPED for those not kept */
    float factor[FVK_MAX_LANES]; /* of all weights of a row that is spread; else 1 */
    float *row, *p;      /* one row: visible scores, weights */
    int32_t *list;
    void *normalise;
    float *qt, *ot, *kpos, *pack, *wide;
    const void **near;   /* rows of values for a kernel */
    uint32_t *rows;      /* [keys]: lanes that see, and later keep, it */
    fv_columns c;        /* the tile in the lanes, where the normaliser has that form */
    float lse[FVK_MAX_LANES], top[FVK_MAX_LANES];
    void *pattern;
} fv_pruned;

/* n rows of d numbers as floats: the rows themselves, or copies in x->near where the problem's type has 16 bits. */
const void *const *fv_pruned_widen(fv_pruned *x, const void **row, int n, int64_t d);
/* Soft cap and ALiBi on scores s of the tile's keys at..at+n-1, as they lie for a thin tile or for one in the lanes. */
void fv_pruned_edit(fv_pruned *x, int64_t at, int n, float *s);
/* Next stretch lo..hi of the tile's keys, from *hi on, that row i sees; 0 when there is none. *span counts along. */
int fv_pruned_stretch(const fv_pruned *x, int i, size_t *span, int64_t *lo, int64_t *hi);
/* The whole of a tile in the lanes: scores, weights, values. Fills kept, top and lse; returns the pairs kept. */
uint64_t fv_pruned_columns(fv_pruned *x);
#endif
