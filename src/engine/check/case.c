/* Drawing, arguments and comparison of one case. */
#include "check/case.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const uint32_t filling = 0x5b5a5a5a; /* 6.1e16: finite, so that no comparison with NaN passes by it */

/* ------------------------------------------------------------------ draws */

/* splitmix64's finalizer (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) on a counter. */
uint64_t fv_draw(fv_case *c)
{
    uint64_t z = c->key + ++c->counter * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int fv_draw_int(fv_case *c, int lo, int hi)
{
    return lo + (int)((fv_draw(c) >> 32) * (uint64_t)(hi - lo + 1) >> 32);
}

int fv_draw_once_in(fv_case *c, int n)
{
    return fv_draw_int(c, 1, n) == 1;
}

double fv_draw_real(fv_case *c, double lo, double hi)
{
    return lo + (hi - lo) * ((double)(fv_draw(c) >> 11) * 0x1p-53);
}

double fv_draw_value(fv_case *c, fvk_dtype dtype)
{
    double half = dtype == FVK_F16 ? 6 : 20; /* f16 ends at 2^16 */
    switch (c->values) {
    case FV_SPREAD:
        return ldexp(fv_draw_real(c, 1, 2), (int)fv_draw_real(c, -half, half)) * (fv_draw(c) & 1 ? 1 : -1);
    case FV_EQUAL:
        return 0.7f;
    case FV_TINY:
        return fv_draw_real(c, -1, 1) * (dtype == FVK_F16 ? 0x1p-13 : 0x1p-124);
    case FV_INTEGERS:
        return fv_draw_int(c, -4, 4);
    default:
        return fv_draw_real(c, -1, 1);
    }
}

double fv_draw_poison(fv_case *c)
{
    int kind = fv_draw_int(c, 0, 3);
    return kind < 2 ? NAN : kind == 2 ? INFINITY : -INFINITY;
}

int fv_draw_dim(fv_case *c)
{
    static const short favourites[] = {1,  2,  3,  4,  7,  8,   9,   15,  16,  17,  31,  32,
                                       33, 63, 64, 65, 96, 128, 129, 160, 192, 256, 257, 300};
    enum { FAVOURITES = sizeof favourites / sizeof *favourites };
    if (c->number < 2 * FAVOURITES) /* once on each side of the guard */
        return favourites[c->number / 2];
    return fv_draw(c) & 1 ? favourites[fv_draw_int(c, 0, FAVOURITES - 1)] : fv_draw_int(c, 1, FV_CASE_DIM);
}

int fv_draw_keys(fv_case *c)
{
    int kind = fv_draw_int(c, 0, 9);
    return fv_draw_int(c, 1, kind < 5 ? 17 : kind < 9 ? 70 : FV_CASE_KEYS);
}

/* ------------------------------------------------------------------ arguments */

float *fv_case_floats(fv_case *c, const char *name, size_t n)
{
    float *x = fv_guard_get(c->memory->guard, name, -1, n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        memcpy(x + i, &filling, sizeof filling);
    return x;
}

static double put(void *row, int t, fvk_dtype dtype, double value)
{
    if (dtype == FVK_F32) {
        float f = (float)value;
        memcpy((float *)row + t, &f, sizeof f);
        return (double)f;
    }
    uint16_t bits = fv_ref_to_half(dtype, value);
    memcpy((uint16_t *)row + t, &bits, sizeof bits);
    return fv_ref_from_half(dtype, bits);
}

const void *const *fv_case_rows(fv_case *c, const char *name, int count, int n, fvk_dtype dtype, double *shadow)
{
    size_t bytes = (size_t)n * (dtype == FVK_F32 ? 4 : 2);
    void **rows = fv_guard_get(c->memory->guard, "row pointers", -1, (size_t)count * sizeof *rows);
    for (int j = 0; j < count; j++) {
        rows[j] = fv_guard_get(c->memory->guard, name, j, bytes);
        for (int t = 0; t < n; t++) {
            double x = put(rows[j], t, dtype, fv_draw_value(c, dtype));
            if (shadow)
                shadow[(size_t)j * n + t] = x;
        }
    }
    return (const void *const *)rows;
}

void fv_case_put(fv_case *c, const void *const *rows, int j, int n, int t, fvk_dtype dtype, double value,
                 double *shadow)
{
    (void)c;
    shadow[(size_t)j * n + t] = put((void *)(uintptr_t)rows[j], t, dtype, value);
}

void fv_case_hide(fv_case *c, int lanes)
{
    uint32_t all = (uint32_t)((1ull << lanes) - 1), columns = all, stretch = 0;
    int kind = fv_draw_int(c, 0, 10), left = 0, lead = fv_draw_int(c, -lanes, 2 * lanes);
    c->rows = NULL;
    if (kind < 3)
        return;
    c->rows = fv_guard_get(c->memory->guard, "rows", -1, (size_t)c->nk * sizeof *c->rows);
    if (kind == 5) /* one lane sees no key */
        columns &= ~(1u << fv_draw_int(c, 0, lanes - 1));
    if (kind == 6) /* half of them do not */
        columns &= (uint32_t)fv_draw(c);
    for (int j = 0; j < c->nk; j++) {
        uint32_t bits = (uint32_t)fv_draw(c) | (kind == 4 ? (uint32_t)fv_draw(c) : 0);
        int edge = fv_draw_int(c, 0, 7);
        if (edge == 0 || kind == 7) /* a key that no lane sees */
            bits = 0;
        else if (edge == 1) /* one that all see */
            bits = all;
        else if (edge == 2) /* a causal edge */
            bits = all << fv_draw_int(c, 0, lanes - 1);
        if (kind == 8 || kind == 9) { /* the edge of a band: every key one lane later than the one before */
            int from = j - lead < 0 ? 0 : j - lead < lanes ? j - lead : lanes;
            bits = from == lanes ? 0 : all << from & all;
            bits = kind == 9 ? all & ~bits : bits;
        }
        if (kind == 10) { /* stretches that one half of the lanes sees, or the other, all or none */
            static const uint32_t halves[] = {0, 1, 2, 3, 3};
            if (left == 0) {
                uint32_t half = halves[fv_draw_int(c, 0, 4)];
                stretch = (half & 1 ? all >> lanes / 2 : 0) | (half & 2 ? all & all << lanes / 2 : 0);
                left = fv_draw_int(c, 1, fv_draw_once_in(c, 3) ? 40 : 8);
            }
            left--;
            bits = stretch & (edge ? ~0u : (uint32_t)fv_draw(c));
        }
        c->rows[j] = bits & columns;
    }
}

int fv_case_sees(const fv_case *c, int j, int lane)
{
    return !c->rows || (c->rows[j] >> lane & 1);
}

void fv_case_poison(fv_case *c, int lanes, const void *const *rows, int n, fvk_dtype dtype, double *shadow)
{
    uint32_t all = (uint32_t)((1ull << lanes) - 1);
    for (int j = 0; j < c->nk; j++) {
        uint32_t sees = c->rows ? c->rows[j] : all;
        if (!sees && !fv_draw_once_in(c, 4))
            for (int t = 0; t < n; t++)
                fv_case_put(c, rows, j, n, t, dtype, fv_draw_poison(c), shadow);
        else if (!c->clean && sees != all && fv_draw_once_in(c, 6))
            fv_case_put(c, rows, j, n, fv_draw_int(c, 0, n - 1), dtype, fv_draw_poison(c), shadow);
        else if (!c->clean && sees == all && fv_draw_once_in(c, 50))
            fv_case_put(c, rows, j, n, fv_draw_int(c, 0, n - 1), dtype, fv_draw_poison(c), shadow);
    }
}

/* ------------------------------------------------------------------ call and comparison */

void fv_case_fail(fv_case *c, const char *format, ...)
{
    va_list list;
    if (c->failed)
        return;
    c->failed = 1;
    va_start(list, format);
    vsnprintf(c->text, sizeof c->text, format, list);
    va_end(list);
}

static void call_case(void *arg)
{
    fv_case *c = arg;
    c->call(c);
}

int fv_case_run(fv_case *c)
{
    char text[FV_CASE_TEXT];
    if (!fv_guard_call(c->memory->guard, call_case, c, text, sizeof text))
        fv_case_fail(c, "%s", text);
    return !c->failed;
}

static void put_place(char *text, size_t n, const char *name, int i, int j)
{
    if (j < 0)
        snprintf(text, n, "%s[%d]", name, i);
    else
        snprintf(text, n, "%s[%d][%d]", name, i, j);
}

static int meets(fv_case *c, double got, fv_want want)
{
    double error = fabs(got - want.value), allowed = want.allowed + FV_FLUSH;
    if (isnan(want.value))
        return isnan(got);
    if (isinf(want.value) || want.allowed == FV_EXACT)
        return got == want.value && (!signbit(want.value) || signbit(got)); /* -0 must stay; +0 may come as either */
    if (!(error <= allowed))
        return 0;
    if (error / allowed > c->worst)
        c->worst = error / allowed;
    return 1;
}

void fv_case_expect(fv_case *c, const char *name, int i, int j, float got, fv_want want)
{
    char place[48];
    if (meets(c, (double)got, want))
        return;
    put_place(place, sizeof place, name, i, j);
    if (want.allowed == FV_EXACT || isnan(want.value) || isinf(want.value))
        fv_case_fail(c, "%s = %.9g, want %.9g exactly", place, (double)got, want.value);
    else
        fv_case_fail(c, "%s = %.9g, want %.9g, allowed %.2g", place, (double)got, want.value, want.allowed + FV_FLUSH);
}

void fv_case_untouched(fv_case *c, const char *name, int i, int j, float got)
{
    char place[48];
    uint32_t bits;
    memcpy(&bits, &got, sizeof bits);
    if (bits == filling)
        return;
    put_place(place, sizeof place, name, i, j);
    fv_case_fail(c, "%s = %.9g was written and is no result", place, (double)got);
}
