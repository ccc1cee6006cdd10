/* The rows driver: up to FVK_MAX_ROWS query rows per key/value head (decoding), the head dimension in the vector lanes.

   A task is one group of rows and one range of the kept keys ("split"). Keys of a block are read strictly in address order,
   then the values of the block; both are read once for all rows of the group, which shares a key/value head. With more
   than one split each task leaves a partial state (m, l, o), and a second round merges them in order, so that the result
   does not depend on which worker did what.

   Cost per block of n keys: n d + n dv elements from memory, 2 n (d + dv) flops per row: below about 8 rows memory is the
   limit. Scores of a block live in rows x block floats. */
#include "drive/scratch.h"
#include "drive/work.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    ROWS = FVK_MAX_ROWS,
    AHEAD_ROWS = 64 /* rows behind those of a kernel call that it may ask for */
};

typedef struct rows {
    const fv_work *work;
    fv_tensors *tensors;
    fv_task task;
    fv_place place[ROWS];
    int n;
    int64_t key_class;
    uint32_t all;
    float *q, *s, *o, *kpos; /* q[n][ldq], s[n][block], o[n][dv] */
    ptrdiff_t ldq, lds;
    float m[ROWS], l[ROWS], alpha[ROWS];
    int started;
    const void **k, **v;
    uint32_t *rows;
    int32_t *key;
    int queued, masked, partly; /* `rows` holds for the queue, and from entry `partly` on some see less than all */
    void *pattern;
    uint64_t kept;
} rows;

static size_t lay_out(const fv_work *w, const fv_pass *pass, char *base, rows *x)
{
    fv_scratch at = {base, 0};
    size_t block = (size_t)w->row_block;
    x->ldq = (ptrdiff_t)((w->problem.d + 15) & ~15);
    x->q = fv_scratch_take(&at, ROWS * (size_t)x->ldq * sizeof(float));
    x->lds = (ptrdiff_t)block + 16; /* rows a power of two apart would share sets of L1 */
    x->s = fv_scratch_take(&at, ROWS * (size_t)x->lds * sizeof(float));
    x->o = fv_scratch_take(&at, ROWS * (size_t)w->problem.dv * sizeof(float));
    x->kpos = fv_scratch_take(&at, block * sizeof(float));
    x->k = fv_scratch_take(&at, block * sizeof *x->k);
    x->v = fv_scratch_take(&at, block * sizeof *x->v);
    x->rows = fv_scratch_take(&at, block * sizeof *x->rows);
    x->key = fv_scratch_take(&at, block * sizeof *x->key);
    x->pattern = fv_scratch_take(&at, fv_pattern_tile_scratch(pass->pattern, pass->part, ROWS));
    return at.used;
}

size_t fv_rows_scratch(const fv_work *work, const fv_pass *pass)
{
    rows x;
    return lay_out(work, pass, NULL, &x);
}

/* Partial state of a task: m, l, then o[dv], per row. */
static float *partial(const fv_work *w, const fv_tensors *tensors, int64_t t)
{
    return tensors->partial + (size_t)t * ROWS * (size_t)(w->problem.dv + 2);
}

static void load_queries(rows *x)
{
    const fv_work *w = x->work;
    const int64_t d = w->problem.d;
    for (int r = 0; r < x->n; r++) {
        const void *q = fv_work_query(w, x->tensors, x->task.sequence, &x->place[r]);
        float *to = x->q + r * x->ldq;
        if (w->kernel.widen)
            w->kernel.widen(&q, 1, (int)d, to, x->ldq);
        else
            memcpy(to, q, (size_t)d * sizeof(float));
        for (int64_t t = 0; t < d; t++)
            to[t] *= w->scale;
    }
}

/* State before the first key of this task: nothing, or what the pass before left. */
static void start(rows *x, int resume)
{
    for (int r = 0; r < x->n; r++) {
        x->m[r] = FVK_HIDDEN;
        x->l[r] = 0;
        if (resume) {
            int64_t row = fv_work_row(x->work, x->task.sequence, &x->place[r]);
            x->m[r] = x->tensors->state_m[row];
            x->l[r] = x->tensors->state_l[row];
            memcpy(x->o + r * x->work->problem.dv, fv_work_output(x->work, x->tensors, x->task.sequence, &x->place[r]),
                   (size_t)x->work->problem.dv * sizeof(float));
        }
    }
    x->started = resume;
    if (!resume)
        memset(x->o, 0, (size_t)x->n * (size_t)x->work->problem.dv * sizeof(float));
}

