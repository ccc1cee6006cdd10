/* Primitives of tokens laid out on a grid of one to three axes, row-major, slowest axis first.

   A query's place on the grid is its position p; a position outside 0..lk-1 has none and sees nothing. Neighbourhoods
   and shifted windows are boxes: one interval of positions per axis, so one run per line of the box. */
#include "pattern/internal.h"

/* Always three axes: missing ones stand in front with length 1. */
typedef struct grid {
    int64_t size[FV_AXES];
    unsigned pad; /* axes put in front */
} grid;

/* Positions start + k * gap < end of one axis. */
typedef struct side {
    int64_t start, end, gap;
} side;

/* ------------------------------------------------------------------ shared by the three */

static fovea_status axes_check(const fv_leaf *leaf, fovea_error *err)
{
    if (leaf->value[0].count > FV_AXES)
        return fv_error_set(err, FOVEA_ERROR_VALUE, "%s: size has %zu axes; 1 to %d are allowed",
                            leaf->rule->text.name, leaf->value[0].count, FV_AXES);
    return FOVEA_OK;
}

/* Argument n may hold one number for all axes or one per axis. */
static fovea_status per_axis_check(const fv_leaf *leaf, unsigned n, fovea_error *err)
{
    const fv_value *value = &leaf->value[n];
    if (!value->given || value->count == 1 || value->count == leaf->value[0].count)
        return FOVEA_OK;
    return fv_error_set(err, FOVEA_ERROR_VALUE,
                        "%s: %s has %zu numbers; one, or one for each of the %zu axes of size",
                        leaf->rule->text.name, leaf->rule->argument[n].name, value->count,
                        leaf->value[0].count);
}

static int64_t per_axis(const fv_leaf *leaf, unsigned n, size_t axis)
{
    const fv_value *value = &leaf->value[n];
    if (!value->given)
        return leaf->rule->argument[n].standard;
    return value->number[value->count == 1 ? 0 : axis];
}

static fovea_status grid_bind(grid *g, const fv_leaf *leaf, const fv_binding *binding,
                              fovea_error *err)
{
    const fv_value *size = &leaf->value[0];
    int64_t lk = binding->shape.lk, product = 1;

    g->pad = FV_AXES - (unsigned)size->count;
    for (unsigned a = 0; a < g->pad; a++)
        g->size[a] = 1;
    for (unsigned a = 0; a < size->count; a++) {
        if (size->number[a] > INT64_MAX / product)
            return fv_error_set(err, FOVEA_ERROR_SHAPE,
                                "%s: the product of size does not fit; it must equal lk=%lld",
                                leaf->rule->text.name, (long long)lk);
        product *= size->number[a];
        g->size[g->pad + a] = size->number[a];
    }
    if (product != lk)
        return fv_error_set(err, FOVEA_ERROR_SHAPE,
                            "%s: the product of size is %lld; it must equal lk=%lld",
                            leaf->rule->text.name, (long long)product, (long long)lk);
    return FOVEA_OK;
}

static void grid_place(const grid *g, int64_t p, int64_t place[FV_AXES])
{
    place[2] = p % g->size[2];
    p /= g->size[2];
    place[1] = p % g->size[1];
    place[0] = p / g->size[1];
}

static void box_runs(const grid *g, const side box[FV_AXES], const fv_view *view, fv_list *list)
{
    for (int64_t z = box[0].start; z < box[0].end; z += box[0].gap) {
        for (int64_t y = box[1].start; y < box[1].end; y += box[1].gap) {
            int64_t line = (z * g->size[1] + y) * g->size[2];
            if (box[2].gap == 1) {
                fv_list_add(list, view, line + box[2].start, line + box[2].end);
                continue;
            }
            for (int64_t x = box[2].start; x < box[2].end; x += box[2].gap)
                fv_list_add(list, view, line + x, line + x + 1);
        }
    }
}

/* ------------------------------------------------------------------ axial */

typedef struct axial {
    grid grid;
    int64_t gap, length; /* keys between neighbours along the axis; its length */
} axial;

