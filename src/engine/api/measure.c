/* What the machine can do, measured on the calling thread. */
#include "core/context.h"
#include "kernel.h"

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
