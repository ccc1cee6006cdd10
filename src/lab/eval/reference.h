/* Dense attention on a few query rows, in double, written from the formula:

     s_j = cap(scale <q, k_j>) + bias_j - slope |p - j|      for the visible keys j
     p_j = exp(s_j) / (sum exp(s_j) + exp(sink)),  o = sum p_j v_j,  lse = ln(sum exp(s_j) + exp(sink))

   It is what errors and recall are measured against, so it calls nothing of libfovea: of the public header it takes
   only the structs that describe a problem. Inputs are converted to double from their stored type, without rounding.

   Visible: every key, or with `causal` the keys j <= i + lk - lq; a bias of -infinity hides its pair. A row without
   visible keys has o = 0, p = 0, lse = -infinity whatever its sink; NaN in a hidden key or value does not leak. */
#ifndef FV_LAB_EVAL_REFERENCE_H
#define FV_LAB_EVAL_REFERENCE_H
#include <fovea/fovea.h>

/* Rows `rows` (indices below lq) of one query head, [nrows] each:
     o   [nrows, dv]  may be NULL
     p   [nrows, lk]  required: it is the scratch too
     lse [nrows]      may be NULL
   A scale of 0 means 1/sqrt(d). Keys and values come from arguments->k and v; row pointers, pages and varlen are
   refused. Time is nrows lk (d + dv) multiply-adds; each key and value is converted once. Returns 0, or -1 for a
   problem that it refuses or when memory for a few rows of doubles is missing. */
int reference_rows(const fovea_problem *problem, const fovea_arguments *arguments, int64_t batch, int64_t head,
                   const int64_t *rows, int64_t nrows, double *o, double *p, double *lse);

/* n rows (1 <= n <= lq) spread evenly over lq, increasing, the last row among them: ((i + 1) lq) / n - 1. */
void reference_spread(int64_t lq, int64_t n, int64_t *rows);

/* ALiBi slope of query head h of `heads` (Press et al., 2022, arXiv 2108.12409): 2^(-8 (h + 1) / heads) for a power
   of two; otherwise with n the largest power of two below it the slopes of n, then every second slope of 2n. */
double reference_alibi_slope(int64_t heads, int64_t head);

/* Value of one stored element. */
double reference_element(fovea_dtype dtype, const void *data, int64_t index);
#endif