static void edit(rows *x, int r, float *s)
{
    const fv_work *w = x->work;
    const float *bias = fv_work_bias(w, x->tensors, x->task.sequence, &x->place[r]);
    if (w->softcap > 0 || w->alibi) {
        const fv_shape *shape = &x->task.sequence->lengths->shape;
        float pos = (float)(x->place[r].lane.row + shape->lk - shape->lq);
        fvk_edit e = {w->softcap, w->alibi ? &w->slopes[x->place[r].lane.head] : NULL, &pos, x->kpos, (float)FVK_LOG2E};
        if (w->alibi)
            for (int j = 0; j < x->queued; j++)
                x->kpos[j] = (float)x->key[j];
        w->kernel.row_edit(s, x->queued, &e);
    }
    if (bias)
        for (int j = 0; j < x->queued; j++) {
            float b = bias[x->key[j]];
            if (b == -INFINITY)
                x->rows[j] &= ~(1u << r);
            else
                s[j] += fv_work_bias_units(b);
        }
}

static void record(rows *x)
{
    if (!x->tensors->arguments->kept && !x->tensors->arguments->mask)
        return;
    for (int j = 0; j < x->queued; j++)
        x->kept += (uint64_t)__builtin_popcount(x->masked ? x->rows[j] : x->all);
    for (int r = 0; r < x->n; r++) {
        uint8_t *mask = fv_work_mask(x->work, x->tensors, x->task.sequence, &x->place[r]);
        for (int j = 0; mask && j < x->queued; j++)
            if (!x->masked || (x->rows[j] >> r & 1))
                mask[x->key[j]] = 1;
    }
}

/* Where the keys after the last n ones probably lie: as far apart as those before. Only ever asked for early. */
static void follow(const void *const *k, int n, const void **beyond)
{
    uintptr_t last = (uintptr_t)k[n - 1], step = n > 1 ? last - (uintptr_t)k[n - 2] : 0;
    for (int i = 0; i < AHEAD_ROWS; i++)
        beyond[i] = (const void *)(last + (uintptr_t)(i + 1) * step);
}

static void flush(rows *x)
{
    const fv_work *w = x->work;
    const ptrdiff_t lds = x->lds;
    int n = x->queued;
    const void *beyond[AHEAD_ROWS];
    fvk_ahead ahead = {(const void *const *)x->v, n < AHEAD_ROWS ? n : AHEAD_ROWS,
                       x->n > 1 ? w->row_ahead : w->row_ahead_keys};
    if (w->has_bias) { /* -infinity hides */
        for (int j = 0; j < n && !x->masked; j++)
            x->rows[j] = x->all;
        x->masked = 1;
        x->partly = 0;
    }
    w->kernel.dot(x->q, x->ldq, x->n, (int)w->problem.d, (const void *const *)x->k, n, x->s, lds, &ahead);
    for (int r = 0; r < x->n; r++) {
        float *s = x->s + r * lds;
        if (w->edits)
            edit(x, r, s);
        if (x->masked)
            for (int j = x->partly; j < n; j++)
                s[j] = x->rows[j] >> r & 1 ? s[j] : FVK_HIDDEN;
        w->kernel.row_softmax(s, n, &x->m[r], &x->l[r], &x->alpha[r]);
    }
    follow((const void *const *)x->k, n, beyond);
    ahead.bytes = x->n > 1 ? w->row_ahead : w->row_ahead_values;
    ahead.next = beyond;
    ahead.count = AHEAD_ROWS;
    w->kernel.axpy(x->s, lds, x->n, n, (const void *const *)x->v, (int)w->problem.dv, x->masked ? x->rows : NULL,
                   x->started ? x->alpha : NULL, x->o, (ptrdiff_t)w->problem.dv, &ahead);
    x->started = 1;
    record(x);
    x->queued = x->masked = 0;
}

/* Queues n keys from class coordinate t that the rows in `see` read. */
static void feed(rows *x, int64_t t, int64_t n, uint32_t see)
{
    const fv_work *w = x->work;
    const int64_t step = x->task.pass->step;
    while (n > 0) {
        int64_t take = n < w->row_block - x->queued ? n : w->row_block - x->queued;
        int64_t key = x->key_class + step * t;
        if (see != x->all && !x->masked) {
            for (int j = 0; j < x->queued; j++)
                x->rows[j] = x->all;
            x->masked = 1;
            x->partly = x->queued;
        }
        fv_work_keys(w, x->tensors, x->task.sequence, x->task.kv, key, step, take, x->k + x->queued, x->v + x->queued);
        if (x->masked)
            for (int64_t j = 0; j < take; j++)
                x->rows[x->queued + j] = see;
        if (w->edits || x->tensors->arguments->mask)
            for (int64_t j = 0; j < take; j++)
                x->key[x->queued + j] = (int32_t)(key + step * j);
        x->queued += (int)take;
        t += take;
        n -= take;
        if (x->queued == w->row_block)
            flush(x);
    }
}

/* Keys number `from` to `to` - 1 of the group, counted through its spans. */
static void attend(rows *x, const fv_span *span, size_t spans, int64_t from, int64_t to)
{
    int64_t seen = 0;
    for (size_t i = 0; i < spans && seen < to; i++) {
        int64_t n = span[i].hi - span[i].lo, lo = from > seen ? from - seen : 0, hi = to - seen < n ? to - seen : n;
        if (lo < hi)
            feed(x, span[i].lo + lo, hi - lo, (uint32_t)span[i].lanes);
        seen += n;
    }
    if (x->queued)
        flush(x);
}

