/* What the parts of the lanes driver share: the state of a task's tiles, whose keys wait in two queues each. */
#ifndef FV_DRIVE_LANES_H
#define FV_DRIVE_LANES_H
#include "drive/work.h"

typedef struct fv_lanes_queue { /* keys waiting for a block */
    int n;
    int64_t first; /* key of entry 0 when the entries are consecutive in the class, else -1 */
    const void **k, **v;
    uint32_t *rows;
    int32_t *key;
} fv_lanes_queue;

typedef struct fv_lanes_tile {
    fv_place place[FVK_MAX_LANES];
    const void *q[FVK_MAX_LANES]; /* query rows */
    float *o[FVK_MAX_LANES];      /* output rows */
    int n;
    int started; /* ot holds something */
    int sparse;  /* keeps few of the keys from its first to its last */
    int asked;   /* what comes behind its last block is on its way */
    int done;    /* its rows are written */
    float *qt, *ot, *m, *l, *mx;
    const fv_span *span;
    size_t spans, at; /* spans left: at..spans-1 */
    int64_t next;     /* next key of span[at] */
    uint32_t all;
    fv_lanes_queue full, edge;
} fv_lanes_tile;

/* Forms of the values of a copied block. */
typedef enum fv_copy_form { FV_AS_ROWS, FV_AS_PAIRS, FV_AS_TILES } fv_copy_form;

/* Lies in front of a worker's scratch and stays laid out from task to task. */
typedef struct fv_lanes {
    const fv_pass *laid; /* the pass whose tasks it is laid out for, NULL before the first */
    const fv_work *work;
    fv_tensors *tensors;
    fv_task task;
    int64_t key_class;
    /* rows at class coordinate 0 and bytes from one to the next, where a key needs no more than these; else k0 is NULL */
    const char *k0, *v0;
    int64_t dk, dv;
    float *s, *alpha, *kpos, *pos, *slope, *bias;
    float *copy_k, *copy_v; /* rows of a block as floats; copy_v: or in one of the forms of fv_copy_form */
    void *parts;            /* probabilities for tiles */
    const void **copy_rows_k, **copy_rows_v;
    ptrdiff_t ldk, ldv;
    int64_t copy_first; /* key of row 0 when the rows are those of copy_n consecutive keys of the class, else -1 */
    int copy_n, copy_finite;
    fv_copy_form copy_form;
    int sharing; /* tiles of the group */
    int64_t asked_k, asked_v; /* keys below which memory has been asked for the group's keys, and values */
    int64_t last;             /* no key of the group lies here or behind */
    const void **behind;      /* room for a row per key of a block */
    int sparse;  /* the group keeps few keys: what follows a block is not what lies behind it */
    uint64_t kept;
    void *pattern[FV_MAX_TILES];
    fv_lanes_tile tile[FV_MAX_TILES];
} fv_lanes;

/* Finds where keys of the group's class lie, when their rows are at a fixed distance and nothing but their rows is asked for. */
void fv_lanes_find_rows(fv_lanes *x);
/* Takes keys of the tile's spans up to class coordinate `stop`, and computes each block that fills up. */
void fv_lanes_feed(fv_lanes *x, fv_lanes_tile *y, int64_t stop);
/* Computes what is left in the queues. */
void fv_lanes_drain(fv_lanes *x, fv_lanes_tile *y);
/* One block: scores of the keys of a queue, softmax, values; empties the queue. Not `masked`: all lanes see all its keys. */
void fv_lanes_flush(fv_lanes *x, fv_lanes_tile *y, fv_lanes_queue *q, int masked);
/* Fewest keys of a block whose probabilities precision=fast rounds: a rounding is half a per cent of a single key's weight,
   but errors of many keys cancel. So rows with few keys, and the keys at an edge, keep float. */
int fv_lanes_pair_keys(const fv_work *w);
#endif
