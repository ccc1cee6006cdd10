/* Times one plan between two measurements of the machine's rates; see speed.h. */
#include "cli/speed.h"

#include "cli/source.h"
#include "eval/clock.h"
#include <math.h>
#include <stdlib.h>

/* Rates are those of a block of the problem's size, within bounds. */
enum { READ_BYTES_MIN = 1 << 16, READ_BYTES_MAX = 1 << 28, ROUNDS = 25 };
static const double rate_seconds = 0.05, timing_seconds = 1;

typedef struct tensors {
    void *q, *k, *v, *workspace;
    float *o, *sinks;
} tensors;

static void free_tensors(tensors *t)
{
    free(t->q);
    free(t->k);
    free(t->v);
    free(t->o);
    free(t->sinks);
    free(t->workspace);
}

/* n elements of the type, evenly spread in -1..1. NULL without memory. */
static void *random_elements(fovea_dtype type, size_t n, uint32_t state)
{
    enum { PIECE = 256 };
    const size_t bytes = type == FOVEA_F32 ? 4 : 2;
    char *all = aligned_alloc(64, (n * bytes + 64) / 64 * 64);
    float piece[PIECE];
    for (size_t at = 0; all != NULL && at < n; at += PIECE) {
        const size_t count = n - at < PIECE ? n - at : PIECE;
        for (size_t i = 0; i < count; i++) {
            state = state * 1664525u + 1013904223u;
            piece[i] = (float)(int32_t)state / 2147483648.0f;
        }
        fovea_convert_from_f32(type, piece, all + at * bytes, count);
    }
    return all;
}

static int make_tensors(const cli *c, const fovea_problem *p, const fovea_plan *plan, tensors *t)
{
    const size_t queries = (size_t)(p->batch * p->hq * p->lq), keys = (size_t)(p->batch * p->hkv * p->lk);
    const double bytes = 4.0 * ((double)queries * (double)(p->d + p->dv) + (double)keys * (double)(p->d + p->dv)) +
                         (double)fovea_plan_workspace(plan);
    const int code = source_check_memory(c, bytes, "the tensors to measure with");
    if (code != EXIT_DONE)
        return code;
    t->q = random_elements(p->dtype, queries * (size_t)p->d, 1);
    t->k = random_elements(p->dtype, keys * (size_t)p->d, 2);
    t->v = random_elements(p->dtype, keys * (size_t)p->dv, 3);
    t->o = calloc(queries * (size_t)p->dv + 1, sizeof *t->o);
    t->sinks = calloc((size_t)p->hq, sizeof *t->sinks);
    t->workspace = aligned_alloc(64, (fovea_plan_workspace(plan) + 64) / 64 * 64);
    if (t->q && t->k && t->v && t->o && t->sinks && t->workspace)
        return EXIT_DONE;
    free_tensors(t);
    return cli_fail(c, EXIT_RESOURCE, "no memory for the tensors to measure with (%.0f bytes)", bytes);
}

typedef struct timing {
    const fovea_plan *plan;
    fovea_arguments arguments;
    void *workspace;
    fovea_error err;
} timing;

static int execute(void *user, unsigned runner)
{
    timing *t = user;
    (void)runner;
    return fovea_execute(t->plan, &t->arguments, t->workspace, fovea_plan_workspace(t->plan), &t->err) != FOVEA_OK;
}

speed speed_predict(const fovea_plan *plan)
{
    const speed s = {.predicted_ns = fovea_plan_predicted_ns(plan),
                     .measured_ns = NAN,
                     .measured_percent = NAN,
                     .predicted_percent = NAN};
    return s;
}

/* What the machine allows, and how near both times come to it. */
static void judge(speed *s, const limits *l, const fovea_cost *cost)
{
    const int bf16 = limits_kernel_uses_bf16(cost->kernel);
    const limits_verdict measured = limits_judge(l, cost->flops, cost->bytes, bf16, s->measured_ns);
    s->fma = l->fma;
    s->bf16 = l->bf16;
    s->read = l->read;
    s->limit = measured.limit;
    s->measured_percent = measured.percent;
    s->predicted_percent = limits_judge(l, cost->flops, cost->bytes, bf16, s->predicted_ns).percent;
}

int speed_measure(const cli *c, fovea_context *context, const fovea_problem *problem, const fovea_plan *plan,
                  const fovea_cost *cost, speed *s)
{
    const size_t bytes = (size_t)fmin(fmax(cost->bytes, READ_BYTES_MIN), READ_BYTES_MAX);
    tensors t = {0};
    clock_times times;
    int code = make_tensors(c, problem, plan, &t);
    if (code != EXIT_DONE)
        return code;
    timing run = {.plan = plan, .workspace = t.workspace};
    run.arguments = (fovea_arguments){.struct_size = sizeof run.arguments, .q = t.q, .k = t.k, .v = t.v, .o = t.o, .sinks = t.sinks};
    const clock_race race = {.runners = 1, .run = execute, .user = &run, .rounds = ROUNDS, .seconds = timing_seconds};
    limits peaks = limits_measure(context, bytes, rate_seconds);
    if (clock_run(&race, &times) != 0) {
        code = run.err.status ? cli_fail_error(c, &run.err) : cli_fail(c, EXIT_RESOURCE, "no memory to measure");
    } else {
        peaks = limits_larger(peaks, limits_measure(context, bytes, rate_seconds));
        s->measured_ns = times.best;
        judge(s, &peaks, cost);
    }
    free_tensors(&t);
    return code;
}
