/* What the parts of the lanes driver share: the state of a task's tiles, whose keys wait in two queues each. */
#ifndef FV_DRIVE_LANES_H
#define FV_DRIVE_LANES_H
#include "drive/work.h"

typedef struct fv_lanes_queue { /* keys waiting for a block */
    int n;
    int64_t first; /* class coordinate of entry 0 when the entries are consecutive in the class, else -1 */
    const void **k, **v;
    uint32_t *rows;
    int32_t *key;
} fv_lanes_queue;

typedef struct fv_lanes_tile {
    fv_place place[FVK_MAX_LANES];
    const void *q[FVK_MAX_LANES]; /* query rows */
    float *o[FVK_MAX_LANES];      /* output rows */
    int n;
    int begun;   /* its queries are packed */
    int led;     /* those of the tile behind it are on their way */
    int started; /* ot holds something */
    int sparse;  /* keeps few of the keys from its first to its last */
    int whole;   /* keeps all of them */
    int64_t foreseen; /* class coordinate up to which its keys, it being alone, are on their way */
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

/* Where rows of keys, or of values, are copied to: room for two blocks, turn by turn. */
typedef struct fv_lanes_ring {
    int copied; /* else they are only asked for */
    float *at;
    const void **rows; /* three blocks: any consecutive rows are a part of it */
    ptrdiff_t ld;
    size_t bytes; /* of a row */
    int64_t from, stop; /* class coordinates whose rows are there: from..stop-1 */
    int64_t asked;      /* those up to here are on their way */
    const char *row0;   /* row at class coordinate 0, and bytes from one to the next */
    int64_t distance;
    const void **lines; /* of the rows behind it, so many pieces of `width` floats each, a piece per key of a block */
    int per_row, width;
    int64_t turn;         /* class coordinate c lies in row c + turn, modulo the rows */
    const char *next_row; /* first row of the next task */
} fv_lanes_ring;

/* Lies in front of a worker's scratch and stays laid out from task to task. */
typedef struct fv_lanes {
    const fv_pass *laid; /* the pass whose tasks it is laid out for, NULL before the first */
    const fv_work *work;
    fv_tensors *tensors;
    fv_task task;
    int64_t key_class;
    /* rows at class coordinate 0 and bytes from one to the next, where they are at a fixed distance; else k0 is NULL */
    const char *k0, *v0;
    int64_t dk, dv;
    int plain; /* and a key needs no more than these */
    float *s, *alpha, *kpos, *pos, *slope, *bias;
    float *copy_k, *copy_v; /* rows of a block as floats; copy_v: or in one of the forms of fv_copy_form */
    void *parts;            /* probabilities for tiles */
    const void **copy_rows_k, **copy_rows_v;
    ptrdiff_t ldk, ldv;
    int64_t copy_first; /* class coordinate of row 0 when the rows are those of copy_n consecutive keys, else -1 */
    int copy_n, copy_finite;
    fv_copy_form copy_form;
    int copying;           /* the group copies rows to the rings */
    fv_lanes_ring ring[2]; /* of keys, of values */
    int whole, together;   /* the group's tiles have no gaps; and begin at the same key */
    int64_t follows;       /* head of the task behind this one, in the same sequence; else -1 */
    /* The first next_keys keys, from next_first on, of head next_kv are copied behind the last of the group, which is next_shift
       behind next_first; next_sequence NULL: none. */
    const fv_sequence *next_sequence;
    int64_t next_kv, next_first, next_shift, next_keys;
    int sharing; /* tiles of the group */
    /* Class coordinates: below asked_k and asked_v memory has been asked for the group's keys, and values; `last`: no key of the
       group lies here or behind; `oldest`: no key below is still to be computed. */
    int64_t asked_k, asked_v, last, oldest;
    const void **behind;      /* room for a row per key of a block */
    int sparse;  /* the group keeps few keys: what follows a block is not what lies behind it */
    uint64_t kept;
    void *pattern[FV_MAX_TILES];
    fv_lanes_tile tile[FV_MAX_TILES]; /* last: there are as many as the plan has */
} fv_lanes;

/* For the n tiles of a group: whether and from where the rings are filled. */
void fv_lanes_start_rings(fv_lanes *x, int n);
/* Rows of a queue of consecutive keys, in the ring if it has copies; copies what is missing from row[], which are those of the queue. */
const void *const *fv_lanes_copied(fv_lanes *x, fv_lanes_ring *r, const fv_lanes_queue *q, const void *const *row);
/* A tile's share of running ahead, while it has the block of a queue scored: copies what others asked for; returns what to ask for,
   with its first block also the queries of the tile behind it, with its last also its output rows. */
fv_ask fv_lanes_copy_ahead(fv_lanes *x, fv_lanes_tile *y, const fv_lanes_queue *q);
/* Finds where keys of the group's class lie. */
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
