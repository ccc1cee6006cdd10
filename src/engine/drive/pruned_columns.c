/* Tiles of the pruned driver whose rows are normalised together (columns.h): scores stay where the lanes kernels leave them,
   s[key][lane], and so do the weights. A lane that has a NaN, an infinity or a score hidden by itself, or whose search does not
   end, goes by the row form. */
#include "drive/pruned.h"

#include <math.h>
#include <string.h>

/* From which share of the pairs on, 1 / MANY, the lane tile adds all values faster than those kept are added one by one; of FAR keys and
   more, whose values and weights do not stay near, MANY_FAR. */
enum { MANY = 6, MANY_FAR = 5, FAR = 1024 };

static uint32_t lanes_of(const fv_pruned *x)
{
    return (uint32_t)((1ull << x->n) - 1);
}

/* Lanes that see keys at..at+n-1, from the spans that *span and *off count along; returns 1 when all do. */
static int see(fv_pruned *x, int64_t at, int n, size_t *span, int64_t *off)
{
    const uint32_t every = lanes_of(x);
    int all = 1;
    for (int j = 0; j < n;) {
        const fv_span *s = &x->span[*span];
        const int64_t left = s->hi - s->lo - *off;
        const int m = left < n - j ? (int)left : n - j;
        all &= ((uint32_t)s->lanes & every) == every;
        for (int k = 0; k < m; k++)
            x->rows[at + j + k] = (uint32_t)s->lanes;
        j += m;
        *off += m;
        if (m == left) {
            ++*span;
            *off = 0;
        }
    }
    return all;
}

/* Scores of the tile in the lanes, and which of them can be normalised there: those without NaN, infinity or hidden keys that only
   a score of -infinity hides. */
static void find_columns(fv_pruned *x)
{
    const fv_work *w = x->work;
    const int d = (int)w->problem.d, lanes = w->kernel.lanes, edits = w->softcap > 0 || w->alibi;
    float raw[FVK_MAX_LANES] = {0}, hidden[FVK_MAX_LANES], count[FVK_MAX_LANES], finite[FVK_MAX_LANES] = {0};
    fv_columns *c = &x->c;
    int64_t off = 0;
    size_t span = 0;
    for (int i = 0; i < FVK_MAX_LANES; i++) {
        c->top[i] = hidden[i] = FVK_HIDDEN;
        c->seen[i] = 0;
        c->sink[i] = w->sink && i < x->n ? fv_work_sink(w, x->tensors, x->place[i].lane.head) : -INFINITY;
    }
    for (int64_t at = 0; at < x->keys; at += w->block) {
        const int n = x->keys - at < w->block ? (int)(x->keys - at) : w->block, all = see(x, at, n, &span, &off);
        const void *const *next = at + 2 * w->block <= x->keys ? (const void *const *)x->k + at + w->block : NULL;
        float *s = c->s + at * lanes;
        w->kernel.qk(x->qt, d, fv_pruned_widen(x, x->k + at, n, d), n, all || edits ? NULL : x->rows + at, s, edits ? raw : c->top, NULL,
                     &(fvk_far){next, 0, d, 0});
        if (edits) {
            fv_pruned_edit(x, at, n, s);
            w->kernel.hide(s, n, all ? NULL : x->rows + at, c->top);
        }
        w->kernel.column.sums(s, NULL, n, 1, hidden, NULL, count);
        for (int i = 0; i < lanes; i++)
            finite[i] += count[i];
    }
    for (size_t k = 0; k < x->spans; k++)
        for (int i = 0; i < x->n; i++)
            c->seen[i] += x->span[k].lanes >> i & 1 ? (float)(x->span[k].hi - x->span[k].lo) : 0;
    c->live = 0;
    for (int i = 0; i < x->n; i++)
        if (c->seen[i] > 0 && finite[i] == c->seen[i] && c->top[i] < INFINITY)
            c->live |= 1u << i;
}