static fovea_status axial_check(const fv_leaf *leaf, fovea_error *err)
{
    int64_t last = (int64_t)leaf->value[0].count - 1;
    fovea_status status = axes_check(leaf, err);
    if (status)
        return status;
    if (fv_number(leaf, 1) > last)
        return fv_error_set(err, FOVEA_ERROR_VALUE,
                            "axial: axis=%lld must be an integer from 0 to %lld",
                            (long long)fv_number(leaf, 1), (long long)last);
    return FOVEA_OK;
}

static fovea_status axial_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    axial *a = fv_arena_get(binding->arena, sizeof *a);
    fovea_status status;
    if (!a)
        return fv_no_memory(err);
    status = grid_bind(&a->grid, leaf, binding, err);
    if (status)
        return status;
    unsigned axis = a->grid.pad + (unsigned)fv_number(leaf, 1);
    a->length = a->grid.size[axis];
    a->gap = 1;
    for (unsigned k = axis + 1; k < FV_AXES; k++)
        a->gap *= a->grid.size[k];
    leaf->state = a;
    return FOVEA_OK;
}

static int64_t axial_step(const fv_leaf *leaf)
{
    return ((const axial *)leaf->state)->gap;
}

static int64_t axial_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    const axial *a = leaf->state;
    (void)shape;
    return fv_strided_bound(a->gap, step, a->gap * a->length);
}

/* First key of the query's line along the axis. */
static int64_t axial_base(const axial *a, int64_t p)
{
    return p - p / a->gap % a->length * a->gap;
}

static void axial_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const axial *a = leaf->state;
    if (view->p < 0 || view->p >= view->lk)
        return;
    int64_t base = axial_base(a, view->p);
    fv_list_add_strided(list, view, a->gap, base, base + a->gap * (a->length - 1) + 1);
}

static void axial_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    const axial *a = leaf->state;
    if (view->p < 0) {
        *hi = 0;
    } else if (fv_strided_whole(a->gap, view->step)) {
        *lo = axial_base(a, view->p);
        *hi = *lo + a->gap * (a->length - 1) + 1;
    } else {
        *lo = view->p;
        *hi = view->p + 1;
    }
}

const fv_rule fv_rule_axial = {
    .text = {"axial", "axial(size=n1+n2,axis=n)", "equal coordinates on every axis but n"},
    .argument = {{"size", FV_SIZES, 1, INT64_MAX, 1, 0}, {"axis", FV_INT, 0, FV_AXES - 1, 1, 0}},
    .uses = FV_USES_ROW,
    .check = axial_check,
    .bind = axial_bind,
    .step = axial_step,
    .bound = axial_bound,
    .runs = axial_runs,
    .extent = axial_extent,
};

/* ------------------------------------------------------------------ neighborhood */

/* The box rule of NATTEN (Hassani et al. 2022, arXiv 2204.07143; stride and dilation as in its library): on every
   axis a window of exactly `kernel` positions of the query's dilation group, pushed inwards at the borders, and led
   by the middle of the query's stride group; a causal axis ends at the query instead. */
typedef struct neighborhood {
    grid grid;
    int64_t kernel[FV_AXES], stride[FV_AXES], dilation[FV_AXES];
    int causal[FV_AXES];
} neighborhood;

enum { NEAR_SIZE, NEAR_KERNEL, NEAR_STRIDE, NEAR_DILATION, NEAR_CAUSAL };

static fovea_status neighborhood_check(const fv_leaf *leaf, fovea_error *err)
{
    fovea_status status = axes_check(leaf, err);
    for (unsigned n = NEAR_KERNEL; n <= NEAR_CAUSAL && !status; n++)
        status = per_axis_check(leaf, n, err);
    if (status)
        return status;
    for (size_t a = 0; a < leaf->value[NEAR_SIZE].count; a++) {
        int64_t n = leaf->value[NEAR_SIZE].number[a], kernel = per_axis(leaf, NEAR_KERNEL, a);
        int64_t stride = per_axis(leaf, NEAR_STRIDE, a),
                dilation = per_axis(leaf, NEAR_DILATION, a);
        if (kernel > n)
            return fv_error_set(
                err, FOVEA_ERROR_VALUE,
                "neighborhood: kernel=%lld must be an integer from 1 to %lld, the size of axis %zu",
                (long long)kernel, (long long)n, a);
        if (stride > kernel)
            return fv_error_set(
                err, FOVEA_ERROR_VALUE,
                "neighborhood: stride=%lld must be an integer from 1 to kernel=%lld on axis %zu",
                (long long)stride, (long long)kernel, a);
        if (dilation > n / kernel)
            return fv_error_set(err, FOVEA_ERROR_VALUE,
                                "neighborhood: dilation=%lld must be an integer from 1 to %lld on "
                                "axis %zu, so that "
                                "kernel * dilation is at most size",
                                (long long)dilation, (long long)(n / kernel), a);
    }
    return FOVEA_OK;
}

