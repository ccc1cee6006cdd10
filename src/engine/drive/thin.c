/* The thin driver: few keys and thin heads, queries in the vector lanes. For batches of small windows whose heads are a few
   numbers wide, where the exponentials are most of the arithmetic and the lanes driver's walk over spans and queues most of
   the time.

   A task is up to `width` query rows of one key/value head, in tiles of LANES. All keys of a row are one block: scores in L1 or close,
   the true maximum first, no rescaling. Every row must see the keys below some number, all or up to a causal edge, in a
   single pass.

   Cost per tile of V vectors and nk keys: V nk (d + dv) fma and V nk exponentials, where lanes without a query count as
   well; two transpositions of d x LANES. */
#include "drive/scratch.h"
#include "drive/work.h"

#include <math.h>
#include <string.h>

/* Keys whose values pv goes over at a time. It visits each row once per handful of columns, so these rows must stay in L1, where
   rows 512 bytes apart share an eighth of the sets. 128 keys are 2 to 4 % slower, and so are 32, whose sums are loaded and
   stored too often. */
#ifdef FV_MINI_TILES
enum { VALUES = 10 };
#else
enum { VALUES = 64 };
#endif

/* In front of a worker's scratch; stays from task to task, and so do the addresses of a head's keys. */
typedef struct thin {
    const fv_pass *laid; /* NULL before a worker's first task */
    const fv_sequence *sequence; /* whose keys k and v point to */
    int64_t kv;
    int n, nk;       /* lanes of the tile; keys that some of them see */
    float *qt, *ot, *s, *bias, *m, *l, *mx, *alpha, *r, *lse, *wide_k, *wide_v;
    ptrdiff_t ldk, ldv;
    fv_place *place;
    const void **q, **k, **v;
    const void **raw_k, **raw_v; /* the head's rows as the tensors have them */
    ptrdiff_t shift_k, shift_v;  /* bytes from there to the next head's, 0 where these are not known */
    float **o;
    int *see;
    uint32_t *rows;
} thin;

enum { HEAD = (sizeof(thin) + 63) & ~(size_t)63 };

static size_t lay_out(const fv_work *w, const fv_lengths *lengths, char *base, thin *x)
{
    fv_scratch at = {base, 0};
    const size_t lanes = (size_t)w->kernel.lanes, row = lanes * sizeof(float), nk = (size_t)lengths->shape.lk;
    const int wide = w->kernel.widen != NULL;
    x->ldk = (ptrdiff_t)((w->problem.d + 15) & ~15) + 16; /* rows a power of two apart share a few sets of L1 */
    x->ldv = (ptrdiff_t)((w->problem.dv + 15) & ~15) + 16;
    x->qt = fv_scratch_take(&at, (size_t)w->problem.d * row);
    x->ot = fv_scratch_take(&at, (size_t)w->problem.dv * row);
    x->s = fv_scratch_take(&at, nk * row);
    x->bias = fv_scratch_take(&at, w->has_bias ? nk * row : 0);
    x->m = fv_scratch_take(&at, row);
    x->l = fv_scratch_take(&at, row);
    x->mx = fv_scratch_take(&at, row);
    x->alpha = fv_scratch_take(&at, row);
    x->r = fv_scratch_take(&at, row);
    x->lse = fv_scratch_take(&at, row);
    x->wide_k = fv_scratch_take(&at, wide ? nk * (size_t)x->ldk * sizeof(float) : 0);
    x->wide_v = fv_scratch_take(&at, wide ? nk * (size_t)x->ldv * sizeof(float) : 0);
    x->place = fv_scratch_take(&at, lanes * sizeof *x->place);
    x->q = fv_scratch_take(&at, lanes * sizeof *x->q);
    x->k = fv_scratch_take(&at, nk * sizeof *x->k);
    x->v = fv_scratch_take(&at, nk * sizeof *x->v);
    x->raw_k = wide ? fv_scratch_take(&at, nk * sizeof *x->k) : x->k;
    x->raw_v = wide ? fv_scratch_take(&at, nk * sizeof *x->v) : x->v;
    x->o = fv_scratch_take(&at, lanes * sizeof *x->o);
    x->see = fv_scratch_take(&at, lanes * sizeof *x->see);
    x->rows = fv_scratch_take(&at, nk * sizeof *x->rows);
    return at.used;
}

size_t fv_thin_scratch(const fv_work *work, const fv_lengths *lengths)
{
    thin x;
    return HEAD + lay_out(work, lengths, NULL, &x);
}

/* Addresses of a head's keys, or of their copies in float, unless they are the last task's. */
static void take_keys(thin *x, const fv_work *w, const fv_tensors *tensors, const fv_task *task)
{
    const int nk = (int)task->sequence->lengths->shape.lk;
    if (x->sequence == task->sequence && x->kv == task->kv)
        return;
    x->sequence = task->sequence;
    x->kv = task->kv;
    fv_work_keys(w, tensors, task->sequence, task->kv, 0, 1, nk, x->raw_k, x->raw_v);
    fv_work_next_head(w, tensors, task, &x->shift_k, &x->shift_v);
    if (!w->kernel.widen)
        return;
    w->kernel.widen((const void *const *)x->raw_k, nk, (int)w->problem.d, x->wide_k, x->ldk);
    w->kernel.widen((const void *const *)x->raw_v, nk, (int)w->problem.dv, x->wide_v, x->ldv);
    for (int j = 0; j < nk; j++) {
        x->k[j] = x->wide_k + j * x->ldk;
        x->v[j] = x->wide_v + j * x->ldv;
    }
}

