/* Cases of the rows family (the head dimension rides in the lanes), of widening and of the measuring kernels.
   Matrices have a leading stride: what lies between their rows is NaN where it is read and must stay where it is
   written. */
#include "check/rows.h"
#include "check/lanes.h"

#include <math.h>
#include <string.h>

/* Length of n rows of `width`, ld apart. */
static size_t extent(int n, ptrdiff_t ld, int width)
{
    return (size_t)(n - 1) * (size_t)ld + (size_t)width;
}

static ptrdiff_t draw_stride(fv_case *c, int width)
{
    return width + (fv_draw(c) & 1 ? 0 : fv_draw_int(c, 1, 17));
}

static void expect_gaps(fv_case *c, const char *name, const float *x, int n, ptrdiff_t ld, int width)
{
    for (int r = 0; r < n - 1; r++)
        for (ptrdiff_t t = width; t < ld; t++)
            fv_case_untouched(c, name, r, (int)t, x[r * ld + t]);
}

/* ------------------------------------------------------------------ widen */

static void call_widen(fv_case *c)
{
    ((fvk_widen_fn *)c->fn)(c->k_rows, c->n, c->d, c->o, c->ldo);
}

void fv_case_widen(fv_case *c)
{
    c->d = fv_draw_dim(c);
    c->n = fv_draw_int(c, 1, 40);
    c->ldo = draw_stride(c, c->d);
    c->k_rows = fv_case_rows(c, "row", c->n, c->d, c->row->dtype, c->memory->k);
    for (int i = 0; i < c->n && !c->clean; i++) /* any 16 bits are a number, or NaN */
        for (int t = 0; t < c->d; t++)
            fv_case_put(c, c->k_rows, i, c->d, t, c->row->dtype, fv_ref_from_half(c->row->dtype, (uint16_t)fv_draw(c)),
                        c->memory->k);
    c->o = fv_case_floats(c, "out", extent(c->n, c->ldo, c->d));
    c->call = call_widen;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < c->n; i++)
        for (int t = 0; t < c->d; t++)
            fv_case_expect(c, "out", i, t, c->o[i * c->ldo + t], (fv_want){c->memory->k[i * c->d + t], FV_EXACT});
    expect_gaps(c, "out", c->o, c->n, c->ldo, c->d);
}

/* ------------------------------------------------------------------ dot, axpy */

static void call_dot(fv_case *c)
{
    ((fvk_dot_fn *)c->fn)(c->q, c->ldq, c->n, c->d, c->k_rows, c->nk, c->s, c->lds, NULL);
}

void fv_case_dot(fv_case *c)
{
    const fv_case_memory *memory = c->memory;
    size_t bytes;
    c->d = fv_draw_dim(c);
    c->n = fv_draw_int(c, 1, FVK_MAX_ROWS);
    c->nk = fv_draw_keys(c);
    c->ldq = draw_stride(c, c->d);
    c->lds = draw_stride(c, c->nk);
    bytes = extent(c->n, c->ldq, c->d);
    c->q = fv_case_floats(c, "q", bytes);
    for (size_t i = 0; i < bytes; i++)
        c->q[i] = NAN;
    for (int r = 0; r < c->n; r++)
        for (int t = 0; t < c->d; t++) {
            float x = (float)(c->values == FV_TINY ? fv_draw_real(c, -1, 1) : fv_draw_value(c, FVK_F32));
            c->q[r * c->ldq + t] = x;
            memory->q[t * c->n + r] = (double)x;
        }
    c->k_rows = fv_case_rows(c, "k", c->nk, c->d, c->row->dtype, memory->k);
    fv_case_poison(c, c->n, c->k_rows, c->d, c->row->dtype, memory->k);
    c->s = fv_case_floats(c, "s", extent(c->n, c->lds, c->nk));
    c->call = call_dot;
    if (!fv_case_run(c))
        return;
    for (int j = 0; j < c->nk; j++) {
        fv_ref_scores(memory->q, c->d, c->n, memory->k + (size_t)j * c->d, 1, 0, memory->want);
        for (int r = 0; r < c->n; r++)
            fv_case_expect(c, "s", r, j, c->s[r * c->lds + j], memory->want[r]);
    }
    expect_gaps(c, "s", c->s, c->n, c->lds, c->nk);
}

