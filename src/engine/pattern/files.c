/* Primitives that read an array: block masks and trees. The array is taken over into runs or parents when the pattern
   is compiled and given back to its loader at once. */
#include "pattern/internal.h"

#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------ loading */

static void unload(const fv_binding *binding, fovea_array *array)
{
    if (binding->env->unload)
        binding->env->unload(binding->env->load_user, array);
}

static fovea_status load(const fv_binding *binding, const fv_leaf *leaf, fovea_array *array,
                         fovea_error *err)
{
    const char *path = leaf->value[0].path;
    char why[256] = "";

    memset(array, 0, sizeof *array);
    if (!binding->env->load)
        return fv_error_set(err, FOVEA_ERROR_FILE,
                            "%s: file:%.160s needs a loader; the context has none",
                            leaf->rule->text.name, path);
    if (binding->env->load(binding->env->load_user, path, array, why, sizeof why)) {
        why[sizeof why - 1] = '\0';
        return fv_error_set(err, FOVEA_ERROR_FILE, "%s: file:%.160s cannot be loaded: %s",
                            leaf->rule->text.name, path, why[0] ? why : "no reason given");
    }
    return FOVEA_OK;
}

/* "[2,3,4]" of an array. */
static void print_dims(const fovea_array *array, char *out, size_t n)
{
    size_t used = 0;
    out[0] = '\0';
    for (int k = 0; k < array->rank && k < 8 && used < n; k++)
        used += (size_t)snprintf(out + used, n - used, "%s%lld", k ? "," : "",
                                 (long long)array->dim[k]);
}

/* ------------------------------------------------------------------ blocks */

/* Runs of kept key blocks of one (head, query block), as block numbers. */
typedef struct block_run {
    int32_t lo, hi;
} block_run;

typedef struct blocks {
    int64_t bq, bk, rows; /* query blocks of a head */
    int64_t heads;        /* 1 or hq */
    int64_t first;        /* position of query row 0 */
    size_t *start;        /* heads * rows + 1: where the runs of each begin */
    block_run *run;
    size_t longest;
} blocks;

static size_t mask_runs(const uint8_t *mask, int64_t n, block_run *out)
{
    size_t count = 0;
    for (int64_t k = 0; k < n; k++) {
        if (!mask[k])
            continue;
        int64_t lo = k;
        while (k < n && mask[k])
            k++;
        if (out)
            out[count] = (block_run){(int32_t)lo, (int32_t)k};
        count++;
    }
    return count;
}

static fovea_status blocks_convert(blocks *b, const fovea_array *array, int64_t keys,
                                   fv_binding *binding, fovea_error *err)
{
    const uint8_t *mask = array->data;
    size_t lines = (size_t)(b->heads * b->rows), total = 0;

    b->start = fv_arena_get(binding->arena, (lines + 1) * sizeof *b->start);
    if (!b->start)
        return fv_no_memory(err);
    for (size_t line = 0; line < lines && keys; line++) {
        size_t count = mask_runs(mask + line * (size_t)keys, keys, NULL);
        b->longest = count > b->longest ? count : b->longest;
        total += count;
        b->start[line + 1] = total;
    }
    b->run = fv_arena_get(binding->arena, (total + 1) * sizeof *b->run);
    if (!b->run)
        return fv_no_memory(err);
    for (size_t line = 0; line < lines && keys; line++)
        mask_runs(mask + line * (size_t)keys, keys, b->run + b->start[line]);
    return FOVEA_OK;
}

