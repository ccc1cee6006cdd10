/* One block of keys under one tile of lanes: scores, edits, softmax, values, from the tensors' rows or from copies that tiles
   share, and what to ask memory for meanwhile. */
#include "core/numbers.h"
#include "drive/lanes.h"

#include <math.h>
#include <string.h>

enum { MOST_MR = 32 }; /* no kernel takes more keys at once */

/* Adds bias rows to a score block and takes pairs whose bias is -inf out of rows[], the queue's own; returns the lanes that see
   all its keys. */
static uint32_t add_bias(fv_lanes *x, fv_lanes_tile *y, fv_lanes_queue *q)
{
    const fv_work *w = x->work;
    uint32_t all = ~0u;
    if (q->first >= 0 && x->task.pass->step == 1) { /* neighbours: rows of the bias are turned into lanes as queries are */
        const void *row[FVK_MAX_LANES];
        for (int i = 0; i < y->n; i++)
            row[i] = fv_work_bias(w, x->tensors, x->task.sequence, &y->place[i]) + q->first;
        w->kernel.pack_f32(row, y->n, q->n, 1.0f, x->bias);
        return w->kernel.bias(x->s, q->n, x->bias, q->rows);
    }
    for (int i = 0; i < y->n; i++) {
        const float *bias = fv_work_bias(w, x->tensors, x->task.sequence, &y->place[i]);
        for (int j = 0; j < q->n; j++) {
            float b = bias[q->key[j]];
            if (b == -INFINITY)
                q->rows[j] &= ~(1u << i);
            else
                x->s[(size_t)j * (size_t)w->kernel.lanes + (size_t)i] += fv_work_bias_units(b);
        }
    }
    for (int j = 0; j < q->n; j++)
        all &= q->rows[j];
    return all;
}

/* Returns 0 when every lane sees every key. */
static int edit_block(fv_lanes *x, fv_lanes_tile *y, fv_lanes_queue *q, int masked)
{
    const fv_work *w = x->work;
    if (w->softcap > 0 || w->alibi) {
        fvk_edit e = {w->softcap, w->alibi ? x->slope : NULL, x->pos, x->kpos, (float)FVK_LOG2E};
        if (w->alibi) {
            int64_t shift = x->task.sequence->lengths->shape.lk - x->task.sequence->lengths->shape.lq;
            for (int i = 0; i < w->kernel.lanes; i++) {
                x->pos[i] = i < y->n ? (float)(y->place[i].lane.row + shift) : 0;
                x->slope[i] = i < y->n ? w->slopes[y->place[i].lane.head] : 0;
            }
            for (int j = 0; j < q->n; j++)
                x->kpos[j] = (float)q->key[j];
        }
        w->kernel.edit(x->s, q->n, &e);
    }
    if (w->has_bias) {
        if (!masked)
            memset(q->rows, 0xff, (size_t)q->n * sizeof *q->rows);
        masked = (add_bias(x, y, q) & y->all) != y->all;
    }
    w->kernel.hide(x->s, q->n, masked ? q->rows : NULL, y->mx);
    return masked;
}

static void record(fv_lanes *x, fv_lanes_tile *y, const fv_lanes_queue *q, int masked)
{
    if (!x->tensors->arguments->kept && !x->tensors->arguments->mask)
        return;
    for (int j = 0; j < q->n; j++)
        x->kept += (uint64_t)__builtin_popcount(masked ? q->rows[j] & y->all : y->all);
    for (int i = 0; i < y->n; i++) {
        uint8_t *mask = fv_work_mask(x->work, x->tensors, x->task.sequence, &y->place[i]);
        for (int j = 0; mask && j < q->n; j++)
            if (!masked || (q->rows[j] >> i & 1))
                mask[q->key[j]] = 1;
    }
}

static int is_copied(const fv_lanes *x, const fv_lanes_queue *q, fv_copy_form form)
{
    return form == x->copy_form && q->first >= 0 && q->first == x->copy_first && q->n == x->copy_n;
}

/* Whether f32 rows of a block are better read from a copy: when tiles are many, and its first are copied already or the next tile
   is at the same keys. */
