/* Interleaved timing; see clock.h. */
#include "eval/clock.h"

#include "eval/quantile.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

clock_times clock_summary(double *values, size_t n)
{
    quantile_sort(values, n);
    const clock_times times = {
        .best = n ? values[0] : NAN,
        .median = quantile_sorted(values, n, 0.5),
        .spread = quantile_sorted(values, n, 0.75) - quantile_sorted(values, n, 0.25),
        .samples = n,
        .calls = 1,
    };
    return times;
}

/* Calls a runner `calls` times; *ns is the time of one. */
static int sample(const clock_race *race, unsigned runner, unsigned calls, double *ns)
{
    const int rehearsed = race->rehearse && calls > 1 ? race->run(race->user, runner) : 0;
    if (rehearsed)
        return rehearsed;
    const uint64_t start = clock_ns();
    for (unsigned c = 0; c < calls; c++) {
        const int status = race->run(race->user, runner);
        if (status)
            return status;
    }
    *ns = (double)(clock_ns() - start) / calls;
    return 0;
}

/* calls[r] such that a sample lasts long enough. */
static int warm_up(const clock_race *race, unsigned *calls)
{
    const double least = race->sample_ns > 0 ? race->sample_ns : CLOCK_SAMPLE_NS;
    for (unsigned r = 0; r < race->runners; r++) {
        double ns = 0;
        const int status = sample(race, r, 1, &ns);
        if (status)
            return status;
        const double wanted = ceil(least / (ns > 1 ? ns : 1));
        calls[r] = wanted < 1 ? 1 : wanted > CLOCK_CALLS_MAX ? CLOCK_CALLS_MAX : (unsigned)wanted;
    }
    return 0;
}

/* values: [runners, rounds]; returns the rounds done in *done. */
static int rounds(const clock_race *race, const unsigned *calls, double *values, unsigned *done)
{
    const uint64_t start = clock_ns();
    const unsigned least = race->rounds < CLOCK_ROUNDS_MIN ? race->rounds : CLOCK_ROUNDS_MIN;
    for (*done = 0; *done < race->rounds; ++*done) {
        if (*done >= least && (double)(clock_ns() - start) > race->seconds * 1e9)
            break;
        for (unsigned r = 0; r < race->runners; r++) {
            const int status = sample(race, r, calls[r], values + (size_t)r * race->rounds + *done);
            if (status)
                return status;
            if (race->progress)
                race->progress(race->user, *done * race->runners + r + 1,
                               race->rounds * race->runners);
        }
    }
    return 0;
}

int clock_run(const clock_race *race, clock_times *times)
{
    double *values = calloc((size_t)race->runners * race->rounds + 1, sizeof *values);
    unsigned *calls = calloc((size_t)race->runners + 1, sizeof *calls);
    int status = values && calls ? warm_up(race, calls) : -1;
    unsigned done = 0;
    if (!status)
        status = rounds(race, calls, values, &done);
    for (unsigned r = 0; !status && r < race->runners; r++) {
        times[r] = clock_summary(values + (size_t)r * race->rounds, done);
        times[r].calls = calls[r];
    }
    free(values);
    free(calls);
    return status;
}