static fovea_status blocks_fit(blocks *b, const fovea_array *array, int64_t keys,
                               const fv_leaf *leaf, const fv_shape *shape, fovea_error *err)
{
    const char *path = leaf->value[0].path;
    char dims[200];

    if (array->type != 'b')
        return fv_error_set(err, FOVEA_ERROR_FILE,
                            "blocks: file:%.160s must hold bytes or booleans", path);
    print_dims(array, dims, sizeof dims);
    b->heads = array->rank == 3 ? array->dim[0] : 1;
    int axis = array->rank == 3;
    if ((array->rank != 2 && array->rank != 3) || (b->heads != 1 && b->heads != shape->hq) ||
        array->dim[axis] != b->rows || array->dim[axis + 1] != keys)
        return fv_error_set(err, FOVEA_ERROR_SHAPE,
                            "blocks: file:%.160s has shape [%s]; it must be [%lld,%lld], "
                            "[1,%lld,%lld] or [%lld,%lld,%lld] for "
                            "lq=%lld, lk=%lld, bq=%lld, bk=%lld",
                            path, dims, (long long)b->rows, (long long)keys, (long long)b->rows,
                            (long long)keys, (long long)shape->hq, (long long)b->rows,
                            (long long)keys, (long long)shape->lq, (long long)shape->lk,
                            (long long)fv_number(leaf, 1), (long long)fv_number(leaf, 2));
    if (!array->data && b->rows && keys)
        return fv_error_set(err, FOVEA_ERROR_FILE, "blocks: file:%.160s came without data", path);
    if (keys > INT32_MAX)
        return fv_error_set(err, FOVEA_ERROR_SHAPE, "blocks: %lld key blocks are more than %d",
                            (long long)keys, INT32_MAX);
    return FOVEA_OK;
}

static fovea_status blocks_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    const fv_shape *shape = &binding->shape;
    blocks *b = fv_arena_get(binding->arena, sizeof *b);
    fovea_array array;
    fovea_status status;

    if (!b)
        return fv_no_memory(err);
    b->bq = fv_clip(shape, fv_number(leaf, 1));
    b->bk = fv_clip(shape, fv_number(leaf, 2));
    b->rows = fv_ceil_div(shape->lq, b->bq);
    b->first = shape->lk - shape->lq;
    int64_t keys = fv_ceil_div(shape->lk, b->bk);
    status = load(binding, leaf, &array, err);
    if (status)
        return status;
    status = blocks_fit(b, &array, keys, leaf, shape, err);
    if (!status)
        status = blocks_convert(b, &array, keys, binding, err);
    unload(binding, &array);
    leaf->state = b;
    return status;
}

static int64_t blocks_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    (void)shape;
    (void)step;
    return (int64_t)((const blocks *)leaf->state)->longest;
}

static void blocks_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const blocks *b = leaf->state;
    size_t line = (size_t)((b->heads == 1 ? 0 : view->head) * b->rows + view->row / b->bq);
    size_t lo = b->start[line], end = b->start[line + 1], hi = end;
    int64_t first = fv_view_first(view) / b->bk, last = fv_view_end(view);

    while (lo < hi) { /* first run that reaches block `first` */
        size_t mid = lo + (hi - lo) / 2;
        if (b->run[mid].hi <= first)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < end && b->run[lo].lo * b->bk < last; lo++)
        fv_list_add(list, view, b->run[lo].lo * b->bk, fv_min(b->run[lo].hi * b->bk, view->lk));
}

static void blocks_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    const blocks *b = leaf->state;
    *lo = b->first + view->row / b->bq * b->bq;
    *hi = *lo + b->bq;
}

const fv_rule fv_rule_blocks = {
    .text =
        {"blocks", "blocks(file:PATH,bq=128,bk=128)",
         "byte mask [1 or hq, ceil(lq/bq), ceil(lk/bk)] at query block i/bq and key block j/bk"},
    .argument = {{"file", FV_FILE, 0, 0, 1, 0},
                 {"bq", FV_INT, 1, INT64_MAX, 0, 128},
                 {"bk", FV_INT, 1, INT64_MAX, 0, 128}},
    .uses = FV_USES_ROW | FV_USES_HEAD,
    .bind = blocks_bind,
    .bound = blocks_bound,
    .runs = blocks_runs,
    .extent = blocks_extent,
};

/* ------------------------------------------------------------------ tree */

/* Speculative decoding: the last T queries are nodes of a tree and the last T keys are theirs. */
typedef struct tree {
    int64_t nodes;
    int64_t *parent; /* -1 for a root's */
    int64_t deepest; /* nodes on the longest way from a root */
} tree;

