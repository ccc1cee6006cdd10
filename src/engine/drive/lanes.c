/* The lanes driver: many query rows per key/value head, queries in the vector lanes.

   A task is a group of up to `tiles` lane tiles of one class. Their spans are walked in lock step, window by window of
   `block` keys, so that a block of keys and values is read from far memory once for all tiles of the group and from L2
   after that; from a copy with padded rows where the tensors' rows crowd together in a few sets of the caches. Tiles that
   keep few keys, and others than their neighbours, share no more than chance has it: each walks for itself. Within a
   tile, keys that all lanes see and keys that only some see queue up separately: the first need no masks, and neither
   depends on where the spans were.

   Cost per tile and block of n keys, d = dv: 4 n d LANES flops; n d elements of K and of V from L2, 1 / tiles of it from
   beyond; n exponentials per lane; 2 d vectors of accumulator traffic. Fixed cost per tile: two transpositions of
   d x LANES. */
#include "core/numbers.h"
#include "drive/scratch.h"
#include "drive/work.h"

#include <math.h>
#include <string.h>

enum {
    SHORT = 8,   /* spans of fewer keys are taken key by key */
    MOST_MR = 32 /* no kernel takes more keys at once */
};

typedef struct queue { /* keys waiting for a block */
    int n;
    int64_t first; /* key of entry 0 when the entries are consecutive in the class, else -1 */
    const void **k, **v;
    uint32_t *rows;
    int32_t *key;
} queue;

typedef struct tile {
    fv_place place[FVK_MAX_LANES];
    const void *q[FVK_MAX_LANES]; /* query rows */
    float *o[FVK_MAX_LANES];      /* output rows */
    int n;
    int started; /* ot holds something */
    int sparse;  /* keeps few of the keys from its first to its last */
    int asked;   /* what comes behind its last block is on its way */
    float *qt, *ot, *m, *l, *mx;
    const fv_span *span;
    size_t spans, at; /* spans left: at..spans-1 */
    int64_t next;     /* next key of span[at] */
    uint32_t all;
    queue full, edge;
} tile;

/* Lies in front of a worker's scratch and stays laid out from task to task. */
/* Forms of the values of a copied block. */
typedef enum copy_form { AS_ROWS, AS_PAIRS, AS_TILES } copy_form;

typedef struct lanes {
    const fv_pass *laid; /* the pass whose tasks it is laid out for, NULL before the first */
    const fv_work *work;
    fv_tensors *tensors;
    fv_task task;
    int64_t key_class;
    /* rows at class coordinate 0 and bytes from one to the next, where a key needs no more than these; else k0 is NULL */
    const char *k0, *v0;
    int64_t dk, dv;
    float *s, *alpha, *kpos, *pos, *slope, *bias;
    float *copy_k, *copy_v; /* rows of a block as floats; copy_v: or in one of the forms of copy_form */
    void *parts;            /* probabilities for tiles */
    const void **copy_rows_k, **copy_rows_v;
    ptrdiff_t ldk, ldv;
    int64_t copy_first; /* key of row 0 when the rows are those of copy_n consecutive keys of the class, else -1 */
    int copy_n, copy_finite;
    copy_form copy_form;
    int sharing; /* tiles of the group */
    int sparse;  /* the group keeps few keys: what follows a block is not what lies behind it */
    uint64_t kept;
    void *pattern[FV_MAX_TILES];
    tile tile[FV_MAX_TILES];
} lanes;

/* Floats between the rows of a copy: an odd number of cache lines. Rows a power of two apart share a few sets of L1, and pv
   visits each row once per handful of columns. */
static ptrdiff_t copy_stride(int64_t width)
{
    return 16 * (((ptrdiff_t)width + 15) / 16 | 1);
}

static void take_queue(fv_scratch *at, queue *q, int block)
{
    q->k = fv_scratch_take(at, (size_t)block * sizeof *q->k);
    q->v = fv_scratch_take(at, (size_t)block * sizeof *q->v);
    q->rows = fv_scratch_take(at, (size_t)block * sizeof *q->rows);
    q->key = fv_scratch_take(at, (size_t)block * sizeof *q->key);
}

