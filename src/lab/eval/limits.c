/* The machine's ceilings; see limits.h. */
#include "eval/limits.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum what { FMA, BF16, READ };

typedef struct job {
    pthread_t thread;
    int started;
    const fovea_context *context;
    enum what what;
    size_t bytes;
    double seconds, result;
} job;

static void *measure(void *arg)
{
    job *j = arg;
    switch (j->what) {
    case FMA:
        j->result = fovea_measure_fma(j->context, j->seconds);
        break;
    case BF16:
        j->result = fovea_measure_bf16(j->context, j->seconds);
        break;
    case READ:
        j->result = fovea_measure_read(j->context, j->bytes, j->seconds);
        break;
    }
    return NULL;
}

/* Runs the same measurement on every thread at once; the sum. */
static double together(job *jobs, unsigned threads, job model)
{
    double sum = 0;
    for (unsigned t = 0; t < threads; t++) {
        jobs[t] = model;
        if (t > 0)
            jobs[t].started = pthread_create(&jobs[t].thread, NULL, measure, &jobs[t]) == 0;
    }
    measure(&jobs[0]);
    for (unsigned t = 0; t < threads; t++) {
        if (jobs[t].started)
            pthread_join(jobs[t].thread, NULL);
        sum += jobs[t].result;
    }
    return sum;
}

static double measure_one(const fovea_context *context, enum what what, size_t bytes, double seconds)
{
    const unsigned threads = fovea_context_threads(context);
    job *jobs = calloc(threads, sizeof *jobs);
    double sum;
    if (!jobs)
        return 0;
    sum = together(jobs, threads,
                   (job){.context = context, .what = what, .bytes = bytes / threads, .seconds = seconds});
    free(jobs);
    return sum;
}

double limits_fma(const fovea_context *context, double seconds)
{
    return measure_one(context, FMA, 0, seconds);
}

double limits_bf16(const fovea_context *context, double seconds)
{
    return measure_one(context, BF16, 0, seconds);
}

double limits_read(const fovea_context *context, size_t bytes, double seconds)
{
    return measure_one(context, READ, bytes, seconds);
}

limits limits_measure(const fovea_context *context, size_t bytes, double seconds)
{
    const limits found = {
        .fma = limits_fma(context, seconds),
        .bf16 = limits_bf16(context, seconds),
        .read = limits_read(context, bytes, seconds),
    };
    return found;
}

limits limits_larger(limits a, limits b)
{
    const limits larger = {fmax(a.fma, b.fma), fmax(a.bf16, b.bf16), fmax(a.read, b.read)};
    return larger;
}

limits_verdict limits_judge(const limits *l, double flops, double bytes, int uses_bf16, double ns)
{
    /* GFLOP/s is flop/ns and GB/s is byte/ns */
    const int bf16 = uses_bf16 && l->bf16 > 0;
    const double peak = bf16 ? l->bf16 : l->fma;
    const double compute = peak > 0 ? flops / peak : 0, traffic = l->read > 0 ? bytes / l->read : 0;
    const limits_verdict verdict = {
        .limit = traffic > compute ? "read"
                 : bf16            ? "bf16"
                                   : "fma",
        .percent = ns > 0 && (compute > 0 || traffic > 0) ? 100 * fmax(compute, traffic) / ns : NAN,
    };
    return verdict;
}

int limits_kernel_uses_bf16(const char *kernel)
{
    const char *isa = kernel ? strstr(kernel, "__") : NULL;
    return isa && (strstr(isa, "bf16") || !strcmp(isa, "__amx"));
}
