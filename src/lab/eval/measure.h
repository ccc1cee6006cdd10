/* Several variants on one problem: planned, run, timed in turn, and held against dense attention in double.

   measure_create plans everything, so that whatever can fail fails before time is spent; measure_bytes says what
   measure_run will allocate; measure_run allocates workspace and output once, shared by all variants, then
     1. computes the reference on the sampled rows (reference.h), for the problem's own causal flag and score edits;
     2. runs each variant once on all rows: errors of the sampled rows of that output, count of kept pairs;
     3. runs each variant on the sampled rows alone with a mask: recall. The mask is [batch, hq, sampled rows, lk], the
        only array here that grows with rows times keys beside the reference's probabilities;
     4. times them, interleaved (clock.h).

   Selection is not timed apart yet: no variant of this version selects keys before attending. */
#ifndef FV_LAB_EVAL_MEASURE_H
#define FV_LAB_EVAL_MEASURE_H
#include "eval/clock.h"
#include "eval/metrics.h"
#include <fovea/fovea.h>

typedef struct measure_input {
    fovea_problem problem;     /* nrows = -1, o without gaps; neither varlen nor paged */
    fovea_arguments arguments; /* q, k, v, bias, sinks; outputs NULL */
    int64_t nrows;             /* sampled rows per head, at least 1 and at most lq; 0 only when lq is 0 */
    const int64_t *rows;       /* increasing */
} measure_input;

typedef struct measure_result {
    fovea_cost cost;
    double kept;             /* pairs that entered the output */
    double density_realised; /* kept / dense pairs; NaN when there are none */
    clock_times times;
    metrics_errors errors;
    metrics_recall recall;
} measure_result;

typedef struct measure measure;

/* Input and recipes are borrowed until measure_destroy. On failure *culprit (may be NULL) is the index of the
   recipe. */
fovea_status measure_create(fovea_context *context, const measure_input *input, const fovea_recipe *const *recipes,
                            unsigned count, measure **m, unsigned *culprit, fovea_error *err);
void measure_destroy(measure *m); /* NULL is fine */
double measure_bytes(const measure *m);
const fovea_plan *measure_plan(const measure *m, unsigned recipe);

typedef struct measure_options {
    unsigned repeat;  /* timed rounds */
    double seconds;   /* time budget of the rounds; the first three always run */
    /* what: "reference", "checking", "timing"; may be NULL */
    void (*progress)(void *user, const char *what, double part);
    void *user;
    /* Runs once in every round beside the recipes, untimed; may be NULL. What is measured here shares the clock, the heat and
       the neighbours of the recipes. */
    void (*beside)(void *user);
    void *beside_user;
} measure_options;

/* results: one per recipe. FOVEA_ERROR_MEMORY when something cannot be allocated. */
fovea_status measure_run(measure *m, const measure_options *options, measure_result *results, fovea_error *err);
#endif
