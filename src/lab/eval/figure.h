/* The figure of one row of the suite, measured: its workload, what it is compared with and the machine's limits
   run in turn, round after round, and the best of each counts. */
#ifndef FV_LAB_EVAL_FIGURE_H
#define FV_LAB_EVAL_FIGURE_H
#include "eval/suite.h"

typedef struct figure_options {
    unsigned rounds; /* of which three always run */
    double seconds;  /* no new round of a row begins after so long */
    uint64_t seed;
    const char *isa; /* cap of every row, or NULL */
    unsigned cpus;   /* that this process may run on */
} figure_options;

typedef struct figure {
    double value; /* NaN when the row was skipped */
    const char
        *limit;  /* "fma", "bf16", "read"; "other" is the second workload; "threads"; "none" */
    double rate; /* of the limit: GFLOP/s or GB/s; NaN where it is a time */
    double goal; /* the row's, or what memory allows of it (speedup) */
    double best_ns, other_ns;
    size_t samples;
    double unsteady;   /* median over best of the rounds, the larger of both workloads; at least 1 */
    double huge_bytes; /* of this process on huge pages while the row ran; -1: unknown */
    char kernel[64];
    char note[160];    /* what the reader must know of this measurement; "" */
    char skipped[120]; /* why; "" when it was measured */
} figure;

/* A figure whose median round is further from the best than this says more about the machine's other users. */
#define FIGURE_UNSTEADY 1.2

/* 0, or an exit code of the tool with a line in why[SHAPES_TEXT]. */
int figure_measure(const suite_row *row, const figure_options *options, figure *f, char *why);
#endif
