/* The pruned driver: normalisers that need a whole row of scores (top-k, sparsemax, ...), in two passes over the keys of
   one tile of rows.

   First the scores of the tile against every key that some row sees; then each row's visible scores go to the normaliser,
   which returns weights and the set of keys that it keeps; then the values of the kept keys only. Scratch is one tile of
   rows x keys, never lq x lk. Scores and weights lie row by row: a normaliser reads one row, and reading a column of a
   lane tile instead would touch one cache line per score.

   Cost per tile of n keys: 2 n d flops per row for the scores, the normaliser's own O(n) to O(n log n) per row, and
   2 dv flops per row for each key that some row of the tile keeps. */
#include "drive/scratch.h"
#include "drive/work.h"

#include <math.h>
#include <string.h>

enum { ROWS = FVK_MAX_ROWS };

typedef struct pruned {
    const fv_work *work;
    fv_tensors *tensors;
    fv_task task;
    fv_place place[FVK_MAX_LANES];
    int n, thin;         /* rows; few enough for the rows family */
    ptrdiff_t lds;       /* floats between neighbouring rows of s */
    int64_t keys;        /* of the tile */
    const fv_span *span; /* where they come from, unless a bias hides single pairs */
    size_t spans;
    int32_t *key;        /* [keys] */
    uint32_t *see, *kept; /* [keys]: rows that see it, rows that keep it */
    float *s;            /* s[row][lds]: scores, then weights */
    float *row, *p, *sort; /* one row: visible scores, weights, scratch */
    uint8_t *keep;
    float *qt, *ot, *kpos, *pack, *wide;
    const void **k, **v;
    uint32_t *rows;
    float lse[FVK_MAX_LANES], top[FVK_MAX_LANES];
    void *pattern;
} pruned;

static size_t lay_out(const fv_work *w, const fv_lengths *lengths, const fv_pass *pass, char *base, pruned *x)
{
    fv_scratch at = {base, 0};
    size_t width = (size_t)w->kernel.lanes > ROWS ? (size_t)w->kernel.lanes : ROWS, keys = (size_t)lengths->shape.lk;
    size_t d = (size_t)w->problem.d + 16, dv = (size_t)w->problem.dv, block = (size_t)w->block;
    x->key = fv_scratch_take(&at, keys * sizeof *x->key);
    x->see = fv_scratch_take(&at, keys * sizeof *x->see);
    x->kept = fv_scratch_take(&at, keys * sizeof *x->kept);
    x->s = fv_scratch_take(&at, (keys + 16) * width * sizeof(float));
    x->row = fv_scratch_take(&at, keys * sizeof(float));
    x->p = fv_scratch_take(&at, keys * sizeof(float));
    x->sort = fv_scratch_take(&at, 2 * keys * sizeof(float));
    x->keep = fv_scratch_take(&at, keys);
    x->qt = fv_scratch_take(&at, width * d * sizeof(float));
    x->ot = fv_scratch_take(&at, width * dv * sizeof(float));
    x->kpos = fv_scratch_take(&at, block * sizeof(float));
    x->pack = fv_scratch_take(&at, 2 * block * width * sizeof(float)); /* a block by key, and by row */
    x->wide = fv_scratch_take(&at, block * (d > dv ? d : dv) * sizeof(float));
    x->k = fv_scratch_take(&at, block * sizeof *x->k);
    x->v = fv_scratch_take(&at, block * sizeof *x->v);
    x->rows = fv_scratch_take(&at, block * sizeof *x->rows);
    x->pattern = fv_scratch_take(&at, fv_pattern_tile_scratch(pass->pattern, pass->part, (unsigned)width));
    return at.used;
}

size_t fv_pruned_scratch(const fv_work *work, const fv_lengths *lengths, const fv_pass *pass)
{
    pruned x;
    return lay_out(work, lengths, pass, NULL, &x);
}

static void find_keys(pruned *x)
{
    fv_lane lane[FVK_MAX_LANES];
    for (int i = 0; i < x->n; i++)
        lane[i] = x->place[i].lane;
    x->spans = fv_pattern_tile(x->task.pass->pattern, x->task.pass->part, lane, (unsigned)x->n, 0, x->pattern, &x->span);
    x->keys = 0;
    for (size_t i = 0; i < x->spans; i++)
        for (int64_t j = x->span[i].lo; j < x->span[i].hi; j++) {
            x->key[x->keys] = (int32_t)j;
            x->see[x->keys++] = (uint32_t)x->span[i].lanes;
        }
}

/* Pointers to the rows of keys at..at+n-1 of the list. */
static void fetch(pruned *x, int64_t at, int n)
{
    for (int j = 0; j < n; j++)
        fv_work_keys(x->work, x->tensors, x->task.sequence, x->task.kv, x->key[at + j], 1, 1, x->k + j, x->v + j);
}