static void call_axpy(fv_case *c)
{
    ((fvk_axpy_fn *)c->fn)(c->p, c->ldp, c->n, c->nk, c->v_rows, c->dv, c->rows, c->alpha, c->o, c->ldo, NULL);
}

static void draw_weights(fv_case *c)
{
    size_t size = extent(c->n, c->ldp, c->nk);
    c->p = fv_case_floats(c, "p", size);
    for (size_t i = 0; i < size; i++)
        c->p[i] = NAN;
    for (int r = 0; r < c->n; r++)
        for (int j = 0; j < c->nk; j++) {
            /* softmax leaves 0 for a hidden pair; the contract asks no such thing */
            float x = (float)(fv_case_sees(c, j, r) || c->clean ? fv_draw_real(c, 0, 1) : 0);
            c->p[r * c->ldp + j] = x;
            c->memory->p[j * c->n + r] = (double)x;
        }
}

static void draw_sums(fv_case *c)
{
    c->o = fv_case_floats(c, "o", extent(c->n, c->ldo, c->dv));
    if (!fv_draw_once_in(c, 4)) {
        c->alpha = fv_case_floats(c, "alpha", (size_t)c->n);
        for (int r = 0; r < c->n; r++)
            c->alpha[r] = fv_draw_once_in(c, 4) ? (float)fv_draw_int(c, 0, 1) : (float)fv_draw_real(c, 0, 1);
    }
    for (int r = 0; r < c->n; r++)
        for (int t = 0; t < c->dv; t++) {
            c->o[r * c->ldo + t] = c->alpha ? (float)fv_draw_value(c, FVK_F32) : NAN;
            c->memory->o[t * c->n + r] = (double)c->o[r * c->ldo + t];
        }
}

void fv_case_axpy(fv_case *c)
{
    const fv_case_memory *memory = c->memory;
    c->dv = fv_draw_dim(c);
    c->n = fv_draw_int(c, 1, FVK_MAX_ROWS);
    c->nk = fv_draw_keys(c);
    c->ldp = draw_stride(c, c->nk);
    c->ldo = draw_stride(c, c->dv);
    fv_case_hide(c, c->n);
    c->v_rows = fv_case_rows(c, "v", c->nk, c->dv, c->row->dtype, memory->v);
    fv_case_poison(c, c->n, c->v_rows, c->dv, c->row->dtype, memory->v);
    draw_weights(c);
    draw_sums(c);
    c->call = call_axpy;
    if (!fv_case_run(c))
        return;
    fv_ref_values(memory->p, c->nk, c->n, memory->v, c->dv, c->rows, c->alpha, memory->o, memory->want);
    for (int r = 0; r < c->n; r++)
        for (int t = 0; t < c->dv; t++)
            fv_case_expect(c, "o", r, t, c->o[r * c->ldo + t], memory->want[t * c->n + r]);
    expect_gaps(c, "o", c->o, c->n, c->ldo, c->dv);
}

/* ------------------------------------------------------------------ softmax, edits */

static void call_row_softmax(fv_case *c)
{
    ((fvk_row_softmax_fn *)c->fn)(c->s, c->nk, c->m, c->l, c->alpha);
}