static fovea_status tree_convert(tree *t, const fovea_array *array, const char *path,
                                 fv_binding *binding, fovea_error *err)
{
    int64_t *depth = fv_arena_get(binding->arena, (size_t)(t->nodes + 1) * sizeof *depth);
    t->parent = fv_arena_get(binding->arena, (size_t)(t->nodes + 1) * sizeof *t->parent);
    if (!depth || !t->parent)
        return fv_no_memory(err);
    for (int64_t n = 0; n < t->nodes; n++) {
        int64_t parent = array->type == 'i' ? ((const int32_t *)array->data)[n]
                                            : ((const int64_t *)array->data)[n];
        if (parent < -1 || parent >= n)
            return fv_error_set(err, FOVEA_ERROR_VALUE,
                                "tree: file:%.160s gives node %lld the parent %lld; it must be an "
                                "integer from -1 to %lld",
                                path, (long long)n, (long long)parent, (long long)n - 1);
        t->parent[n] = parent;
        depth[n] = parent < 0 ? 1 : depth[parent] + 1;
        t->deepest = fv_max(t->deepest, depth[n]);
    }
    return FOVEA_OK;
}

static fovea_status tree_fit(const fovea_array *array, const char *path, const fv_shape *shape,
                             fovea_error *err)
{
    char dims[200];
    if (array->type != 'i' && array->type != 'l')
        return fv_error_set(err, FOVEA_ERROR_FILE,
                            "tree: file:%.160s must hold 32 or 64 bit integers", path);
    print_dims(array, dims, sizeof dims);
    if (array->rank != 1 || array->dim[0] < 0)
        return fv_error_set(err, FOVEA_ERROR_SHAPE,
                            "tree: file:%.160s has shape [%s]; it must be [T]", path, dims);
    if (array->dim[0] > shape->lq || array->dim[0] > shape->lk)
        return fv_error_set(
            err, FOVEA_ERROR_SHAPE,
            "tree: file:%.160s has %lld nodes; at most lq=%lld and lk=%lld are allowed", path,
            (long long)array->dim[0], (long long)shape->lq, (long long)shape->lk);
    if (!array->data && array->dim[0])
        return fv_error_set(err, FOVEA_ERROR_FILE, "tree: file:%.160s came without data", path);
    return FOVEA_OK;
}

static fovea_status tree_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    const char *path = leaf->value[0].path;
    tree *t = fv_arena_get(binding->arena, sizeof *t);
    fovea_array array;
    fovea_status status;

    if (!t)
        return fv_no_memory(err);
    status = load(binding, leaf, &array, err);
    if (status)
        return status;
    status = tree_fit(&array, path, &binding->shape, err);
    if (!status) {
        t->nodes = array.dim[0];
        status = tree_convert(t, &array, path, binding, err);
    }
    unload(binding, &array);
    leaf->state = t;
    return status;
}

static int64_t tree_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    (void)shape;
    (void)step;
    return ((const tree *)leaf->state)->deepest + 1;
}

static void tree_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const tree *t = leaf->state;
    int64_t first = view->lk - t->nodes; /* key of node 0 */
    int64_t node = view->row - (view->lq - t->nodes);

    if (node < 0) {
        fv_list_add(list, view, 0, view->p + 1);
        return;
    }
    for (; node >= 0; node = t->parent[node])
        fv_list_add_down(list, view, first + node, first + node + 1);
    fv_list_add_down(list, view, 0, first);
    fv_list_reverse(list);
}

const fv_rule fv_rule_tree = {
    .text = {"tree", "tree(file:PATH)",
             "last T rows: every key before the tree, ancestors, self; earlier rows j <= p; int32 "
             "parents [T], -1 at a root"},
    .argument = {{"file", FV_FILE, 0, 0, 1, 0}},
    .uses = FV_USES_ROW,
    .bind = tree_bind,
    .bound = tree_bound,
    .runs = tree_runs,
};
