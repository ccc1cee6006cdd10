/* The pruned driver: normalisers that need a whole row of scores (top-k, sparsemax, ...), in two passes over the keys of
   one tile of rows.

   First the scores of the tile against every key that some row sees; then the normaliser, which says which keys a row keeps and
   with what weights; then the values of the kept keys only. Scratch is one tile of rows x keys, never lq x lk. Normalisers with
   a form for whole tiles (pruned_columns.c) find the scores where the lanes kernels leave them. For the others, and with a bias or few
   rows, scores and weights lie row by row: reading a column of a lane tile one by one would touch one cache line per score.

   Cost per tile of n keys: 2 n d flops per row for the scores, the normaliser's own few passes over n numbers, and for the
   values what is less: 2 dv flops per kept pair, a row at a time, or the lane tile's 2 dv per key and lane. */
#include "drive/pruned.h"

#include "drive/scratch.h"

#include <math.h>
#include <string.h>

/* NEAR: bytes of values that stay close while the rows of a tile use them. */
enum { ROWS = FVK_MAX_ROWS, NEAR = 256 << 10, NEAR_KEYS = FV_PRUNED_NEAR_KEYS, FEW = 32 };

static int64_t near_keys(const fv_work *w)
{
    int64_t n = NEAR / (w->problem.dv * (int64_t)fv_dtype_bytes(w->problem.dtype));
    if (n > NEAR_KEYS)
        n = NEAR_KEYS;
    return n < w->block ? w->block : n;
}

static size_t lay_out(const fv_work *w, const fv_lengths *lengths, const fv_pass *pass, char *base, fv_pruned *x)
{
    fv_scratch at = {base, 0};
    size_t width = (size_t)w->kernel.lanes > ROWS ? (size_t)w->kernel.lanes : ROWS, keys = (size_t)lengths->shape.lk;
    const int columns = w->normaliser->columns && !w->has_bias;
    size_t d = (size_t)w->problem.d + 16, dv = (size_t)w->problem.dv, block = (size_t)w->block;
    x->key = fv_scratch_take(&at, keys * sizeof *x->key);
    x->see = fv_scratch_take(&at, w->has_bias ? keys * sizeof *x->see : 0);
    x->k = fv_scratch_take(&at, keys * sizeof *x->k);
    x->v = fv_scratch_take(&at, keys * sizeof *x->v);
    x->s = fv_scratch_take(&at, (keys + 16 + FVK_SIFT_ROOM) * width * sizeof *x->s);
    x->at = fv_scratch_take(&at, (keys + 16 + FVK_SIFT_ROOM) * width * sizeof *x->at);
    x->row = fv_scratch_take(&at, keys * sizeof(float));
    x->p = fv_scratch_take(&at, (keys + FVK_SIFT_ROOM) * sizeof *x->p);
    x->list = fv_scratch_take(&at, (keys + FVK_SIFT_ROOM) * sizeof *x->list);
    x->normalise = fv_scratch_take(&at, fv_normalise_scratch((int64_t)keys));
    x->qt = fv_scratch_take(&at, width * d * sizeof(float));
    x->ot = fv_scratch_take(&at, width * dv * sizeof(float));
    x->kpos = fv_scratch_take(&at, block * sizeof(float));
    x->pack = fv_scratch_take(&at, 2 * block * width * sizeof(float)); /* a block by key, and by row */
    x->wide = fv_scratch_take(&at, block * (d > dv ? d : dv) * sizeof(float));
    x->near = fv_scratch_take(&at, (size_t)near_keys(w) * sizeof *x->near);
    x->rows = fv_scratch_take(&at, (keys > block ? keys : block) * sizeof *x->rows);
    x->c.y = fv_scratch_take(&at, columns ? FV_COLUMNS_ROOM * width * sizeof *x->c.y : 0);
    x->c.at = fv_scratch_take(&at, columns ? FV_COLUMNS_ROOM * width * sizeof *x->c.at : 0);
    x->pattern = fv_scratch_take(&at, fv_pattern_tile_scratch(pass->pattern, pass->part, (unsigned)width));
    return at.used;
}

size_t fv_pruned_scratch(const fv_work *work, const fv_lengths *lengths, const fv_pass *pass)
{
    fv_pruned x;
    return lay_out(work, lengths, pass, NULL, &x);
}