void fv_case_row_softmax(fv_case *c)
{
    fv_ref_state state;
    fv_want *want = c->memory->want;
    float *before = (float *)c->memory->p, mx;
    int poisoned;
    c->nk = fv_draw_once_in(c, 4) ? fv_draw_int(c, 1, 3000) : fv_draw_keys(c);
    c->s = fv_case_floats(c, "s", (size_t)c->nk);
    c->m = fv_case_floats(c, "m", 1);
    c->l = fv_case_floats(c, "l", 1);
    c->alpha = fv_case_floats(c, "alpha", 1);
    poisoned = fv_draw_column(c, c->s, c->nk, 1, c->m, &mx, c->l);
    mx = *c->m; /* the kernel finds the block's maximum itself */
    for (int j = 0; j < c->nk; j++)
        mx = fmaxf(mx, c->s[j]);
    state = fv_ref_softmax(c->s, c->nk, 1, (double)*c->m, (double)mx, (double)*c->l, want);
    memcpy(before, c->s, (size_t)c->nk * sizeof *before);
    c->call = call_row_softmax;
    if (!fv_case_run(c))
        return;
    for (int j = 0; j < c->nk; j++)
        if (!poisoned || isnan(before[j])) /* NaN stays NaN; the others of its row may become it */
            fv_case_expect(c, "s", j, -1, c->s[j], poisoned ? (fv_want){NAN, 0} : want[j]);
    if (poisoned) {
        fv_case_expect(c, "l", 0, -1, *c->l, (fv_want){NAN, 0});
        return;
    }
    fv_case_expect(c, "m", 0, -1, *c->m, state.m);
    fv_case_expect_alpha(c, 0, *c->alpha, &state);
    fv_case_expect(c, "l", 0, -1, *c->l, state.l);
}

void fv_case_row_edit(fv_case *c)
{
    fv_case_edit_block(c, 1);
}

/* A sum of at most 3000 terms in double, whose absolute values add up to `size`. */
static void expect_sum(fv_case *c, const char *name, double got, double want, double size)
{
    if (isfinite(want) ? !(fabs(got - want) <= 3000 * 0x1p-53 * size) : !(got == want || (isnan(got) && isnan(want))))
        fv_case_fail(c, "%s = %.17g, want %.17g", name, got, want);
}

static void call_exp(fv_case *c)
{
    c->result = ((fvk_exp_fn *)c->fn)(c->s, c->nk, c->shift, c->scale, c->p);
}

/* In place, or from one array to another. */
void fv_case_exp(fv_case *c)
{
    fv_want *want = c->memory->want;
    double sum = 0;
    c->nk = fv_draw_once_in(c, 4) ? fv_draw_int(c, 1, 3000) : fv_draw_keys(c);
    c->shift = (float)fv_draw_real(c, -20, 20);
    c->scale = fv_draw_once_in(c, 2) ? -INFINITY : (float)fv_draw_score(c);
    c->s = fv_case_floats(c, "x", (size_t)c->nk);
    c->p = fv_draw_once_in(c, 2) ? c->s : fv_case_floats(c, "y", (size_t)c->nk);
    for (int j = 0; j < c->nk; j++) {
        c->s[j] = (float)(c->clean || !fv_draw_once_in(c, 100) ? fmin(fv_draw_score(c), 60) : fv_draw_poison(c));
        if (c->s[j] == INFINITY)
            c->s[j] = NAN;
        want[j] = c->s[j] < c->scale ? (fv_want){(double)FVK_DROPPED, FV_EXACT} : fv_ref_exp((double)c->s[j], (double)c->shift);
    }
    c->call = call_exp;
    if (!fv_case_run(c))
        return;
    for (int j = 0; j < c->nk; j++) {
        fv_case_expect(c, "y", j, -1, c->p[j], want[j]);
        sum += c->p[j] == FVK_DROPPED ? 0 : (double)c->p[j];
    }
    expect_sum(c, "sum", c->result, sum, sum);
}

static void call_count(fv_case *c)
{
    c->result = (double)((fvk_count_fn *)c->fn)(c->s, c->nk, c->shift);
}

/* Thresholds between scores, equal to one, and beyond all of them. */
void fv_case_count(fv_case *c)
{
    int64_t want = 0;
    c->nk = fv_draw_once_in(c, 4) ? fv_draw_int(c, 1, 3000) : fv_draw_keys(c);
    c->s = fv_case_floats(c, "x", (size_t)c->nk);
    for (int j = 0; j < c->nk; j++)
        c->s[j] = (float)(c->clean || !fv_draw_once_in(c, 50) ? fv_draw_score(c) : fv_draw_poison(c));
    c->shift = fv_draw_once_in(c, 2) ? c->s[fv_draw_int(c, 0, c->nk - 1)] : (float)fv_draw_score(c);
    for (int j = 0; j < c->nk; j++)
        want += c->s[j] > c->shift;
    c->call = call_count;
    if (fv_case_run(c) && c->result != (double)want)
        fv_case_fail(c, "count = %.0f, want %lld above %g", c->result, (long long)want, (double)c->shift);
}

