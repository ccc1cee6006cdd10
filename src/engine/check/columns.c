/* Cases of the columns: rows of scores that stand in the lanes of a tile. Every lane has bounds of its own, and what one holds must
   not show in another. */
#include "check/columns.h"
#include "check/lanes.h"

#include <math.h>
#include <string.h>

/* nk keys of all lanes, now and then with a number that is not finite. */
static float *draw_tile(fv_case *c, const char *name)
{
    const int n = c->nk * c->row->lanes;
    float *x = fv_case_floats(c, name, (size_t)n);
    for (int i = 0; i < n; i++)
        x[i] = (float)(c->clean || !fv_draw_once_in(c, 100) ? fmin(fv_draw_score(c), 60) : fv_draw_once_in(c, 2) ? NAN : -INFINITY);
    return x;
}

/* A bound per lane, often one of its numbers. */
static float *draw_bounds(fv_case *c, const char *name, const float *x)
{
    const int lanes = c->row->lanes;
    float *t = fv_case_floats(c, name, (size_t)lanes);
    for (int i = 0; i < lanes; i++) {
        t[i] = fv_draw_once_in(c, 2) ? x[fv_draw_int(c, 0, c->nk - 1) * lanes + i] : (float)fv_draw_score(c);
        t[i] = isnan(t[i]) ? 0 : t[i];
    }
    return t;
}

static double *doubles(fv_case *c, const char *name)
{
    double *x = fv_guard_get(c->memory->guard, name, -1, (size_t)c->row->lanes * sizeof *x);
    for (int i = 0; i < c->row->lanes; i++)
        x[i] = -123;
    return x;
}

static void expect_double(fv_case *c, const char *name, int lane, double got, double want, double allowed)
{
    if (isnan(want) ? !isnan(got) : !(fabs(got - want) <= allowed || got == want))
        fv_case_fail(c, "%s[%d] = %.17g, want %.17g", name, lane, got, want);
}

/* ------------------------------------------------------------------ weights */

static void draw_ramp(fv_case *c, fvk_columns *a)
{
    const int lanes = c->row->lanes;
    double *origin = doubles(c, "origin"), *tau = doubles(c, "tau");
    for (int i = 0; i < lanes; i++) {
        origin[i] = (double)(float)fv_draw_score(c);
        tau[i] = (double)(float)fv_draw_real(c, -1, 0);
    }
    a->origin = origin;
    a->tau = tau;
    a->slope = fv_draw_once_in(c, 2) ? 1 : 0.5;
}

static double over(const fvk_columns *a, float x, int lane)
{
    double r = ((double)x - a->origin[lane]) * a->slope - a->tau[lane];
    return r < 0 ? 0 : r;
}

/* Of r in floats: the difference, tau and the result are rounded. */
static double ramp_error(const fvk_columns *a, float x, int lane)
{
    const double far = fabs((double)x - a->origin[lane]) * a->slope;
    return isfinite(far) ? 0x1p-23 * (far + fabs(a->tau[lane])) : 0;
}

/* The exponential as for a probability; it moves 1 / (1 + e) by at most its own error, and then a sum and a quotient are rounded. */
static fv_want sigmoid(double x, double shift)
{
    const fv_want e = fv_ref_exp(-fabs(x - shift), 0);
    const double p = 1 / (1 + exp(shift - x));
    return (fv_want){p, e.allowed + (isfinite(p) ? 2 * 0x1p-24 * p : 0)};
}

static fv_want weight(const fvk_columns *a, int at, int lane)
{
    double r, allowed;
    if (a->kind == FVK_WEIGH_GIVEN)
        return (fv_want){(double)a->w[at], FV_EXACT};
    if (a->kind == FVK_WEIGH_EXP || a->kind == FVK_WEIGH_ALL)
        return fv_ref_exp((double)a->x[at], (double)a->shift[lane]);
    if (a->kind == FVK_WEIGH_SIGMOID)
        return sigmoid((double)a->x[at], (double)a->shift[lane]);
    r = over(a, a->x[at], lane);
    allowed = ramp_error(a, a->x[at], lane);
    if (a->kind == FVK_WEIGH_SQUARE)
        return (fv_want){r * r, (2 * r + allowed) * allowed + 0x1p-24 * r * r};
    return (fv_want){r, allowed};
}

