/* Set algebra on run lists, and evaluation of a tree for one lane.

   Cost: a union costs the runs of its operands. An intersection asks each operand only for the range that the operands
   before it have left, cheap ones first, so `window(left=9) & stride(2)` touches ten keys whatever lk is. */
#include "pattern/internal.h"

#include <string.h>

/* ------------------------------------------------------------------ lists */

static size_t intersect(const fv_run *a, size_t na, const fv_run *b, size_t nb, fv_run *out)
{
    size_t count = 0, i = 0, j = 0;
    while (i < na && j < nb) {
        int64_t lo = fv_max(a[i].lo, b[j].lo), hi = fv_min(a[i].hi, b[j].hi);
        if (lo < hi)
            out[count++] = (fv_run){lo, hi};
        if (a[i].hi < b[j].hi)
            i++;
        else
            j++;
    }
    return count;
}

static size_t unite(const fv_run *a, size_t na, const fv_run *b, size_t nb, fv_run *out)
{
    size_t count = 0, i = 0, j = 0;
    while (i < na || j < nb) {
        fv_run next = j == nb || (i < na && a[i].lo <= b[j].lo) ? a[i++] : b[j++];
        if (count && out[count - 1].hi >= next.lo)
            out[count - 1].hi = fv_max(out[count - 1].hi, next.hi);
        else
            out[count++] = next;
    }
    return count;
}

/* In place; the list may grow by one run. */
static size_t complement(fv_run *run, size_t n, int64_t lo, int64_t hi)
{
    size_t count = 0;
    for (size_t k = 0; k < n; k++) {
        fv_run old = run[k];
        if (old.lo > lo)
            run[count++] = (fv_run){lo, old.lo};
        lo = old.hi;
    }
    if (lo < hi)
        run[count++] = (fv_run){lo, hi};
    return count;
}

/* ------------------------------------------------------------------ trees */

static size_t eval_and(const fv_node *node, fv_view *view, fv_run *stack)
{
    int64_t lo = view->lo, hi = view->hi;
    size_t n = fv_eval(node->child[0], view, stack);

    for (unsigned k = 1; k < node->count && n; k++) {
        view->lo = stack[0].lo;
        view->hi = stack[n - 1].hi;
        if (n == 1) { /* the operand is cut to this one run already */
            n = fv_eval(node->child[k], view, stack);
        } else {
            size_t m = fv_eval(node->child[k], view, stack + n);
            size_t both = intersect(stack, n, stack + n, m, stack + n + m);
            memmove(stack, stack + n + m, both * sizeof *stack);
            n = both;
        }
    }
    view->lo = lo;
    view->hi = hi;
    return n;
}

static size_t eval_or(const fv_node *node, fv_view *view, fv_run *stack)
{
    size_t n = fv_eval(node->child[0], view, stack);

    for (unsigned k = 1; k < node->count; k++) {
        if (n == 1 && stack[0].lo == view->lo && stack[0].hi == view->hi)
            break;
        size_t m = fv_eval(node->child[k], view, stack + n);
        if (m == 0 || n == 0 || stack[n - 1].hi < stack[n].lo) {
            n += m; /* they follow each other already */
        } else {
            size_t both = unite(stack, n, stack + n, m, stack + n + m);
            memmove(stack, stack + n + m, both * sizeof *stack);
            n = both;
        }
    }
    return n;
}

size_t fv_eval(const fv_node *node, fv_view *view, fv_run *stack)
{
    if (view->lo >= view->hi)
        return 0;
    switch (node->op) {
    case FV_LEAF: {
        fv_list list = {stack, 0};
        node->leaf->rule->runs(node->leaf, view, &list);
        return list.count;
    }
    case FV_NOT:
        return complement(stack, fv_eval(node->child[0], view, stack), view->lo, view->hi);
    case FV_AND:
        return eval_and(node, view, stack);
    default:
        return eval_or(node, view, stack);
    }
}

/* ------------------------------------------------------------------ bounds */

static const fv_reach unlimited = {INT64_MAX / 4, INT64_MAX / 4, INT64_MAX / 4};

static fv_reach closest(fv_reach a, fv_reach b)
{
    fv_reach both = {fv_min(a.back, b.back), fv_min(a.ahead, b.ahead), fv_min(a.keys, b.keys)};
    both.keys = fv_min(both.keys, both.back + both.ahead + 1);
    return both;
}

/* A union may lie in two far places of the same row, so its width is not limited by that of its operands. */
static fv_reach farthest(fv_reach a, fv_reach b)
{
    fv_reach both = {fv_max(a.back, b.back), fv_max(a.ahead, b.ahead), unlimited.keys};
    both.keys = both.back + both.ahead + 1;
    return both;
}

/* Runs do not touch, so n keys of a class hold at most (n + 1) / 2 of them. */
static size_t most_runs(const fv_reach *reach, const fv_shape *shape, int64_t step)
{
    int64_t n = fv_ceil_div(fv_min(shape->lk, reach->keys), step);
    return (size_t)fv_max(1, (n + 1) / 2);
}

static fv_need leaf_need(const fv_leaf *leaf, const fv_shape *shape, int64_t step, fv_reach asked)
{
    int64_t bound = leaf->rule->bound ? leaf->rule->bound(leaf, shape, step) : 1;
    fv_need need = {most_runs(&asked, shape, step), 0, unlimited};
    if (leaf->rule->reach)
        leaf->rule->reach(leaf, &need.reach);
    need.reach = closest(need.reach, asked);
    if (bound <= 1)
        need.result = 1;
    else if ((uint64_t)bound < need.result)
        need.result = (size_t)bound;
    need.stack = need.result;
    return need;
}