static void call_range(fv_case *c)
{
    c->result = ((fvk_range_fn *)c->fn)(c->s, c->nk, &c->p[0], &c->p[1]);
}

void fv_case_range(fv_case *c)
{
    float least = INFINITY, most = -INFINITY;
    int finite = 1;
    c->nk = fv_draw_once_in(c, 4) ? fv_draw_int(c, 1, 3000) : fv_draw_keys(c);
    c->s = fv_case_floats(c, "x", (size_t)c->nk);
    c->p = fv_case_floats(c, "range", 2);
    for (int j = 0; j < c->nk; j++) {
        c->s[j] = (float)(c->clean || !fv_draw_once_in(c, 200) ? fv_draw_score(c) : fv_draw_poison(c));
        finite &= isfinite(c->s[j]) != 0;
        least = c->s[j] < least ? c->s[j] : least;
        most = c->s[j] > most ? c->s[j] : most;
    }
    c->call = call_range;
    if (!fv_case_run(c))
        return;
    if (c->result != finite)
        fv_case_fail(c, "range says %g to all finite, want %d", c->result, finite);
    if (c->p[0] != least || c->p[1] != most)
        fv_case_fail(c, "range %g..%g, want %g..%g", (double)c->p[0], (double)c->p[1], (double)least, (double)most);
}

/* ------------------------------------------------------------------ choosing */

static void draw_scores(fv_case *c)
{
    c->nk = fv_draw_once_in(c, 4) ? fv_draw_int(c, 1, 3000) : fv_draw_keys(c);
    c->s = fv_case_floats(c, "x", (size_t)c->nk);
    for (int j = 0; j < c->nk; j++)
        c->s[j] = (float)(c->clean || !fv_draw_once_in(c, 50) ? fv_draw_score(c) : fv_draw_poison(c));
}

/* One of the scores, something between, or beyond all. */
static float draw_bound(fv_case *c)
{
    float x = fv_draw_once_in(c, 2) ? c->s[fv_draw_int(c, 0, c->nk - 1)] : (float)fv_draw_score(c);
    return isnan(x) ? 0 : fv_draw_once_in(c, 8) ? copysignf(INFINITY, x) : x;
}

static void call_sift(fv_case *c)
{
    c->result = (double)((fvk_sift_fn *)c->fn)(c->s, c->nk, c->shift, c->scale, c->p, (int32_t *)c->rows);
}

/* To other arrays, or in place. */
void fv_case_sift(fv_case *c)
{
    float *before = (float *)c->memory->p;
    int m = 0, in_place = fv_draw_once_in(c, 3);
    draw_scores(c);
    c->shift = draw_bound(c);
    c->scale = fv_draw_once_in(c, 2) ? INFINITY : draw_bound(c);
    memcpy(before, c->s, (size_t)c->nk * sizeof *before);
    for (int j = 0; j < c->nk; j++)
        m += !(before[j] < c->shift) && !(before[j] > c->scale);
    if (in_place) {
        c->s = fv_case_floats(c, "y", (size_t)c->nk + FVK_SIFT_ROOM);
        memcpy(c->s, before, (size_t)c->nk * sizeof *before);
    }
    c->p = in_place ? c->s : fv_case_floats(c, "y", (size_t)m + FVK_SIFT_ROOM);
    c->rows = (uint32_t *)fv_case_floats(c, "at", (size_t)m + FVK_SIFT_ROOM);
    c->call = call_sift;
    if (!fv_case_run(c))
        return;
    if (c->result != (double)m)
        fv_case_fail(c, "sift finds %.0f, want %d in %g..%g", c->result, m, (double)c->shift, (double)c->scale);
    m = 0;
    for (int j = 0; j < c->nk && (double)m < c->result; j++) {
        if (before[j] < c->shift || before[j] > c->scale)
            continue;
        if ((int)c->rows[m] != j)
            fv_case_fail(c, "at[%d] = %d, want %d", m, (int)c->rows[m], j);
        fv_case_expect(c, "y", m, -1, c->p[m], (fv_want){(double)before[j], FV_EXACT});
        m++;
    }
}