static void find_keys(fv_pruned *x)
{
    fv_lane lane[FVK_MAX_LANES];
    for (int i = 0; i < x->n; i++)
        lane[i] = x->place[i].lane;
    x->spans = fv_pattern_tile(x->task.pass->pattern, x->task.pass->part, lane, (unsigned)x->n, 0, x->pattern, &x->span);
    x->keys = 0;
    for (size_t i = 0; i < x->spans; i++) {
        const fv_span *s = &x->span[i];
        const int64_t n = s->hi - s->lo;
        fv_work_keys(x->work, x->tensors, x->task.sequence, x->task.kv, s->lo, 1, n, x->k + x->keys, x->v + x->keys);
        for (int64_t j = 0; j < n; j++)
            x->key[x->keys + j] = (int32_t)(s->lo + j);
        for (int64_t j = 0; x->work->has_bias && j < n; j++)
            x->see[x->keys + j] = (uint32_t)s->lanes;
        x->keys += n;
    }
}

/* Rows of floats where the problem's type has 16 bits. */
const void *const *fv_pruned_widen(fv_pruned *x, const void **row, int n, int64_t d)
{
    if (!x->work->kernel.widen)
        return (const void *const *)row;
    x->work->kernel.widen((const void *const *)row, n, (int)d, x->wide, (ptrdiff_t)d);
    for (int j = 0; j < n; j++)
        x->near[j] = x->wide + (size_t)j * (size_t)d;
    return (const void *const *)x->near;
}

void fv_pruned_edit(fv_pruned *x, int64_t at, int n, float *s)
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

static void find_scores(fv_pruned *x)
{
    const fv_work *w = x->work;
    const int d = (int)w->problem.d;
    float raw[FVK_MAX_LANES] = {0}, ones[FVK_MAX_LANES], *row[FVK_MAX_LANES];
    for (int i = 0; i < FVK_MAX_LANES; i++)
        ones[i] = 1;
    for (int64_t at = 0; at < x->keys; at += w->block) {
        int n = x->keys - at < w->block ? (int)(x->keys - at) : w->block;
        float *s = x->thin ? x->s + at : x->pack;
        if (x->thin)
            w->kernel.dot(x->qt, (w->problem.d + 15) & ~15, x->n, d, (const void *const *)x->k + at, n, s, x->lds,
                          NULL);
        else {
            const void *const *next = at + 2 * w->block <= x->keys ? (const void *const *)x->k + at + w->block : NULL;
            w->kernel.qk(x->qt, d, fv_pruned_widen(x, x->k + at, n, d), n, NULL, s, raw, NULL,
                         &(fvk_far){next, 0, d, 0});
        }
        if (w->softcap > 0 || w->alibi)
            fv_pruned_edit(x, at, n, s);
        for (int i = 0; i < x->n; i++)
            row[i] = x->s + i * x->lds + at;
        if (!x->thin)
            w->kernel.store(s, n, ones, row, x->n);
    }
}

static void add_bias(fv_pruned *x, int i)
{
    const float *bias = fv_work_bias(x->work, x->tensors, x->task.sequence, &x->place[i]);
    for (int64_t j = 0; bias && j < x->keys; j++) {
        if (bias[x->key[j]] == -INFINITY)
            x->see[j] &= ~(1u << i);
        else
            x->s[i * x->lds + j] += bias[x->key[j]];
    }
}

/* Next stretch lo..hi of the tile's keys, from *hi on, that row i sees; 0 when there is none. *span counts along. */
int fv_pruned_stretch(const fv_pruned *x, int i, size_t *span, int64_t *lo, int64_t *hi)
{
    if (x->work->has_bias) { /* key by key: a bias may hide single pairs */
        for (*lo = *hi; *lo < x->keys && !(x->see[*lo] >> i & 1);)
            ++*lo;
        for (*hi = *lo; *hi < x->keys && (x->see[*hi] >> i & 1);)
            ++*hi;
        return *lo < x->keys;
    }
    for (*lo = *hi; *span < x->spans && !(x->span[*span].lanes >> i & 1); ++*span)
        *lo += x->span[*span].hi - x->span[*span].lo;
    for (*hi = *lo; *span < x->spans && (x->span[*span].lanes >> i & 1); ++*span)
        *hi += x->span[*span].hi - x->span[*span].lo;
    return *lo < *hi;
}

