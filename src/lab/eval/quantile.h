/* Order statistics of a few numbers. One definition for the whole tool: the quantile at probability p of n sorted
   values lies at index p (n - 1), linearly between its two neighbours (definition 7 of Hyndman and Fan, 1996; the
   default of R and NumPy). */
#ifndef FV_LAB_EVAL_QUANTILE_H
#define FV_LAB_EVAL_QUANTILE_H
#include <stddef.h>

/* Sorts ascending, in place. The values must not be NaN. */
void quantile_sort(double *values, size_t n);
/* Of sorted values; p in [0, 1]. NaN when n is 0. */
double quantile_sorted(const double *values, size_t n, double p);
#endif
