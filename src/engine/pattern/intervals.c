/* Primitives whose keys are one or a few intervals: positions, windows, sets of columns, chunks and documents.

   Every rule here costs O(1) or a binary search per row, plus the runs it yields. */
#include "pattern/internal.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ all, self, causal */

static void all_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    (void)leaf;
    fv_list_add_all(list, view);
}

const fv_rule fv_rule_all = {.text = {"all", "all", "every j"}, .band = 1, .runs = all_runs};

static void self_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    (void)leaf;
    fv_list_add(list, view, view->p, view->p + 1);
}

static void self_reach(const fv_leaf *leaf, fv_reach *reach)
{
    (void)leaf;
    reach->back = reach->ahead = 0;
}

const fv_rule fv_rule_self = {
    .text = {"self", "self", "j = p"},
    .uses = FV_USES_ROW,
    .reach = self_reach,
    .band = 1,
    .runs = self_runs,
};

static void causal_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    (void)leaf;
    fv_list_add(list, view, 0, view->p + 1);
}

static void causal_reach(const fv_leaf *leaf, fv_reach *reach)
{
    (void)leaf;
    reach->ahead = 0;
}

const fv_rule fv_rule_causal = {
    .text = {"causal", "causal", "j <= p"},
    .uses = FV_USES_ROW,
    .reach = causal_reach,
    .band = 1,
    .runs = causal_runs,
};

/* ------------------------------------------------------------------ window, sinks */

typedef struct window {
    int64_t left, right;
} window;

static fovea_status window_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    window *w = fv_arena_get(binding->arena, sizeof *w);
    if (!w)
        return fv_no_memory(err);
    w->left = fv_clip(&binding->shape, fv_number(leaf, 0));
    w->right = fv_clip(&binding->shape, fv_number(leaf, 1));
    leaf->state = w;
    return FOVEA_OK;
}

static void window_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const window *w = leaf->state;
    fv_list_add(list, view, view->p - w->left, view->p + w->right + 1);
}

static void window_reach(const fv_leaf *leaf, fv_reach *reach)
{
    const window *w = leaf->state;
    reach->back = w->left;
    reach->ahead = w->right;
}

const fv_rule fv_rule_window = {
    .text = {"window", "window(left=a,right=b)", "p-a <= j <= p+b; a missing side is unlimited"},
    .argument = {{"left", FV_INT, 0, INT64_MAX, 0, INT64_MAX},
                 {"right", FV_INT, 0, INT64_MAX, 0, INT64_MAX}},
    .uses = FV_USES_ROW,
    .bind = window_bind,
    .reach = window_reach,
    .band = 1,
    .runs = window_runs,
};

static void sinks_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    fv_list_add(list, view, 0, fv_min(fv_number(leaf, 0), view->lk));
}

static void sinks_reach(const fv_leaf *leaf, fv_reach *reach)
{
    reach->keys = fv_min(reach->keys, fv_number(leaf, 0));
}

const fv_rule fv_rule_sinks = {
    .text = {"sinks", "sinks(s)", "j < s"},
    .argument = {{"s", FV_INT, 0, INT64_MAX, 1, 0}},
    .reach = sinks_reach,
    .runs = sinks_runs,
};

/* ------------------------------------------------------------------ columns, global */

typedef struct columns {
    size_t count;
    int64_t *key; /* rising, below lk */
} columns;

static int compare_keys(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Keys at or above lk do not exist and are left out: one text serves sequences of several lengths. */
static fovea_status columns_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    const fv_value *value = &leaf->value[0];
    columns *c = fv_arena_get(binding->arena, sizeof *c);
    size_t n = 0;

    if (!c || !(c->key = fv_arena_get(binding->arena, (value->count + 1) * sizeof *c->key)))
        return fv_no_memory(err);
    for (size_t k = 0; k < value->count; k++)
        if (value->number[k] < binding->shape.lk)
            c->key[n++] = value->number[k];
    qsort(c->key, n, sizeof *c->key, compare_keys);
    for (size_t k = 0; k < n; k++)
        if (!c->count || c->key[c->count - 1] != c->key[k])
            c->key[c->count++] = c->key[k];
    leaf->state = c;
    return FOVEA_OK;
}

/* Index of the first column that is at least `key`. */
static size_t columns_find(const columns *c, int64_t key)
{
    size_t lo = 0, hi = c->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->key[mid] < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int64_t columns_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    const columns *c = leaf->state;
    (void)shape;
    (void)step;
    return (int64_t)c->count;
}

static void columns_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const columns *c = leaf->state;
    int64_t end = fv_view_end(view);
    for (size_t k = columns_find(c, fv_view_first(view)); k < c->count && c->key[k] < end; k++)
        fv_list_add(list, view, c->key[k], c->key[k] + 1);
}

const fv_rule fv_rule_columns = {
    .text = {"columns", "columns(a,b,...)", "j in the set"},
    .argument = {{"keys", FV_SET, 0, INT64_MAX, 0, 0}},
    .bind = columns_bind,
    .bound = columns_bound,
    .runs = columns_runs,
};

static void global_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const columns *c = leaf->state;
    size_t k = columns_find(c, view->p);
    if (k < c->count && c->key[k] == view->p)
        fv_list_add_all(list, view);
    else
        columns_runs(leaf, view, list);
}

static int64_t global_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    return fv_max(1, columns_bound(leaf, shape, step));
}

static void global_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    const columns *c = leaf->state;
    size_t k = columns_find(c, view->p);
    if (k < c->count && c->key[k] == view->p) {
        *lo = view->p;
        *hi = view->p + 1;
        return;
    }
    if (k > 0)
        *lo = c->key[k - 1] + 1;
    if (k < c->count)
        *hi = c->key[k];
}