/* Addresses of a tile's rows; their places where something depends on these. */
static void take_rows(thin *x, const fv_work *w, const fv_tensors *tensors, const fv_task *task, int64_t tile, int placed)
{
    int64_t key_class;
    if (placed || w->rows) {
        x->n = fv_work_places(w, task, tile, w->kernel.lanes, x->place, &key_class);
        fv_work_pointers(w, tensors, task->sequence, x->place, x->n, x->q, x->o);
    } else
        x->n = fv_work_addresses(w, tensors, task, tile, w->kernel.lanes, x->q, x->o);
    w->kernel.pack((const void *const *)x->q, x->n, (int)w->problem.d, w->scale, x->qt);
    for (int i = 0; i < w->kernel.lanes; i++) {
        x->m[i] = x->mx[i] = FVK_HIDDEN;
        x->l[i] = 0;
    }
}

static int has_edge(const fv_pass *pass, const fv_shape *shape)
{
    return pass->ahead < shape->lk + shape->lq;
}

/* How many keys each lane sees. Sets nk; returns the number of those that need no mask, and makes masks of the others. Where
   the lanes fill one vector, masks keep the others from being computed. */
static int take_edge(thin *x, const fv_work *w, const fv_pass *pass, const fv_shape *shape)
{
    const int64_t first = shape->lk - shape->lq + pass->ahead + 1;
    const int few = x->n <= w->kernel.vector && w->kernel.vector < w->kernel.lanes;
    const uint32_t absent = few || x->n == FVK_MAX_LANES ? 0 : ~0u << x->n;
    int common = (int)shape->lk;
    x->nk = (int)shape->lk;
    if (!has_edge(pass, shape)) {
        for (int j = 0; few && j < x->nk; j++)
            x->rows[j] = ~(~0u << x->n);
        return few ? 0 : common;
    }
    x->nk = 0;
    for (int i = 0; i < x->n; i++) {
        const int64_t end = x->place[i].lane.row + first;
        x->see[i] = (int)(end < 0 ? 0 : end < shape->lk ? end : shape->lk);
        x->nk = x->see[i] > x->nk ? x->see[i] : x->nk;
        common = x->see[i] < common ? x->see[i] : common;
    }
    common = few ? 0 : common;
    for (int j = common; j < x->nk; j++)
        x->rows[j] = absent;
    for (int i = 0; i < x->n; i++) /* who sees a key sees those before it */
        if (x->see[i] > common)
            x->rows[x->see[i] - 1] |= 1u << i;
    for (int j = x->nk - 2; j >= common; j--)
        x->rows[j] |= x->rows[j + 1];
    return common;
}

/* Bias rows turned into lanes as queries are; pairs whose bias is -infinity leave rows[]. Returns 1 when there are such. */
static int add_bias(thin *x, const fv_work *w, const fv_tensors *tensors, int common)
{
    const void *row[FVK_MAX_LANES];
    uint32_t all, full = x->n < FVK_MAX_LANES ? (1u << x->n) - 1 : ~0u;
    for (int i = 0; i < x->n; i++)
        row[i] = fv_work_bias(w, tensors, x->sequence, &x->place[i]);
    memset(x->rows, 0xff, (size_t)common * sizeof *x->rows);
    w->kernel.pack_f32(row, x->n, x->nk, 1.0f, x->bias);
    all = w->kernel.bias(x->s, x->nk, x->bias, x->rows) & full;
    for (int i = 0; i < w->kernel.lanes; i++)
        x->mx[i] = FVK_HIDDEN;
    w->kernel.hide(x->s, x->nk, all == full ? NULL : x->rows, x->mx);
    return all != full;
}

/* Values: of the first `common` keys, which no mask hides, and of the others, a few at a time. */
static void weigh(thin *x, const fv_work *w, int common)
{
    const void *const *v = (const void *const *)x->v;
    const int dv = (int)w->problem.dv, lanes = w->kernel.lanes;
    const float *alpha = NULL;
    const int pieces = x->nk > VALUES || (common && common < x->nk);
    for (int i = 0; pieces && i < lanes; i++)
        x->alpha[i] = 1; /* each goes on where the one before left off */
    for (int j = 0, n; j < x->nk; j += n) {
        const int masked = j >= common, end = masked ? x->nk : common;
        n = end - j < VALUES ? end - j : VALUES;
        w->kernel.pv(x->s + (ptrdiff_t)j * lanes, n, v + j, dv, masked ? x->rows + j : NULL, alpha, x->ot, NULL);
        alpha = x->alpha;
    }
    if (!x->nk)
        w->kernel.pv(x->s, 0, v, dv, NULL, NULL, x->ot, NULL);
}

