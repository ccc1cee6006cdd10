/* Primitives whose keys lie at regular distances: stride, dilated, summary columns, LogSparse and LongNet.

   stride, dilated and longnet see only keys with (p - j) mod s = 0; within a class of step s they are one run. */
#include "pattern/internal.h"

/* ------------------------------------------------------------------ stride, dilated */

typedef struct strides {
    int64_t step, left, right; /* left and right in steps */
} strides;

static fovea_status strides_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    const fv_shape *shape = &binding->shape;
    strides *s = fv_arena_get(binding->arena, sizeof *s);
    if (!s)
        return fv_no_memory(err);
    s->step = fv_clip(shape, fv_number(leaf, 0));
    s->left = s->right = (shape->lq + shape->lk) / s->step + 1; /* beyond every key */
    if (leaf->rule == &fv_rule_dilated) {
        s->left = fv_min(s->left, fv_number(leaf, 1));
        s->right = fv_min(s->right, fv_number(leaf, 2));
    }
    leaf->state = s;
    return FOVEA_OK;
}

static int64_t strides_step(const fv_leaf *leaf)
{
    return ((const strides *)leaf->state)->step;
}

static int64_t strides_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    const strides *s = leaf->state;
    return fv_strided_bound(s->step, step, fv_min(shape->lk, (s->left + s->right) * s->step + 1));
}

static void strides_reach(const fv_leaf *leaf, fv_reach *reach)
{
    const strides *s = leaf->state;
    reach->back = s->left * s->step;
    reach->ahead = s->right * s->step;
}

static void stride_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const strides *s = leaf->state;
    fv_list_add_strided(list, view, s->step, 0, view->lk);
}

static void stride_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    if (fv_strided_whole(((const strides *)leaf->state)->step, view->step))
        return;
    *lo = view->p;
    *hi = view->p + 1;
}

const fv_rule fv_rule_stride = {
    .text = {"stride", "stride(l)", "(p - j) mod l = 0"},
    .argument = {{"l", FV_INT, 1, INT64_MAX, 1, 0}},
    .uses = FV_USES_ROW,
    .bind = strides_bind,
    .step = strides_step,
    .bound = strides_bound,
    .runs = stride_runs,
    .extent = stride_extent,
};

static void dilated_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const strides *s = leaf->state;
    fv_list_add_strided(list, view, s->step, view->p - s->left * s->step,
                        view->p + s->right * s->step + 1);
}

const fv_rule fv_rule_dilated = {
    .text = {"dilated", "dilated(step=r,left=a,right=b)",
             "(p - j) mod r = 0 and -b*r <= p - j <= a*r"},
    .argument = {{"step", FV_INT, 1, INT64_MAX, 1, 0},
                 {"left", FV_INT, 0, INT64_MAX, 1, 0},
                 {"right", FV_INT, 0, INT64_MAX, 1, 0}},
    .uses = FV_USES_ROW,
    .bind = strides_bind,
    .step = strides_step,
    .bound = strides_bound,
    .reach = strides_reach,
    .runs = dilated_runs,
};

/* ------------------------------------------------------------------ summary */

static fovea_status summary_check(const fv_leaf *leaf, fovea_error *err)
{
    if (fv_number(leaf, 1) > fv_number(leaf, 0))
        return fv_error_set(err, FOVEA_ERROR_VALUE,
                            "summary: c=%lld must be an integer from 0 to l=%lld",
                            (long long)fv_number(leaf, 1), (long long)fv_number(leaf, 0));
    return FOVEA_OK;
}

static int64_t summary_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    (void)step;
    return shape->lk / fv_number(leaf, 0) + 1;
}

static void summary_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    int64_t l = fv_number(leaf, 0), c = fv_number(leaf, 1), end = fv_view_end(view);
    int64_t groups = fv_ceil_div(end, l);
    if (c == 0)
        return;
    for (int64_t g = fv_view_first(view) / l; g < groups; g++) {
        int64_t left =
            end - g * l; /* of this group; the order of the sums keeps a huge l from overflowing */
        if (left > l - c)
            fv_list_add(list, view, g * l + (l - c), g * l + fv_min(left, l));
    }
}

const fv_rule fv_rule_summary = {
    .text = {"summary", "summary(l,c)", "j mod l >= l - c"},
    .argument = {{"l", FV_INT, 1, INT64_MAX, 1, 0}, {"c", FV_INT, 0, INT64_MAX, 1, 0}},
    .check = summary_check,
    .bound = summary_bound,
    .runs = summary_runs,
};

/* ------------------------------------------------------------------ logsparse */

/* LogSparse (Li et al. 2019, arXiv 1907.00235) as the authors' released code has it, with local and restart
   attention. Its quirks are kept: a restart that falls before key 0 keeps 0..index-1 without index itself,
   and sub = 1 keeps nothing. */