static void call_mass(fv_case *c)
{
    int64_t count;
    c->result = ((fvk_mass_fn *)c->fn)(c->s, c->p, c->nk, c->shift, &count);
    c->work = (uint64_t)count;
}

void fv_case_mass(fv_case *c)
{
    double want = 0;
    uint64_t count = 0;
    draw_scores(c);
    c->shift = draw_bound(c);
    c->p = fv_case_floats(c, "w", (size_t)c->nk);
    for (int j = 0; j < c->nk; j++) {
        c->p[j] = (float)fv_draw_real(c, 0, 1);
        want += c->s[j] > c->shift ? (double)c->p[j] : 0;
        count += c->s[j] > c->shift;
    }
    c->call = call_mass;
    if (!fv_case_run(c))
        return;
    if (c->work != count)
        fv_case_fail(c, "mass counts %lld, want %lld above %g", (long long)c->work, (long long)count, (double)c->shift);
    expect_sum(c, "mass", c->result, want, want);
}

static void call_scale(fv_case *c)
{
    ((fvk_scale_fn *)c->fn)(c->s, c->nk, (double)c->scale + (double)c->shift, c->p);
}

void fv_case_scale(fv_case *c)
{
    fv_want *want = c->memory->want;
    draw_scores(c);
    c->scale = (float)fv_draw_real(c, -2, 2);
    c->shift = c->scale * (float)fv_draw_real(c, -0x1p-25, 0x1p-25); /* the part that a float does not hold */
    for (int j = 0; j < c->nk; j++) {
        double x;
        if (isinf(c->s[j]))
            c->s[j] = NAN;
        x = (double)c->s[j] * ((double)c->scale + (double)c->shift);
        want[j] = (fv_want){x, 0x1.02p-23 * fabs(x)};
    }
    c->p = fv_draw_once_in(c, 2) ? c->s : fv_case_floats(c, "y", (size_t)c->nk);
    c->call = call_scale;
    if (!fv_case_run(c))
        return;
    for (int j = 0; j < c->nk; j++)
        fv_case_expect(c, "y", j, -1, c->p[j], want[j]);
}

static void call_veil(fv_case *c)
{
    int64_t count;
    c->result = ((fvk_veil_fn *)c->fn)(c->s, c->p, c->nk, c->shift, c->o, &count);
    c->work = (uint64_t)count;
}

void fv_case_veil(fv_case *c)
{
    fv_want *want = c->memory->want;
    double sum = 0;
    uint64_t count = 0;
    draw_scores(c);
    c->shift = draw_bound(c);
    c->p = fv_case_floats(c, "e", (size_t)c->nk);
    for (int j = 0; j < c->nk; j++) {
        int under = c->s[j] < c->shift;
        c->p[j] = (float)fv_draw_real(c, 0, 1);
        want[j] = (fv_want){under ? (double)FVK_DROPPED : (double)c->p[j], FV_EXACT};
        sum += under ? 0 : (double)c->p[j];
        count += !under;
    }
    c->o = fv_draw_once_in(c, 3) ? c->s : fv_draw_once_in(c, 2) ? c->p : fv_case_floats(c, "y", (size_t)c->nk);
    c->call = call_veil;
    if (!fv_case_run(c))
        return;
    for (int j = 0; j < c->nk; j++)
        fv_case_expect(c, "y", j, -1, c->o[j], want[j]);
    if (c->work != count)
        fv_case_fail(c, "veil counts %lld, want %lld", (long long)c->work, (long long)count);
    expect_sum(c, "sum", c->result, sum, sum);
}