static fovea_status neighborhood_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    neighborhood *n = fv_arena_get(binding->arena, sizeof *n);
    fovea_status status;
    if (!n)
        return fv_no_memory(err);
    status = grid_bind(&n->grid, leaf, binding, err);
    if (status)
        return status;
    for (unsigned a = 0; a < FV_AXES; a++) {
        int real = a >= n->grid.pad;
        unsigned axis = a - n->grid.pad;
        n->kernel[a] = real ? per_axis(leaf, NEAR_KERNEL, axis) : 1;
        n->stride[a] = real ? per_axis(leaf, NEAR_STRIDE, axis) : 1;
        n->dilation[a] = real ? per_axis(leaf, NEAR_DILATION, axis) : 1;
        n->causal[a] = real && per_axis(leaf, NEAR_CAUSAL, axis);
    }
    leaf->state = n;
    return FOVEA_OK;
}

/* On one axis the keys keep the query's residue modulo the dilation. */
static int64_t neighborhood_step(const fv_leaf *leaf)
{
    const neighborhood *n = leaf->state;
    return n->grid.pad == FV_AXES - 1 ? n->dilation[FV_AXES - 1] : 1;
}

static int64_t neighborhood_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    const neighborhood *n = leaf->state;
    int64_t lines = n->kernel[0] * n->kernel[1];
    (void)shape;
    if (n->dilation[2] == 1 ||
        (n->grid.pad == FV_AXES - 1 && fv_strided_whole(n->dilation[2], step)))
        return lines;
    return lines * n->kernel[2];
}

static side neighborhood_side(const neighborhood *n, unsigned axis, int64_t place)
{
    int64_t kernel = n->kernel[axis], stride = n->stride[axis], gap = n->dilation[axis];
    int64_t group = place % gap, at = place / gap;
    int64_t length =
        (n->grid.size[axis] - group + gap - 1) / gap; /* positions in the dilation group */
    int64_t left = kernel / 2, right = kernel / 2 + kernel % 2 - 1;
    int64_t start, end, leader;

    if (n->causal[axis]) {
        leader = fv_min(at / stride * stride + stride - 1, length - 1);
        start = fv_max(leader - left - right, 0);
        end = fv_min(at + 1, length);
    } else {
        leader = fv_min(at / stride * stride + stride / 2, length - 1);
        start = fv_max(leader - left, 0);
        if (leader + right >= length)
            start += length - right - leader - 1;
        end = start + kernel;
    }
    return (side){group + start * gap, group + (end - 1) * gap + 1, gap};
}

static void neighborhood_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const neighborhood *n = leaf->state;
    int64_t place[FV_AXES];
    side box[FV_AXES];

    if (view->p < 0 || view->p >= view->lk)
        return;
    grid_place(&n->grid, view->p, place);
    for (unsigned a = 0; a < FV_AXES; a++)
        box[a] = neighborhood_side(n, a, place[a]);
    if (neighborhood_step(leaf) > 1)
        fv_list_add_strided(list, view, box[2].gap, box[2].start, box[2].end);
    else
        box_runs(&n->grid, box, view, list);
}

const fv_rule fv_rule_neighborhood = {
    .text = {"neighborhood", "neighborhood(size=n1+n2,kernel=k,stride=1,dilation=1,causal=0)",
             "the box of kernel keys around p on every axis, pushed inwards at the borders"},
    .argument = {{"size", FV_SIZES, 1, INT64_MAX, 1, 0},
                 {"kernel", FV_SIZES, 1, INT64_MAX, 1, 0},
                 {"stride", FV_SIZES, 1, INT64_MAX, 0, 1},
                 {"dilation", FV_SIZES, 1, INT64_MAX, 0, 1},
                 {"causal", FV_FLAGS, 0, 1, 0, 0}},
    .uses = FV_USES_ROW,
    .check = neighborhood_check,
    .bind = neighborhood_bind,
    .step = neighborhood_step,
    .bound = neighborhood_bound,
    .runs = neighborhood_runs,
};

