/* Oracle of attention: one batch entry (or one sequence), in double, from the formulas of doc/numerics.md, with the
   error that its classes allow each output of a float computation. Shares nothing with the library. */
#ifndef FV_TESTS_ATTENTION_REF_H
#define FV_TESTS_ATTENTION_REF_H
#include <stdint.h>

/* How often key j enters the row of head h at position p = i + lk - lq: 0 hidden, 1 visible, more for a multiset. */
typedef int attention_keep(int64_t h, int64_t p, int64_t j);

typedef struct attention_ref {
    int64_t hq, hkv, lq, lk, d, dv;
    const float *q, *k, *v; /* [hq, lq, d], [hkv, lk, d], [hkv, lk, dv], contiguous, as rounded to their storage type */
    attention_keep *keep;   /* NULL: every key */
    int causal;             /* and j <= p */
    double scale;           /* 0: 1/sqrt(d) */
    double softcap;         /* 0: none */
    int alibi;
    const float *bias; /* NULL, or [hq or 1, lq or 1, lk] by these strides; -infinity hides */
    int64_t bias_head, bias_row;
    const float *sinks; /* NULL, or [hq] */
    int passes;         /* how often a computation may go through the keys of a row; 0 means 1 */
    int fast;           /* probabilities may be rounded to bf16 */

    /* Results of attention_ref_run, freed by attention_ref_free. A bound is the largest error allowed. */
    double *o, *o_bound;             /* [hq, lq, dv] */
    double *lse, *lse_bound;         /* [hq, lq] */
    double *row_max, *row_max_bound; /* [hq, lq] */
    int64_t *visible;                /* [hq, lq] pairs, as often as they enter */
} attention_ref;

void attention_ref_run(attention_ref *r);
void attention_ref_free(attention_ref *r);

/* 1 when row i of head h sees key j. */
int attention_ref_sees(const attention_ref *r, int64_t h, int64_t i, int64_t j);

/* Growth of the error of an n-term float sum, in units of 2^-24 times the sum of the absolute terms. */
double attention_ref_growth(double n);

/* ALiBi slope of head h among n. */
double attention_ref_slope(int64_t h, int64_t n);
#endif