/* At most 80 below the largest number. */
static float *draw_shift(fv_case *c, const float *x)
{
    const int lanes = c->row->lanes;
    float *shift = fv_case_floats(c, "shift", (size_t)lanes);
    for (int i = 0; i < lanes; i++) {
        shift[i] = -1e30f;
        for (int j = 0; j < c->nk; j++)
            shift[i] = fmaxf(shift[i], x[j * lanes + i]);
        shift[i] -= (float)fv_draw_real(c, 0, 79);
    }
    return shift;
}

static void call_weigh(fv_case *c)
{
    ((fvk_column_weigh_fn *)c->fn)(&c->columns);
}

void fv_case_column_weigh(fv_case *c)
{
    const int lanes = c->row->lanes;
    fv_want *want = c->memory->want;
    uint32_t *kept = (uint32_t *)c->memory->q;
    double count[FVK_MAX_LANES] = {0}, *sum;
    float *w = NULL;
    fvk_columns a = {.step = 1};
    c->nk = fv_draw_keys(c);
    a.n = c->nk;
    a.kind = (fvk_weigh)fv_draw_int(c, FVK_WEIGH_ALL, FVK_WEIGH_SIGMOID);
    a.x = c->s = draw_tile(c, "x");
    a.cut = draw_bounds(c, "cut", a.x);
    a.shift = draw_shift(c, a.x);
    draw_ramp(c, &a);
    if (a.kind == FVK_WEIGH_GIVEN)
        a.w = w = fv_draw_once_in(c, 3) ? c->s : draw_tile(c, "w");
    a.y = fv_draw_once_in(c, 3) ? c->s : w && fv_draw_once_in(c, 2) ? w : fv_case_floats(c, "y", (size_t)(c->nk * lanes));
    a.rows = c->rows = (uint32_t *)fv_case_floats(c, "rows", (size_t)c->nk);
    a.count = fv_case_floats(c, "count", (size_t)lanes);
    a.sum = sum = doubles(c, "sum");
    for (int j = 0; j < c->nk; j++) {
        kept[j] = 0;
        for (int i = 0; i < lanes; i++) {
            const int at = j * lanes + i, under = a.kind != FVK_WEIGH_ALL && a.x[at] < a.cut[i];
            want[at] = under ? (fv_want){0, FV_EXACT} : weight(&a, at, i);
            kept[j] |= (uint32_t)!under << i;
            count[i] += !under;
        }
    }
    c->columns = a;
    c->call = call_weigh;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < lanes; i++) {
        double all = 0, sizes = 0;
        for (int j = 0; j < c->nk; j++) {
            sizes += fabs((double)a.y[j * lanes + i]);
            fv_case_expect(c, "y", j, i, a.y[j * lanes + i], want[j * lanes + i]);
            all += (double)a.y[j * lanes + i];
            if (a.kind != FVK_WEIGH_ALL && (c->rows[j] ^ kept[j]) >> i & 1)
                fv_case_fail(c, "rows[%d] = %x, want %x", j, c->rows[j], kept[j]);
        }
        if (a.kind == FVK_WEIGH_ALL || a.kind == FVK_WEIGH_GIVEN || a.kind == FVK_WEIGH_EXP)
            expect_double(c, "sum", i, sum[i], all, 16 * 0x1p-24 * sizes);
        if (a.kind != FVK_WEIGH_ALL)
            expect_double(c, "count", i, (double)a.count[i], count[i], 0);
    }
}

/* ------------------------------------------------------------------ sums */

static void call_moments(fv_case *c)
{
    const size_t lanes = (size_t)c->row->lanes;
    double *const sum[3] = {c->columns.sum, c->columns.sum + lanes, c->columns.sum + 2 * lanes};
    ((fvk_column_moments_fn *)c->fn)(&c->columns, sum);
}

