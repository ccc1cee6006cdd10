/* Faults made on purpose, around the scalar kernels: what a wrong kernel does, in its mildest form. The check must
   report each of them, and again when only the reported case is run. A fault that needs a condition (two lanes, a
   mask) does nothing in the cases that lack it. */
#include "check/check.h"
#include "check/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 8 }; /* of the scalar tile; fv_check_mutations makes sure */

static void (*real)(void);

static const float wrong = 1 + 1e-5f; /* 168 u: beyond every bound that a short sum has */

static void touch(const void *row, ptrdiff_t i)
{
    (void)*((const volatile float *)row + i);
}

static void swap(float *a, float *b)
{
    float t = *a;
    *a = *b;
    *b = t;
}

/* Swaps lanes 0 and 1 of n rows of a tile. */
static void swap_lanes(float *x, int n)
{
    for (int j = 0; j < n; j++)
        swap(x + j * LANES, x + j * LANES + 1);
}

static void scale_all(float *x, int n, ptrdiff_t step)
{
    for (int i = 0; i < n; i++)
        x[i * step] *= wrong;
}

/* ------------------------------------------------------------------ pack */

static void pack(const void *const *q, int n, int d, float scale, float *qt)
{
    ((fvk_pack_fn *)real)(q, n, d, scale, qt);
}

static void pack_drops(const void *const *q, int n, int d, float scale, float *qt)
{
    pack(q, n, d, scale, qt);
    memset(qt + (d - 1) * LANES, 0, LANES * sizeof *qt);
}

static void pack_swaps(const void *const *q, int n, int d, float scale, float *qt)
{
    pack(q, n, d, scale, qt);
    swap_lanes(qt, d);
}

static void pack_scales(const void *const *q, int n, int d, float scale, float *qt)
{
    pack(q, n, d, scale * wrong, qt);
}

static void pack_reads_beyond(const void *const *q, int n, int d, float scale, float *qt)
{
    pack(q, n, d, scale, qt);
    touch(q[n - 1], d);
}

static void pack_reads_before(const void *const *q, int n, int d, float scale, float *qt)
{
    pack(q, n, d, scale, qt);
    touch(q[0], -1);
}

static void pack_reads_row_beyond(const void *const *q, int n, int d, float scale, float *qt)
{
    pack(q, n, d, scale, qt);
    touch(q + n, 0);
}

static void pack_writes_beyond(const void *const *q, int n, int d, float scale, float *qt)
{
    pack(q, n, d, scale, qt);
    qt[d * LANES] = 0;
}

static void pack_leaves_lanes(const void *const *q, int n, int d, float scale, float *qt)
{
    pack(q, n, d, scale, qt);
    if (n < LANES)
        qt[(d - 1) * LANES + LANES - 1] = 1;
}

/* ------------------------------------------------------------------ qk */

static void qk(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s, float *mx,
               const void *const *next, const fvk_far *far)
{
    ((fvk_qk_fn *)real)(qt, d, k, nk, rows, s, mx, next, far);
}

static void qk_drops(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s, float *mx,
                     const void *const *next, const fvk_far *far)
{
    qk(qt, d, k, nk - 1, rows, s, mx, next, far);
    for (int i = 0; i < LANES; i++)
        s[(nk - 1) * LANES + i] = FVK_HIDDEN;
}

static void qk_swaps(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s, float *mx,
                     const void *const *next, const fvk_far *far)
{
    qk(qt, d, k, nk, rows, s, mx, next, far);
    swap_lanes(s, nk);
}

static void qk_scales(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s, float *mx,
                      const void *const *next, const fvk_far *far)
{
    static float scaled[FV_CASE_DIM * LANES];
    for (int i = 0; i < d * LANES; i++)
        scaled[i] = qt[i] * wrong;
    qk(scaled, d, k, nk, rows, s, mx, next, far);
}

static void qk_reads_beyond(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s,
                            float *mx, const void *const *next, const fvk_far *far)
{
    qk(qt, d, k, nk, rows, s, mx, next, far);
    touch(k[nk - 1], d);
}

static void qk_reads_key_beyond(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s,
                                float *mx, const void *const *next, const fvk_far *far)
{
    qk(qt, d, k, nk, rows, s, mx, next, far);
    touch(k + nk, 0);
}