static int copy_pays(const fv_lanes *x, const fv_lanes_tile *y, const fv_lanes_queue *q)
{
    const fv_lanes_ring *r = &x->ring[1];
    const fv_lanes_tile *z = y + 1;
    int64_t z_first = -1;
    if (!x->copying || q->first < 0)
        return 0;
    if (r->from <= q->first && q->first < r->stop)
        return 1;
    if (z == x->tile + x->sharing)
        return 0;
    if (z->full.n)
        z_first = z->full.first;
    else if (z->at < z->spans)
        z_first = z->next;
    return q->first <= z_first && z_first < q->first + q->n;
}

/* Rows of a block to the copy, values in a form of their own, once for the tiles that share consecutive keys. */
static void copy_block(fv_lanes *x, const fv_lanes_queue *q, fv_copy_form form)
{
    const fv_work *w = x->work;
    int d = (int)w->problem.d, dv = (int)w->problem.dv;
    if (is_copied(x, q, form))
        return;
    x->copy_first = q->first;
    x->copy_n = q->n;
    x->copy_form = form;
    if (!w->kernel.qk_pair)
        w->kernel.widen(q->k, q->n, d, x->copy_k, x->ldk);
    if (form == FV_AS_TILES)
        x->copy_finite = w->kernel.values_tile(q->v, q->n, dv, x->copy_v);
    else if (form == FV_AS_PAIRS)
        w->kernel.values_pair(q->v, q->n, dv, (uint32_t *)x->copy_v);
    else
        w->kernel.widen(q->v, q->n, dv, x->copy_v, x->ldv);
}

/* The next keys or values that no tile of the group has asked for yet, from this block on to one block behind it: whichever
   tile comes first to them. */
static fv_ask ask_keys(fv_lanes *x, const fv_lanes_queue *q)
{
    const fovea_problem *p = &x->work->problem;
    const int64_t end = q->first + q->n, far = end + x->work->block, stop = far < x->last ? far : x->last;
    fv_ask a = {NULL, 0, 0};
    if (x->asked_k < end) /* these are being read */
        x->asked_k = end;
    if (x->asked_v < q->first)
        x->asked_v = q->first;
    if (x->asked_v < end || (x->asked_v < x->asked_k && x->asked_v < stop)) {
        a = (fv_ask){(const void *const *)q->v, (x->asked_v - q->first) * x->dv, fv_work_floats(x->work, p->dv)};
        x->asked_v += q->n;
    } else if (x->asked_k < stop) {
        a = (fv_ask){(const void *const *)q->k, (x->asked_k - q->first) * x->dk, fv_work_floats(x->work, p->d)};
        x->asked_k += q->n;
    }
    return a;
}

/* The same where a block is over before memory has answered: with tiles of bf16 several tiles that ask lose 3 to 8 %. The
   first asks for the keys of the next block, the second for its values. */
static fv_ask ask_next(const fv_lanes *x, const fv_lanes_tile *y, const fv_lanes_queue *q)
{
    const fovea_problem *p = &x->work->problem;
    const ptrdiff_t next = (ptrdiff_t)x->work->block * x->task.pass->step * (ptrdiff_t)fv_dtype_bytes(p->dtype);
    if (y == &x->tile[0])
        return (fv_ask){(const void *const *)q->k, next * p->k.token, fv_work_floats(x->work, p->d)};
    if (y == &x->tile[1])
        return (fv_ask){(const void *const *)q->v, next * p->v.token, fv_work_floats(x->work, p->dv)};
    return (fv_ask){NULL, 0, 0};
}

/* What comes behind a tile's last block: its output rows, which are written once, a line here and a line there, and the query
   rows of the tile that most likely takes its place in the next task. */
static void find_behind(const fv_lanes *x, const fv_lanes_tile *y, fv_ask *o, fv_ask *q)
{
    const fovea_problem *p = &x->work->problem;
    const int64_t next = x->sharing * x->work->kernel.lanes * x->task.pass->step * p->q.token;
    *o = (fv_ask){(const void *const *)y->o, 0, (int)p->dv};
    *q = (fv_ask){y->q, (ptrdiff_t)next * (ptrdiff_t)fv_dtype_bytes(p->dtype), fv_work_floats(x->work, p->d)};
}

