/* Benchmarks of plans through the public API: dense, causal, windowed and pruned prefill, and decode.

   A plan and its workspace are made outside the timed loop; the loop executes. FLOP/s count 2 (d + dv) per visible pair,
   as fovea_plan_cost does; B/s count q, k, v and o once. The data are uniform random numbers with a fixed seed.
   FOVEA_ISA caps the instruction set. For the share of this machine's limits use `fovea bench`. */
#include "gbench.h"

#include <fovea/fovea.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_case {
    const char *name, *spec;
    int64_t hq, hkv, lq, lk, d;
    fovea_dtype dtype;
    int causal;
} bench_case;

static const bench_case cases[] = {
    {"dense/f32/h8/l512/d64", "dense", 8, 8, 512, 512, 64, FOVEA_F32, 0},
    {"dense/f32/h4/l2048/d128", "dense", 4, 4, 2048, 2048, 128, FOVEA_F32, 0},
    {"dense/bf16/h4/l2048/d128", "dense", 4, 4, 2048, 2048, 128, FOVEA_BF16, 0},
    {"dense/f16/h4/l2048/d128", "dense", 4, 4, 2048, 2048, 128, FOVEA_F16, 0},
    {"causal/f32/h4/l2048/d128", "dense", 4, 4, 2048, 2048, 128, FOVEA_F32, 1},
    {"causal/f32/gqa8:2/l1024/d64", "dense", 8, 2, 1024, 1024, 64, FOVEA_F32, 1},
    {"window256/f32/h4/l2048/d128", "window:window=256", 4, 4, 2048, 2048, 128, FOVEA_F32, 0},
    {"streaming/f32/h4/l2048/d128", "streaming:sinks=4,window=252", 4, 4, 2048, 2048, 128, FOVEA_F32, 0},
    {"bigbird/f32/h4/l2048/d64", "bigbird:block=64", 4, 4, 2048, 2048, 64, FOVEA_F32, 0},
    {"topk64/f32/h4/l1024/d64", "topk:k=64", 4, 4, 1024, 1024, 64, FOVEA_F32, 1},
    {"decode/f32/h8/l4096/d128", "dense", 8, 8, 1, 4096, 128, FOVEA_F32, 0},
    {"decode/f32/gqa32:8/l4096/d128", "dense", 32, 8, 1, 4096, 128, FOVEA_F32, 0},
    {"decode/bf16/gqa32:8/l4096/d128", "dense", 32, 8, 1, 4096, 128, FOVEA_BF16, 0},
};

enum { CASES = sizeof cases / sizeof cases[0], TENSORS = 4 };

/* What one benchmark owns; everything is released by close_run, whatever was made. */
typedef struct run {
    fovea_context *context;
    fovea_recipe *recipe;
    fovea_plan *plan;
    fovea_arguments arguments;
    void *tensor[TENSORS]; /* q, k, v, o */
    void *workspace;
    size_t workspace_bytes;
    fovea_error err;
} run;

static size_t element_bytes(fovea_dtype dtype)
{
    return dtype == FOVEA_F32 ? 4 : 2;
}

/* n numbers in -1..1 of the type; NULL when there is no memory. */
static void *random_tensor(size_t n, fovea_dtype dtype)
{
    static uint32_t state = 88172645u;
    float *values = malloc(n * sizeof *values);
    void *stored = aligned_alloc(64, (n * element_bytes(dtype) + 63) / 64 * 64);

    for (size_t i = 0; values && i < n; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)state / 2147483648.0f;
    }
    if (values && stored)
        fovea_convert_from_f32(dtype, values, stored, n);
    free(values);
    return stored;
}

static void close_run(run *r)
{
    fovea_plan_destroy(r->plan);
    fovea_recipe_destroy(r->recipe);
    fovea_context_destroy(r->context);
    for (int i = 0; i < TENSORS; i++)
        free(r->tensor[i]);
    free(r->workspace);
}

/* 0 when everything is ready to execute; else r->err says why not. */
static int open_run(run *r, const bench_case *c)
{
    const size_t nq = (size_t)(c->hq * c->lq * c->d), nk = (size_t)(c->hkv * c->lk * c->d);
    fovea_problem problem;

    memset(r, 0, sizeof *r);
    snprintf(r->err.text, sizeof r->err.text, "out of memory");
    fovea_problem_init(&problem, 1, c->hq, c->hkv, c->lq, c->lk, c->d, c->d, c->dtype);
    problem.causal = c->causal;
    if (fovea_context_create(NULL, &r->context, &r->err) || fovea_recipe_parse(r->context, c->spec, &r->recipe, &r->err) ||
        fovea_plan_create(r->context, &problem, r->recipe, &r->plan, &r->err))
        return 1;
    r->tensor[0] = random_tensor(nq, c->dtype);
    r->tensor[1] = random_tensor(nk, c->dtype);
    r->tensor[2] = random_tensor(nk, c->dtype);
    r->tensor[3] = random_tensor(nq, FOVEA_F32);
    r->workspace_bytes = (fovea_plan_workspace(r->plan) + 63) / 64 * 64;
    r->workspace = aligned_alloc(64, r->workspace_bytes ? r->workspace_bytes : 64);
    for (int i = 0; i < TENSORS; i++)
        if (!r->tensor[i] || !r->workspace)
            return 1;
    r->arguments = (fovea_arguments){.struct_size = sizeof r->arguments, .q = r->tensor[0], .k = r->tensor[1],
                                     .v = r->tensor[2], .o = r->tensor[3]};
    return 0;
}

static void attention(gbench_state *state, void *arg)
{
    const bench_case *c = arg;
    fovea_cost cost;
    run r;

    if (open_run(&r, c) || fovea_plan_cost(r.plan, &cost, &r.err) ||
        fovea_execute(r.plan, &r.arguments, r.workspace, r.workspace_bytes, &r.err)) {
        gbench_fail(state, r.err.text);
        close_run(&r);
        return;
    }
    while (gbench_next(state))
        fovea_execute(r.plan, &r.arguments, r.workspace, r.workspace_bytes, NULL);
    gbench_rate(state, "FLOP", cost.flops);
    gbench_rate(state, "bytes", cost.bytes);
    gbench_value(state, "density", cost.density);
    close_run(&r);
}

int main(int argc, char **argv)
{
    const char *cap = getenv("FOVEA_ISA");

    gbench_context("fovea", fovea_version());
    gbench_context("isa", cap ? cap : fovea_isa_best());
    gbench_context("cpu_features", fovea_cpu_features());
    for (int i = 0; i < CASES; i++)
        gbench_add(cases[i].name, attention, (void *)&cases[i]);
    return gbench_run(argc, argv);
}
