/* What an approximation cost: errors of output rows and recall of kept keys, accumulated in double.

   rel_l2   sqrt(sum (o - r)^2 / sum r^2) over all rows given; 0 when both are zero, infinite when only r is
   max_abs  largest |o - r|
   cosine   mean over rows of <o, r> / (|o| |r|); a row counts 1 when both are zero, 0 when one of them is
   recall   of a row: softmax mass of the DENSE row (same causal flag and score edits) on the keys that were kept, as a
            share of its mass on all keys, so that dense itself has recall 1 even when a sink takes part of the row.
            Rows in which dense sees no key have no recall and are left out. Mean, 1st percentile (quantile.h), minimum.

   NaN in o makes rel_l2, max_abs and cosine NaN. */
#ifndef FV_LAB_EVAL_METRICS_H
#define FV_LAB_EVAL_METRICS_H
#include <stddef.h>
#include <stdint.h>

typedef struct metrics_errors {
    double rel_l2, max_abs, cosine;
} metrics_errors;

typedef struct metrics_recall {
    double mean, p1, min; /* NaN when no row counted */
    size_t rows;          /* rows that counted */
} metrics_recall;

/* o and r: [rows, dv]. All three are NaN when there is no row. */
metrics_errors metrics_compare(const float *o, const double *r, size_t rows, size_t dv);

/* Recall of one row: p dense probabilities [lk], kept bytes [lk] (nonzero: kept). NaN when p has no mass. */
double metrics_recall_row(const float *p, const uint8_t *kept, size_t lk);

/* values: recall of each row, NaN for rows that do not count; sorted and overwritten. */
metrics_recall metrics_recall_summary(double *values, size_t rows);
#endif