static void qk_reads_far(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s,
                            float *mx, const void *const *next, const fvk_far *far)
{
    qk(qt, d, k, nk, rows, s, mx, next, far);
    if (far && far->row)
        touch(far->row[0], 0);
}

static void qk_writes_beyond(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s,
                             float *mx, const void *const *next, const fvk_far *far)
{
    qk(qt, d, k, nk, rows, s, mx, next, far);
    s[nk * LANES] = 0;
}

static void qk_sees_all(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s, float *mx,
                        const void *const *next, const fvk_far *far)
{
    (void)rows;
    qk(qt, d, k, nk, NULL, s, mx, next, far);
}

static void qk_forgets_maximum(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s,
                               float *mx, const void *const *next, const fvk_far *far)
{
    for (int i = 0; i < LANES; i++)
        mx[i] = FVK_HIDDEN;
    qk(qt, d, k, nk, rows, s, mx, next, far);
}

/* Faults of a kernel that sums wide heads in slices. */
static void qk_forgets_slice(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s,
                             float *mx, const void *const *next, const fvk_far *far)
{
    const void *rest[FV_CASE_KEYS];
    const int from = d > 256 ? 144 : 0;
    for (int j = 0; j < nk; j++)
        rest[j] = (const float *)k[j] + from;
    qk(qt + from * LANES, d - from, rest, nk, rows, s, mx, next, far);
}

static void qk_takes_partial_maximum(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s,
                                     float *mx, const void *const *next, const fvk_far *far)
{
    if (d > 256)
        qk(qt, 144, k, nk, rows, s, mx, NULL, NULL);
    qk(qt, d, k, nk, rows, s, mx, next, far);
}

/* ------------------------------------------------------------------ softmax */

static void softmax(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    ((fvk_softmax_fn *)real)(s, nk, m, mx, l, alpha);
}

static void softmax_drops(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    for (int i = 0; i < LANES; i++)
        s[(nk - 1) * LANES + i] = FVK_HIDDEN;
    softmax(s, nk, m, mx, l, alpha);
}

static void softmax_swaps(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    softmax(s, nk, m, mx, l, alpha);
    swap_lanes(s, nk);
}

static void softmax_scales(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    softmax(s, nk, m, mx, l, alpha);
    scale_all(s, nk * LANES, 1);
}

static void softmax_scales_sum(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    softmax(s, nk, m, mx, l, alpha);
    scale_all(l, LANES, 1);
}

static void softmax_reads_beyond(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    softmax(s, nk, m, mx, l, alpha);
    touch(s, nk * LANES);
}

static void softmax_writes_beyond(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    softmax(s, nk, m, mx, l, alpha);
    s[nk * LANES] = 0;
}

static void softmax_writes_before(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    softmax(s, nk, m, mx, l, alpha);
    s[-1] = 0;
}

/* exp2(hidden - hidden) = 1 in a lane that sees nothing */
static void softmax_counts_hidden(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    int empty = s[0] == FVK_HIDDEN && m[0] == FVK_HIDDEN && mx[0] == FVK_HIDDEN;
    softmax(s, nk, m, mx, l, alpha);
    if (empty)
        l[0] += 1;
}

static void softmax_forgets_sum(float *s, int nk, float *m, const float *mx, float *l, float *alpha)
{
    memset(l, 0, LANES * sizeof *l);
    softmax(s, nk, m, mx, l, alpha);
}

/* ------------------------------------------------------------------ pv */

static void pv(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
               float *ot, const fvk_far *far)
{
    ((fvk_pv_fn *)real)(p, nk, v, dv, rows, alpha, ot, far);
}

static void pv_drops(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                     float *ot, const fvk_far *far)
{
    if (nk > 1)
        nk--;
    pv(p, nk, v, dv, rows, alpha, ot, far);
}

static void pv_swaps(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                     float *ot, const fvk_far *far)
{
    pv(p, nk, v, dv, rows, alpha, ot, far);
    swap_lanes(ot, dv);
}

static void pv_scales(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                      float *ot, const fvk_far *far)
{
    pv(p, nk, v, dv, rows, alpha, ot, far);
    scale_all(ot, dv * LANES, 1);
}

static void pv_reads_beyond(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                            float *ot, const fvk_far *far)
{
    pv(p, nk, v, dv, rows, alpha, ot, far);
    touch(v[nk - 1], dv);
}

