// Google Benchmark behind the C interface of gbench.h. Holds no benchmark of its own.
#include "gbench.h"

#include <benchmark/benchmark.h>

struct gbench_state {
    benchmark::State *state;
};

int gbench_next(gbench_state *state)
{
    return state->state->KeepRunning();
}

void gbench_rate(gbench_state *state, const char *name, double per_run)
{
    state->state->counters[name] = benchmark::Counter(per_run, benchmark::Counter::kIsIterationInvariantRate);
}

void gbench_value(gbench_state *state, const char *name, double value)
{
    state->state->counters[name] = benchmark::Counter(value);
}

void gbench_fail(gbench_state *state, const char *reason)
{
    state->state->SkipWithError(reason);
}

void gbench_add(const char *name, gbench_fn *fn, void *arg)
{
    auto run = [fn, arg](benchmark::State &state) {
        gbench_state wrapped = {&state};
        fn(&wrapped, arg);
    };
    benchmark::RegisterBenchmark(name, run)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

void gbench_context(const char *key, const char *value)
{
    benchmark::AddCustomContext(key, value);
}

int gbench_run(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
