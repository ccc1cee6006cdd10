/* The suite of limits: which workloads are held to which goals, and what a measured figure means.

   limits.tsv has a row per workload: a new one is a new line there, no code. limits-found.tsv has what a
   recording run found, by processor. Goals were set on one micro-architecture, AMD's Zen 4: there each is
   asserted. On another processor a goal is shown, but what counts is a regression: a figure that falls short of
   the recorded one. */
#ifndef FV_LAB_EVAL_SUITE_H
#define FV_LAB_EVAL_SUITE_H
#include "eval/operands.h"
#include "eval/shapes.h"
#include "io/tsv.h"
#include <fovea/fovea.h>

/* What a row's figure is. */
typedef enum suite_kind {
    SUITE_PEAK, /* % of the peak of fma, or of the bf16 dot where a bf16 plan uses it */
    SUITE_COLD, /* % of what compute peak and read bandwidth allow together, keys and values not in a cache */
    SUITE_PROPORTION, /* % of density-proportional time: density * time of the other / time */
    SUITE_POINTS,     /* share of the peak less the other's, in points */
    SUITE_TIMES,      /* time / time of the other */
    SUITE_NEIGHBOUR,  /* % of the other's rate, per useful flop or byte, whichever binds */
    SUITE_EACH,       /* us for each head of the batch */
    SUITE_BOUND,      /* time / (flops and exponentials at the fma peak) */
    SUITE_SPEEDUP,    /* time on one thread / time on the row's threads */
    SUITE_PLAN,       /* us to plan a shape again */
    SUITE_REGION,     /* us for an empty parallel region of the row's threads */
    SUITE_CUT,        /* time to cut one row of lk scores to its k largest / time to read it once */
    SUITE_KINDS
} suite_kind;

typedef struct suite_kind_row {
    const char *name, *unit;
    int higher; /* 1: more is better */
    int other;  /* 1: compares with a second workload, which must be named */
    const char *what;
} suite_kind_row;
const suite_kind_row *suite_kind_at(unsigned kind); /* NULL past the last */

/* One workload. */
typedef struct suite_work {
    const char *spec, *shape_text;
    shape shape;
    fovea_dtype dtype;
    fovea_precision precision;
    operands_layout layout;
    unsigned threads;
} suite_work;

typedef struct suite_row {
    const char *name;
    suite_kind kind;
    suite_work work, other;
    const char *isa; /* the set that the row is about, or NULL: the strongest */
    double goal;     /* on a Zen 4 */
    double
        noise; /* points that this row is allowed beside the tolerance when it is held against a recorded figure */
    const char *note; /* "" when there is none */
} suite_row;

typedef struct suite {
    suite_row *row;
    size_t count;
    tsv file;
} suite;

/* One line in why[SHAPES_TEXT] and an exit code of the tool (3, 4), or 0. */
int suite_read(const char *path, suite *s, char *why);
void suite_free(suite *s);

/* ------------------------------------------------------------------ recorded figures */

typedef struct suite_found {
    tsv file;
} suite_found;
int suite_found_read(const char *path, suite_found *f, char *why);
void suite_found_free(suite_found *f);
/* The figure recorded for a processor's row; NaN when there is none. */
double suite_found_figure(const suite_found *f, const char *cpu, const char *row);
/* 1 when the processor has any. */
int suite_found_knows(const suite_found *f, const char *cpu);
/* Writes the table again with the figures of `cpu` for the given rows replaced (those that are NaN are left as
   they were). */
int suite_found_write(const suite_found *f, const char *path, const char *cpu,
                      const char *const *row, const double *figure, size_t count, char *why);

/* ------------------------------------------------------------------ verdicts */

/* Zen 4 by vendor, family and model. */
int suite_is_zen4(const char *vendor, int family, int model);

/* By how many points a figure falls short of a wanted one; negative when it is better. Points of the unit where
   that is % or points, else per cent of the wanted figure. NaN when either is NaN. */
double suite_shortfall(suite_kind kind, double figure, double wanted);

typedef enum suite_state {
    SUITE_MET,       /* the goal is reached */
    SUITE_NEAR,      /* short of it by no more than the tolerance */
    SUITE_UNMET,     /* further from it, but it is not asserted here */
    SUITE_SHORT,     /* further from it, and it is asserted: counts */
    SUITE_REGRESSED, /* short of what was recorded for this processor: counts */
    SUITE_SKIPPED    /* not measured */
} suite_state;

typedef struct suite_verdict {
    suite_state state;
    int met; /* the goal is reached */
    double
        shortfall; /* of what counts: the goal where asserted, else the recorded figure; NaN without one */
} suite_verdict;

/* goal: the row's, or what is left of it where the machine cannot give more (figure.h). found: the recorded
   figure or NaN. asserted: this processor is the one that the goals were set on. */
suite_verdict suite_judge(const suite_row *row, double figure, double goal, double found,
                          int asserted, double tolerance);
#endif