/* Moves a list of m of n visible keys of row i, in x->list, to the tile's keys. `first` is where the visible ones begin. */
static void place_list(fv_pruned *x, int i, int64_t m, int64_t n, int64_t first, int gaps)
{
    int32_t *at = x->at + i * x->lds;
    int64_t lo, hi = 0, before = 0, from = 0;
    size_t span = 0;
    if (m == n && n == x->keys)
        return;
    if (m == n)
        for (int64_t j = 0; j < m; j++)
            x->list[j] = (int32_t)j;
    if (!gaps) {
        for (int64_t j = 0; j < m; j++)
            at[j] = x->list[j] + (int32_t)first;
        return;
    }
    while (from < m && fv_pruned_stretch(x, i, &span, &lo, &hi)) {
        for (; from < m && x->list[from] < before + hi - lo; from++)
            at[from] = x->list[from] + (int32_t)(lo - before);
        before += hi - lo;
    }
}

/* Spreads the weights of row i's n visible keys, from `p` on, over the tile's keys. */
static void spread_row(fv_pruned *x, int i, const float *p, int64_t n, int64_t first, int gaps)
{
    float *s = x->s + i * x->lds;
    int64_t lo, hi = 0, end = 0, before = 0;
    size_t span = 0;
    if (n < x->keys || x->kept[i] < n)
        x->spread |= 1u << i;
    if (n == x->keys)
        return;
    for (int64_t j = 0; !gaps && j < first; j++)
        s[j] = FVK_DROPPED;
    for (int64_t j = first + n; !gaps && j < x->keys; j++)
        s[j] = FVK_DROPPED;
    for (; gaps && fv_pruned_stretch(x, i, &span, &lo, &hi); end = hi) {
        for (int64_t j = end; j < lo; j++)
            s[j] = FVK_DROPPED;
        memcpy(s + lo, p + before, (size_t)(hi - lo) * sizeof *s);
        before += hi - lo;
    }
    for (int64_t j = end; gaps && j < x->keys; j++)
        s[j] = FVK_DROPPED;
}

static void ask(const void *row, size_t bytes)
{
    for (size_t c = 0; c < bytes; c += 64)
        __builtin_prefetch((const char *)row + c, 0, 2);
}

/* Row i: visible scores to weights. */
static void normalise(fv_pruned *x, int i)
{
    const fv_work *w = x->work;
    float *s = x->s + i * x->lds;
    int64_t lo, hi = 0, n = 0, first = 0, m = 0;
    int gaps = 0;
    size_t span = 0;
    fv_scores r = {.arg = w->arg,
                   .sink = w->sink ? fv_work_sink(w, x->tensors, x->place[i].lane.head) : -INFINITY,
                   .kernel = &w->kernel.row, .may_spread = !x->thin, .scratch = x->normalise, .p = x->p, .at = x->list,
                   .max = -INFINITY, .lse = -INFINITY};
    add_bias(x, i);
    while (fv_pruned_stretch(x, i, &span, &lo, &hi)) {
        if (n == 0)
            first = lo;
        else if (!gaps++)
            memcpy(x->row, s + first, (size_t)n * sizeof *s);
        if (gaps)
            memcpy(x->row + n, s + lo, (size_t)(hi - lo) * sizeof *s);
        n += hi - lo;
    }
    r.s = gaps ? x->row : s + first;
    r.n = n;
    if (n)
        m = fv_normalise(w->normaliser, &r);
    x->kept[i] = m;
    if (r.spread)
        spread_row(x, i, r.s, n, first, gaps);
    else {
        memcpy(s, x->p, (size_t)m * sizeof *s);
        place_list(x, i, m, n, first, gaps);
        /* few values of many: random places, asked for while the next row is normalised */
        for (int64_t j = 0; !x->thin && m < n / FEW && j < m; j++)
            ask(x->v[x->at[i * x->lds + j]], (size_t)w->problem.dv * fv_dtype_bytes(w->problem.dtype));
    }
    x->factor[i] = r.spread ? r.factor : 1;
    x->top[i] = r.max;
    x->lse[i] = r.lse;
}

/* Adds the values of items lo..hi of row i's list to o. */
static void add_values(fv_pruned *x, int i, int64_t lo, int64_t hi, float *o)
{
    const fv_work *w = x->work;
    const int32_t *at = x->at + i * x->lds;
    const float one = 1;
    const int all = x->kept[i] == x->keys;
    for (int64_t room = near_keys(w), j = lo; j < hi;) {
        int n = 0;
        for (; n < room && j + n < hi; n++)
            x->near[n] = x->v[all ? j + n : at[j + n]];
        w->kernel.axpy(x->s + i * x->lds + j, 0, 1, n, (const void *const *)x->near, (int)w->problem.dv, NULL,
                       j ? &one : NULL, o, 0, NULL);
        j += n;
    }
}

/* Values of the keys that each row keeps, row by row. Where most keys are kept by some row (many), a stretch of keys at a time
   so that their values are near for the next row. */
