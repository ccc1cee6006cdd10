/* Every kernel of this build against the double reference, on guarded pages, as TAP; then the check itself against
   kernels with faults made on purpose. No test library, so that it runs under emulators and sanitizers.

   kernels [CASES [SEED]]     cases per kernel, 200; seed, 0 */
#include "check/check.h"
#include "core/cpu.h"

#include <fovea/fovea.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tap {
    unsigned count, failed;
} tap;

static void result(tap *t, int good, const char *name, const char *detail)
{
    printf("%sok %u - %s\n", good ? "" : "not ", ++t->count, name);
    if (!good)
        printf("# %s\n", detail);
    t->failed += !good;
    fflush(stdout);
}

static void on_kernel(void *user, const char *kernel, int passed, const char *detail)
{
    tap *t = user;
    if (passed >= 0) {
        result(t, passed, kernel, detail);
        if (passed)
            printf("# %s\n", detail);
    } else {
        printf("ok %u - %s # SKIP %s\n", ++t->count, kernel, detail);
    }
}

static void on_fault(void *user, const char *fault, int caught, const char *detail)
{
    char name[128];
    snprintf(name, sizeof name, "catches %s", fault);
    result(user, caught, name, detail);
    if (caught)
        printf("# %s\n", detail);
}

/* What a call with odd options reported. */
typedef struct heard {
    unsigned calls;
    int result;
    char kernel[64], detail[512];
} heard;

static void hear(void *user, const char *kernel, int passed, const char *detail)
{
    heard *h = user;
    h->calls++;
    h->result = passed;
    snprintf(h->kernel, sizeof h->kernel, "%s", kernel);
    snprintf(h->detail, sizeof h->detail, "%s", detail);
}

static void check_options(tap *t)
{
    heard h = {0};
    fovea_check_options o = {
        .struct_size = sizeof o, .only = "fvk_qk_f32__scalr", .single_case = -1, .report = hear, .user = &h};
    unsigned failures = fovea_check_kernels(&o);
    result(t, failures == 1 && h.calls == 1 && h.result == 0 && strstr(h.detail, "'fvk_qk_f32__scalar'"),
           "a misspelt kernel is refused and the nearest is named", h.detail);

    memset(&h, 0, sizeof h);
    o.only = "fvk_qk_f32__scalar";
    o.single_case = -2;
    failures = fovea_check_kernels(&o);
    result(t, failures == 1 && h.calls == 1 && h.result == 0 && strstr(h.detail, "single_case=-2"),
           "a negative case is refused", h.detail);

    memset(&h, 0, sizeof h);
    o.single_case = 3;
    failures = fovea_check_kernels(&o);
    result(t,
           failures == 0 && h.calls == 1 && h.result == 1 && !strcmp(h.kernel, o.only) &&
               !strncmp(h.detail, "1 case,", 7),
           "one case of one kernel", h.detail);

    memset(&h, 0, sizeof h);
    o.struct_size = 8;
    failures = fovea_check_kernels(&o);
    result(t, failures == 1 && h.calls == 0, "options of another version are refused", h.detail);
}

/* The class "ulp(2)" of exp2, by a scan instead of a few drawn arguments: a million floats from -2^-31 to -124, every
   exponent alike, through the softmax of one row whose largest score is 0. */
enum { SCAN_STRIDE = 307, SCAN_ROW = 4096 };

static double scan_exp2(fvk_row_softmax_fn *softmax, float *where)
{
    const uint32_t first = 0x30000000, last = 0x42f80000; /* 2^-31 and 124 */
    static float s[SCAN_ROW + 1], x[SCAN_ROW];
    double worst = 0;
    for (uint32_t at = first; at < last;) {
        float m = FVK_HIDDEN, l = 0, alpha;
        int n = 0;
        for (; n < SCAN_ROW && at < last; n++, at += SCAN_STRIDE) {
            memcpy(&x[n], &at, sizeof x[n]);
            s[n] = x[n] = -x[n];
        }
        s[n] = 0;
        softmax(s, n + 1, &m, &l, &alpha);
        for (int i = 0; i < n; i++) {
            double want = exp2((double)x[i]), error;
            int exponent;
            frexp(want, &exponent);
            error = fabs((double)s[i] - want) / ldexp(1, exponent - 24);
            if (!(error <= worst)) {
                worst = error;
                *where = x[i];
            }
        }
    }
    return worst;
}

static void scan_all(tap *t)
{
    for (unsigned i = 0; i < fvk_table_rows; i++) {
        const fvk_row *row = &fvk_table[i];
        char name[96], detail[96];
        float where = 0;
        double worst;
        if (row->op != FVK_ROW_SOFTMAX)
            continue;
        snprintf(name, sizeof name, "exp2 of %s within 2 ulp", row->isa_name);
        if (!(fv_cpu_isas() >> row->isa & 1)) {
            printf("ok %u - %s # SKIP this CPU lacks %s\n", ++t->count, name, row->isa_name);
            continue;
        }
        worst = scan_exp2((fvk_row_softmax_fn *)row->fn, &where);
        snprintf(detail, sizeof detail, "at most %.3f ulp, at %a", worst, (double)where);
        result(t, worst <= 2, name, detail);
        if (worst <= 2)
            printf("# %s\n", detail);
    }
}

int main(int argc, char **argv)
{
    tap t = {0};
    fovea_check_options o = {.struct_size = sizeof o, .single_case = -1, .report = on_kernel, .user = &t};
    o.cases = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    o.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    unsigned failures = fovea_check_kernels(&o), before = t.failed;
    result(&t, failures == before, "the number of failures is the number reported",
           "fovea_check_kernels returns another");
    fv_check_mutations(on_fault, &t);
    check_options(&t);
    scan_all(&t);
    printf("1..%u\n", t.count);
    return t.failed ? 1 : 0;
}
