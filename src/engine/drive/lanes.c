/* The lanes driver: many query rows per key/value head, queries in the vector lanes.

   A task is a group of up to `tiles` lane tiles of one class. Their spans are walked in lock step, window by window of
   `block` keys, so that a block of keys and values is read from far memory once for all tiles of the group and from L2
   after that; from a copy with padded rows, made ahead (lanes_copy.c), where the tensors' rows crowd together in a few
   sets of the caches. Tiles that keep few keys, and others than their neighbours, share no more than chance has it: each
   walks for itself. Within a tile, keys that all lanes see and keys that only some see queue up separately: the first
   need no masks, and neither depends on where the spans were.

   Cost per tile and block of n keys, d = dv: 4 n d LANES flops; n d elements of K and of V from L2, 1 / tiles of it from
   beyond; n exponentials per lane; 2 d vectors of accumulator traffic. Fixed cost per tile: two transpositions of
   d x LANES. */
#include "core/numbers.h"
#include "drive/lanes.h"
#include "drive/scratch.h"

#include <stddef.h>
#include <string.h>

/* Floats between the rows of a copy: an odd number of cache lines. Rows a power of two apart share a few sets of L1, and pv
   visits each row once per handful of columns. */
static ptrdiff_t copy_stride(int64_t width)
{
    return 16 * (((ptrdiff_t)width + 15) / 16 | 1);
}

static void take_queue(fv_scratch *at, fv_lanes_queue *q, int block)
{
    q->k = fv_scratch_take(at, (size_t)block * sizeof *q->k);
    q->v = fv_scratch_take(at, (size_t)block * sizeof *q->v);
    q->rows = fv_scratch_take(at, (size_t)block * sizeof *q->rows);
    q->key = fv_scratch_take(at, (size_t)block * sizeof *q->key);
}

/* A ring of two blocks of rows, if they are copied. */
static void take_ring(const fv_work *w, fv_scratch *at, int copied, int64_t width, fv_lanes_ring *r)
{
    const int rows = copied ? 2 * w->block : 0;
    r->copied = copied;
    r->ld = copy_stride(width);
    r->bytes = (size_t)width * sizeof(float);
    r->at = fv_scratch_take(at, (size_t)rows * (size_t)r->ld * sizeof(float));
    r->rows = fv_scratch_take(at, (size_t)(rows / 2 * 3) * sizeof(void *));
    r->lines = fv_scratch_take(at, (size_t)w->block * 2 * sizeof(void *));
    for (int j = 0; at->base && j < rows / 2 * 3; j++)
        r->rows[j] = r->at + j % rows * r->ld;
}