void fv_case_column_moments(fv_case *c)
{
    static const char *const names[3] = {"count", "first", "second"};
    const int lanes = c->row->lanes;
    fvk_columns a = {.kind = fv_draw_once_in(c, 2) ? FVK_WEIGH_SQUARE : FVK_WEIGH_RAMP};
    c->nk = fv_draw_keys(c);
    a.n = c->nk;
    a.step = fv_draw_int(c, 1, 5);
    a.rough = fv_draw_once_in(c, 2);
    a.x = draw_tile(c, "x");
    draw_ramp(c, &a);
    a.sum = fv_guard_get(c->memory->guard, "sums", -1, 3 * (size_t)lanes * sizeof *a.sum);
    c->columns = a;
    c->call = call_moments;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < lanes; i++) {
        double want[3] = {0, 0, 0}, allowed[3] = {0, 0, 0};
        for (int j = 0; j < c->nk; j += (int)a.step) {
            const double r = over(&a, a.x[j * lanes + i], i), off = a.rough ? ramp_error(&a, a.x[j * lanes + i], i) : 0;
            want[0] += r > 0;
            want[1] += r;
            want[2] += a.kind == FVK_WEIGH_SQUARE ? r * r : 0;
            allowed[0] += r > 0 ? r < off : (double)a.x[j * lanes + i] - a.origin[i] > (a.tau[i] - off) / a.slope;
            allowed[1] += off;
            allowed[2] += (2 * r + off) * off;
        }
        for (int k = 0; k < 3; k++)
            expect_double(c, names[k], i, a.sum[k * lanes + i], want[k],
                          allowed[k] + (k ? 300 * (a.rough ? 0x1p-24 : 0x1p-53) * want[k] : 0));
    }
}

static void call_sums(fv_case *c)
{
    ((fvk_column_sums_fn *)c->fn)(c->s, c->p, c->nk, c->n, c->m, c->columns.sum, c->mx);
}

void fv_case_column_sums(fv_case *c)
{
    const int lanes = c->row->lanes;
    c->nk = fv_draw_keys(c);
    c->n = fv_draw_int(c, 1, 5);
    c->s = draw_tile(c, "x");
    c->m = draw_bounds(c, "t", c->s);
    c->mx = fv_case_floats(c, "count", (size_t)lanes);
    c->columns.sum = doubles(c, "sum");
    if (!fv_draw_once_in(c, 3)) {
        c->p = fv_case_floats(c, "w", (size_t)(c->nk * lanes));
        for (int i = 0; i < c->nk * lanes; i++)
            c->p[i] = (float)fv_draw_real(c, 0, 1);
    }
    c->call = call_sums;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < lanes; i++) {
        double count = 0, sum = 0;
        for (int j = 0; j < c->nk; j += c->n) {
            const int above = c->s[j * lanes + i] > c->m[i];
            count += above;
            sum += above && c->p ? (double)c->p[j * lanes + i] : 0;
        }
        expect_double(c, "count", i, (double)c->mx[i], count, 0);
        if (c->p)
            expect_double(c, "sum", i, c->columns.sum[i], sum, 16 * 0x1p-24 * sum);
    }
}

/* ------------------------------------------------------------------ search */

/* What lies above t in a lane of the case, and how much it is. */
static double above(const fv_case *c, int lane, float t, double *count)
{
    const int lanes = c->row->lanes;
    const fvk_search *a = &c->search;
    double sum = 0, many = 0;
    for (int j = 0; j < c->nk; j += (int)a->stride)
        if (a->x[j * lanes + lane] > t) {
            many++;
            sum += a->weighs ? (double)a->x[j * lanes + lane] : 1;
        }
    *count = many + (a->above ? (double)a->above[lane] : 0);
    return sum + (a->base ? a->base[lane] : 0);
}