static void pv_writes_beyond(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                             float *ot, const fvk_far *far)
{
    pv(p, nk, v, dv, rows, alpha, ot, far);
    ot[dv * LANES] = 0;
}

static void pv_sees_all(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                        float *ot, const fvk_far *far)
{
    (void)rows;
    pv(p, nk, v, dv, NULL, alpha, ot, far);
}

static void pv_overwrites(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                          float *ot, const fvk_far *far)
{
    (void)alpha;
    pv(p, nk, v, dv, rows, NULL, ot, far);
}

/* 0 times NaN: what is left when the accumulator is multiplied instead of overwritten */
static void pv_keeps_rubbish(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                             float *ot, const fvk_far *far)
{
    static const float none[LANES];
    pv(p, nk, v, dv, rows, alpha ? alpha : none, ot, far);
}

/* ------------------------------------------------------------------ dot */

static void dot(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s, ptrdiff_t lds,
                const fvk_ahead *ahead)
{
    ((fvk_dot_fn *)real)(q, ldq, n, d, k, nk, s, lds, ahead);
}

static void dot_drops(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s,
                      ptrdiff_t lds, const fvk_ahead *ahead)
{
    dot(q, ldq, n, d, k, nk - 1, s, lds, ahead);
}

static void dot_swaps(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s,
                      ptrdiff_t lds, const fvk_ahead *ahead)
{
    dot(q, ldq, n, d, k, nk, s, lds, ahead);
    for (int j = 0; n > 1 && j < nk; j++)
        swap(s + j, s + lds + j);
}

static void dot_scales(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s,
                       ptrdiff_t lds, const fvk_ahead *ahead)
{
    dot(q, ldq, n, d, k, nk, s, lds, ahead);
    scale_all(s, nk, 1);
}

static void dot_reads_beyond(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s,
                             ptrdiff_t lds, const fvk_ahead *ahead)
{
    dot(q, ldq, n, d, k, nk, s, lds, ahead);
    touch(k[nk - 1], d);
}

static void dot_reads_between(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s,
                              ptrdiff_t lds, const fvk_ahead *ahead)
{
    dot(q, ldq, n, d, k, nk, s, lds, ahead);
    if (n > 1 && ldq > d)
        s[0] += 0 * q[d];
}

static void dot_writes_beyond(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s,
                              ptrdiff_t lds, const fvk_ahead *ahead)
{
    dot(q, ldq, n, d, k, nk, s, lds, ahead);
    s[(n - 1) * lds + nk] = 0;
}

static void dot_writes_between(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s,
                               ptrdiff_t lds, const fvk_ahead *ahead)
{
    dot(q, ldq, n, d, k, nk, s, lds, ahead);
    if (n > 1 && lds > nk)
        s[nk] = 0;
}

/* ------------------------------------------------------------------ small */

static void small_softmax_drops(const fvk_small *a)
{
    fvk_small b = *a;
    b.nk -= b.nk > 1 && !b.tail;
    ((fvk_small_softmax_fn *)real)(&b);
}

static void small_softmax_shows(const fvk_small *a)
{
    fvk_small b = *a;
    b.bias = NULL;
    ((fvk_small_softmax_fn *)real)(&b);
}

static void small_softmax_writes_beyond(const fvk_small *a)
{
    ((fvk_small_softmax_fn *)real)(a);
    a->l[(a->n + LANES - 1) / LANES * LANES] = 0;
}

static void small_pv_forgets_tail(const fvk_small *a, const void *const *v, int dv, const float *r, float *const *o)
{
    fvk_small b = *a;
    b.nk -= b.tail;
    b.tail = 0;
    ((fvk_small_pv_fn *)real)(&b, v, dv, r, o);
}

static void small_pv_sees_all(const fvk_small *a, const void *const *v, int dv, const float *r, float *const *o)
{
    fvk_small b = *a;
    b.see = NULL;
    b.bias = NULL;
    ((fvk_small_pv_fn *)real)(&b, v, dv, r, o);
}

static void small_pv_swaps(const fvk_small *a, const void *const *v, int dv, const float *r, float *const *o)
{
    ((fvk_small_pv_fn *)real)(a, v, dv, r, o);
    if (a->n > 1)
        swap(o[0], o[1]);
}

static void small_tail_drops(const float *k, int d, const void *const *q, int n, float *s)
{
    ((fvk_small_tail_fn *)real)(k, d > 1 ? d - 1 : d, q, n, s);
}

