/* What the machine can do, measured on the calling thread. */
#include "core/context.h"
#include "drive/normalise.h"
#include "kernel.h"
#include "plan/plan.h"

#include <math.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Mean rate of the last three quarters of the time, GFLOP/s: the first quarter warms the core up. Not the best instant, for the
   clock of a shared machine changes within a millisecond, and a run that is compared with this lasts longer. */
static double measure_peak(const fvk_row *row, double seconds)
{
    fvk_peak_fn *peak;
    double start = now(), flops = 0, from = 0;
    if (!row)
        return 0;
    peak = (fvk_peak_fn *)row->fn;
    for (;;) {
        double t = now();
        if (from == 0 && t - start >= seconds / 4)
            from = t;
        if (from > 0 && t - start >= seconds && flops > 0)
            return flops / (t - from) * 1e-9;
        double done = peak(1 << 24);
        flops += from > 0 ? done : 0;
    }
}

double fovea_measure_fma(const fovea_context *context, double seconds)
{
    return context ? measure_peak(fvk_find(FVK_PEAK, FVK_F32, context->isas, 0), seconds) : 0;
}

double fovea_measure_bf16(const fovea_context *context, double seconds)
{
    return context ? measure_peak(fvk_find(FVK_PEAK, FVK_BF16, context->isas, 0), seconds) : 0;
}

double fovea_measure_read(const fovea_context *context, size_t bytes, double seconds)
{
    const fvk_row *row = context ? fvk_find(FVK_READ, FVK_F32, context->isas, 0) : NULL;
    fvk_read_fn *read;
    volatile double sink = 0;
    double start = now(), best = 0;
    void *block;
    if (!row || !bytes)
        return 0;
    block = fv_memory_get(&context->memory, bytes);
    if (!block)
        return 0;
    memset(block, 1, bytes);
    read = (fvk_read_fn *)row->fn;
    do {
        double t = now(), rate;
        sink += read(block, bytes);
        rate = (double)bytes / (now() - t) * 1e-9;
        best = rate > best ? rate : best;
    } while (now() - start < seconds);
    (void)sink;
    fv_memory_put(&context->memory, block);
    return best;
}

/* ------------------------------------------------------------------ parallel regions */

static void nothing(void *arg, unsigned worker)
{
    (void)arg;
    (void)worker;
}

/* Regions in a row, so that no worker has gone to sleep: what a plan's second pass pays. */
double fovea_measure_region(const fovea_context *context, double seconds)
{
    enum { REGIONS = 1000 };
    const double start = now();
    double best = 0;
    if (!context)
        return 0;
    do {
        const double t = now();
        for (int n = 0; n < REGIONS; n++)
            fv_threads_run(&context->threads, nothing, NULL);
        const double ns = (now() - t) * 1e9 / REGIONS;
        best = best == 0 || ns < best ? ns : best;
    } while (now() - start < seconds);
    return best;
}

/* ------------------------------------------------------------------ cutting a row */

/* About N(0, 1): twelve uniform numbers less their mean, from Knuth's MMIX generator. */
static void fill_scores(float *s, size_t n)
{
    uint64_t state = 1;
    for (size_t j = 0; j < n; j++) {
        float sum = -6;
        for (int i = 0; i < 12; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            sum += (float)(state >> 40) * 0x1p-24f;
        }
        s[j] = sum;
    }
}

/* Where a row is cut: blocks of n scores each. */
typedef struct cut_room {
    float *made, *s, *p;
    int32_t *at;
    void *scratch;
} cut_room;

/* Rounded up to whole lines of the cache. */
static size_t lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* One block for all; NULL without memory. */
static void *get_room(const fovea_context *context, size_t n, cut_room *room)
{
    const size_t floats = lines((n + FVK_SIFT_ROOM) * sizeof(float));
    char *block = fv_memory_get(&context->memory, 4 * floats + fv_normalise_scratch((int64_t)n));
    if (!block)
        return NULL;
    room->made = (float *)block;
    room->s = (float *)(block + floats);
    room->p = (float *)(block + 2 * floats);
    room->at = (int32_t *)(block + 3 * floats);
    room->scratch = block + 4 * floats;
    return block;
}

static double race_cut(const fovea_context *context, const fv_row_kernels *kernel,
                       const cut_room *room, size_t n, size_t kept, double seconds, double *pass)
{
    const fv_normaliser *topk = fv_normaliser_find("topk");
    fvk_read_fn *read = (fvk_read_fn *)fvk_find(FVK_READ, FVK_F32, context->isas, 0)->fn;
    const double arg[4] = {(double)kept}, start = now();
    double best = INFINITY;
    volatile double sink = 0;
    fill_scores(room->made, n);
    *pass = INFINITY;
    do {
        fv_scores row = {.s = room->s,
                         .n = (int64_t)n,
                         .arg = arg,
                         .sink = -INFINITY,
                         .kernel = kernel,
                         .scratch = room->scratch,
                         .p = room->p,
                         .at = room->at};
        memcpy(room->s, room->made, n * sizeof *room->s); /* their contents get lost */
        double t = now();
        sink += (double)fv_normalise(topk, &row);
        best = fmin(best, now() - t);
        t = now();
        sink += read(room->s, n * sizeof *room->s);
        *pass = fmin(*pass, now() - t);
    } while (now() - start < seconds);
    (void)sink;
    *pass *= 1e9;
    return best * 1e9;
}

double fovea_measure_cut(const fovea_context *context, size_t keys, size_t kept, double seconds,
                         double *pass)
{
    fovea_plan plan = {.context = context};
    cut_room room;
    double ns;
    if (!context || !keys || !kept || !pass || !fv_plan_choose(&plan) ||
        !fvk_find(FVK_READ, FVK_F32, context->isas, 0))
        return 0;
    void *block = get_room(context, keys, &room);
    if (!block)
        return 0;
    ns = race_cut(context, &plan.work.kernel.row, &room, keys, kept, seconds, pass);
    fv_memory_put(&context->memory, block);
    return ns;
}
