/* Building run lists from the side of a primitive: falling order, and keys at a stride seen from a class. */
#include "pattern/internal.h"

int64_t fv_gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

void fv_list_add_down(fv_list *list, const fv_view *view, int64_t lo, int64_t hi)
{
    fv_run *last = list->run + list->count;
    lo = fv_max(fv_view_t(view, lo), view->lo);
    hi = fv_min(fv_view_t(view, hi), view->hi);
    if (lo >= hi)
        return;
    if (list->count && last[-1].lo <= hi) {
        last[-1].lo = fv_min(last[-1].lo, lo);
        return;
    }
    last->lo = lo;
    last->hi = hi;
    list->count++;
}

void fv_list_reverse(fv_list *list)
{
    for (size_t a = 0, b = list->count; a + 1 < b; a++) {
        fv_run run = list->run[a];
        list->run[a] = list->run[--b];
        list->run[b] = run;
    }
}

/* Distance in t between keys of the class that are a multiple of s away from each other. */
static int64_t stride_in_class(int64_t s, int64_t step)
{
    return step == 1 ? s : s / fv_gcd(s, step);
}

int64_t fv_strided_bound(int64_t s, int64_t step, int64_t span)
{
    int64_t gap = stride_in_class(s, step);
    return gap == 1 ? 1 : span / step / gap + 2;
}

void fv_list_add_strided(fv_list *list, const fv_view *view, int64_t s, int64_t lo, int64_t hi)
{
    int64_t gap = stride_in_class(s, view->step);
    lo = fv_max(fv_view_t(view, lo), view->lo);
    hi = fv_min(fv_view_t(view, hi), view->hi);
    if (gap == 1) {
        fv_list_add_t(list, view, lo, hi);
        return;
    }
    for (int64_t t = lo + fv_floor_mod(view->own - lo, gap); t < hi; t += gap)
        fv_list_add_t(list, view, t, t + 1);
}
