/* The small driver: few keys, which ride in the vector lanes. For windows, short sequences and short contexts, where the lanes
   driver pays for half-filled tiles, transposed output and one block's fixed costs.

   A task is up to `width` query rows of one key/value head. Keys are packed once per head (scale folded in), scores of all
   rows and keys stand in L1, the softmax sees whole rows, and output rows are stored as they are made. Every row must see
   the keys below some number, all or up to a causal edge, in a single pass.

   Cost per task of n rows and nk keys: nk d / 4 operations to pack, then n ceil(nk / LANES) LANES (d + dv) / VL fma, and
   n nk / VL exponentials. */
#include "drive/scratch.h"
#include "drive/work.h"

#include <math.h>
#include <string.h>

/* In front of a worker's scratch; stays from task to task, and so do the packed keys. */
typedef struct small {
    const fv_pass *laid; /* NULL before a worker's first task */
    const fv_sequence *sequence; /* whose keys are packed */
    int64_t kv;
    fvk_small block;
    float *kt, *s, *tail_k, *wide_q, *wide_v, *r, *lse;
    ptrdiff_t ldq, ldv;
    int panels; /* of LANES keys */
    fv_place *place;
    const void **q, **k, **v;
    const void **raw_q, **raw_v; /* the rows as the tensors have them, as those of k are */
    ptrdiff_t shift_k, shift_v;  /* bytes from these to the next head's, 0 where they are not known */
    const float **bias;
    float **o;
    int *see;
    uint32_t *rows;
} small;

enum {
    HEAD = (sizeof(small) + 63) & ~(size_t)63,
    TAIL = 2 /* keys that are computed row by row rather than in a vector of their own: 49 = 3 * 16 + 1 */
};

static size_t lay_out(const fv_work *w, const fv_lengths *lengths, const fv_pass *pass, char *base, small *x)
{
    fv_scratch at = {base, 0};
    const size_t lanes = (size_t)w->kernel.lanes, nk = (size_t)lengths->shape.lk;
    const size_t vector = (size_t)w->kernel.vector, tail = nk > vector && nk % vector <= TAIL ? nk % vector : 0;
    const size_t panels = (nk - tail + lanes - 1) / lanes, tall = ((size_t)pass->width + lanes - 1) / lanes * lanes;
    const int wide = w->kernel.widen != NULL;
    x->panels = (int)panels;
    x->block.tail = (int)tail;
    x->block.lde = (ptrdiff_t)tall;
    x->ldq = (ptrdiff_t)((w->problem.d + 15) & ~15) + 16; /* rows a power of two apart share a few sets of L1 */
    x->ldv = (ptrdiff_t)((w->problem.dv + 15) & ~15) + 16;
    x->block.panel = (ptrdiff_t)(tall * lanes) + 16;
    x->s = fv_scratch_take(&at, panels * (size_t)x->block.panel * sizeof(float));
    x->kt = fv_scratch_take(&at, panels * (size_t)w->problem.d * lanes * sizeof(float));
    x->block.end = fv_scratch_take(&at, tail * tall * sizeof(float));
    x->tail_k = fv_scratch_take(&at, tail * (size_t)x->ldq * sizeof(float));
    x->wide_q = fv_scratch_take(&at, wide ? tall * (size_t)x->ldq * sizeof(float) : 0);
    x->wide_v = fv_scratch_take(&at, wide ? nk * (size_t)x->ldv * sizeof(float) : 0);
    x->block.m = fv_scratch_take(&at, tall * sizeof(float));
    x->block.l = fv_scratch_take(&at, tall * sizeof(float));
    x->r = fv_scratch_take(&at, tall * sizeof(float));
    x->lse = fv_scratch_take(&at, tall * sizeof(float));
    x->place = fv_scratch_take(&at, tall * sizeof *x->place);
    x->q = fv_scratch_take(&at, tall * sizeof *x->q);
    x->k = fv_scratch_take(&at, (nk + tall) * sizeof *x->k);
    x->v = fv_scratch_take(&at, (nk + tall) * sizeof *x->v);
    x->raw_q = wide ? fv_scratch_take(&at, tall * sizeof *x->q) : x->q;
    x->raw_v = wide ? fv_scratch_take(&at, (nk + tall) * sizeof *x->v) : x->v;
    x->bias = fv_scratch_take(&at, tall * sizeof *x->bias);
    x->o = fv_scratch_take(&at, tall * sizeof *x->o);
    x->see = fv_scratch_take(&at, tall * sizeof *x->see);
    x->rows = fv_scratch_take(&at, tall * sizeof *x->rows);
    return at.used;
}

size_t fv_small_scratch(const fv_work *work, const fv_lengths *lengths, const fv_pass *pass)
{
    small x;
    return HEAD + lay_out(work, lengths, pass, NULL, &x);
}

