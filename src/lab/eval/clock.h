/* Wall-clock timing of functions that compete: warm-up, then rounds in which each runs once, so that a machine that
   drifts (temperature, neighbours) drifts for all of them alike. */
#ifndef FV_LAB_EVAL_CLOCK_H
#define FV_LAB_EVAL_CLOCK_H
#include <stddef.h>
#include <stdint.h>

/* Monotonic nanoseconds since an arbitrary start. */
uint64_t clock_ns(void);

/* best: the smallest; spread: interquartile range, third minus first quartile (quantile.h). NaN when samples is 0. */
typedef struct clock_times {
    double best, median, spread; /* nanoseconds per call */
    size_t samples;              /* timed samples */
    unsigned calls;              /* calls per sample: more than one for functions too short for the clock */
} clock_times;

/* values: nanoseconds; sorted in place. */
clock_times clock_summary(double *values, size_t n);

typedef struct clock_race {
    unsigned runners;
    int (*run)(void *user, unsigned runner); /* nonzero stops the race */
    void *user;
    unsigned rounds;   /* timed rounds wanted, at least 1 */
    double sample_ns;  /* least length of a sample; 0: CLOCK_SAMPLE_NS */
    int rehearse;      /* 1: a runner with several calls to a sample is called once untimed before each: what ran in between
                          has emptied the caches */
    double seconds;    /* no new round begins after so many seconds, except the first CLOCK_ROUNDS_MIN */
    void (*progress)(void *user, unsigned done, unsigned all); /* after each run; may be NULL */
} clock_race;

enum {
    CLOCK_SAMPLE_NS = 200000, /* a sample lasts at least so long: 200 us is 10^4 times what reading the clock costs */
    CLOCK_CALLS_MAX = 1000,
    CLOCK_ROUNDS_MIN = 3      /* fewer have no spread */
};

/* times: [runners]. Each runner is called once untimed: the warm-up, which also chooses `calls`. Returns 0, what run()
   returned, or -1 when memory is missing. */
int clock_run(const clock_race *race, clock_times *times);
#endif