/* ------------------------------------------------------------------ axpy */

static void axpy(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv, const uint32_t *rows,
                 const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead)
{
    ((fvk_axpy_fn *)real)(p, ldp, n, nk, v, dv, rows, alpha, o, ldo, ahead);
}

static void axpy_drops(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv, const uint32_t *rows,
                       const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead)
{
    axpy(p, ldp, n, nk > 1 ? nk - 1 : nk, v, dv, rows, alpha, o, ldo, ahead);
}

static void axpy_swaps(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv, const uint32_t *rows,
                       const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead)
{
    axpy(p, ldp, n, nk, v, dv, rows, alpha, o, ldo, ahead);
    for (int c = 0; n > 1 && c < dv; c++)
        swap(o + c, o + ldo + c);
}

static void axpy_scales(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv,
                        const uint32_t *rows, const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead)
{
    axpy(p, ldp, n, nk, v, dv, rows, alpha, o, ldo, ahead);
    scale_all(o, n, ldo);
}

static void axpy_reads_beyond(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv,
                              const uint32_t *rows, const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead)
{
    axpy(p, ldp, n, nk, v, dv, rows, alpha, o, ldo, ahead);
    touch(v[nk - 1], dv);
}

static void axpy_writes_beyond(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv,
                               const uint32_t *rows, const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead)
{
    axpy(p, ldp, n, nk, v, dv, rows, alpha, o, ldo, ahead);
    o[(n - 1) * ldo + dv] = 0;
}

static void axpy_sees_all(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv,
                          const uint32_t *rows, const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead)
{
    (void)rows;
    axpy(p, ldp, n, nk, v, dv, NULL, alpha, o, ldo, ahead);
}

static void axpy_overwrites(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv,
                            const uint32_t *rows, const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead)
{
    (void)alpha;
    axpy(p, ldp, n, nk, v, dv, rows, NULL, o, ldo, ahead);
}

/* ------------------------------------------------------------------ columns */

static void column_weigh_shows(const fvk_columns *a)
{
    ((fvk_column_weigh_fn *)real)(a);
    a->rows[a->n - 1] = ~0u;
}

static void column_moments_drop(const fvk_columns *a, double *const sum[3])
{
    fvk_columns less = *a;
    less.n = a->n - 1;
    ((fvk_column_moments_fn *)real)(&less, sum);
}

static void column_sums_step(const float *x, const float *w, int64_t n, int64_t step, const float *t, double *sum, float *count)
{
    (void)step;
    ((fvk_column_sums_fn *)real)(x, w, n, 1, t, sum, count);
}

static uint32_t column_search_stops(const fvk_search *a)
{
    fvk_search less = *a;
    less.steps = a->steps / 20;
    return ((fvk_column_search_fn *)real)(&less);
}

static uint32_t column_search_opens(const fvk_search *a)
{
    fvk_search more = *a;
    more.open = ~0u;
    return ((fvk_column_search_fn *)real)(&more);
}

static uint32_t column_search_forgets(const fvk_search *a)
{
    fvk_search less = *a;
    less.dense = NULL;
    return ((fvk_column_search_fn *)real)(&less);
}

static uint32_t column_search_counts(const fvk_search *a)
{
    uint32_t left = ((fvk_column_search_fn *)real)(a);
    a->many[0][0]++;
    return left;
}

static void column_collect_forgets(const float *x, int64_t n, const float *lo, const float *hi, int room, float *y, int32_t *at,
                                   int32_t *count)
{
    float far[FVK_MAX_LANES];
    (void)hi;
    for (int i = 0; i < FVK_MAX_LANES; i++)
        far[i] = __builtin_inff();
    ((fvk_column_collect_fn *)real)(x, n, lo, far, room, y, at, count);
}

static void column_collect_writes_beyond(const float *x, int64_t n, const float *lo, const float *hi, int room, float *y,
                                         int32_t *at, int32_t *count)
{
    ((fvk_column_collect_fn *)real)(x, n, lo, hi, room + 1, y, at, count);
}

static void column_add_all(const float *p, int nk, const uint32_t *rows, uint32_t lanes, const void *const *v, int dv, float *const *o)
{
    (void)lanes;
    ((fvk_column_add_fn *)real)(p, nk, rows, ~0u, v, dv, o);
}