/* Both bounds of every lane as they are before anything is known, a target between, and some lanes closed. */
static void draw_search(fv_case *c, fvk_search *a, double *target)
{
    const int lanes = c->row->lanes;
    for (int k = 0; k < 2; k++) {
        a->bound[k] = fv_case_floats(c, k ? "bound 1" : "bound 0", (size_t)lanes);
        a->many[k] = fv_case_floats(c, k ? "many 1" : "many 0", (size_t)lanes);
        a->sum[k] = doubles(c, k ? "sum 1" : "sum 0");
    }
    c->search = *a;
    for (int i = 0; i < lanes; i++) {
        float most = a->weighs ? 1 : -INFINITY;
        double many;
        for (int j = 0; !a->weighs && j < c->nk; j++)
            most = fmaxf(most, a->x[j * lanes + i]);
        a->bound[0][i] = a->weighs ? 0 : -INFINITY;
        a->bound[1][i] = most;
        for (int k = 0; k < 2; k++) {
            a->sum[k][i] = above(c, i, a->bound[k][i], &many);
            a->many[k][i] = (float)many;
        }
        target[i] = a->sum[1][i] + (a->sum[0][i] - a->sum[1][i]) * fv_draw_real(c, 0.01, 0.99);
        target[i] = a->weighs ? target[i] : ceil(target[i]);
        if (!(a->sum[0][i] > a->sum[1][i]))
            a->open &= ~(1u << i); /* nothing to look for */
    }
}

static void call_search(fv_case *c)
{
    c->result = (double)((fvk_column_search_fn *)c->fn)(&c->search);
}

/* 1 when a lane with these bounds takes a further look. */
static int goes_on(const fv_case *c, int i, float lo, float hi)
{
    const fvk_search *a = &c->search;
    double low, high, least = above(c, i, lo, &low);
    above(c, i, hi, &high);
    return (a->open >> i & 1) && low - high > (double)a->most && nextafterf(lo, INFINITY) < hi && least != a->target[i];
}

/* A counted lane after two looks, whose bounds were these: where the second was. */
static void expect_second(fv_case *c, int i, float lo, float hi)
{
    const fvk_search *a = &c->search;
    double over, where, near, many;
    if (a->steps != 2 || a->weighs || !a->first || !a->dense || !(a->first[i] > lo && a->first[i] < hi) || !goes_on(c, i, lo, hi))
        return;
    over = above(c, i, a->first[i], &many) - a->target[i];
    where = (double)a->first[i] + (1.8 * over + (over >= 0 ? 1 : -1)) / (double)a->dense[i];
    near = 1e-5 * (1 + fabs(where) + fabs((double)a->first[i]));
    lo = over >= 0 ? a->first[i] : lo;
    hi = over >= 0 ? hi : a->first[i];
    if (where > (double)lo + near && where < (double)hi - near && goes_on(c, i, lo, hi) && fabs((double)a->bound[0][i] - where) > near &&
        fabs((double)a->bound[1][i] - where) > near)
        fv_case_fail(c, "lane %d: the second look was not at %g, bounds %g, %g", i, where, (double)a->bound[0][i], (double)a->bound[1][i]);
}

/* A lane after the search, whose bounds were these. */
static void expect_lane(fv_case *c, int i, float lo, float hi)
{
    const fvk_search *a = &c->search;
    const int going = (int)((uint32_t)c->result >> i & 1);
    double low, high, slack;
    const double least = above(c, i, a->bound[0][i], &low), more = above(c, i, a->bound[1][i], &high);
    int done = low - high <= (double)a->most || nextafterf(a->bound[0][i], INFINITY) >= a->bound[1][i] ||
               (!a->weighs && least == a->target[i]);
    slack = a->weighs ? 32 * 0x1p-24 * (least + 1) : 0;
    expect_double(c, "many 0", i, (double)a->many[0][i], low, 0);
    expect_double(c, "many 1", i, (double)a->many[1][i], high, 0);
    expect_double(c, "sum 0", i, a->sum[0][i], least, slack);
    expect_double(c, "sum 1", i, a->sum[1][i], more, slack);
    if (!(a->sum[0][i] >= a->target[i]) || !(a->sum[1][i] < a->target[i]) || !(a->bound[0][i] >= lo) || !(a->bound[1][i] <= hi))
        fv_case_fail(c, "lane %d: bounds %g, %g do not enclose the target", i, (double)a->bound[0][i], (double)a->bound[1][i]);
    if (!(a->open >> i & 1) && (a->bound[0][i] != lo || a->bound[1][i] != hi || going))
        fv_case_fail(c, "lane %d is closed, and moved", i);
    if ((a->open >> i & 1) && going == done)
        fv_case_fail(c, "lane %d: goes on is %d, and done is %d", i, going, done);
    if ((a->open >> i & 1) && a->steps > 100 && !done)
        fv_case_fail(c, "lane %d found nothing in %d steps", i, a->steps);
    if ((a->open >> i & 1) && a->steps == 1 && a->first && !done && a->first[i] > lo && a->first[i] < hi &&
        a->bound[0][i] != a->first[i] && a->bound[1][i] != a->first[i])
        fv_case_fail(c, "lane %d did not look at %g", i, (double)a->first[i]);
    expect_second(c, i, lo, hi);
}