static void weigh_rows(fv_pruned *x, int many, float *const *o)
{
    const fv_work *w = x->work;
    const int64_t stretch = many ? near_keys(w) : x->keys;
    int64_t from[FVK_MAX_LANES] = {0};
    for (int64_t stop = 0; stop < x->keys;) {
        stop = x->keys - stop < stretch ? x->keys : stop + stretch;
        for (int i = 0; i < x->n; i++) {
            const int32_t *at = x->at + i * x->lds;
            int64_t j = x->kept[i] == x->keys ? stop : from[i];
            for (; x->kept[i] < x->keys && j < x->kept[i] && at[j] < stop;)
                j++;
            add_values(x, i, from[i], j, o[i]);
            from[i] = j;
        }
    }
    for (int i = 0; i < x->n; i++) {
        if (!x->kept[i])
            memset(o[i], 0, (size_t)w->problem.dv * sizeof(float));
        for (int64_t c = 0; x->factor[i] != 1 && c < w->problem.dv; c++)
            o[i][c] *= x->factor[i];
    }
}

/* The same when all rows of a thin tile keep all keys: values are read once. */
static void weigh_thin(fv_pruned *x, float *const *o)
{
    const fv_work *w = x->work;
    const int64_t dv = w->problem.dv;
    w->kernel.axpy(x->s, x->lds, x->n, (int)x->keys, (const void *const *)x->v, (int)dv, NULL, NULL, x->ot, (ptrdiff_t)dv,
                   NULL);
    for (int i = 0; i < x->n; i++)
        memcpy(o[i], x->ot + i * dv, (size_t)dv * sizeof(float));
}

/* Weights of keys at..at+n-1 as rows; returns 1 when every row keeps every key of the tile. */
static int spread_lists(fv_pruned *x, int64_t at, int n, int64_t *from, const void **row)
{
    float *by_row = x->pack + (size_t)x->work->block * (size_t)x->work->kernel.lanes;
    int every = 1;
    for (int i = 0; i < x->n; i++) {
        const float *p = x->s + i * x->lds;
        const int32_t *list = x->at + i * x->lds;
        float *to = by_row + (size_t)i * (size_t)x->work->block;
        const int all = x->kept[i] == x->keys;
        row[i] = p + at;
        every &= all;
        if (all || (x->spread >> i & 1))
            continue;
        row[i] = to;
        for (int j = 0; j < n; j++)
            to[j] = FVK_DROPPED;
        for (; from[i] < x->kept[i] && list[from[i]] < at + n; from[i]++)
            to[list[from[i]] - at] = p[from[i]];
    }
    return every;
}

/* Values of all keys for all rows, in lanes, to ot; with masks, or with weights of 0 in their place. Returns 1 when a weight
   stood in for a mask. */
static int add_lanes(fv_pruned *x, int masks)
{
    const fv_work *w = x->work;
    const int dv = (int)w->problem.dv;
    int64_t from[FVK_MAX_LANES] = {0};
    float ones[FVK_MAX_LANES];
    const void *row[FVK_MAX_LANES];
    int stands = 0;
    for (int i = 0; i < FVK_MAX_LANES; i++)
        ones[i] = 1;
    for (int64_t at = 0; at < x->keys; at += w->block) {
        int n = x->keys - at < w->block ? (int)(x->keys - at) : w->block;
        int every = spread_lists(x, at, n, from, row);
        w->kernel.pack_f32(row, x->n, n, 1.0f, x->pack);
        if (!every)
            w->kernel.kept(x->pack, n, x->rows);
        w->kernel.pv(x->pack, n, fv_pruned_widen(x, x->v + at, n, dv), dv, every || !masks ? NULL : x->rows, at ? ones : NULL, x->ot,
                     NULL);
        stands |= !every && !masks;
    }
    return stands;
}

/* A weight of 0 adds nothing to a finite sum, unless the value is NaN or infinite, and then the sum is as well. So masks, which
   take a quarter of the time longer, are for the tiles whose sums are not finite without. */
static void weigh_lanes(fv_pruned *x, float *const *o)
{
    const fv_work *w = x->work;
    const int dv = (int)w->problem.dv;
    float least, most;
    if (add_lanes(x, 0) && !w->kernel.row.range(x->ot, (int64_t)dv * w->kernel.lanes, &least, &most))
        add_lanes(x, 1);
    w->kernel.store(x->ot, dv, x->factor, o, x->n);
}