/* Last pass: sink, 1 / l, lse. Else: the state for the next pass. */
static void finish(rows *x)
{
    const fv_work *w = x->work;
    const fovea_arguments *a = x->tensors->arguments;
    for (int r = 0; r < x->n; r++) {
        float *o = fv_work_output(w, x->tensors, x->task.sequence, &x->place[r]);
        const float *from = x->o + r * w->problem.dv;
        int64_t row = fv_work_row(w, x->task.sequence, &x->place[r]);
        float sink = w->sink ? fv_work_sink(w, x->tensors, x->place[r].lane.head) : -INFINITY;
        double m = (double)x->m[r] * FVK_LN2, l = x->l[r], top = sink > m ? sink : m, down = exp(m - top);
        float scale;
        if (!x->task.pass->last) {
            memcpy(o, from, (size_t)w->problem.dv * sizeof(float));
            x->tensors->state_m[row] = x->m[r];
            x->tensors->state_l[row] = x->l[r];
            continue;
        }
        l = l * down + exp(sink - top);
        scale = x->l[r] == 0 ? 0 : (float)(down / l);
        for (int64_t c = 0; c < w->problem.dv; c++)
            o[c] = x->l[r] == 0 ? 0 : from[c] * scale;
        if (a->lse)
            a->lse[row] = x->l[r] == 0 ? -INFINITY : x->m[r] == FVK_LOWEST ? -FLT_MAX : (float)(top + log(l));
        if (a->row_max)
            a->row_max[row] = x->l[r] == 0 ? -INFINITY : x->m[r] == FVK_LOWEST ? -FLT_MAX : (float)m;
    }
}

static void open_task(rows *x, const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch)
{
    x->work = work;
    x->tensors = tensors;
    x->queued = x->masked = 0;
    x->kept = 0;
    fv_work_task(work, pass, t, &x->task);
    lay_out(work, x->task.pass, scratch, x);
    x->n = fv_work_places(work, &x->task, x->task.unit / x->task.pass->splits, ROWS, x->place, &x->key_class);
    x->all = (uint32_t)((1u << x->n) - 1);
}

void fv_rows_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch)
{
    rows x;
    fv_lane lane[ROWS];
    const fv_span *span;
    size_t spans;
    int64_t total = 0, splits, split;
    open_task(&x, work, tensors, pass, t, scratch);
    splits = x.task.pass->splits;
    split = x.task.unit % splits;
    for (int r = 0; r < x.n; r++)
        lane[r] = x.place[r].lane;
    spans = fv_pattern_tile(x.task.pass->pattern, x.task.pass->part, lane, (unsigned)x.n, x.key_class, x.pattern, &span);
    for (size_t i = 0; i < spans; i++)
        total += span[i].hi - span[i].lo;
    load_queries(&x);
    start(&x, splits == 1 && !x.task.pass->first);
    attend(&x, span, spans, total * split / splits, total * (split + 1) / splits);
    if (splits == 1)
        finish(&x);
    else {
        float *to = partial(work, tensors, t);
        for (int r = 0; r < x.n; r++, to += work->problem.dv + 2) {
            to[0] = x.m[r];
            to[1] = x.l[r];
            memcpy(to + 2, x.o + r * work->problem.dv, (size_t)work->problem.dv * sizeof(float));
        }
    }
    if (tensors->arguments->kept)
        __atomic_fetch_add(&tensors->kept, x.kept, __ATOMIC_RELAXED);
}

/* Adds one partial state to row r. */
static void merge_row(rows *x, int r, const float *from)
{
    const int64_t dv = x->work->problem.dv;
    float *o = x->o + r * dv, top = from[0] > x->m[r] ? from[0] : x->m[r], a, b;
    if (from[1] == 0) /* no keys */
        return;
    a = x->l[r] == 0 ? 0 : (float)exp2((double)x->m[r] - top);
    b = (float)exp2((double)from[0] - top);
    for (int64_t c = 0; c < dv; c++)
        o[c] = a * o[c] + b * from[2 + c];
    x->l[r] = a * x->l[r] + b * from[1];
    x->m[r] = top;
}

void fv_rows_merge(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch)
{
    rows x;
    fv_task task;
    int64_t splits;
    fv_work_task(work, pass, t, &task);
    splits = task.pass->splits;
    if (task.pass->driver != FV_DRIVE_ROWS || splits == 1 || task.unit % splits)
        return;
    open_task(&x, work, tensors, pass, t, scratch);
    start(&x, !x.task.pass->first);
    for (int64_t s = 0; s < splits; s++) {
        const float *from = partial(work, tensors, t + s);
        for (int r = 0; r < x.n; r++, from += work->problem.dv + 2)
            merge_row(&x, r, from);
    }
    finish(&x);
}