/* `asked` limits the range that the tree is evaluated for, as eval_and passes it on. */
static fv_need node_need(const fv_node *node, const fv_shape *shape, int64_t step, fv_reach asked)
{
    fv_need need;

    if (node->op == FV_LEAF)
        return leaf_need(node->leaf, shape, step, asked);
    need = node_need(node->child[0], shape, step, asked);
    if (node->op == FV_NOT) {
        size_t most = most_runs(&asked, shape, step);
        need.result = need.result < most ? need.result + 1 : most;
        need.stack = need.stack > need.result ? need.stack : need.result;
        need.reach = asked;
        return need;
    }
    for (unsigned k = 1; k < node->count; k++) {
        fv_reach range = node->op == FV_AND ? need.reach : asked;
        fv_need other = node_need(node->child[k], shape, step, range);
        size_t both = need.result + other.result, most = most_runs(&range, shape, step);
        both = both < most ? both : most;
        size_t during = need.result + other.stack, after = need.result + other.result + both;
        need.stack = need.stack > during ? need.stack : during;
        need.stack = need.stack > after ? need.stack : after;
        need.result = both;
        need.reach = node->op == FV_AND ? other.reach : closest(farthest(need.reach, other.reach), asked);
    }
    return need;
}

fv_need fv_node_need(const fv_node *node, const fv_shape *shape, int64_t step)
{
    return node_need(node, shape, step, unlimited);
}

int fv_node_band(const fv_node *node, fv_reach *reach)
{
    *reach = unlimited;
    if (node->op == FV_LEAF) {
        if (node->leaf->rule->reach)
            node->leaf->rule->reach(node->leaf, reach);
        return node->leaf->rule->band;
    }
    for (unsigned k = 0; k < node->count; k++) {
        fv_reach child;
        if (node->op != FV_AND || !fv_node_band(node->child[k], &child))
            return 0;
        *reach = closest(*reach, child);
    }
    return 1;
}

void fv_node_order(fv_node *node, const fv_shape *shape, int64_t step)
{
    if (node->op != FV_AND)
        return;
    for (unsigned k = 1; k < node->count;
         k++) { /* insertion keeps the written order among equals */
        fv_node *child = node->child[k];
        size_t runs = fv_node_need(child, shape, step).result;
        unsigned at = k;
        while (at > 0 && fv_node_need(node->child[at - 1], shape, step).result > runs) {
            node->child[at] = node->child[at - 1];
            at--;
        }
        node->child[at] = child;
    }
}

/* ------------------------------------------------------------------ likeness of rows */

fv_nature fv_node_nature(const fv_node *node, int64_t step)
{
    fv_nature nature = {0, 0};
    if (node->op == FV_LEAF) {
        const fv_rule *rule = node->leaf->rule;
        nature.uses = rule->uses;
        nature.each_row = (rule->uses & FV_USES_ROW) && !rule->extent;
        return nature;
    }
    for (unsigned k = 0; k < node->count; k++) {
        fv_nature child = fv_node_nature(node->child[k], step);
        nature.uses |= child.uses;
        nature.each_row |= child.each_row;
    }
    return nature;
}

void fv_node_extent(const fv_node *node, const fv_view *view, int64_t *lo, int64_t *hi)
{
    if (node->op == FV_LEAF) {
        const fv_rule *rule = node->leaf->rule;
        int64_t first = INT64_MIN, end = INT64_MAX;
        if (rule->extent) {
            rule->extent(node->leaf, view, &first, &end);
        } else if (rule->uses & FV_USES_ROW) {
            first = view->p;
            end = view->p + 1;
        }
        *lo = fv_max(*lo, first);
        *hi = fv_min(*hi, end);
        return;
    }
    for (unsigned k = 0; k < node->count; k++)
        fv_node_extent(node->child[k], view, lo, hi);
}

/* ------------------------------------------------------------------ rows */

fv_view fv_view_of(const fv_pattern *pattern, fv_lane lane, int64_t step, int64_t key_class)
{
    const fv_shape *shape = &pattern->shape;
    fv_view view = {
        .lq = shape->lq, .lk = shape->lk, .row = lane.row, .head = lane.head, .step = step};
    view.p = lane.row + shape->lk - shape->lq;
    view.key_class = key_class;
    view.own = step == 1 ? view.p : fv_floor_div(view.p - key_class, step);
    view.hi = shape->lk > key_class ? fv_ceil_div(shape->lk - key_class, step) : 0;
    return view;
}

static size_t padded(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

size_t fv_pattern_row_scratch(const fv_pattern *pattern)
{
    return padded(pattern->bits * sizeof(uint64_t)) + pattern->need.stack * sizeof(fv_run);
}

size_t fv_pattern_row(const fv_pattern *pattern, fv_lane lane, void *scratch, const fv_run **out)
{
    fv_view view = fv_view_of(pattern, lane, 1, 0);
    fv_run *stack = (fv_run *)(void *)((char *)scratch + padded(pattern->bits * sizeof(uint64_t)));
    view.bits = scratch;
    *out = stack;
    return fv_eval(pattern->root, &view, stack);
}