/* Asks for these rows at once, which takes as long as memory does: the queues of the core are short. */
static void ask_at_once(const fv_lanes *x, fv_lanes_tile *y)
{
    fv_ask o, q;
    find_behind(x, y, &o, &q);
    fv_work_ask(&o, y->n);
    fv_work_ask(&q, y->n);
    y->asked = 1;
}

/* Leaves them to the scores of a block of n keys, one row with each key; what is too many is asked for at once. */
static fv_ask ask_behind(fv_lanes *x, fv_lanes_tile *y, int n)
{
    fv_ask o, q;
    int rows = 0;
    find_behind(x, y, &o, &q);
    for (int i = 0; i < y->n && rows < n; i++)
        x->behind[rows++] = o.row[i];
    for (int i = 0; i < y->n && rows < n; i++) /* addresses, not pointers: there may be nothing */
        x->behind[rows++] = (const void *)((uintptr_t)q.row[i] + (uintptr_t)q.shift);
    for (int i = rows; i < n; i++)
        x->behind[i] = x->behind[rows - 1];
    if (rows < y->n)
        fv_work_ask(&(fv_ask){o.row + rows, o.shift, o.width}, y->n - rows);
    rows = rows > y->n ? rows - y->n : 0; /* of the queries */
    fv_work_ask(&(fv_ask){q.row + rows, q.shift, q.width}, y->n - rows);
    y->asked = 1;
    return (fv_ask){x->behind, 0, o.width > q.width ? o.width : q.width};
}

/* The keys of the next block, for a tile alone to ask for while it weighs the values of this one: half of the time in which memory
   would else be idle. */
static fvk_far ask_foreseen(const fv_lanes *x, fv_lanes_tile *y, const fv_lanes_queue *q, int masked)
{
    const fv_work *w = x->work;
    const int64_t end = q->first + q->n;
    if (x->sharing > 1 || masked || !w->asks || !x->k0 || q->first < 0 || end >= x->last)
        return (fvk_far){NULL, 0, 0, 0};
    y->foreseen = end + q->n;
    return (fvk_far){(const void *const *)q->k, q->n * x->dk, fv_work_floats(w, w->problem.d), 1};
}

/* Scores of a block. Meanwhile what comes next is prefetched: by a tile alone, or from scattered rows, the values of this
   block, and to L1 each key row ahead of its turn, for the hardware foresees neither (rows side by side it does, but not in
   time when they come from far memory); in a group, keys and values of the next
   block, where they lie at a fixed distance; with the first block behind which a tile has no keys, what comes behind it. */
static void score(fv_lanes *x, fv_lanes_tile *y, const fv_lanes_queue *q, const void *const *k, const uint32_t *rows, float *mx,
                  int copied)
{
    const fv_work *w = x->work;
    const fovea_problem *p = &w->problem;
    const void *const *near = NULL;
    fv_ask far = {NULL, 0, 0};
    const int fixed = x->k0 != NULL, ends = y->at == y->spans && !y->asked;
    const int in_place = k == (const void *const *)q->k;
    const int unasked = w->asks && !w->kernel.qk_pair && q->first >= y->foreseen; /* nobody has asked for these keys */
    const int alone = x->sharing == 1 && in_place && unasked;
    const int scattered = !rows && (x->sparse || q->first < 0) && in_place;
    if (x->sharing == 1 || scattered) {
        far = (fv_ask){(const void *const *)q->v, 0, fv_work_floats(w, p->dv)};
        near = (scattered || alone) && q->n >= MOST_MR ? k : NULL;
    } else if (copied)
        far = fv_lanes_copy_ahead(x, y, q);
    else if (w->kernel.pv_tile)
        far = fixed ? ask_next(x, y, q) : far;
    else if (ends)
        far = ask_behind(x, y, q->n);
    else if (fixed && q->first >= 0)
        far = ask_keys(x, q);
    if (ends && !y->asked)
        ask_at_once(x, y);
    if (w->kernel.qk_pair)
        w->kernel.qk_pair(y->qt, (int)p->d, k, q->n, rows, w->scale, x->s, mx, near, far.row, far.shift,
                          2 * far.width); /* counts 16-bit numbers */
    else
        w->kernel.qk(y->qt, (int)p->d, k, q->n, rows, x->s, mx, near, &(fvk_far){far.row, far.shift, far.width, x->sharing == 1});
}

