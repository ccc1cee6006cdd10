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

/* Best of slices of about 2 ms, after a warm-up of a quarter of the time: the clock of a core under vector load differs from
   that of an idle one. GFLOP/s. */
static double measure_peak(const fvk_row *row, double seconds)
{
    fvk_peak_fn *peak;
    double start = now(), best = 0;
    uint64_t n = 1 << 20;
    if (!row)
        return 0;
    peak = (fvk_peak_fn *)row->fn;
    for (;;) {
        double t = now(), flops = peak(n), took = now() - t, rate = flops / took * 1e-9;
        if (took < 1e-3) {
            n *= 2;
            continue;
        }
        if (t - start > seconds / 4 && rate > best)
            best = rate;
        if (t - start > seconds && best > 0)
            return best;
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