/* The keys behind the last whole vector, as rows, scaled. */
static void take_tail(small *x, const fv_work *w, int nk)
{
    const int d = (int)w->problem.d;
    const void *const *from = (const void *const *)x->k + nk - x->block.tail;
    for (int t = 0; t < x->block.tail; t++) {
        float *k = x->tail_k + t * x->ldq;
        if (w->kernel.widen)
            w->kernel.widen(from + t, 1, d, k, x->ldq);
        else
            memcpy(k, from[t], (size_t)d * sizeof *k);
        for (int c = 0; c < d; c++)
            k[c] *= w->scale;
    }
}

/* Packs the keys of a head, unless they are the last task's. */
static void take_keys(small *x, const fv_work *w, const fv_tensors *tensors, const fv_task *task)
{
    const int lanes = w->kernel.lanes, d = (int)w->problem.d;
    const int nk = (int)task->sequence->lengths->shape.lk;
    if (x->sequence == task->sequence && x->kv == task->kv)
        return;
    x->sequence = task->sequence;
    x->kv = task->kv;
    fv_work_keys(w, tensors, task->sequence, task->kv, 0, 1, nk, x->k, x->raw_v);
    for (int j = nk; j < nk + task->pass->width; j++) { /* so that a task's share of them may be as long as its rows are many */
        x->k[j] = x->k[nk - 1];
        x->raw_v[j] = x->raw_v[nk - 1];
    }
    fv_work_next_head(w, tensors, task, &x->shift_k, &x->shift_v);
    for (int p = 0; p < x->panels; p++) {
        int left = nk - x->block.tail - p * lanes;
        w->kernel.pack(x->k + p * lanes, left < lanes ? left : lanes, d, w->scale,
                       x->kt + (size_t)p * (size_t)d * (size_t)lanes);
    }
    take_tail(x, w, nk);
    if (!w->kernel.widen)
        return;
    w->kernel.widen(x->raw_v, nk, (int)w->problem.dv, x->wide_v, x->ldv);
    for (int j = 0; j < nk; j++)
        x->v[j] = x->wide_v + j * x->ldv;
}

/* Addresses of the task's rows, and how many keys each sees; places where something depends on these. */
static void take_rows(small *x, const fv_work *w, const fv_tensors *tensors, const fv_task *task, int placed)
{
    const fv_sequence *s = task->sequence;
    const fv_shape *shape = &s->lengths->shape;
    int64_t key_class;
    int n;
    const int64_t first = shape->lk - shape->lq + task->pass->ahead + 1;
    const int edge = task->pass->ahead < shape->lk + shape->lq;
    if (placed || edge || w->rows) {
        n = fv_work_places(w, task, task->unit, task->pass->width, x->place, &key_class);
        fv_work_pointers(w, tensors, s, x->place, n, x->raw_q, x->o);
    } else
        n = fv_work_addresses(w, tensors, task, task->unit, task->pass->width, x->raw_q, x->o);
    for (int i = 0; edge && i < n; i++) {
        int64_t end = x->place[i].lane.row + first;
        x->see[i] = (int)(end < 0 ? 0 : end < shape->lk ? end : shape->lk);
    }
    if (w->has_bias)
        for (int i = 0; i < n; i++)
            x->bias[i] = fv_work_bias(w, tensors, s, &x->place[i]);
    x->block.s = x->s;
    x->block.n = n;
    x->block.nk = (int)shape->lk;
    x->block.bias = w->has_bias ? x->bias : NULL;
    x->block.see = edge ? x->see : NULL;
    if (!w->kernel.widen)
        return;
    w->kernel.widen(x->raw_q, n, (int)w->problem.d, x->wide_q, x->ldq);
    for (int i = 0; i < n; i++)
        x->q[i] = x->wide_q + i * x->ldq;
}

/* Scores of the tail's keys against all rows. */
static void score_tail(small *x, const fv_work *w)
{
    for (int t = 0; t < x->block.tail; t++)
        w->kernel.small_tail(x->tail_k + t * x->ldq, (int)w->problem.d, (const void *const *)x->q, x->block.n,
                             x->block.end + t * x->block.lde);
    for (int t = 0; x->block.see && t < x->block.tail; t++)
        for (int i = 0; i < x->block.n; i++)
            if (x->see[i] <= x->block.nk - x->block.tail + t)
                x->block.end[t * x->block.lde + i] = FVK_HIDDEN;
}

/* Bits of the first n lanes. */
static uint32_t masks(int n, int lanes)
{
    return n <= 0 ? 0 : n >= lanes ? ~0u : (1u << n) - 1;
}