void fv_case_column_search(fv_case *c)
{
    const int lanes = c->row->lanes;
    fvk_search a = {.stride = fv_draw_once_in(c, 3) ? fv_draw_int(c, 2, 4) : 1, .weighs = fv_draw_once_in(c, 2)};
    float lo[FVK_MAX_LANES], hi[FVK_MAX_LANES], *x, *floor = fv_case_floats(c, "floor", (size_t)lanes);
    double *target = doubles(c, "target");
    c->nk = fv_draw_keys(c);
    a.n = c->nk;
    a.steps = fv_draw_once_in(c, 3) ? fv_draw_int(c, 0, 3) : 120;
    a.most = (float)fv_draw_int(c, 1, 6);
    a.open = fv_draw_once_in(c, 2) ? (uint32_t)fv_draw(c) : ~0u;
    a.x = x = draw_tile(c, "x");
    for (int i = 0; i < c->nk * lanes; i++) /* often equal ones */
        x[i] = a.weighs ? (float)fv_draw_int(c, 0, 40) / 64 + (fv_draw_once_in(c, 2) ? (float)fv_draw_real(c, 0, 0x1p-6) : 0)
                        : isnan(x[i]) ? 0 : x[i];
    if (fv_draw_once_in(c, 2)) {
        float *more = fv_case_floats(c, "above", (size_t)lanes);
        double *base = doubles(c, "base");
        for (int i = 0; i < lanes; i++)
            base[i] = (double)(more[i] = (float)fv_draw_int(c, 0, 30));
        a.above = more;
        a.base = base;
    }
    if (fv_draw_once_in(c, 2))
        a.first = draw_bounds(c, "first", x);
    if (a.first && !fv_draw_once_in(c, 3)) {
        float *dense = fv_case_floats(c, "dense", (size_t)lanes);
        for (int i = 0; i < lanes; i++)
            dense[i] = (float)fv_draw_real(c, 0.5, 0.5 * (double)c->nk + 1);
        a.dense = dense;
    }
    for (int i = 0; i < lanes; i++)
        floor[i] = a.weighs ? 0x1p-20f : 1;
    a.floor = floor;
    a.target = target;
    draw_search(c, &a, target);
    memcpy(lo, a.bound[0], (size_t)lanes * sizeof *lo);
    memcpy(hi, a.bound[1], (size_t)lanes * sizeof *hi);
    c->search = a;
    c->call = call_search;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < lanes; i++)
        if (c->search.sum[0][i] > c->search.sum[1][i])
            expect_lane(c, i, lo[i], hi[i]);
}

/* ------------------------------------------------------------------ lists */

enum { ROOM = 7 };

static void call_collect(fv_case *c)
{
    ((fvk_column_collect_fn *)c->fn)(c->s, c->nk, c->m, c->l, c->n, c->p, (int32_t *)c->o, (int32_t *)c->rows);
}