const fv_rule fv_rule_global = {
    .text = {"global", "global(a,b,...)", "j or p in the set"},
    .argument = {{"keys", FV_SET, 0, INT64_MAX, 0, 0}},
    .uses = FV_USES_ROW,
    .bind = columns_bind,
    .bound = global_bound,
    .runs = global_runs,
    .extent = global_extent,
};

/* ------------------------------------------------------------------ lastrows */

static void lastrows_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    if (view->row >= view->lq - fv_min(fv_number(leaf, 0), view->lq))
        fv_list_add_all(list, view);
}

static void lastrows_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    int64_t border = view->lk - fv_min(fv_number(leaf, 0),
                                       view->lq); /* position of the first of the last rows */
    if (view->p >= border)
        *lo = border;
    else
        *hi = border;
}

const fv_rule fv_rule_lastrows = {
    .text = {"lastrows", "lastrows(n)", "every j, for the rows i >= lq - n"},
    .argument = {{"n", FV_INT, 0, INT64_MAX, 1, 0}},
    .uses = FV_USES_ROW,
    .runs = lastrows_runs,
    .extent = lastrows_extent,
};

/* ------------------------------------------------------------------ chunk, blockwindow */

typedef struct chunks {
    int64_t size;  /* keys in a chunk */
    int64_t count; /* chunks seen: the query's own and those before it */
} chunks;

static fovea_status chunks_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    chunks *c = fv_arena_get(binding->arena, sizeof *c);
    if (!c)
        return fv_no_memory(err);
    c->size = fv_clip(&binding->shape, fv_number(leaf, 0));
    c->count = 1;
    if (leaf->rule == &fv_rule_blockwindow)
        c->count = fv_min(fv_number(leaf, 1), binding->shape.lk / c->size + 2);
    leaf->state = c;
    return FOVEA_OK;
}

static void chunks_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const chunks *c = leaf->state;
    int64_t own = fv_floor_div(view->p, c->size);
    fv_list_add(list, view, (own - c->count + 1) * c->size, (own + 1) * c->size);
}

static void chunks_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    const chunks *c = leaf->state;
    *lo = fv_floor_div(view->p, c->size) * c->size;
    *hi = *lo + c->size;
}

static void chunks_reach(const fv_leaf *leaf, fv_reach *reach)
{
    const chunks *c = leaf->state;
    reach->keys = c->count * c->size;
}

const fv_rule fv_rule_chunk = {
    .text = {"chunk", "chunk(c)", "floor(j/c) = floor(p/c)"},
    .argument = {{"c", FV_INT, 1, INT64_MAX, 1, 0}},
    .uses = FV_USES_ROW,
    .bind = chunks_bind,
    .reach = chunks_reach,
    .runs = chunks_runs,
    .extent = chunks_extent,
};

const fv_rule fv_rule_blockwindow = {
    .text = {"blockwindow", "blockwindow(block=b,blocks=n)",
             "floor(p/b) - n < floor(j/b) <= floor(p/b)"},
    .argument = {{"block", FV_INT, 1, INT64_MAX, 1, 0}, {"blocks", FV_INT, 1, INT64_MAX, 1, 0}},
    .uses = FV_USES_ROW,
    .bind = chunks_bind,
    .reach = chunks_reach,
    .runs = chunks_runs,
    .extent = chunks_extent,
};

/* ------------------------------------------------------------------ document */

typedef struct documents {
    size_t count;
    int64_t *start; /* count + 1 keys: where each begins, then lk */
} documents;

static fovea_status document_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    const fv_value *value = &leaf->value[0];
    documents *d = fv_arena_get(binding->arena, sizeof *d);
    int64_t lk = binding->shape.lk;

    if (!d || !(d->start = fv_arena_get(binding->arena, (value->count + 1) * sizeof *d->start)))
        return fv_no_memory(err);
    d->count = value->count;
    for (size_t k = 0; k < d->count; k++) {
        if (value->number[k] > lk - d->start[k])
            return fv_error_set(
                err, FOVEA_ERROR_SHAPE,
                "document: the lengths sum to more than lk=%lld; they must sum to lk",
                (long long)lk);
        d->start[k + 1] = d->start[k] + value->number[k];
    }
    if (d->start[d->count] != lk)
        return fv_error_set(err, FOVEA_ERROR_SHAPE,
                            "document: the lengths sum to %lld; they must sum to lk=%lld",
                            (long long)d->start[d->count], (long long)lk);
    leaf->state = d;
    return FOVEA_OK;
}

/* Document of position p, 0 <= p < lk; empty documents are passed over. */
static size_t document_find(const documents *d, int64_t p)
{
    size_t lo = 0, hi = d->count; /* start[lo] <= p < start[hi] */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (d->start[mid] <= p)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void document_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const documents *d = leaf->state;
    if (view->p >= 0) {
        size_t k = document_find(d, view->p);
        fv_list_add(list, view, d->start[k], d->start[k + 1]);
    }
}

static void document_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    const documents *d = leaf->state;
    if (view->p < 0) {
        *hi = 0;
        return;
    }
    size_t k = document_find(d, view->p);
    *lo = d->start[k];
    *hi = d->start[k + 1];
}

const fv_rule fv_rule_document = {
    .text = {"document", "document(n1+n2+...)",
             "same document; consecutive lengths that sum to lk"},
    .argument = {{"lengths", FV_SIZES, 0, INT64_MAX, 1, 0}},
    .uses = FV_USES_ROW,
    .bind = document_bind,
    .runs = document_runs,
    .extent = document_extent,
};