int fv_lanes_pair_keys(const fv_work *w)
{
    return w->block / 3;
}

/* The form of a block's values that its kernels want; pairs want all lanes to see all keys. */
static fv_copy_form form_of(const fv_lanes *x, const fv_lanes_queue *q, int masked)
{
    const fv_kernels *kernel = &x->work->kernel;
    if (kernel->pv_tile)
        return FV_AS_TILES;
    return !masked && kernel->pv_pair && q->n >= fv_lanes_pair_keys(x->work) ? FV_AS_PAIRS : FV_AS_ROWS;
}

/* Values that are not finite, which tiles leave out, to the lanes that see them. So a hidden one changes no bit. */
static void add_wild(fv_lanes *x, fv_lanes_tile *y, const fv_lanes_queue *q, int masked)
{
    const int lanes = x->work->kernel.lanes, dv = (int)x->work->problem.dv;
    float *v = x->copy_k + (ptrdiff_t)x->work->block * x->ldk;
    for (int j = 0; j < q->n; j++) {
        x->work->kernel.widen(q->v + j, 1, dv, v, x->ldv);
        for (int c = 0; c < dv; c++)
            for (int i = 0; !isfinite(v[c]) && i < y->n; i++)
                if (!masked || (q->rows[j] >> i & 1))
                    y->ot[c * lanes + i] += exp2f(x->s[j * lanes + i] - y->m[i]) * v[c];
    }
}

void fv_lanes_flush(fv_lanes *x, fv_lanes_tile *y, fv_lanes_queue *q, int masked)
{
    const fv_work *w = x->work;
    const fv_kernels *kernel = &w->kernel;
    int dv = (int)w->problem.dv, copied = 0;
    fv_copy_form form = FV_AS_ROWS;
    const void *const *k = (const void *const *)q->k, *const *v = (const void *const *)q->v;
    float raw[FVK_MAX_LANES] = {0}; /* maxima before the edits mean nothing */
    if (kernel->widen && !kernel->qk_pair) {
        copy_block(x, q, FV_AS_ROWS);
        k = (const void *const *)x->copy_rows_k;
        v = (const void *const *)x->copy_rows_v;
    } else if (copy_pays(x, y, q)) {
        copied = 1;
        k = fv_lanes_copied(x, &x->ring[0], q, k);
        v = fv_lanes_copied(x, &x->ring[1], q, v);
    }
    score(x, y, q, k, masked && !w->edits ? q->rows : NULL, w->edits ? raw : y->mx, copied);
    if (w->edits)
        masked = edit_block(x, y, q, masked);
    if (kernel->qk_pair) { /* keys were read in place */
        form = form_of(x, q, masked);
        copy_block(x, q, form);
        v = (const void *const *)x->copy_rows_v;
    }
    if (form == FV_AS_TILES) {
        /* one part may take the place of its scores, which add_wild reads again */
        void *parts = kernel->parts == 1 && x->copy_finite ? (void *)x->s : x->parts;
        kernel->softmax_parts(x->s, q->n, y->m, y->mx, y->l, x->alpha, kernel->parts, parts);
        kernel->pv_tile(parts, kernel->parts, q->n, x->copy_v, dv, y->started ? x->alpha : NULL, y->ot);
        if (!x->copy_finite)
            add_wild(x, y, q, masked);
    } else if (form == FV_AS_PAIRS) {
        kernel->softmax_pair(x->s, q->n, y->m, y->mx, y->l, x->alpha);
        kernel->pv_pair(x->s, q->n, (const uint32_t *)x->copy_v, dv, y->started ? x->alpha : NULL, y->ot);
    } else {
        const fvk_far next = ask_foreseen(x, y, q, masked);
        kernel->softmax(x->s, q->n, y->m, y->mx, y->l, x->alpha);
        kernel->pv(x->s, q->n, v, dv, masked ? q->rows : NULL, y->started ? x->alpha : NULL, y->ot,
                   next.row ? &next : NULL);
    }
    y->started = 1;
    record(x, y, q, masked);
    q->n = 0;
}