/* ------------------------------------------------------------------ rows of scores */

static double exp_forgets_bound(const float *x, int64_t n, float shift, float lo, float *y)
{
    (void)lo;
    return ((fvk_exp_fn *)real)(x, n, shift, -__builtin_inff(), y);
}

static double exp_sum_in_float(const float *x, int64_t n, float shift, float lo, float *y)
{
    return (double)(float)((fvk_exp_fn *)real)(x, n, shift, lo, y);
}

static int64_t sift_drops(const float *x, int64_t n, float lo, float hi, float *y, int32_t *at)
{
    int64_t m = ((fvk_sift_fn *)real)(x, n, lo, hi, y, at);
    return m > 1 ? m - 1 : m;
}

static int64_t sift_swaps(const float *x, int64_t n, float lo, float hi, float *y, int32_t *at)
{
    int64_t m = ((fvk_sift_fn *)real)(x, n, lo, hi, y, at);
    if (m > 1) {
        int32_t t = at[0];
        swap(y, y + 1);
        at[0] = at[1];
        at[1] = t;
    }
    return m;
}

static int64_t sift_writes_beyond(const float *x, int64_t n, float lo, float hi, float *y, int32_t *at)
{
    int64_t m = ((fvk_sift_fn *)real)(x, n, lo, hi, y, at);
    y[m + FVK_SIFT_ROOM] = 0;
    return m;
}

static double mass_drops(const float *x, const float *w, int64_t n, float t, int64_t *count)
{
    double sum = ((fvk_mass_fn *)real)(x, w, n, t, count);
    return x[n - 1] > t ? sum - (double)w[n - 1] : sum;
}

static double mass_counts_equal(const float *x, const float *w, int64_t n, float t, int64_t *count)
{
    double sum = ((fvk_mass_fn *)real)(x, w, n, t, count);
    for (int64_t j = 0; j < n; j++)
        *count += x[j] == t;
    return sum;
}

static void scale_scales(const float *x, int64_t n, double c, float *y)
{
    ((fvk_scale_fn *)real)(x, n, c * (double)wrong, y);
}

static double veil_shows(const float *x, const float *e, int64_t n, float lo, float *y, int64_t *count)
{
    float last = e[n - 1];
    double sum = ((fvk_veil_fn *)real)(x, e, n, lo, y, count);
    y[n - 1] = last;
    return sum;
}

static void moments_drop(const float *x, int64_t n, const fvk_ramp *ramp, int square, double sum[3])
{
    ((fvk_moments_fn *)real)(x, n - 1, ramp, square, sum);
}

static void ramp_scales(const float *x, int64_t n, const fvk_ramp *ramp, int square, float *y)
{
    ((fvk_ramp_fn *)real)(x, n, ramp, square, y);
    scale_all(y, (int)n, 1);
}

static void kept_all(float *p, int nk, uint32_t *rows)
{
    ((fvk_kept_fn *)real)(p, nk, rows);
    rows[nk - 1] = ~0u;
}

static void kept_leaves(float *p, int nk, uint32_t *rows)
{
    float last = p[nk * LANES - 1];
    ((fvk_kept_fn *)real)(p, nk, rows);
    p[nk * LANES - 1] = last;
}

/* ------------------------------------------------------------------ all of them */

typedef struct mutant {
    fvk_op op;
    const char *fault;
    void (*fn)(void);
} mutant;

#define FAULT(op, does, fn)          \
    {                                \
        op, does, (void (*)(void))fn \
    }