/* Lane i by the row form. */
static void normalise_lane(fv_pruned *x, int i)
{
    const fv_work *w = x->work;
    fv_columns *c = &x->c;
    const int64_t lanes = w->kernel.lanes;
    fv_scores r = {.s = x->row, .arg = w->arg, .sink = c->sink[i], .kernel = &w->kernel.row, .scratch = x->normalise,
                   .p = x->p, .at = x->list, .max = -INFINITY, .lse = -INFINITY};
    int64_t lo, hi = 0, n = 0, m = 0, next = 0;
    size_t span = 0;
    while (fv_pruned_stretch(x, i, &span, &lo, &hi))
        for (int64_t j = lo; j < hi; j++)
            x->row[n++] = c->s[j * lanes + i];
    r.n = n;
    if (n)
        m = fv_normalise(w->normaliser, &r);
    for (int64_t j = 0; j < x->keys; j++) {
        c->e[j * lanes + i] = 0;
        x->rows[j] &= ~(1u << i);
    }
    for (span = 0, hi = 0, n = 0; next < m && fv_pruned_stretch(x, i, &span, &lo, &hi);)
        for (int64_t j = lo; j < hi; j++, n++)
            if (next < m && (m == r.n || x->list[next] == n)) {
                c->e[j * lanes + i] = x->p[next++];
                x->rows[j] |= 1u << i;
            }
    c->kept[i] = m;
    c->factor[i] = 1;
    c->top[i] = r.max;
    c->lse[i] = r.lse;
}

/* Values by the lane tile. A weight of 0 adds nothing to a finite sum, unless the value is NaN or infinite, and then the sum is as
   well: so masks are for the tiles whose sums are not finite without. */
static void add_columns(fv_pruned *x, int masks)
{
    const fv_work *w = x->work;
    const int dv = (int)w->problem.dv;
    float ones[FVK_MAX_LANES];
    for (int i = 0; i < FVK_MAX_LANES; i++)
        ones[i] = 1;
    for (int64_t at = 0; at < x->keys; at += w->block) {
        const int n = x->keys - at < w->block ? (int)(x->keys - at) : w->block;
        w->kernel.pv(x->c.e + at * w->kernel.lanes, n, fv_pruned_widen(x, x->v + at, n, dv), dv, masks ? x->rows + at : NULL,
                     at ? ones : NULL, x->ot, NULL);
    }
}

/* Either way a row's values are added in the order of its keys, one fma each, and the factor comes last. */
static uint64_t weigh_columns(fv_pruned *x)
{
    const fv_work *w = x->work;
    const int64_t dv = w->problem.dv, lanes = w->kernel.lanes;
    float *o[FVK_MAX_LANES], least, most;
    int64_t kept = 0;
    for (int i = 0; i < x->n; i++) {
        o[i] = fv_work_output(w, x->tensors, x->task.sequence, &x->place[i]);
        kept += x->c.kept[i];
    }
    if (kept && (x->keys < FAR ? MANY : MANY_FAR) * kept >= x->keys * lanes) {
        if (x->c.clean)
            add_columns(x, 0);
        if (!x->c.clean || !w->kernel.row.range(x->ot, dv * lanes, &least, &most))
            add_columns(x, 1);
        w->kernel.store(x->ot, (int)dv, x->c.factor, o, x->n);
        return (uint64_t)kept;
    }
    for (int i = 0; i < x->n; i++)
        memset(o[i], 0, (size_t)dv * sizeof(float));
    for (int64_t at = 0; kept && at < x->keys;) {
        const int64_t most = w->kernel.widen ? w->block : FV_PRUNED_NEAR_KEYS;
        const int n = x->keys - at < most ? (int)(x->keys - at) : (int)most;
        w->kernel.column.add(x->c.e + at * lanes, n, x->rows + at, lanes_of(x), fv_pruned_widen(x, x->v + at, n, dv), (int)dv, o);
        at += n;
    }
    for (int i = 0; i < x->n; i++)
        w->kernel.row.scale(o[i], dv, (double)x->c.factor[i], o[i]);
    return (uint64_t)kept;
}

uint64_t fv_pruned_columns(fv_pruned *x)
{
    fv_columns *c = &x->c;
    c->kernel = &x->work->kernel.column;
    c->row = &x->work->kernel.row;
    c->clean = 1;
    c->arg = x->work->arg;
    c->s = x->s;
    c->e = (float *)x->at;
    c->n = x->keys;
    c->value = (const void *const *)x->v;
    c->value_bytes = (size_t)x->work->problem.dv * fv_dtype_bytes(x->work->problem.dtype);
    c->lanes = x->work->kernel.lanes;
    c->rows = x->rows;
    find_columns(x);
    for (int i = 0; i < FVK_MAX_LANES; i++) {
        c->kept[i] = 0;
        c->factor[i] = 0;
        c->lse[i] = -INFINITY;
    }
    if (c->live)
        x->work->normaliser->columns(c);
    for (int i = 0; i < x->n; i++) {
        if (!(c->live >> i & 1))
            normalise_lane(x, i);
        x->kept[i] = c->kept[i];
        x->top[i] = c->top[i];
        x->lse[i] = c->lse[i];
    }
    return weigh_columns(x);
}
