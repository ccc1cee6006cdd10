/* Oracle of the row normalisers: one row, in long double, straight from the formulas. Selection by counting how many
   keys precede each one (n^2), sparse maps by bisection on their threshold. Shares nothing with the library. */
#ifndef FV_TESTS_NORMALISE_REF_H
#define FV_TESTS_NORMALISE_REF_H
#include <stdint.h>

typedef struct ref_row {
    double *p;     /* [n] */
    uint8_t *keep; /* [n] */
    double lse;
} ref_row;

void ref_topk(const float *s, int64_t n, int64_t k, double sink, ref_row *out);
void ref_topp(const float *s, int64_t n, double p, double sink, ref_row *out);
void ref_threshold_rel(const float *s, int64_t n, double rel, int renorm, double sink, ref_row *out);
void ref_threshold_prob(const float *s, int64_t n, double prob, int renorm, double sink, ref_row *out);
void ref_localv(const float *s, int64_t n, int64_t k, double sink, ref_row *out);
void ref_entmax(const float *s, int64_t n, double alpha, ref_row *out); /* 2: sparsemax; no lse */
void ref_relu(const float *s, int64_t n, double power, ref_row *out);   /* no lse */
void ref_sigmoid(const float *s, int64_t n, double bias, ref_row *out); /* no lse */
#endif