/* Rows that were spread, as lists again. */
static void gather(fv_pruned *x)
{
    const fv_row_kernels *kernel = &x->work->kernel.row;
    for (int i = 0; i < x->n; i++) {
        float *s = x->s + i * x->lds;
        if (x->spread >> i & 1)
            kernel->sift(s, x->keys, 0, INFINITY, s, x->at + i * x->lds);
    }
    x->spread = 0;
}

/* What the other rows keep decides about speed only: either way a row's values are added in the order of its keys, one fma
   each, and the factor comes last, so that the bits are the same. */
static uint64_t weigh(fv_pruned *x)
{
    const fv_work *w = x->work;
    float *o[FVK_MAX_LANES];
    int64_t kept = 0, all = x->keys * x->n;
    for (int i = 0; i < x->n; i++) {
        o[i] = fv_work_output(w, x->tensors, x->task.sequence, &x->place[i]);
        kept += x->kept[i];
    }
    if (x->thin && x->keys && kept == all)
        weigh_thin(x, o);
    else if (x->thin || !kept || 3 * kept < x->keys * w->kernel.lanes) {
        gather(x);
        weigh_rows(x, kept > x->keys && !x->thin, o);
    } else
        weigh_lanes(x, o);
    return (uint64_t)kept;
}

static void write_rows(fv_pruned *x)
{
    const fv_work *w = x->work;
    const fovea_arguments *a = x->tensors->arguments;
    for (int i = 0; i < x->n; i++) {
        int64_t row = fv_work_row(w, x->task.sequence, &x->place[i]);
        uint8_t *mask = fv_work_mask(w, x->tensors, x->task.sequence, &x->place[i]);
        if (a->lse)
            a->lse[row] = x->lse[i];
        if (a->row_max)
            a->row_max[row] = x->top[i];
        if (!mask)
            continue;
        if (x->c.kernel) {
            for (int64_t j = 0; j < x->keys; j++)
                mask[x->key[j]] |= (uint8_t)(x->rows[j] >> i & 1);
            continue;
        }
        if (x->spread >> i & 1) {
            for (int64_t j = 0; j < x->keys; j++)
                mask[x->key[j]] |= !(x->s[i * x->lds + j] < 0);
            continue;
        }
        for (int64_t j = 0; j < x->kept[i]; j++)
            mask[x->key[x->kept[i] == x->keys ? j : x->at[i * x->lds + j]]] = 1;
    }
}

static void take_queries(fv_pruned *x)
{
    const fv_work *w = x->work;
    const int64_t d = w->problem.d, ld = (d + 15) & ~15;
    const void *q[FVK_MAX_LANES];
    for (int i = 0; i < x->n; i++)
        q[i] = fv_work_query(w, x->tensors, x->task.sequence, &x->place[i]);
    if (!x->thin) {
        w->kernel.pack(q, x->n, (int)d, w->scale, x->qt);
        return;
    }
    for (int i = 0; i < x->n; i++) {
        float *to = x->qt + i * ld;
        if (w->kernel.widen)
            w->kernel.widen(&q[i], 1, (int)d, to, (ptrdiff_t)d);
        else
            memcpy(to, q[i], (size_t)d * sizeof(float));
        for (int64_t c = 0; c < d; c++)
            to[c] *= w->scale;
    }
}

void fv_pruned_task(const fv_work *work, fv_tensors *tensors, unsigned pass, int64_t t, void *scratch)
{
    fv_pruned x;
    int64_t key_class;
    uint64_t kept;
    x.work = work;
    x.tensors = tensors;
    fv_work_task(work, pass, t, &x.task);
    lay_out(work, x.task.sequence->lengths, x.task.pass, scratch, &x);
    x.n = fv_work_places(work, &x.task, x.task.unit, work->kernel.lanes, x.place, &key_class);
    x.thin = x.n <= ROWS && work->kernel.lanes > 2 * x.n;
    x.spread = 0;
    for (int i = 0; i < FVK_MAX_LANES; i++)
        x.factor[i] = 1;
    find_keys(&x);
    x.lds = (x.keys + 15) & ~(int64_t)15;
    take_queries(&x);
    x.c.kernel = NULL;
    if (!x.thin && x.keys && work->normaliser->columns && !work->has_bias && x.keys < FV_COLUMNS_MOST)
        kept = fv_pruned_columns(&x);
    else {
        find_scores(&x);
        for (int i = 0; i < x.n; i++)
            normalise(&x, i);
        kept = weigh(&x);
    }
    write_rows(&x);
    if (tensors->arguments->kept)
        __atomic_fetch_add(&tensors->kept, kept, __ATOMIC_RELAXED);
}