typedef struct logsparse {
    int64_t sub, near; /* restart distance; keys of local attention = ceil(log2 sub) */
    int64_t dense;     /* rows with p below this are causal */
} logsparse;

static fovea_status logsparse_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    int64_t lk = binding->shape.lk, sub = fv_number(leaf, 0);
    logsparse *s = fv_arena_get(binding->arena, sizeof *s);
    if (!s)
        return fv_no_memory(err);
    s->sub = sub == 0 || sub > lk ? fv_max(lk, 1) : sub;
    while ((int64_t)1 << s->near < s->sub)
        s->near++;
    s->dense = lk / s->sub * 2 * s->near;
    leaf->state = s;
    return FOVEA_OK;
}

static int64_t logsparse_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    const logsparse *s = leaf->state;
    (void)step;
    return (shape->lk / s->sub + 1) * (s->near + 1);
}

static void logsparse_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const logsparse *s = leaf->state;
    if (view->p < s->dense) {
        fv_list_add(list, view, 0, view->p + 1);
        return;
    }
    for (int64_t at = view->p; at >= 0; at -= s->sub) {
        int64_t first = at - s->near + 1;
        if (first < 0) {
            fv_list_add_down(list, view, 0, at);
            break;
        }
        fv_list_add_down(list, view, first, at + 1);
        for (int64_t k = 0; k < s->near; k++) {
            int64_t key = first - ((int64_t)1 << k);
            if (key < 0 || at - key > s->sub)
                break;
            fv_list_add_down(list, view, key, key + 1);
        }
    }
    fv_list_reverse(list);
}

const fv_rule fv_rule_logsparse = {
    .text = {"logsparse", "logsparse(sub)",
             "near keys, then distances growing by powers of two, restarted every sub keys; sub=0 "
             "means lk"},
    .argument = {{"sub", FV_INT, 0, INT64_MAX, 0, 0}},
    .uses = FV_USES_ROW,
    .bind = logsparse_bind,
    .bound = logsparse_bound,
    .runs = logsparse_runs,
};

/* ------------------------------------------------------------------ longnet */

/* One branch of LongNet (Ding et al. 2023, arXiv 2307.02486) with the paper's offset: head mod r. */
typedef struct longnet {
    int64_t segment, rate;
} longnet;

static fovea_status longnet_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    longnet *n = fv_arena_get(binding->arena, sizeof *n);
    if (!n)
        return fv_no_memory(err);
    n->segment = fv_min(fv_number(leaf, 0), fv_max(binding->shape.lk, 1));
    /* Above every position and head a rate no longer matters; the limit keeps sums from overflowing. */
    n->rate =
        fv_min(fv_number(leaf, 1), binding->shape.lq + binding->shape.lk + binding->shape.hq + 1);
    leaf->state = n;
    return FOVEA_OK;
}

static int64_t longnet_step(const fv_leaf *leaf)
{
    return ((const longnet *)leaf->state)->rate;
}

static int64_t longnet_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    const longnet *n = leaf->state;
    (void)shape;
    return fv_strided_bound(n->rate, step, n->segment);
}

static void longnet_reach(const fv_leaf *leaf, fv_reach *reach)
{
    reach->keys = ((const longnet *)leaf->state)->segment;
}

/* A query outside the branch sees nothing; one inside it sees the keys of its segment at multiples of the rate. */
static void longnet_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const longnet *n = leaf->state;
    int64_t first = fv_floor_div(view->p, n->segment) * n->segment;
    if (view->p >= 0 && (view->p - first) % n->rate == view->head % n->rate)
        fv_list_add_strided(list, view, n->rate, first, first + n->segment);
}

static void longnet_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    const longnet *n = leaf->state;
    if (fv_strided_whole(n->rate, view->step)) {
        *lo = fv_floor_div(view->p, n->segment) * n->segment;
        *hi = *lo + n->segment;
    } else {
        *lo = view->p;
        *hi = view->p + 1;
    }
}

const fv_rule fv_rule_longnet = {
    .text = {"longnet", "longnet(w,r)",
             "floor(j/w) = floor(p/w), and (j mod w) mod r = (p mod w) mod r = head mod r"},
    .argument = {{"w", FV_INT, 1, INT64_MAX, 1, 0}, {"r", FV_INT, 1, INT64_MAX, 1, 0}},
    .uses = FV_USES_ROW | FV_USES_HEAD,
    .bind = longnet_bind,
    .step = longnet_step,
    .bound = longnet_bound,
    .reach = longnet_reach,
    .runs = longnet_runs,
    .extent = longnet_extent,
};