/* A head's keys are few, so they are gone through before memory has brought the next head's. These are asked for while the
   last tiles of this one are scored, which see the most keys where there is an edge: keys by one, values by the next, neither
   by the very last when others are there, for it may be small. */
static fv_ask next_head(const thin *x, const fv_work *w, int64_t tile, int64_t tiles)
{
    const int64_t keys = tiles > 2 ? tiles - 3 : tiles > 1 ? tiles - 2 : 0;
    const fv_ask k = {(const void *const *)x->raw_k, x->shift_k, fv_work_floats(w, w->problem.d)};
    const fv_ask v = {(const void *const *)x->raw_v, x->shift_v, fv_work_floats(w, w->problem.dv)};
    const fv_ask none = {NULL, 0, 0};
    return !w->asks ? none : tile == keys && x->shift_k ? k : tile == keys + 1 && x->shift_v ? v : none;
}

/* Asks for the output rows, which are written once, and the query rows of the next tile. */
static void ask_rows(const thin *x, const fv_work *w)
{
    const ptrdiff_t ahead = (ptrdiff_t)(w->kernel.lanes * w->problem.q.token) * (ptrdiff_t)fv_dtype_bytes(w->problem.dtype);
    const fv_ask o = {(const void *const *)x->o, 0, (int)w->problem.dv};
    const fv_ask q = {(const void *const *)x->q, ahead, fv_work_floats(w, w->problem.d)};
    fv_work_ask(&o, x->n);
    fv_work_ask(&q, x->n);
}

/* Scores, softmax and values of the tile's only block. */
static void compute(thin *x, const fv_work *w, const fv_tensors *tensors, int common, fv_ask far)
{
    const fv_kernels *kernel = &w->kernel;
    const int d = (int)w->problem.d;
    const void *const *k = (const void *const *)x->k;
    int masked = common < x->nk;
    if (common)
        kernel->qk(x->qt, d, k, common, NULL, x->s, x->mx, NULL, &(fvk_far){far.row, far.shift, far.width, 0});
    if (masked)
        kernel->qk(x->qt, d, k + common, x->nk - common, x->rows + common, x->s + (ptrdiff_t)common * kernel->lanes, x->mx,
                   NULL, &(fvk_far){far.row ? far.row + common : NULL, far.shift, far.width, 0});
    if (w->has_bias)
        masked = add_bias(x, w, tensors, common);
    kernel->softmax(x->s, x->nk, x->m, x->mx, x->l, x->alpha);
    if (!masked || w->has_bias)
        common = masked ? 0 : x->nk;
    weigh(x, w, common);
}

static void finish(thin *x, const fv_work *w, const fv_tensors *tensors)
{
    float room[FVK_MAX_LANES];
    const float *sink = fv_work_sinks(w, tensors, x->place, x->n, w->kernel.lanes, room);
    w->kernel.finish(x->m, x->l, sink, x->r, tensors->arguments->lse ? x->lse : NULL);
    w->kernel.store(x->ot, (int)w->problem.dv, x->r, x->o, x->n);
}

/* Outputs besides o. Returns the pairs that entered, when someone asks for them. */
static uint64_t report(const thin *x, const fv_work *w, const fv_tensors *tensors, const fv_task *task)
{
    const int edge = has_edge(task->pass, &task->sequence->lengths->shape);
    uint64_t kept = 0;
    for (int i = 0; i < x->n; i++)
        kept += fv_work_report(w, tensors, task->sequence, &x->place[i], x->m[i], x->l[i], x->lse[i], edge ? x->see[i] : x->nk);
    return kept;
}

void fv_thin_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch)
{
    const fovea_arguments *a = tensors->arguments;
    const int reports = a->lse || a->row_max || a->mask || a->kept;
    thin *x = scratch;
    uint64_t kept = 0;
    fv_task task;
    int64_t units, per_task, stop;
    int placed;
    fv_work_task(work, pass, t, &task);
    if (x->laid != task.pass) {
        x->laid = task.pass;
        x->sequence = NULL;
        lay_out(work, task.sequence->lengths, (char *)scratch + HEAD, x);
    }
    take_keys(x, work, tensors, &task);
    units = fv_work_units(work, task.sequence->lengths, 1, work->kernel.lanes);
    per_task = task.pass->width / work->kernel.lanes;
    stop = (task.unit + 1) * per_task < units ? (task.unit + 1) * per_task : units;
    placed = reports || work->has_bias || work->sink || has_edge(task.pass, &task.sequence->lengths->shape);
    for (int64_t tile = task.unit * per_task; tile < stop; tile++) {
        int common;
        take_rows(x, work, tensors, &task, tile, placed);
        common = take_edge(x, work, task.pass, &task.sequence->lengths->shape);
        if (work->asks)
            ask_rows(x, work);
        compute(x, work, tensors, common, next_head(x, work, tile, units));
        finish(x, work, tensors);
        if (reports)
            kept += report(x, work, tensors, &task);
    }
    if (a->kept)
        __atomic_fetch_add(&tensors->kept, kept, __ATOMIC_RELAXED);
}