/* In place of rows of a 16-bit type: pointers to floats. */
static void widen(pruned *x, const void **row, int n, int64_t d)
{
    if (!x->work->kernel.widen)
        return;
    x->work->kernel.widen((const void *const *)row, n, (int)d, x->wide, (ptrdiff_t)d);
    for (int j = 0; j < n; j++)
        row[j] = x->wide + (size_t)j * (size_t)d;
}

static void edit_scores(pruned *x, int64_t at, int n, float *s)
{
    const fv_work *w = x->work;
    int64_t shift = x->task.sequence->lengths->shape.lk - x->task.sequence->lengths->shape.lq;
    float pos[FVK_MAX_LANES], slope[FVK_MAX_LANES];
    for (int i = 0; i < FVK_MAX_LANES; i++) {
        pos[i] = i < x->n ? (float)(x->place[i].lane.row + shift) : 0;
        slope[i] = i < x->n && w->alibi ? w->slopes[x->place[i].lane.head] : 0;
    }
    for (int j = 0; j < n; j++)
        x->kpos[j] = (float)x->key[at + j];
    if (!x->thin) {
        fvk_edit e = {w->softcap, w->alibi ? slope : NULL, pos, x->kpos, 1.0f};
        w->kernel.edit(s, n, &e);
    } else
        for (int r = 0; r < x->n; r++) {
            fvk_edit e = {w->softcap, w->alibi ? slope + r : NULL, pos + r, x->kpos, 1.0f};
            w->kernel.row_edit(s + r * x->lds, n, &e);
        }
}

static void find_scores(pruned *x)
{
    const fv_work *w = x->work;
    const int d = (int)w->problem.d;
    float raw[FVK_MAX_LANES] = {0}, ones[FVK_MAX_LANES], *row[FVK_MAX_LANES];
    for (int i = 0; i < FVK_MAX_LANES; i++)
        ones[i] = 1;
    for (int64_t at = 0; at < x->keys; at += w->block) {
        int n = x->keys - at < w->block ? (int)(x->keys - at) : w->block;
        float *s = x->thin ? x->s + at : x->pack;
        fetch(x, at, n);
        if (x->thin)
            w->kernel.dot(x->qt, (w->problem.d + 15) & ~15, x->n, d, (const void *const *)x->k, n, s, x->lds);
        else {
            widen(x, x->k, n, d);
            w->kernel.qk(x->qt, d, (const void *const *)x->k, n, NULL, s, raw, NULL, NULL, 0, 0);
        }
        if (w->softcap > 0 || w->alibi)
            edit_scores(x, at, n, s);
        for (int i = 0; i < x->n; i++)
            row[i] = x->s + i * x->lds + at;
        if (!x->thin)
            w->kernel.store(s, n, ones, row, x->n);
    }
}

static void add_bias(pruned *x, int i)
{
    const float *bias = fv_work_bias(x->work, x->tensors, x->task.sequence, &x->place[i]);
    for (int64_t j = 0; bias && j < x->keys; j++) {
        if (bias[x->key[j]] == -INFINITY)
            x->see[j] &= ~(1u << i);
        else
            x->s[i * x->lds + j] += bias[x->key[j]];
    }
}

/* Next stretch of the tile's keys from `at` on that row i either sees or does not see; returns its end. */
static int64_t stretch(const pruned *x, int i, int64_t at, size_t *span, int *seen)
{
    if (x->work->has_bias) { /* key by key: a bias may hide single pairs */
        *seen = x->see[at] >> i & 1;
        return at + 1;
    }
    const fv_span *s = &x->span[(*span)++];
    *seen = (int)(s->lanes >> i & 1);
    return at + (s->hi - s->lo);
}

/* Row i: visible scores to weights. */
static uint64_t normalise(pruned *x, int i)
{
    const fv_work *w = x->work;
    float *s = x->s + i * x->lds, top = -INFINITY;
    int64_t n = 0, at = 0, end;
    size_t span = 0;
    uint64_t kept = 0;
    int seen;
    float sink = w->sink ? fv_work_sink(w, x->tensors, x->place[i].lane.head) : -INFINITY;
    add_bias(x, i);
    for (int64_t j = 0; j < x->keys; j = end) {
        end = stretch(x, i, j, &span, &seen);
        if (seen)
            memcpy(x->row + n, s + j, (size_t)(end - j) * sizeof *s);
        n += seen ? end - j : 0;
    }
    for (int64_t j = 0; x->tensors->arguments->row_max && j < n; j++)
        top = x->row[j] <= top ? top : x->row[j]; /* NaN stays */
    x->top[i] = top;
    x->lse[i] = -INFINITY;
    if (n)
        w->normaliser->apply(x->row, n, w->arg, sink, &w->kernel.row, x->p, x->keep, x->sort, &x->lse[i]);
    span = 0;
    for (int64_t j = 0; j < x->keys; j = end) {
        end = stretch(x, i, j, &span, &seen);
        if (!seen) {
            memset(s + j, 0, (size_t)(end - j) * sizeof *s);
            continue;
        }
        memcpy(s + j, x->p + at, (size_t)(end - j) * sizeof *s);
        for (int64_t t = j; t < end; t++, at++) {
            x->kept[t] |= (uint32_t)x->keep[at] << i;
            kept += x->keep[at];
        }
    }
    return kept;
}