/* Lays the scratch behind *x out; with base NULL only its size matters. */
static size_t lay_out(const fv_work *w, const fv_pass *pass, char *base, fv_lanes *x)
{
    fv_scratch at = {base, 0};
    size_t width = (size_t)w->kernel.lanes, row = width * sizeof(float);
    size_t d = (size_t)w->problem.d, dv = (size_t)w->problem.dv;
    const size_t keys = ((size_t)w->block + 31) & ~(size_t)31; /* of a block in tiles */
    size_t rows, tiles;
    for (int t = 0; t < w->tiles; t++) {
        fv_lanes_tile *y = &x->tile[t];
        y->qt = fv_scratch_take(&at, d * row);
        y->ot = fv_scratch_take(&at, dv * row);
        y->m = fv_scratch_take(&at, row);
        y->l = fv_scratch_take(&at, row);
        y->mx = fv_scratch_take(&at, row);
        take_queue(&at, &y->full, w->block);
        take_queue(&at, &y->edge, w->block);
        x->pattern[t] = fv_scratch_take(&at, fv_pattern_tile_scratch(pass->pattern, pass->part, (unsigned)width));
    }
    x->s = fv_scratch_take(&at, keys * row);
    x->alpha = fv_scratch_take(&at, row);
    x->pos = fv_scratch_take(&at, row);
    x->slope = fv_scratch_take(&at, row);
    x->bias = fv_scratch_take(&at, w->has_bias ? (size_t)w->block * row : 0);
    x->kpos = fv_scratch_take(&at, (size_t)w->block * sizeof(float));
    x->ldk = copy_stride(w->problem.d);
    x->ldv = copy_stride(w->problem.dv);
    rows = (size_t)w->block * (size_t)x->ldv * sizeof(float);
    tiles = w->kernel.pv_tile ? keys * ((dv + 15) & ~(size_t)15) * sizeof(uint16_t) : 0;
    if (w->kernel.widen) { /* behind the keys a row of values for add_wild */
        x->copy_k = fv_scratch_take(&at, ((size_t)w->block * (size_t)x->ldk + (size_t)x->ldv) * sizeof(float));
        x->copy_v = fv_scratch_take(&at, rows > tiles ? rows : tiles);
        x->copy_rows_k = fv_scratch_take(&at, (size_t)w->block * sizeof(void *));
        x->copy_rows_v = fv_scratch_take(&at, (size_t)w->block * sizeof(void *));
    }
    for (int j = 0; base && w->kernel.widen && j < w->block; j++) {
        x->copy_rows_k[j] = x->copy_k + j * x->ldk;
        x->copy_rows_v[j] = x->copy_v + j * x->ldv;
    }
    if (w->copies) {
        take_ring(w, &at, w->copy_keys, w->problem.d, &x->ring[0]);
        take_ring(w, &at, w->copy_values, w->problem.dv, &x->ring[1]);
    }
    x->parts = fv_scratch_take(&at, w->kernel.pv_tile ? (size_t)w->kernel.parts * keys / 2 * row : 0);
    /* rows of a tile's outputs and of two tiles' queries, and of one copy's worth of keys and values */
    x->behind = fv_scratch_take(&at, (size_t)(3 * w->kernel.lanes + 2 * w->block) * sizeof(void *));
    return at.used;
}

/* Bytes in front of the arrays: as many tiles as the plan has. */
static size_t head_bytes(const fv_work *w)
{
    return (offsetof(fv_lanes, tile) + (size_t)w->tiles * sizeof(fv_lanes_tile) + 63) & ~(size_t)63;
}

size_t fv_lanes_scratch(const fv_work *work, const fv_pass *pass)
{
    fv_lanes x;
    return head_bytes(work) + lay_out(work, pass, NULL, &x);
}

/* Where the tile's rows are. */
static void place_tile(fv_lanes *x, fv_lanes_tile *y, int64_t unit)
{
    const fv_work *w = x->work;
    y->n = fv_work_places(w, &x->task, unit, w->kernel.lanes, y->place, &x->key_class);
    y->all = (uint32_t)((1ull << y->n) - 1);
    y->full.n = y->edge.n = 0;
    fv_work_pointers(w, x->tensors, x->task.sequence, y->place, y->n, y->q, y->o);
    y->begun = y->led = y->asked = y->done = 0;
    y->foreseen = INT64_MIN;
}

/* Asks for the rows as far ahead as the tile is tall, most likely those of the next tile of the group. */
static void ask_next_tile(const fv_lanes *x, const fv_lanes_tile *y)
{
    const fovea_problem *p = &x->work->problem;
    const size_t size = fv_dtype_bytes(p->dtype), bytes = (size_t)p->d * size;
    const size_t ahead = (size_t)(x->work->kernel.lanes * x->task.pass->step * p->q.token) * size;
    for (int i = 0; i < y->n; i++)
        for (size_t c = 0; c < bytes; c += 64) /* an address, not a pointer, for behind the last tile there is none */
            __builtin_prefetch((const void *)((uintptr_t)y->q[i] + ahead + c));
}

/* Packs the tile's queries: where rows are copied, right before its first block, for crowded rows of all tiles would not stay near
   until then. */
