/* CPU features by the compiler's builtins, which also ask whether the operating system saves the registers. */
#include "core/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { KNOWN = 1u << 31 };

static unsigned built(void)
{
    unsigned isas = 0;
    for (unsigned i = 0; i < fvk_table_rows; i++)
        isas |= 1u << fvk_table[i].isa;
    return isas;
}

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* clang 14 knows no "f16c". It shares its registers with AVX, whose OS support the builtins have asked for. */
static int has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) && __builtin_cpu_supports("avx");
}

static unsigned runnable(void)
{
    unsigned isas = 1u << FVK_SCALAR | 1u << FVK_GENERIC;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
        isas |= 1u << FVK_AVX2;
    if ((isas >> FVK_AVX2 & 1) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        isas |= 1u << FVK_AVX512;
    if ((isas >> FVK_AVX512 & 1) && __builtin_cpu_supports("avx512bf16"))
        isas |= 1u << FVK_AVX512_BF16;
    return isas;
}

static char features[256];

static void find_features(void)
{
    const char *const name[] = {"sse2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512vnni",
                                "avx512bf16"};
    __builtin_cpu_init();
    const int has[] = {__builtin_cpu_supports("sse2"), __builtin_cpu_supports("avx"), __builtin_cpu_supports("avx2"),
                       __builtin_cpu_supports("fma"), has_f16c(), __builtin_cpu_supports("avx512f"),
                       __builtin_cpu_supports("avx512bw"), __builtin_cpu_supports("avx512vl"),
                       __builtin_cpu_supports("avx512vnni"), __builtin_cpu_supports("avx512bf16")};
    for (unsigned i = 0; i < sizeof has / sizeof *has; i++)
        if (has[i]) {
            strcat(features, features[0] ? " " : "");
            strcat(features, name[i]);
        }
}

const char *fv_cpu_features(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_features);
    return features;
}
#elif defined(__aarch64__)
static unsigned runnable(void)
{
    return 1u << FVK_SCALAR | 1u << FVK_GENERIC | 1u << FVK_NEON; /* every AArch64 has NEON */
}

const char *fv_cpu_features(void) { return "neon"; }
#else
static unsigned runnable(void) { return 1u << FVK_SCALAR | 1u << FVK_GENERIC; }

const char *fv_cpu_features(void) { return ""; }
#endif

unsigned fv_cpu_isas(void)
{
    static atomic_uint word;
    unsigned isas = atomic_load_explicit(&word, memory_order_relaxed);
    if (!isas) {
        isas = (built() & runnable()) | KNOWN;
        atomic_store_explicit(&word, isas, memory_order_relaxed);
    }
    return isas & ~(unsigned)KNOWN;
}

int fv_cpu_isa(const char *name)
{
    for (int i = 0; i < FVK_ISAS; i++)
        if (!strcmp(name, fvk_isa_names[i]))
            return i;
    return -1;
}

unsigned fv_cpu_cap(unsigned isas, const char *name)
{
    int isa = fv_cpu_isa(name);
    return isa < 0 ? 0 : isas & ((2u << isa) - 1);
}

fvk_isa fv_cpu_strongest(unsigned isas)
{
    return (fvk_isa)(31 - __builtin_clz(isas));
}