void fv_case_column_collect(fv_case *c)
{
    const int lanes = c->row->lanes;
    c->nk = fv_draw_keys(c);
    c->n = fv_draw_int(c, 1, ROOM);
    c->s = draw_tile(c, "x");
    c->m = draw_bounds(c, "lo", c->s);
    c->l = draw_bounds(c, "hi", c->s);
    c->p = fv_case_floats(c, "y", (size_t)(c->n * lanes));
    c->o = fv_case_floats(c, "at", (size_t)(c->n * lanes));
    c->rows = (uint32_t *)fv_case_floats(c, "count", (size_t)lanes);
    c->call = call_collect;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < lanes; i++) {
        int m = 0;
        for (int j = 0; j < c->nk; j++) {
            const float x = c->s[j * lanes + i];
            if (!(x > c->m[i]) || x > c->l[i])
                continue;
            if (m < c->n) {
                fv_case_expect(c, "y", m, i, c->p[m * lanes + i], (fv_want){(double)x, FV_EXACT});
                if (((const int32_t *)c->o)[m * lanes + i] != j)
                    fv_case_fail(c, "at[%d][%d] = %d, want %d", m, i, (int)((const int32_t *)c->o)[m * lanes + i], j);
            }
            m++;
        }
        for (int k = m; k < c->n; k++)
            fv_case_untouched(c, "y", k, i, c->p[k * lanes + i]);
        if ((int)c->rows[i] != m)
            fv_case_fail(c, "count[%d] = %d, want %d", i, (int)c->rows[i], m);
    }
}

/* ------------------------------------------------------------------ values */

static void call_add(fv_case *c)
{
    ((fvk_column_add_fn *)c->fn)(c->p, c->nk, c->rows, c->columns.n ? (uint32_t)c->columns.n : 0, c->v_rows, c->dv, c->o_rows);
}

void fv_case_column_add(fv_case *c)
{
    const int lanes = c->row->lanes;
    double *const p = c->memory->p, *const o = c->memory->o;
    const uint32_t all = (uint32_t)((1ull << lanes) - 1);
    uint32_t *seen = (uint32_t *)c->memory->q;
    fv_want *want = c->memory->want;
    float ones[FVK_MAX_LANES], **rows;
    c->nk = fv_draw_keys(c);
    c->dv = fv_draw_dim(c);
    c->v_rows = fv_case_rows(c, "v", c->nk, c->dv, FVK_F32, c->memory->v);
    c->columns.n = fv_draw_once_in(c, 2) ? all : (uint32_t)fv_draw(c) & all;
    c->rows = (uint32_t *)fv_case_floats(c, "rows", (size_t)c->nk);
    c->p = fv_case_floats(c, "p", (size_t)(c->nk * lanes));
    for (int j = 0; j < c->nk; j++) {
        c->rows[j] = (uint32_t)fv_draw(c) & (fv_draw_once_in(c, 2) ? 0 : ~0u);
        seen[j] = c->rows[j] & (uint32_t)c->columns.n;
        for (int i = 0; i < lanes; i++) {
            c->p[j * lanes + i] = seen[j] >> i & 1 ? (float)fv_draw_real(c, 0, 1) : NAN;
            p[j * lanes + i] = (double)c->p[j * lanes + i];
        }
    }
    rows = fv_guard_get(c->memory->guard, "row pointers", -1, (size_t)lanes * sizeof *rows);
    for (int i = 0; i < lanes; i++) {
        rows[i] = fv_guard_get(c->memory->guard, "o", i, (size_t)c->dv * sizeof(float));
        ones[i] = 1;
        for (int t = 0; t < c->dv; t++) {
            rows[i][t] = (float)fv_draw_value(c, FVK_F32);
            o[t * lanes + i] = (double)rows[i][t];
        }
    }
    c->o_rows = rows;
    fv_ref_values(p, c->nk, lanes, c->memory->v, c->dv, seen, ones, o, want);
    c->call = call_add;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < lanes; i++)
        for (int t = 0; t < c->dv; t++)
            fv_case_expect(c, "o", i, t, rows[i][t], want[t * lanes + i]);
}