/* Values of the keys that some row keeps, a block at a time. */
static void weigh(pruned *x)
{
    const fv_work *w = x->work;
    const int dv = (int)w->problem.dv, lanes = w->kernel.lanes;
    float ones[FVK_MAX_LANES], *by_row = x->pack + (size_t)w->block * (size_t)lanes;
    const void *row[FVK_MAX_LANES];
    int64_t j = 0;
    for (int i = 0; i < FVK_MAX_LANES; i++)
        ones[i] = 1;
    for (int i = 0; i < x->n; i++)
        row[i] = by_row + (size_t)i * (size_t)w->block;
    memset(x->ot, 0, (size_t)(x->thin ? ROWS : lanes) * (size_t)dv * sizeof(float));
    while (j < x->keys) {
        int n = 0;
        for (; j < x->keys && n < w->block; j++) {
            if (!x->kept[j])
                continue;
            fv_work_keys(w, x->tensors, x->task.sequence, x->task.kv, x->key[j], 1, 1, x->k + n, x->v + n);
            x->rows[n] = x->kept[j];
            for (int i = 0; i < x->n; i++)
                by_row[(size_t)i * (size_t)w->block + (size_t)n] = x->s[i * x->lds + j];
            n++;
        }
        if (!n)
            break;
        if (x->thin)
            w->kernel.axpy(by_row, w->block, x->n, n, (const void *const *)x->v, dv, x->rows, ones, x->ot, dv);
        else {
            w->kernel.pack_f32(row, x->n, n, 1.0f, x->pack);
            widen(x, x->v, n, dv);
            w->kernel.pv(x->pack, n, (const void *const *)x->v, dv, x->rows, ones, x->ot);
        }
    }
}

static void write_out(pruned *x)
{
    const fv_work *w = x->work;
    const fovea_arguments *a = x->tensors->arguments;
    float *o[FVK_MAX_LANES], one[FVK_MAX_LANES];
    for (int i = 0; i < FVK_MAX_LANES; i++)
        one[i] = 1;
    for (int i = 0; i < x->n; i++) {
        int64_t row = fv_work_row(w, x->task.sequence, &x->place[i]);
        uint8_t *mask = fv_work_mask(w, x->tensors, x->task.sequence, &x->place[i]);
        o[i] = fv_work_output(w, x->tensors, x->task.sequence, &x->place[i]);
        if (x->thin)
            memcpy(o[i], x->ot + i * w->problem.dv, (size_t)w->problem.dv * sizeof(float));
        if (a->lse)
            a->lse[row] = x->lse[i];
        if (a->row_max)
            a->row_max[row] = x->top[i];
        for (int64_t j = 0; mask && j < x->keys; j++)
            if (x->kept[j] >> i & 1)
                mask[x->key[j]] = 1;
    }
    if (!x->thin)
        w->kernel.store(x->ot, (int)w->problem.dv, one, o, x->n);
}

void fv_pruned_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch)
{
    pruned x;
    const void *q[FVK_MAX_LANES];
    int64_t key_class;
    uint64_t kept = 0;
    x.work = work;
    x.tensors = tensors;
    fv_work_task(work, pass, t, &x.task);
    lay_out(work, x.task.sequence->lengths, x.task.pass, scratch, &x);
    x.n = fv_work_places(work, &x.task, x.task.unit, work->kernel.lanes, x.place, &key_class);
    x.thin = x.n <= ROWS && work->kernel.lanes > 2 * x.n;
    find_keys(&x);
    x.lds = (x.keys + 15) & ~(int64_t)15;
    for (int i = 0; i < x.n; i++)
        q[i] = fv_work_query(work, tensors, x.task.sequence, &x.place[i]);
    if (x.thin)
        for (int r = 0; r < x.n; r++) {
            float *to = x.qt + r * ((work->problem.d + 15) & ~15);
            if (work->kernel.widen)
                work->kernel.widen(&q[r], 1, (int)work->problem.d, to, (ptrdiff_t)work->problem.d);
            else
                memcpy(to, q[r], (size_t)work->problem.d * sizeof(float));
            for (int64_t c = 0; c < work->problem.d; c++)
                to[c] *= work->scale;
        }
    else
        work->kernel.pack(q, x.n, (int)work->problem.d, work->scale, x.qt);
    find_scores(&x);
    memset(x.kept, 0, (size_t)x.keys * sizeof *x.kept);
    for (int i = 0; i < x.n; i++)
        kept += normalise(&x, i);
    weigh(&x);
    write_out(&x);
    if (tensors->arguments->kept)
        __atomic_fetch_add(&tensors->kept, kept, __ATOMIC_RELAXED);
}