static void begin_tile(fv_lanes *x, fv_lanes_tile *y)
{
    const fv_work *w = x->work;
    const void *const *q = y->q;
    y->begun = 1;
    if (!x->copying)
        ask_next_tile(x, y);
    if (w->kernel.qk_pair)
        w->kernel.pack_pair(q, y->n, (int)w->problem.d, y->qt);
    else
        w->kernel.pack(q, y->n, (int)w->problem.d, w->scale, y->qt);
    for (int i = 0; i < w->kernel.lanes; i++) {
        y->m[i] = y->mx[i] = FVK_HIDDEN;
        y->l[i] = 0;
    }
    y->started = !x->task.pass->first;
    if (y->started) { /* go on from the state of the pass before */
        const void *from[FVK_MAX_LANES];
        for (int i = 0; i < y->n; i++) {
            int64_t row = fv_work_row(w, x->task.sequence, &y->place[i]);
            y->m[i] = x->tensors->state_m[row];
            y->l[i] = x->tensors->state_l[row];
            from[i] = y->o[i];
        }
        w->kernel.pack_f32(from, y->n, (int)w->problem.dv, 1.0f, y->ot);
    }
}

/* A tile is sparse when it keeps less than 3/8 of the keys from its first to its last. Half of them are still better shared, a
   quarter is not. */
static void find_density(fv_lanes_tile *y)
{
    int64_t kept = 0, range = y->spans ? y->span[y->spans - 1].hi - y->span[0].lo : 0;
    for (size_t i = 0; i < y->spans; i++)
        kept += y->span[i].hi - y->span[i].lo;
    y->sparse = 8 * kept < 3 * range;
    y->whole = kept == range;
}

static void find_spans(fv_lanes *x, fv_lanes_tile *y, void *scratch)
{
    fv_lane lane[FVK_MAX_LANES];
    for (int i = 0; i < y->n; i++)
        lane[i] = y->place[i].lane;
    y->spans = fv_pattern_tile(x->task.pass->pattern, x->task.pass->part, lane, (unsigned)y->n, x->key_class, scratch,
                               &y->span);
    find_density(y);
    y->at = 0;
    y->next = y->spans ? y->span[0].lo : 0;
}

static void finish_tile(fv_lanes *x, fv_lanes_tile *y)
{
    const fv_work *w = x->work;
    const fovea_arguments *a = x->tensors->arguments;
    float room[FVK_MAX_LANES], r[FVK_MAX_LANES], lse[FVK_MAX_LANES];
    const float *sink;
    int64_t row[FVK_MAX_LANES];
    for (int i = 0; i < y->n; i++)
        row[i] = fv_work_row(w, x->task.sequence, &y->place[i]);
    if (!y->started)
        memset(y->ot, 0, (size_t)w->problem.dv * (size_t)w->kernel.lanes * sizeof(float));
    if (!x->task.pass->last) {
        for (int i = 0; i < w->kernel.lanes; i++)
            r[i] = 1;
        w->kernel.store(y->ot, (int)w->problem.dv, r, y->o, y->n);
        for (int i = 0; i < y->n; i++) {
            x->tensors->state_m[row[i]] = y->m[i];
            x->tensors->state_l[row[i]] = y->l[i];
        }
        return;
    }
    sink = fv_work_sinks(w, x->tensors, y->place, y->n, w->kernel.lanes, room);
    w->kernel.finish(y->m, y->l, sink, r, a->lse ? lse : NULL);
    w->kernel.store(y->ot, (int)w->problem.dv, r, y->o, y->n);
    for (int i = 0; i < y->n; i++) {
        if (a->lse)
            a->lse[row[i]] = lse[i];
        if (a->row_max)
            a->row_max[row[i]] = fv_work_row_max(y->m[i], y->l[i]);
    }
}

/* Whether tiles gain by walking in lock step. */
static int are_near(const fv_lanes_tile *y, const fv_lanes_tile *z)
{
    if (y->spans == z->spans && (!y->spans || !memcmp(y->span, z->span, y->spans * sizeof *y->span)))
        return 1;
    return !y->sparse && !z->sparse;
}

/* The first key that some tile has still to compute, of the keys that all its lanes see and of those behind. */
static int64_t oldest(const fv_lanes *x, int n, int64_t start)
{
    for (const fv_lanes_tile *y = x->tile; y < x->tile + n; y++)
        if (!y->done && y->full.n && 0 <= y->full.first && y->full.first < start)
            start = y->full.first;
    return start;
}