/* Lays the scratch behind *x out; with base NULL only its size matters. */
static size_t lay_out(const fv_work *w, const fv_pass *pass, char *base, lanes *x)
{
    fv_scratch at = {base, 0};
    size_t width = (size_t)w->kernel.lanes, row = width * sizeof(float);
    size_t d = (size_t)w->problem.d, dv = (size_t)w->problem.dv;
    const size_t keys = ((size_t)w->block + 31) & ~(size_t)31; /* of a block in tiles */
    size_t rows, tiles;
    for (int t = 0; t < w->tiles; t++) {
        tile *y = &x->tile[t];
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
    /* and behind the keys a row of values for add_wild */
    x->copy_k = fv_scratch_take(&at, ((size_t)w->block * (size_t)x->ldk + (size_t)x->ldv) * sizeof(float));
    x->copy_v = fv_scratch_take(&at, rows > tiles ? rows : tiles);
    x->parts = fv_scratch_take(&at, w->kernel.pv_tile ? (size_t)w->kernel.parts * keys / 2 * row : 0);
    x->copy_rows_k = fv_scratch_take(&at, (size_t)w->block * sizeof(void *));
    x->copy_rows_v = fv_scratch_take(&at, (size_t)w->block * sizeof(void *));
    for (int j = 0; base && j < w->block; j++) {
        x->copy_rows_k[j] = x->copy_k + j * x->ldk;
        x->copy_rows_v[j] = x->copy_v + j * x->ldv;
    }
    return at.used;
}

enum { HEAD = (sizeof(lanes) + 63) & ~(size_t)63 };

size_t fv_lanes_scratch(const fv_work *work, const fv_pass *pass)
{
    lanes x;
    return HEAD + lay_out(work, pass, NULL, &x);
}

static void start_tile(lanes *x, tile *y, int64_t unit)
{
    const fv_work *w = x->work;
    const fv_sequence *s = x->task.sequence;
    const void **q = y->q;
    const size_t size = fv_dtype_bytes(w->problem.dtype), bytes = (size_t)w->problem.d * size;
    const size_t ahead = (size_t)(w->kernel.lanes * x->task.pass->step * w->problem.q.token) * size;
    y->n = fv_work_places(w, &x->task, unit, w->kernel.lanes, y->place, &x->key_class);
    y->all = (uint32_t)((1ull << y->n) - 1);
    y->full.n = y->edge.n = 0;
    fv_work_pointers(w, x->tensors, s, y->place, y->n, q, y->o);
    for (int i = 0; i < y->n; i++) {
        /* the row as far ahead as the tile is tall, most likely one of the next tile of the group; an address, not a
           pointer, for behind the last tile there is none */
        for (size_t c = 0; c < bytes; c += 64)
            __builtin_prefetch((const void *)((uintptr_t)q[i] + ahead + c));
    }
    if (w->kernel.qk_pair)
        w->kernel.pack_pair(q, y->n, (int)w->problem.d, y->qt);
    else
        w->kernel.pack(q, y->n, (int)w->problem.d, w->scale, y->qt);
    for (int i = 0; i < w->kernel.lanes; i++) {
        y->m[i] = y->mx[i] = FVK_HIDDEN;
        y->l[i] = 0;
    }
    y->asked = 0;
    y->started = !x->task.pass->first;
    if (y->started) { /* go on from the state of the pass before */
        const void *from[FVK_MAX_LANES];
        for (int i = 0; i < y->n; i++) {
            int64_t row = fv_work_row(w, s, &y->place[i]);
            y->m[i] = x->tensors->state_m[row];
            y->l[i] = x->tensors->state_l[row];
            from[i] = y->o[i];
        }
        w->kernel.pack_f32(from, y->n, (int)w->problem.dv, 1.0f, y->ot);
    }
}

/* Whether the tile keeps less than 3/8 of the keys from its first to its last. Half of them are still better shared, a
   quarter is not. */
static int is_sparse(const tile *y)
{
    int64_t kept = 0;
    for (size_t i = 0; i < y->spans; i++)
        kept += y->span[i].hi - y->span[i].lo;
    return y->spans && 8 * kept < 3 * (y->span[y->spans - 1].hi - y->span[0].lo);
}

static void find_spans(lanes *x, tile *y, void *scratch)
{
    fv_lane lane[FVK_MAX_LANES];
    for (int i = 0; i < y->n; i++)
        lane[i] = y->place[i].lane;
    y->spans = fv_pattern_tile(x->task.pass->pattern, x->task.pass->part, lane, (unsigned)y->n, x->key_class, scratch,
                               &y->span);
    y->sparse = is_sparse(y);
    y->at = 0;
    y->next = y->spans ? y->span[0].lo : 0;
}

/* Adds bias rows to a score block and takes pairs whose bias is -inf out of rows[], the queue's own; returns the lanes that see
   all its keys. */
static uint32_t add_bias(lanes *x, tile *y, queue *q)
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
static int edit_block(lanes *x, tile *y, queue *q, int masked)
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

static void record(lanes *x, tile *y, const queue *q, int masked)
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

static int is_copied(const lanes *x, const queue *q, copy_form form)
{
    return form == x->copy_form && q->first >= 0 && q->first == x->copy_first && q->n == x->copy_n;
}

/* Whether f32 rows of a block are better read from a copy: when it is there, or when the next tile is at the same keys and
   tiles are many. */
static int copy_pays(const lanes *x, const tile *y, const queue *q)
{
    const tile *z = y + 1;
    int64_t z_first = -1;
    if (!x->work->copies || x->sharing < x->work->copies || q->first < 0)
        return 0;
    if (is_copied(x, q, AS_ROWS))
        return 1;
    if (q != &y->full || z == x->tile + x->sharing)
        return 0;
    if (z->full.n)
        z_first = z->full.first;
    else if (z->at < z->spans && (uint32_t)z->span[z->at].lanes == z->all)
        z_first = x->key_class + x->task.pass->step * z->next;
    return z_first == q->first;
}

/* Rows of a block to the copy, values in a form of their own, once for the tiles that share consecutive keys. */
static void copy_block(lanes *x, const queue *q, copy_form form)
{
    const fv_work *w = x->work;
    int d = (int)w->problem.d, dv = (int)w->problem.dv;
    if (is_copied(x, q, form))
        return;
    x->copy_first = q->first;
    x->copy_n = q->n;
    x->copy_form = form;
    if (w->kernel.widen) {
        if (!w->kernel.qk_pair)
            w->kernel.widen(q->k, q->n, d, x->copy_k, x->ldk);
        if (form == AS_TILES)
            x->copy_finite = w->kernel.values_tile(q->v, q->n, dv, x->copy_v);
        else if (form == AS_PAIRS)
            w->kernel.values_pair(q->v, q->n, dv, (uint32_t *)x->copy_v);
        else
            w->kernel.widen(q->v, q->n, dv, x->copy_v, x->ldv);
        return;
    }
    for (int j = 0; w->copy_keys && j < q->n; j++)
        memcpy(x->copy_k + j * x->ldk, q->k[j], (size_t)d * sizeof(float));
    for (int j = 0; w->copy_values && j < q->n; j++)
        memcpy(x->copy_v + j * x->ldv, q->v[j], (size_t)dv * sizeof(float));
}

/* Scores of a block. Meanwhile what comes next is prefetched: by a tile alone, or from scattered rows, the values of this
   block, and to L1 each key row ahead of its turn, for the hardware foresees neither; in a group, by the first tile the
   keys of the next block and by the second its values, where keys lie at a fixed distance. */
static void score(lanes *x, tile *y, const queue *q, const void *const *k, const uint32_t *rows, float *mx)
{
    const fv_work *w = x->work;
    const fovea_problem *p = &w->problem;
    const void *const *far = NULL, *const *near = NULL;
    ptrdiff_t shift = 0, next = (ptrdiff_t)w->block * x->task.pass->step * (ptrdiff_t)fv_dtype_bytes(p->dtype);
    int fixed = !x->tensors->arguments->k_rows && !p->page_size, width = 0;
    int scattered = !rows && (x->sparse || q->first < 0) && k == (const void *const *)q->k;
    if (x->sharing == 1 || scattered) {
        far = (const void *const *)q->v;
        width = (int)p->dv;
        near = scattered && q->n >= MOST_MR ? k : NULL;
    } else if (fixed && y == &x->tile[0]) {
        far = (const void *const *)q->k;
        shift = next * p->k.token;
        width = (int)p->d;
    } else if (fixed && y == &x->tile[1]) {
        far = (const void *const *)q->v;
        shift = next * p->v.token;
        width = (int)p->dv;
    }
    if (w->kernel.qk_pair)
        w->kernel.qk_pair(y->qt, (int)p->d, k, q->n, rows, w->scale, x->s, mx, near, far, shift, width);
    else
        w->kernel.qk(y->qt, (int)p->d, k, q->n, rows, x->s, mx, near, far, shift, width);
}

/* Fewest keys of a block whose probabilities precision=fast rounds: a rounding is half a per cent of a single key's weight,
   but errors of many keys cancel. So rows with few keys, and the keys at an edge, keep float. */
static int pair_keys(const fv_work *w)
{
    return w->block / 3;
}

/* The form of a block's values that its kernels want; pairs want all lanes to see all keys. */
static copy_form form_of(const lanes *x, const queue *q, int masked)
{
    const fv_kernels *kernel = &x->work->kernel;
    if (kernel->pv_tile)
        return AS_TILES;
    return !masked && kernel->pv_pair && q->n >= pair_keys(x->work) ? AS_PAIRS : AS_ROWS;
}

/* Values that are not finite, which tiles leave out, to the lanes that see them. So a hidden one changes no bit. */
static void add_wild(lanes *x, tile *y, const queue *q, int masked)
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

static void flush(lanes *x, tile *y, queue *q, int masked)
{
    const fv_work *w = x->work;
    const fv_kernels *kernel = &w->kernel;
    int dv = (int)w->problem.dv;
    copy_form form = AS_ROWS;
    const void *const *k = (const void *const *)q->k, *const *v = (const void *const *)q->v;
    float raw[FVK_MAX_LANES] = {0}; /* maxima before the edits mean nothing */
    if (!kernel->qk_pair && (kernel->widen || copy_pays(x, y, q))) {
        copy_block(x, q, AS_ROWS);
        k = kernel->widen || w->copy_keys ? (const void *const *)x->copy_rows_k : k;
        v = kernel->widen || w->copy_values ? (const void *const *)x->copy_rows_v : v;
    }
    score(x, y, q, k, masked && !w->edits ? q->rows : NULL, w->edits ? raw : y->mx);
    if (w->edits)
        masked = edit_block(x, y, q, masked);
    if (kernel->qk_pair) { /* keys were read in place */
        form = form_of(x, q, masked);
        copy_block(x, q, form);
        v = (const void *const *)x->copy_rows_v;
    }
    if (form == AS_TILES) {
        /* one part may take the place of its scores, which add_wild reads again */
        void *parts = kernel->parts == 1 && x->copy_finite ? (void *)x->s : x->parts;
        kernel->softmax_parts(x->s, q->n, y->m, y->mx, y->l, x->alpha, kernel->parts, parts);
        kernel->pv_tile(parts, kernel->parts, q->n, x->copy_v, dv, y->started ? x->alpha : NULL, y->ot);
        if (!x->copy_finite)
            add_wild(x, y, q, masked);
    } else if (form == AS_PAIRS) {
        kernel->softmax_pair(x->s, q->n, y->m, y->mx, y->l, x->alpha);
        kernel->pv_pair(x->s, q->n, (const uint32_t *)x->copy_v, dv, y->started ? x->alpha : NULL, y->ot);
    } else {
        kernel->softmax(x->s, q->n, y->m, y->mx, y->l, x->alpha);
        kernel->pv(x->s, q->n, v, dv, masked ? q->rows : NULL, y->started ? x->alpha : NULL, y->ot);
    }
    y->started = 1;
    record(x, y, q, masked);
    q->n = 0;
}

/* Rows of masks for the next n keys of the spans; lanes that the tile lacks count as seeing, so that a key that all others
   see needs no mask. Moves on to the key behind. */
static void take_masks(tile *y, int64_t n, uint32_t *rows)
{
    while (n > 0) {
        const fv_span *span = &y->span[y->at];
        const uint32_t mask = (uint32_t)span->lanes | ~y->all;
        int64_t m = span->hi - y->next < n ? span->hi - y->next : n;
        for (int64_t j = 0; j < m; j++)
            rows[j] = mask;
        rows += m;
        n -= m;
        y->next += m;
        if (y->next == span->hi && ++y->at < y->spans)
            y->next = y->span[y->at].lo;
    }
}

/* End of the run of consecutive keys that begins at the tile's next one and is of one kind: seen by all lanes, or an edge. */
static int64_t run_end(const tile *y, int edge, int64_t stop)
{
    size_t at = y->at;
    int64_t end = y->span[at].hi;
    while (edge && end < stop && ++at < y->spans && y->span[at].lo == end && (uint32_t)y->span[at].lanes != y->all)
        end = y->span[at].hi;
    return end < stop ? end : stop;
}

/* Takes keys that all lanes see from spans of a few keys each, up to `stop`, as long as there is room. Which of such spans
   ends where is not to be foreseen, so that a branch on it would cost more than the key: one key per turn. */
static void take_short(const lanes *x, tile *y, int64_t stop)
{
    queue *q = &y->full;
    const fv_span *span = y->span + y->at, *const behind = y->span + y->spans;
    const int64_t first = x->key_class + x->task.pass->step * y->next;
    int64_t next = y->next, last = next;
    int n = q->n;
    if (n == 0)
        q->first = first;
    else if (q->first + x->task.pass->step * n != first)
        q->first = -1;
    while (n < x->work->block && next < stop && (uint32_t)span->lanes == y->all) {
        int64_t ended;
        q->k[n] = x->k0 + next * x->dk;
        q->v[n] = x->v0 + next * x->dv;
        n++;
        last = next++;
        ended = next == span->hi;
        span += ended;
        if (span == behind)
            break;
        next += (span->lo - next) & -ended;
    }
    if (last - y->next != n - q->n - 1)
        q->first = -1;
    y->at = (size_t)(span - y->span);
    y->next = next;
    q->n = n;
}

/* What comes behind a tile's last block, asked for while that is computed: its output rows, which are written once, a line
   here and a line there, and the query rows of the tile that most likely takes its place in the next task. */
static void ask_behind(const lanes *x, tile *y)
{
    const fovea_problem *p = &x->work->problem;
    const size_t size = fv_dtype_bytes(p->dtype), out = (size_t)p->dv * sizeof(float), in = (size_t)p->d * size;
    const size_t ahead =
        (size_t)x->sharing * (size_t)(x->work->kernel.lanes * x->task.pass->step * p->q.token) * size;
    if (y->asked)
        return;
    y->asked = 1;
    for (int i = 0; i < y->n; i++) {
        for (size_t c = 0; c < out; c += 64)
            __builtin_prefetch((const char *)y->o[i] + c, 0, 2);
        for (size_t c = 0; c < in; c += 64) /* an address, not a pointer: there may be nothing */
            __builtin_prefetch((const void *)((uintptr_t)y->q[i] + ahead + c), 0, 2);
    }
}

/* Takes keys of a run of one kind, up to `stop`, as many as there is room for. */
static void take_run(lanes *x, tile *y, queue *q, int edge, int64_t stop)
{
    const fv_work *w = x->work;
    const int64_t step = x->task.pass->step, key = x->key_class + step * y->next;
    int64_t n = run_end(y, edge, stop) - y->next, room = w->block - q->n;
    if (n > room)
        n = room;
    fv_work_keys(w, x->tensors, x->task.sequence, x->task.kv, key, step, n, q->k + q->n, q->v + q->n);
    if (w->edits || x->tensors->arguments->mask)
        for (int64_t j = 0; j < n; j++)
            q->key[q->n + j] = (int32_t)(key + step * j);
    take_masks(y, n, q->rows + q->n);
    q->first = q->n == 0 ? key : q->first + step * q->n == key ? q->first : -1;
    q->n += (int)n;
}

/* Takes keys of the tile's spans up to class coordinate `stop`. */
static void feed(lanes *x, tile *y, int64_t stop)
{
    const fv_work *w = x->work;
    while (y->at < y->spans && y->next < stop) {
        int edge = (uint32_t)y->span[y->at].lanes != y->all;
        queue *q = edge ? &y->edge : &y->full;
        if (!edge && x->k0 && y->span[y->at].hi - y->next < SHORT)
            take_short(x, y, stop);
        else
            take_run(x, y, q, edge, stop);
        if (q->n < w->block)
            continue;
        if (y->at == y->spans)
            ask_behind(x, y);
        flush(x, y, q, edge);
    }
}

/* What is left in the queues: together when they fit in one block, for a block costs more than its masks, but less than
   half the speed of the bf16 dot. */
static void drain(lanes *x, tile *y)
{
    queue *full = &y->full, *edge = &y->edge;
    int apart = x->work->kernel.pv_pair && full->n >= pair_keys(x->work);
    if (full->n && edge->n && !apart && full->n + edge->n <= x->work->block) {
        memcpy(edge->k + edge->n, full->k, (size_t)full->n * sizeof *full->k);
        memcpy(edge->v + edge->n, full->v, (size_t)full->n * sizeof *full->v);
        memcpy(edge->key + edge->n, full->key, (size_t)full->n * sizeof *full->key);
        memset(edge->rows + edge->n, 0xff, (size_t)full->n * sizeof *edge->rows);
        edge->n += full->n;
        edge->first = -1;
        full->n = 0;
    }
    if (full->n)
        flush(x, y, full, 0);
    if (edge->n)
        flush(x, y, edge, 1);
}

static void finish_tile(lanes *x, tile *y)
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

/* Where keys lie, when their rows are at a fixed distance and nothing but their rows is asked for. */
static void find_rows(lanes *x)
{
    const fv_work *w = x->work;
    const fovea_problem *p = &w->problem;
    const int64_t step = x->task.pass->step * (int64_t)fv_dtype_bytes(p->dtype);
    const void *k, *v;
    x->k0 = NULL;
    if (x->tensors->arguments->k_rows || p->page_size || w->edits || x->tensors->arguments->mask)
        return;
    fv_work_keys(w, x->tensors, x->task.sequence, x->task.kv, x->key_class, 1, 1, &k, &v);
    x->k0 = k;
    x->v0 = v;
    x->dk = p->k.token * step;
    x->dv = p->v.token * step;
}

/* Whether tiles gain by walking in lock step. */
static int are_near(const tile *y, const tile *z)
{
    if (y->spans == z->spans && (!y->spans || !memcmp(y->span, z->span, y->spans * sizeof *y->span)))
        return 1;
    return !y->sparse && !z->sparse;
}

/* Walks n tiles of one class in lock step. */
static void run_group(lanes *x, int n)
{
    x->sharing = n;
    x->sparse = x->tile[0].sparse;
    find_rows(x);
    for (;;) {
        int64_t start = INT64_MAX;
        for (int i = 0; i < n; i++)
            if (x->tile[i].at < x->tile[i].spans && x->tile[i].next < start)
                start = x->tile[i].next;
        if (start == INT64_MAX)
            break;
        for (int i = 0; i < n; i++)
            feed(x, &x->tile[i], start + x->work->block);
    }
    ask_behind(x, &x->tile[0]);
    for (int i = 0; i < n; i++) {
        drain(x, &x->tile[i]);
        if (i + 1 < n)
            ask_behind(x, &x->tile[i + 1]);
        finish_tile(x, &x->tile[i]);
    }
}

/* Makes tile n, which has its spans, the first of the next group. */
static void to_front(lanes *x, int n)
{
    const tile first = x->tile[0];
    void *pattern = x->pattern[0];
    x->tile[0] = x->tile[n];
    x->pattern[0] = x->pattern[n];
    x->tile[n] = first;
    x->pattern[n] = pattern;
}

void fv_lanes_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch)
{
    lanes *x = scratch;
    int64_t units, stop;
    int n = 0;
    fv_work_task(work, pass, t, &x->task);
    if (x->laid != x->task.pass) {
        x->laid = x->task.pass;
        x->work = work;
        lay_out(work, x->laid, (char *)scratch + HEAD, x);
    }
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
        start_tile(x, &x->tile[n], u);
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
