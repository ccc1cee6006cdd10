/* Errors and recall; definitions in metrics.h. */
#include "eval/metrics.h"

#include "eval/quantile.h"

#include <math.h>

/* One row's sums. */
typedef struct row_sums {
    double oo, rr, or, dd, top;
} row_sums;

static row_sums sum_row(const float *o, const double *r, size_t dv)
{
    row_sums sums = {0, 0, 0, 0, 0};
    for (size_t t = 0; t < dv; t++) {
        const double x = o[t], difference = x - r[t];
        sums.oo += x * x;
        sums.rr += r[t] * r[t];
        sums.or += x * r[t];
        sums.dd += difference * difference;
        /* written so that NaN wins and stays */
        if (!(fabs(difference) <= sums.top) && !isnan(sums.top))
            sums.top = fabs(difference);
    }
    return sums;
}

static double row_cosine(const row_sums *sums)
{
    if (sums->oo == 0 && sums->rr == 0)
        return 1;
    if (sums->oo == 0 || sums->rr == 0)
        return 0;
    return sums->or / (sqrt(sums->oo) * sqrt(sums->rr));
}

metrics_errors metrics_compare(const float *o, const double *r, size_t rows, size_t dv)
{
    metrics_errors errors = {NAN, NAN, NAN};
    if (rows == 0)
        return errors;
    double rr = 0, dd = 0, top = 0, cosines = 0;
    for (size_t row = 0; row < rows; row++) {
        const row_sums sums = sum_row(o + row * dv, r + row * dv, dv);
        rr += sums.rr;
        dd += sums.dd;
        cosines += row_cosine(&sums);
        if (!(sums.top <= top) && !isnan(top))
            top = sums.top;
    }
    errors.rel_l2 = dd == 0 ? 0 : sqrt(dd / rr);
    errors.max_abs = top;
    errors.cosine = cosines / (double)rows;
    return errors;
}

double metrics_recall_row(const float *p, const uint8_t *kept, size_t lk)
{
    double all = 0, held = 0;
    for (size_t j = 0; j < lk; j++) {
        all += p[j];
        if (kept[j])
            held += p[j];
    }
    return all > 0 ? held / all : NAN;
}

metrics_recall metrics_recall_summary(double *values, size_t rows)
{
    size_t n = 0;
    double sum = 0;
    for (size_t i = 0; i < rows; i++) {
        if (isnan(values[i]))
            continue;
        sum += values[i];
        values[n++] = values[i];
    }
    quantile_sort(values, n);
    const metrics_recall recall = {
        .mean = n ? sum / (double)n : NAN,
        .p1 = quantile_sorted(values, n, 0.01),
        .min = n ? values[0] : NAN,
        .rows = n,
    };
    return recall;
}