/* Walks n tiles of one class in lock step. */
static void run_group(fv_lanes *x, int n)
{
    x->sharing = n;
    x->sparse = x->tile[0].sparse;
    x->asked_k = x->asked_v = x->last = INT64_MIN;
    for (int i = 0; i < n; i++) {
        const fv_lanes_tile *y = &x->tile[i];
        const int64_t last = y->spans ? y->span[y->spans - 1].hi : INT64_MIN;
        x->last = last > x->last ? last : x->last;
    }
    fv_lanes_find_rows(x);
    fv_lanes_start_rings(x, n);
    if (x->task.pass->step > 1) /* a class of its own */
        x->copy_first = -1;
    for (;;) {
        int64_t start = INT64_MAX;
        for (int i = 0; i < n; i++)
            if (x->tile[i].at < x->tile[i].spans && x->tile[i].next < start)
                start = x->tile[i].next;
        x->oldest = x->copying ? oldest(x, n, start) : start;
        for (int i = 0; i < n; i++) {
            fv_lanes_tile *y = &x->tile[i];
            if (y->done)
                continue;
            if (!y->begun)
                begin_tile(x, y);
            if (start < INT64_MAX)
                fv_lanes_feed(x, y, start + x->work->block);
            if (y->at < y->spans)
                continue;
            y->done = 1;
            fv_lanes_drain(x, y);
            finish_tile(x, y);
        }
        if (start == INT64_MAX)
            break;
    }
}

/* Makes tile n, which has its spans, the first of the next group. */
static void to_front(fv_lanes *x, int n)
{
    const fv_lanes_tile first = x->tile[0];
    void *pattern = x->pattern[0];
    x->tile[0] = x->tile[n];
    x->pattern[0] = x->pattern[n];
    x->tile[n] = first;
    x->pattern[n] = pattern;
}

/* Head of the keys that this worker most likely reads next; -1 in another sequence. Causal problems are run from their end. */
static int64_t find_following(const fv_lanes *x, unsigned pass, int64_t t)
{
    fv_task next;
    t += x->work->problem.causal ? -1 : 1;
    if (t < 0 || t >= x->work->tasks[pass])
        return -1;
    fv_work_task(x->work, pass, t, &next);
    return next.sequence == x->task.sequence ? next.kv : -1;
}

void fv_lanes_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch)
{
    fv_lanes *x = scratch;
    int64_t units, stop;
    int n = 0;
    fv_work_task(work, pass, t, &x->task);
    if (x->laid != x->task.pass) {
        x->laid = x->task.pass;
        x->work = work;
        lay_out(work, x->laid, (char *)scratch + head_bytes(work), x);
        x->copying = 0;
        x->next_sequence = NULL;
    }
    if (work->copies)
        x->follows = find_following(x, pass, t);
    x->tensors = tensors;
    x->kept = 0;
    x->copy_first = -1;
    x->copy_n = 0;
    units = fv_work_units(work, x->task.sequence->lengths, x->task.pass->step, work->kernel.lanes);
    stop = (x->task.unit + 1) * work->tiles < units ? (x->task.unit + 1) * work->tiles : units;
    for (int64_t u = x->task.unit * work->tiles; u < stop; u++) {
        if (n && x->task.pass->step > 1) { /* tiles of another class share no keys with these */
            run_group(x, n);
            n = 0;
        }
        place_tile(x, &x->tile[n], u);
        if (!work->copies)
            begin_tile(x, &x->tile[n]);
        find_spans(x, &x->tile[n], x->pattern[n]);
        if (n && !are_near(&x->tile[n - 1], &x->tile[n])) {
            run_group(x, n);
            to_front(x, n);
            n = 0;
        }
        n++;
    }
    run_group(x, n);
    if (tensors->arguments->kept)
        __atomic_fetch_add(&tensors->kept, x->kept, __ATOMIC_RELAXED);
}
