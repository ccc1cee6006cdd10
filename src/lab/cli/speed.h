/* How fast a plan runs, beside what its cost model predicts and what the machine allows: for `explain --measure`. */
#ifndef FV_LAB_SPEED_H
#define FV_LAB_SPEED_H
#include "cli/cli.h"
#include "eval/limits.h"

typedef struct speed {
    double predicted_ns;
    double measured_ns; /* best of some rounds on synthetic data; NaN when not measured */
    double fma, bf16, read; /* the machine's rates meanwhile: GFLOP/s, GFLOP/s, GB/s over a block of the problem's size */
    const char *limit; /* which of them binds: "fma", "bf16", "read"; NULL when not measured */
    double measured_percent, predicted_percent; /* least time by that limit over the time, in percent */
} speed;

/* The prediction alone. */
speed speed_predict(const fovea_plan *plan);
/* Adds the measurement: about a second. EXIT_DONE, or the line is printed and the exit code returned. */
int speed_measure(const cli *c, fovea_context *context, const fovea_problem *problem, const fovea_plan *plan,
                  const fovea_cost *cost, speed *s);
#endif
