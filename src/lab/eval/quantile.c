/* Order statistics; see quantile.h for the definition. */
#include "eval/quantile.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void quantile_sort(double *values, size_t n)
{
    if (n > 1)
        qsort(values, n, sizeof *values, ascending);
}

double quantile_sorted(const double *values, size_t n, double p)
{
    if (n == 0)
        return NAN;
    const double at = p * (double)(n - 1);
    const size_t low = (size_t)at;
    if (low + 1 >= n)
        return values[n - 1];
    const double part = at - (double)low;
    /* An exact hit must not touch its neighbour: 0 * infinity is NaN. */
    return part == 0 ? values[low] : values[low] + part * (values[low + 1] - values[low]);
}