/* ------------------------------------------------------------------ swin */

/* Shifted windows (Liu et al. 2021, arXiv 2103.14030). The token at y sits at r = (y - shift) mod n of the rolled
   axis and in window r / window; the last window is cut at n - shift into two regions that do not see each other, as
   the roll brought them together from opposite borders. No region crosses the roll's seam: it is one interval of y. */
typedef struct swin {
    grid grid;
    int64_t window[FV_AXES], shift[FV_AXES];
} swin;

static fovea_status swin_check(const fv_leaf *leaf, fovea_error *err)
{
    fovea_status status = axes_check(leaf, err);
    for (unsigned n = 1; n <= 2 && !status; n++)
        status = per_axis_check(leaf, n, err);
    if (status)
        return status;
    for (size_t a = 0; a < leaf->value[0].count; a++) {
        int64_t n = leaf->value[0].number[a], window = per_axis(leaf, 1, a),
                shift = per_axis(leaf, 2, a);
        if (n % window)
            return fv_error_set(err, FOVEA_ERROR_VALUE,
                                "swin: window=%lld must divide %lld, the size of axis %zu",
                                (long long)window, (long long)n, a);
        if (shift >= window)
            return fv_error_set(err, FOVEA_ERROR_VALUE,
                                "swin: shift=%lld must be an integer from 0 to %lld on axis %zu",
                                (long long)shift, (long long)(window - 1), a);
    }
    return FOVEA_OK;
}

static fovea_status swin_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    swin *s = fv_arena_get(binding->arena, sizeof *s);
    fovea_status status;
    if (!s)
        return fv_no_memory(err);
    status = grid_bind(&s->grid, leaf, binding, err);
    if (status)
        return status;
    for (unsigned a = 0; a < FV_AXES; a++) {
        int real = a >= s->grid.pad;
        unsigned axis = a - s->grid.pad;
        s->window[a] = real ? per_axis(leaf, 1, axis) : 1;
        s->shift[a] = real && s->window[a] < s->grid.size[a] ? per_axis(leaf, 2, axis) : 0;
    }
    leaf->state = s;
    return FOVEA_OK;
}

static int64_t swin_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    const swin *s = leaf->state;
    (void)shape;
    (void)step;
    return s->window[0] * s->window[1];
}

static side swin_side(const swin *s, unsigned axis, int64_t y)
{
    int64_t n = s->grid.size[axis], window = s->window[axis], shift = s->shift[axis];
    int64_t r = fv_floor_mod(y - shift, n);
    int64_t lo = r - r % window, hi = lo + window; /* on the rolled axis */

    if (shift && hi == n) {
        if (r < n - shift)
            hi = n - shift;
        else
            lo = n - shift;
    }
    lo += shift;
    hi += shift;
    return lo >= n ? (side){lo - n, hi - n, 1} : (side){lo, hi, 1};
}

static void swin_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const swin *s = leaf->state;
    int64_t place[FV_AXES];
    side box[FV_AXES];

    if (view->p < 0 || view->p >= view->lk)
        return;
    grid_place(&s->grid, view->p, place);
    for (unsigned a = 0; a < FV_AXES; a++)
        box[a] = swin_side(s, a, place[a]);
    box_runs(&s->grid, box, view, list);
}

static void swin_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    const swin *s = leaf->state;
    if (view->p < 0) {
        *hi = 0;
        return;
    }
    int64_t x = view->p % s->grid.size[2];
    side along = swin_side(s, 2, x);
    *lo = view->p - x + along.start;
    *hi = view->p - x + along.end;
}

const fv_rule fv_rule_swin = {
    .text = {"swin", "swin(size=n1+n2,window=m,shift=0)",
             "same window of the grid rolled by shift, and same region of it"},
    .argument = {{"size", FV_SIZES, 1, INT64_MAX, 1, 0},
                 {"window", FV_SIZES, 1, INT64_MAX, 1, 0},
                 {"shift", FV_SIZES, 0, INT64_MAX, 0, 0}},
    .uses = FV_USES_ROW,
    .check = swin_check,
    .bind = swin_bind,
    .bound = swin_bound,
    .runs = swin_runs,
    .extent = swin_extent,
};
