/* CPU features by the compiler's builtins, which also ask whether the operating system saves the registers. */
#include "core/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
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
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* clang 14 knows no "f16c". It shares its registers with AVX, whose OS support the builtins have asked for. */
static int has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) && __builtin_cpu_supports("avx");
}

/* Tiles of bf16: features, registers saved by the operating system, and its leave to use them, which Linux wants to be asked
   for once per process. No builtin of gcc 12 or clang 14 knows them. */
static int has_amx(void)
{
#ifdef __linux__
    enum { TILE = 1 << 24, BF16 = 1 << 22, OSXSAVE = 1 << 27, STATE = 3 << 17, ASK_FOR = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE) || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
        (d & (TILE | BF16)) != (TILE | BF16))
        return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & STATE) == STATE && syscall(SYS_arch_prctl, ASK_FOR, TILE_DATA) == 0;
#else
    return 0;
#endif
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
    if ((isas >> FVK_AVX512_BF16 & 1) && has_amx())
        isas |= 1u << FVK_AMX;
    return isas;
}

static char name[128];

static void find_name(void)
{
    unsigned r[12] = {0}, a = 0, b, c, d, family, model;
    char brand[49] = "";
    const char *at = brand;
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
    memcpy(brand, r, 48);
    at += strspn(at, " ");
    for (size_t n = strlen(at); n && at[n - 1] == ' '; n--)
        brand[at - brand + (ptrdiff_t)n - 1] = 0;
    __get_cpuid(1, &a, &b, &c, &d);
    family = (a >> 8 & 15) + ((a >> 8 & 15) == 15 ? a >> 20 & 255 : 0);
    model = (a >> 4 & 15) | (family >= 6 ? a >> 12 & 240 : 0);
    snprintf(name, sizeof name, "%s, family %u model %u stepping %u", *at ? at : "x86", family, model, a & 15);
}

static char features[256];

static void find_features(void)
{
    const char *const name[] = {"sse2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512vnni",
                                "avx512bf16", "amx"};
    __builtin_cpu_init();
    const int has[] = {__builtin_cpu_supports("sse2"), __builtin_cpu_supports("avx"), __builtin_cpu_supports("avx2"),
                       __builtin_cpu_supports("fma"), has_f16c(), __builtin_cpu_supports("avx512f"),
                       __builtin_cpu_supports("avx512bw"), __builtin_cpu_supports("avx512vl"),
                       __builtin_cpu_supports("avx512vnni"), __builtin_cpu_supports("avx512bf16"),
                       has_amx()};
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

static char name[128];

static void find_name(void)
{
    char midr[32] = "";
    FILE *f = fopen("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1", "r");
    if (f) {
        if (!fgets(midr, sizeof midr, f))
            midr[0] = 0;
        fclose(f);
    }
    midr[strcspn(midr, "\n")] = 0;
    snprintf(name, sizeof name, "aarch64%s%s", *midr ? ", midr " : "", midr);
}
#else
static unsigned runnable(void) { return 1u << FVK_SCALAR | 1u << FVK_GENERIC; }

const char *fv_cpu_features(void) { return ""; }

static char name[128];

static void find_name(void) { snprintf(name, sizeof name, "unknown"); }
#endif

const char *fv_cpu_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_name);
    return name;
}

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
