/* What a plan hands to the drivers: shapes, passes, kernels and tile sizes, all fixed; and the tensors of one execution.

   A shape (one pair of lengths) has one or more passes. A pass is one part of one pattern: its rows and keys are grouped in
   classes modulo `step`. Passes of a row are chained: the state (m, l, o not yet divided by l) of one is where the next
   goes on; the last one finishes. So parts need no merge and a multiset of patterns is only a longer chain. */
#ifndef FV_DRIVE_WORK_H
#define FV_DRIVE_WORK_H
#include "core/numbers.h"
#include "drive/normalise.h"
#include "kernel.h"
#include "pattern/pattern.h"
#include <fovea/fovea.h>

typedef struct fv_kernels {
    fvk_pack_fn *pack, *pack_f32;
    fvk_qk_fn *qk;
    fvk_pack_pair_fn *pack_pair; /* with qk_pair: native bf16 scores; else NULL */
    fvk_qk_pair_fn *qk_pair;
    fvk_softmax_pair_fn *softmax_pair; /* precision=fast beside qk_pair: probabilities in bf16; else NULL */
    fvk_values_pair_fn *values_pair;
    fvk_pv_pair_fn *pv_pair;
    fvk_softmax_parts_fn *softmax_parts; /* beside qk_pair where tiles are multiplied; else NULL */
    fvk_values_tile_fn *values_tile;
    fvk_pv_tile_fn *pv_tile;
    int parts; /* of a probability: 1 with precision=fast, else 3 */
    fvk_hide_fn *hide;
    fvk_softmax_fn *softmax;
    fvk_pv_fn *pv;
    fvk_kept_fn *kept;
    fvk_store_fn *store;
    fvk_finish_fn *finish;
    fvk_edit_fn *edit;
    fvk_bias_fn *bias;
    fvk_widen_fn *widen; /* of the problem's type, NULL for f32 */
    fvk_small_tail_fn *small_tail;
    fvk_small_softmax_fn *small_softmax;
    fvk_small_pv_fn *small_pv;
    fvk_dot_fn *dot;
    fvk_axpy_fn *axpy;
    fvk_row_softmax_fn *row_softmax;
    fvk_row_edit_fn *row_edit;
    fv_row_kernels row;
    fv_column_kernels column;
    int lanes; /* width of a lane tile */
    int vector; /* lanes of one vector */
    int mr;
    int columns; /* of values that pv takes at a time */
} fv_kernels;

typedef enum fv_driver { FV_DRIVE_LANES, FV_DRIVE_ROWS, FV_DRIVE_PRUNED, FV_DRIVE_SMALL, FV_DRIVE_THIN } fv_driver;
enum { FV_FORMS = 6 }; /* rows of plan/forms.c */

typedef struct fv_pass {
    const fv_pattern *pattern;
    unsigned part;
    int64_t step;
    fv_driver driver;
    int64_t classes;     /* min(step, rows) */
    int64_t splits;      /* rows driver: key ranges per unit, merged in order; else 1 */
    int64_t units;       /* tasks of one key/value head: tiles times splits */
    int first, last;
    unsigned form; /* row of plan/forms.c that was taken */
    int narrow;          /* run with the plan's narrow tiles */
    int width;           /* small and thin drivers: query rows per task */
    int64_t ahead;       /* the same: a row at position p sees the keys j <= p + ahead */
} fv_pass;

enum { FV_MAX_PASSES = 64, FV_MAX_TILES = 32 };

typedef struct fv_lengths { /* one distinct pair of lengths */
    fv_shape shape;
    int64_t rows; /* output rows: lq, or the number of rows asked for */
    unsigned passes;
    fv_pass pass[FV_MAX_PASSES];
    unsigned patterns;
    fv_pattern *pattern[32];
} fv_lengths;

typedef struct fv_sequence {
    const fv_lengths *lengths;
    int64_t batch, q0, k0; /* batch entry, first query and key token */
    int64_t unit0[FV_MAX_PASSES]; /* tasks before this sequence in each pass */
} fv_sequence;