static const mutant mutants[] = {
    FAULT(FVK_PACK, "pack: drops the last element", pack_drops),
    FAULT(FVK_PACK, "pack: swaps two lanes", pack_swaps),
    FAULT(FVK_PACK, "pack: scale off by 1e-5", pack_scales),
    FAULT(FVK_PACK, "pack: reads one element beyond a row", pack_reads_beyond),
    FAULT(FVK_PACK, "pack: reads one element before a row", pack_reads_before),
    FAULT(FVK_PACK, "pack: reads one row pointer too many", pack_reads_row_beyond),
    FAULT(FVK_PACK, "pack: writes beyond the tile", pack_writes_beyond),
    FAULT(FVK_PACK, "pack: leaves lanes beyond n as they are", pack_leaves_lanes),
    FAULT(FVK_QK, "qk: drops the last key", qk_drops),
    FAULT(FVK_QK, "qk: swaps two lanes", qk_swaps),
    FAULT(FVK_QK, "qk: scale off by 1e-5", qk_scales),
    FAULT(FVK_QK, "qk: reads one element beyond a key", qk_reads_beyond),
    FAULT(FVK_QK, "qk: reads one key pointer too many", qk_reads_key_beyond),
    FAULT(FVK_QK, "qk: reads values instead of prefetching them", qk_reads_far),
    FAULT(FVK_QK, "qk: writes beyond the scores", qk_writes_beyond),
    FAULT(FVK_QK, "qk: shows hidden pairs", qk_sees_all),
    FAULT(FVK_QK, "qk: forgets the maximum of before", qk_forgets_maximum),
    FAULT(FVK_QK, "qk: forgets a slice of a wide head", qk_forgets_slice),
    FAULT(FVK_QK, "qk: maximum of unfinished sums", qk_takes_partial_maximum),
    FAULT(FVK_SOFTMAX, "softmax: drops the last key", softmax_drops),
    FAULT(FVK_SOFTMAX, "softmax: swaps two lanes", softmax_swaps),
    FAULT(FVK_SOFTMAX, "softmax: probabilities off by 1e-5", softmax_scales),
    FAULT(FVK_SOFTMAX, "softmax: sum off by 1e-5", softmax_scales_sum),
    FAULT(FVK_SOFTMAX, "softmax: reads beyond the scores", softmax_reads_beyond),
    FAULT(FVK_SOFTMAX, "softmax: writes beyond the scores", softmax_writes_beyond),
    FAULT(FVK_SOFTMAX, "softmax: writes before the scores", softmax_writes_before),
    FAULT(FVK_SOFTMAX, "softmax: counts a hidden pair", softmax_counts_hidden),
    FAULT(FVK_SOFTMAX, "softmax: forgets the sum of before", softmax_forgets_sum),
    FAULT(FVK_PV, "pv: drops the last key", pv_drops),
    FAULT(FVK_PV, "pv: swaps two lanes", pv_swaps),
    FAULT(FVK_PV, "pv: scale off by 1e-5", pv_scales),
    FAULT(FVK_PV, "pv: reads one element beyond a value", pv_reads_beyond),
    FAULT(FVK_PV, "pv: writes beyond the accumulator", pv_writes_beyond),
    FAULT(FVK_PV, "pv: counts hidden pairs", pv_sees_all),
    FAULT(FVK_PV, "pv: overwrites where it should add", pv_overwrites),
    FAULT(FVK_PV, "pv: reads the accumulator it should overwrite", pv_keeps_rubbish),
    FAULT(FVK_SMALL_TAIL, "small_tail: drops the last element", small_tail_drops),
    FAULT(FVK_SMALL_SOFTMAX, "small_softmax: drops the last key", small_softmax_drops),
    FAULT(FVK_SMALL_SOFTMAX, "small_softmax: forgets the bias", small_softmax_shows),
    FAULT(FVK_SMALL_SOFTMAX, "small_softmax: writes beyond the sums", small_softmax_writes_beyond),
    FAULT(FVK_SMALL_PV, "small_pv: forgets the tail", small_pv_forgets_tail),
    FAULT(FVK_SMALL_PV, "small_pv: counts hidden pairs", small_pv_sees_all),
    FAULT(FVK_SMALL_PV, "small_pv: swaps two outputs", small_pv_swaps),
    FAULT(FVK_DOT, "dot: drops the last key", dot_drops),
    FAULT(FVK_DOT, "dot: swaps two rows", dot_swaps),
    FAULT(FVK_DOT, "dot: scale off by 1e-5", dot_scales),
    FAULT(FVK_DOT, "dot: reads one element beyond a key", dot_reads_beyond),
    FAULT(FVK_DOT, "dot: reads what lies between two queries", dot_reads_between),
    FAULT(FVK_DOT, "dot: writes beyond the scores", dot_writes_beyond),
    FAULT(FVK_DOT, "dot: writes what lies between two rows of scores", dot_writes_between),
    FAULT(FVK_AXPY, "axpy: drops the last key", axpy_drops),
    FAULT(FVK_AXPY, "axpy: swaps two rows", axpy_swaps),
    FAULT(FVK_AXPY, "axpy: scale off by 1e-5", axpy_scales),
    FAULT(FVK_AXPY, "axpy: reads one element beyond a value", axpy_reads_beyond),
    FAULT(FVK_AXPY, "axpy: writes beyond the output", axpy_writes_beyond),
    FAULT(FVK_AXPY, "axpy: counts hidden pairs", axpy_sees_all),
    FAULT(FVK_AXPY, "axpy: overwrites where it should add", axpy_overwrites),
    FAULT(FVK_EXP, "exp: forgets the bound", exp_forgets_bound),
    FAULT(FVK_EXP, "exp: sum rounded to float", exp_sum_in_float),
    FAULT(FVK_SIFT, "sift: drops the last number", sift_drops),
    FAULT(FVK_SIFT, "sift: swaps two numbers", sift_swaps),
    FAULT(FVK_SIFT, "sift: writes beyond its room", sift_writes_beyond),
    FAULT(FVK_MASS, "mass: drops the last number", mass_drops),
    FAULT(FVK_MASS, "mass: counts what equals the threshold", mass_counts_equal),
    FAULT(FVK_SCALE, "scale: off by 1e-5", scale_scales),
    FAULT(FVK_VEIL, "veil: shows the last number", veil_shows),
    FAULT(FVK_MOMENTS, "moments: drop the last number", moments_drop),
    FAULT(FVK_RAMP, "ramp: off by 1e-5", ramp_scales),
    FAULT(FVK_KEPT, "kept: shows a dropped pair", kept_all),
    FAULT(FVK_KEPT, "kept: leaves a mark", kept_leaves),
    FAULT(FVK_COLUMN_WEIGH, "column_weigh: shows the last key", column_weigh_shows),
    FAULT(FVK_COLUMN_MOMENTS, "column_moments: drop the last key", column_moments_drop),
    FAULT(FVK_COLUMN_SUMS, "column_sums: take every key", column_sums_step),
    FAULT(FVK_COLUMN_SEARCH, "column_search: stops early", column_search_stops),
    FAULT(FVK_COLUMN_SEARCH, "column_search: moves closed lanes", column_search_opens),
    FAULT(FVK_COLUMN_SEARCH, "column_search: forgets how dense", column_search_forgets),
    FAULT(FVK_COLUMN_SEARCH, "column_search: counts one too many", column_search_counts),
    FAULT(FVK_COLUMN_COLLECT, "column_collect: forgets the upper bound", column_collect_forgets),
    FAULT(FVK_COLUMN_COLLECT, "column_collect: writes beyond its room", column_collect_writes_beyond),
    FAULT(FVK_COLUMN_ADD, "column_add: adds to lanes not asked for", column_add_all),
};