/* What memory is asked for while panel p of a task is scored, as many rows as the task has: its output rows, which are written
   once, then the next task's queries, then the task's share of the next head's keys and values. A head's keys are few, so
   they are gone through before memory has brought the next head's. */
static fv_ask wanted(const small *x, const fv_work *w, const fv_task *task, int p)
{
    const int share = (int)((x->block.nk + task->pass->units - 1) / task->pass->units);
    const ptrdiff_t from = share * (ptrdiff_t)task->unit;
    const ptrdiff_t ahead = x->block.n * (ptrdiff_t)w->problem.q.token * (ptrdiff_t)fv_dtype_bytes(w->problem.dtype);
    const fv_ask all[4] = {
        {(const void *const *)x->o, 0, (int)w->problem.dv},
        {(const void *const *)x->raw_q, ahead, fv_work_floats(w, w->problem.d)},
        {x->shift_k ? (const void *const *)x->k + from : NULL, x->shift_k, fv_work_floats(w, w->problem.d)},
        {x->shift_v ? (const void *const *)x->raw_v + from : NULL, x->shift_v, fv_work_floats(w, w->problem.dv)},
    };
    const fv_ask none = {NULL, 0, 0};
    return !w->asks || p >= 4 || (p >= 2 && from >= x->block.nk) ? none : all[p];
}

/* Scores panel by panel; masks only where a panel has lanes that some row does not see. The tail's keys last. */
static void score(small *x, const fv_work *w, const fv_task *task)
{
    const int lanes = w->kernel.lanes, nk = x->block.nk - x->block.tail;
    float mx[FVK_MAX_LANES]; /* largest of a key over the queries: of no use */
    for (int i = 0; i < lanes; i++)
        mx[i] = 0;
    for (int p = 0; p < x->panels; p++) {
        const uint32_t *rows = NULL;
        const fv_ask far = wanted(x, w, task, p);
        if (x->block.see || nk < (p + 1) * lanes) {
            const uint32_t all = masks(nk - p * lanes, lanes);
            for (int i = 0; i < x->block.n; i++)
                x->rows[i] = x->block.see && x->see[i] < nk ? masks(x->see[i] - p * lanes, lanes) : all;
            rows = x->rows;
        }
        w->kernel.qk(x->kt + (size_t)p * (size_t)w->problem.d * (size_t)lanes, (int)w->problem.d, (const void *const *)x->q,
                     x->block.n, rows, x->s + p * x->block.panel, mx, NULL, &(fvk_far){far.row, far.shift, far.width, 0});
    }
    for (int p = x->panels; p < 4; p++) {
        const fv_ask far = wanted(x, w, task, p);
        if (far.row)
            fv_work_ask(&far, x->block.n);
    }
    score_tail(x, w);
}

static void finish(small *x, const fv_work *w, const fv_tensors *tensors)
{
    const int lanes = w->kernel.lanes;
    for (int i = 0; i < x->block.n; i += lanes) {
        float room[FVK_MAX_LANES];
        const float *sink = fv_work_sinks(w, tensors, x->place + i, x->block.n - i, lanes, room);
        w->kernel.finish(x->block.m + i, x->block.l + i, sink, x->r + i, tensors->arguments->lse ? x->lse + i : NULL);
    }
}

/* Outputs besides o. Returns the pairs that entered, when someone asks for them. */
static uint64_t report(const small *x, const fv_work *w, const fv_tensors *tensors, const fv_sequence *s)
{
    uint64_t kept = 0;
    for (int i = 0; i < x->block.n; i++)
        kept += fv_work_report(w, tensors, s, &x->place[i], x->block.m[i], x->block.l[i], x->lse[i],
                               x->block.see ? x->see[i] : x->block.nk);
    return kept;
}

void fv_small_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch)
{
    const fovea_arguments *a = tensors->arguments;
    const int reports = a->lse || a->row_max || a->mask || a->kept;
    small *x = scratch;
    fv_task task;
    fv_work_task(work, pass, t, &task);
    if (x->laid != task.pass) {
        x->laid = task.pass;
        x->sequence = NULL;
        lay_out(work, task.sequence->lengths, task.pass, (char *)scratch + HEAD, x);
    }
    take_keys(x, work, tensors, &task);
    take_rows(x, work, tensors, &task, reports || work->has_bias || work->sink);
    score(x, work, &task);
    work->kernel.small_softmax(&x->block);
    finish(x, work, tensors);
    work->kernel.small_pv(&x->block, (const void *const *)x->v, (int)work->problem.dv, x->r, x->o);
    if (reports) {
        uint64_t kept = report(x, work, tensors, task.sequence);
        if (a->kept)
            __atomic_fetch_add(&tensors->kept, kept, __ATOMIC_RELAXED);
    }
}