typedef struct fv_work {
    fovea_problem problem;
    const int64_t *rows; /* list of query rows, or NULL */
    int64_t out_rows;    /* rows of o per head: lq or the number of rows asked for */
    int64_t mask_keys;   /* bytes of a mask row: the longest lk of a sequence */
    int64_t group;
    fv_kernels kernel;
    int block;        /* keys per block of the lanes family */
    int tiles;        /* lane tiles that share a block */
    int copies;       /* tiles that must share a block of f32 rows before it is copied; 0: never */
    int copy_keys, copy_values; /* which of its rows */
    int asks;         /* small and thin family, lane tiles alone: what comes next is worth asking memory for */
    int row_block;    /* keys per block of the rows family */
    int row_ahead, row_ahead_keys, row_ahead_values; /* rows family: bytes asked for ahead, for several rows; keys, values of one */
    float scale;      /* folded into q; units of `edit.unit` */
    float softcap;    /* 0: none */
    int alibi, has_bias;
    const float *slopes; /* [hq], when alibi */
    int edits;        /* scores need a pass between dot and softmax */
    int sink;         /* some sink logit is there */
    float sink_all;   /* common logit in nats, or -INFINITY */
    int zero_logit;
    const fv_normaliser *normaliser; /* pruned driver */
    double arg[4];
    fv_sequence *sequence;
    int64_t sequences;
    unsigned passes;  /* largest number of passes of a shape */
    int64_t tasks[FV_MAX_PASSES];
    int alone[FV_MAX_PASSES]; /* 1: too little work for more than the calling thread */
    int merge_alone;
    int64_t partials; /* rows driver: partial states, one per task, when some pass has splits */
    size_t shared_bytes, scratch_bytes; /* workspace: shared, then one scratch per worker */
    size_t state_bytes;   /* of the shared part: m and l of every row */
    const struct fv_work *narrow; /* the same work with kernels and blocks of narrow tiles; NULL where there are none */
} fv_work;

typedef struct fv_tensors {
    const fovea_arguments *arguments;
    float *state_m, *state_l; /* [batch, hq, out_rows], chained passes */
    float *partial;           /* rows driver, splits > 1 */
    uint64_t kept;            /* added to atomically */
} fv_tensors;

/* One lane of a tile: a query row of a head, and where its output goes. */
typedef struct fv_place {
    fv_lane lane;
    int64_t out; /* output row */
} fv_place;

/* Task t of a pass: which sequence, key/value head and unit of it. */
typedef struct fv_task {
    const fv_sequence *sequence;
    const fv_pass *pass;
    int64_t kv, unit;
} fv_task;
void fv_work_task(const fv_work *work, unsigned pass, int64_t t, fv_task *task);

/* Places of unit `unit` when units hold at most `width` lanes: returns their number and the class of their keys. */
int fv_work_places(const fv_work *work, const fv_task *task, int64_t unit, int width, fv_place *place, int64_t *key_class);
/* Units of `width` lanes that a pass has per key/value head. */
int64_t fv_work_units(const fv_work *work, const fv_lengths *lengths, int64_t step, int width);

/* Addresses. */
static inline const void *fv_work_query(const fv_work *w, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place)
{
    const fovea_problem *p = &w->problem;
    int64_t at = s->batch * p->q.batch + place->lane.head * p->q.head + (s->q0 + place->lane.row) * p->q.token;
    return (const char *)tensors->arguments->q + at * (int64_t)fv_dtype_bytes(p->dtype);
}

static inline float *fv_work_output(const fv_work *w, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place)
{
    const fovea_problem *p = &w->problem;
    return tensors->arguments->o + s->batch * p->o.batch + place->lane.head * p->o.head + (s->q0 + place->out) * p->o.token;
}

/* Both, of n places of a tile. */
void fv_work_pointers(const fv_work *work, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place, int n,
                      const void **q, float **o);