/* Reports a failure, and the same one again when only the case it names is run. */
static int catches(const fv_case_memory *memory, const fvk_row *row, void (*fn)(void), char *detail)
{
    char again[FV_CHECK_DETAIL];
    const char *number;
    if (fv_check_row(memory, row, fn, 0, 0, FV_CHECK_CASES - 1, detail))
        return 0;
    number = strstr(detail, "--case ");
    if (!number)
        return 0;
    unsigned n = (unsigned)strtoul(number + 7, NULL, 10);
    return !fv_check_row(memory, row, fn, 0, n, n, again) && !strcmp(detail, again);
}

unsigned fv_check_mutations(void (*report)(void *user, const char *fault, int caught, const char *detail), void *user)
{
    const unsigned scalar = 1u << FVK_SCALAR;
    char detail[FV_CHECK_DETAIL];
    unsigned missed = 0;
    fv_case_memory *memory = fv_check_open();
    for (size_t i = 0; i < sizeof mutants / sizeof *mutants; i++) {
        const fvk_row *row = fvk_find(mutants[i].op, FVK_F32, scalar, 0);
        int caught = 0;
        if (!memory) {
            snprintf(detail, sizeof detail, "no memory for the guarded pages of the check");
        } else if (!row || (row->lanes && row->lanes != LANES)) {
            snprintf(detail, sizeof detail, "no scalar kernel with %d lanes", LANES);
        } else {
            real = row->fn;
            caught = catches(memory, row, mutants[i].fn, detail);
        }
        missed += !caught;
        report(user, mutants[i].fault, caught, detail);
    }
    if (memory)
        fv_check_close(memory);
    return missed;
}
