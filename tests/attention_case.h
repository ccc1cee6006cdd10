/* A case of attention for tests of the public interface: random tensors, an execution with guarded outputs, and the
   comparison with the oracle of ref/attention_ref.h. Sizes of the inputs are exact, so that a sanitizer
   sees what reads too far. */
#ifndef FV_TESTS_ATTENTION_CASE_H
#define FV_TESTS_ATTENTION_CASE_H
#include "ref/attention_ref.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fovea/fovea.h>
#include <stddef.h>
#include <stdint.h>

/* A SPEC and what it means. */
typedef struct attention_rule {
    const char *spec;
    attention_keep *keep; /* NULL: every key */
    int causal;           /* the SPEC says causal by itself, or it is asked for by the problem */
    int passes;           /* as in attention_ref */
} attention_rule;

typedef struct attention_case {
    char name[200]; /* what failures print */
    fovea_problem problem;
    fovea_arguments arguments;      /* q, k, v and the outputs of the case; edit before running */
    float *q, *k, *v, *bias;        /* contiguous, as rounded to the storage type */
    void *q_data, *k_data, *v_data; /* in the storage type */
    float sinks[32];
    float *o, *lse, *row_max;
    uint8_t *mask;
    size_t o_count, rows, mask_count; /* elements; rows counts lse and row_max */
    uint64_t kept;
} attention_case;

typedef struct attention_run {
    const char *isa; /* NULL: the best */
    unsigned threads;
} attention_run;

/* ------------------------------------------------------------------ random numbers, the same everywhere */

typedef struct draw {
    uint64_t state;
} draw;
double draw_uniform(draw *d); /* 0 <= x < 1 */
double draw_gaussian(draw *d);
int64_t draw_below(draw *d, int64_t n);

/* ------------------------------------------------------------------ instruction sets */

/* Parameters of a ParameterizedTest that runs once for each instruction set of this build: numbers, as unsigned. */
struct criterion_test_params every_isa(void);
/* The instruction set of that number with one thread; skips the test by name where this CPU lacks it. */
attention_run with_isa(const unsigned *number);

/* ------------------------------------------------------------------ cases */

/* Gaussian tensors. Outputs hold [batch, hq, lq, ...]. */
attention_case *case_new(int64_t batch, int64_t hq, int64_t hkv, int64_t lq, int64_t lk, int64_t d, int64_t dv,
                         fovea_dtype dtype, uint64_t seed);
void case_free(attention_case *c);
/* Rounds q, k and v again to their storage type, after they were changed. */
void case_store(attention_case *c);
/* A bias [batch or 1, hq or 1, lq, lk], every twentieth entry -infinity when `holes`; logits per head. */
void case_add_bias(attention_case *c, draw *d, int per_batch, int per_head, int holes);
void case_add_sinks(attention_case *c, draw *d);
/* Other rows, or other output strides over `elements` floats: the outputs are allocated again. */
void case_set_rows(attention_case *c, int64_t n, const int64_t *rows);
void case_set_output(attention_case *c, fovea_strides strides, size_t elements);

/* Fills the outputs and what lies behind them with a canary. */
void case_lay_canary(attention_case *c);
/* Lays the canary and executes; the status is the first failure. */
fovea_status case_try(attention_case *c, const char *spec, attention_run run, fovea_error *err);
/* The same; anything but success fails the test. Elements behind the outputs must keep their canary. */
void case_run(attention_case *c, const char *spec, attention_run run);
/* o, lse and row maximum of one query row; b counts batch entries, row output rows. */
const float *case_output(const attention_case *c, int64_t b, int64_t h, int64_t row);
/* 1 when no output was written since the canary was laid. */
int case_untouched(const attention_case *c);

/* Bounds and values of batch entry b. Free with attention_ref_free. */
attention_ref case_reference(const attention_case *c, int64_t b, const attention_rule *rule);
/* All outputs of the last run against the oracle: o, lse, row maximum within their bounds, mask and kept exactly. */
void case_check(const attention_case *c, const attention_rule *rule);
/* case_run and case_check. */
void case_verify(attention_case *c, const attention_rule *rule, attention_run run);
/* Demands the same bits in o, lse and row maximum; strides of o may differ. */
void case_same(const attention_case *a, const attention_case *b, const char *what);
/* Element of an output within its bound of the truth; NaN where the truth is NaN. */
void case_near(const attention_case *c, const char *what, int64_t h, int64_t row, int64_t column, double got,
               double truth, double bound);
#endif
