/* A workload of the suite of limits, ready to run: a context of its own, operands, plan, workspace.

   What a SPEC of the suite may name beside files: file:keep-P-RxC is a byte mask [1, R, C], made up, in which
   each row keeps P per cent of its entries, evenly drawn (at least one). With bq=32,bk=1 it is a list of keys for
   each tile of 32 queries. */
#ifndef FV_LAB_EVAL_WORKLOAD_H
#define FV_LAB_EVAL_WORKLOAD_H
#include "eval/suite.h"

/* Keys and values that a cold workload goes through before it comes back to the first: more than a core's share of any
   cache met, and on the machines tried the rate of reading no longer falls beyond it. */
enum { WORKLOAD_COLD_BYTES = 1 << 28 };

typedef struct workload {
    fovea_context *context;
    fovea_recipe *recipe;
    fovea_plan *plan;
    fovea_problem problem;
    fovea_arguments arguments;
    fovea_cost cost;
    double
        kept; /* share of the dense pairs that entered the output, in the run that workload_open makes; NaN unknown */
    void *made[3];
    float *o;
    void *workspace;
    size_t workspace_bytes;
    /* of a cold workload: `copies` sets of keys and values in one block, k and v in turn */
    char *cold;
    unsigned copies;
    size_t k_bytes, v_bytes;
} workload;

/* isa NULL: the strongest. cold: keys and values are gone from the caches at each run, which then goes through
   all copies. Plans and runs it once. 0, or an exit code of the tool (2, 3, 4) with a line in why[SHAPES_TEXT];
   free in both cases. */
int workload_open(workload *w, const suite_work *work, const char *isa, int cold, uint64_t seed,
                  char *why);
/* Plans only: no operands, no run. */
int workload_plan(workload *w, const suite_work *work, const char *isa, uint64_t seed, char *why);
void workload_free(workload *w);

/* One run: `copies` executions when cold, else one. 0, or the engine's status. */
int workload_run(const workload *w);
/* Bytes of q, k, v and o of one execution, within what reading can be measured on. */
size_t workload_bytes(const workload *w);
/* Flops (and 11 for each exponential when `exponentials` is set) of one run. An exponential is 5.5 cycles for 16
   of them where a cycle does 32 flops. */
double workload_flops(const workload *w, int exponentials);
#endif