/* Scores, and a ramp that a part of them exceeds; its parameters in c->o as floats, exact. */
static fvk_ramp draw_ramp(fv_case *c)
{
    fvk_ramp ramp;
    c->nk = fv_draw_once_in(c, 4) ? fv_draw_int(c, 1, 3000) : fv_draw_keys(c);
    c->s = fv_case_floats(c, "x", (size_t)c->nk);
    for (int j = 0; j < c->nk; j++)
        c->s[j] = (float)(c->clean || !fv_draw_once_in(c, 50) ? fv_draw_score(c) : -INFINITY);
    ramp.shift = (double)c->s[fv_draw_int(c, 0, c->nk - 1)];
    ramp.shift = isfinite(ramp.shift) ? ramp.shift : 1;
    ramp.slope = fv_draw_once_in(c, 2) ? 1 : 0.5;
    ramp.tau = (double)(float)fv_draw_real(c, -1, 0);
    c->o = fv_case_floats(c, "ramp", 3);
    c->o[0] = (float)ramp.shift;
    c->o[1] = (float)ramp.slope;
    c->o[2] = (float)ramp.tau;
    return ramp;
}

static double over(float x, const fvk_ramp *ramp)
{
    double r = ((double)x - ramp->shift) * ramp->slope - ramp->tau;
    return r < 0 ? 0 : r;
}

static void call_moments(fv_case *c)
{
    const fvk_ramp ramp = {(double)c->o[0], (double)c->o[1], (double)c->o[2]};
    ((fvk_moments_fn *)c->fn)(c->s, c->nk, &ramp, (int)c->work, c->memory->q);
}

void fv_case_moments(fv_case *c)
{
    static const char *const names[3] = {"count", "sum", "squares"};
    const fvk_ramp ramp = draw_ramp(c);
    double want[3] = {0, 0, 0};
    c->work = (uint64_t)fv_draw_int(c, 0, 1);
    for (int j = 0; j < c->nk; j++) {
        double r = over(c->s[j], &ramp);
        want[0] += r > 0;
        want[1] += r;
        want[2] += c->work ? r * r : 0;
    }
    c->call = call_moments;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < 3; i++)
        expect_sum(c, names[i], c->memory->q[i], want[i], i ? want[i] : 0);
}

static void call_ramp(fv_case *c)
{
    const fvk_ramp ramp = {(double)c->o[0], (double)c->o[1], (double)c->o[2]};
    ((fvk_ramp_fn *)c->fn)(c->s, c->nk, &ramp, (int)c->work, c->p);
}

void fv_case_ramp(fv_case *c)
{
    fv_want *want = c->memory->want;
    const fvk_ramp ramp = draw_ramp(c);
    c->work = (uint64_t)fv_draw_int(c, 0, 1);
    c->p = fv_draw_once_in(c, 2) ? c->s : fv_case_floats(c, "y", (size_t)c->nk);
    for (int j = 0; j < c->nk; j++) {
        double r = over(c->s[j], &ramp);
        r = c->work ? r * r : r;
        want[j] = (fv_want){r, 0x1p-23 * r};
    }
    c->call = call_ramp;
    if (!fv_case_run(c))
        return;
    for (int j = 0; j < c->nk; j++)
        fv_case_expect(c, "y", j, -1, c->p[j], want[j]);
}

/* ------------------------------------------------------------------ measuring */

static void call_peak(fv_case *c)
{
    c->result = ((fvk_peak_fn *)c->fn)(c->work);
}

/* It claims some work, a finite amount. */
void fv_case_peak(fv_case *c)
{
    c->work = (uint64_t)fv_draw_int(c, 1, 3000);
    c->call = call_peak;
    if (fv_case_run(c) && !(c->result > 0 && isfinite(c->result)))
        fv_case_fail(c, "peak(%d) = %g, want a finite number above 0", (int)c->work, c->result);
}

static void call_read(fv_case *c)
{
    c->result = ((fvk_read_fn *)c->fn)(c->block, (size_t)c->work);
}

/* Its checksum is the sum of the floats in the block, so nothing of it was passed over. Blocks of whole KiB: a
   kernel may leave out what is no full step of its loop. */
void fv_case_read(fv_case *c)
{
    int n = 256 * fv_draw_int(c, 1, 80);
    c->block = fv_case_floats(c, "block", (size_t)n);
    for (int i = 0; i < n; i++)
        c->block[i] = (float)fv_draw_real(c, 0.5, 1);
    c->nk = n;
    c->work = (uint64_t)n * sizeof(float);
    c->call = call_read;
    if (fv_case_run(c))
        fv_case_expect(c, "checksum", 0, -1, (float)c->result, fv_ref_sum(c->block, (size_t)n));
}