/* The same of unit `unit` of a pass of step 1 without a list of rows, whose places are neighbours and need not be known.
   Returns how many there are. */
int fv_work_addresses(const fv_work *work, const fv_tensors *tensors, const fv_task *task, int64_t unit, int width,
                      const void **q, float **o);

/* Index in [batch, hq, out_rows]. */
static inline int64_t fv_work_row(const fv_work *w, const fv_sequence *s, const fv_place *place)
{
    return (s->batch * w->problem.hq + place->lane.head) * w->out_rows + s->q0 + place->out;
}

/* Pointers to the key and value rows first, first + step, ... of one key/value head. */
void fv_work_keys(const fv_work *work, const fv_tensors *tensors, const fv_sequence *s, int64_t kv, int64_t first,
                  int64_t step, int64_t n, const void **k, const void **v);
/* Bytes from the key and the value rows of the task's head to those of the head whose tasks follow; 0 where rows do not lie at
   fixed distances, or behind the last. */
void fv_work_next_head(const fv_work *work, const fv_tensors *tensors, const fv_task *task, ptrdiff_t *k, ptrdiff_t *v);

/* Rows to ask memory for: `width` floats at `shift` bytes from each pointer, whatever is there. As qk takes them: row NULL is none. */
typedef struct fv_ask {
    const void *const *row;
    ptrdiff_t shift;
    int width;
} fv_ask;
/* Asks for n rows at once, to the second cache. */
void fv_work_ask(const fv_ask *ask, int n);
/* Floats that n numbers of the problem's type take the room of. */
static inline int fv_work_floats(const fv_work *work, int64_t n)
{
    return (int)((n * (int64_t)fv_dtype_bytes(work->problem.dtype) + 3) / (int64_t)sizeof(float));
}
/* Bias row of a place, or NULL. */
const float *fv_work_bias(const fv_work *work, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place);
/* A finite bias in units of log2. The lowest floats, which people use as masks, stay finite: only -inf hides a pair. */
static inline float fv_work_bias_units(float bias)
{
    float x = bias * (float)FVK_LOG2E;
    return x < FVK_LOWEST ? FVK_LOWEST : x;
}
/* Sink logit of a head in nats, -INFINITY when there is none. */
float fv_work_sink(const fv_work *work, const fv_tensors *tensors, int64_t head);
/* Sinks of n places for the kernel `finish`, in log2 units, FVK_HIDDEN up to `lanes`: returns `sink`, or NULL when no head has one. */
const float *fv_work_sinks(const fv_work *work, const fv_tensors *tensors, const fv_place *place, int n, int lanes, float *sink);
/* The true maximum of a row in nats from the m and l of its softmax: -infinity without keys. */
float fv_work_row_max(float m, float l);
/* Output mask row of a place, or NULL. */
uint8_t *fv_work_mask(const fv_work *work, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place);

/* Outputs besides o of a place that saw its first `see` keys, those that its bias hides apart, with state m, l and lse in nats.
   Returns the pairs that entered, 0 when nobody asks for them. */
uint64_t fv_work_report(const fv_work *work, const fv_tensors *tensors, const fv_sequence *s, const fv_place *place, float m,
                        float l, float lse, int see);

/* Drivers. scratch: scratch_bytes, aligned to 64; a worker's own, its first word NULL at its first task of a pass. */
void fv_lanes_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch);
size_t fv_lanes_scratch(const fv_work *work, const fv_pass *pass);
void fv_rows_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch);
void fv_rows_merge(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch);
size_t fv_rows_scratch(const fv_work *work, const fv_pass *pass);
void fv_small_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch);
size_t fv_small_scratch(const fv_work *work, const fv_lengths *lengths, const fv_pass *pass);
void fv_thin_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch);
size_t fv_thin_scratch(const fv_work *work, const fv_lengths *lengths);
void fv_pruned_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch);
size_t fv_pruned_scratch(const fv_work *work, const fv_lengths *lengths, const fv_pass *pass);
#endif
