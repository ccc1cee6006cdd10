/* Google Benchmark from C. gbench.cc is the only C++ file of the project; it implements these functions.

   A benchmark is a function that prepares, then repeats its work while gbench_next() says so, then cleans up:

       static void work(gbench_state *state, void *arg) { prepare(); while (gbench_next(state)) run(); }

   Only the loop is timed (wall clock: the work may use several threads). */
#ifndef FOVEA_BENCH_GBENCH_H
#define FOVEA_BENCH_GBENCH_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gbench_state gbench_state;
typedef void gbench_fn(gbench_state *state, void *arg);

/* 1 while another repetition is wanted. */
int gbench_next(gbench_state *state);
/* A column of the result: `per_run` things per repetition, shown per second. */
void gbench_rate(gbench_state *state, const char *name, double per_run);
/* A column of the result that is not a rate. */
void gbench_value(gbench_state *state, const char *name, double value);
/* Marks this benchmark as failed, with a reason; call it before the loop and return. */
void gbench_fail(gbench_state *state, const char *reason);

/* name is copied; arg must outlive gbench_run. */
void gbench_add(const char *name, gbench_fn *fn, void *arg);
/* key: value above the results and in the JSON. Both are copied. */
void gbench_context(const char *key, const char *value);
/* Reads Google Benchmark's options (--benchmark_filter=..., --benchmark_format=json), runs, returns the exit code. */
int gbench_run(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
