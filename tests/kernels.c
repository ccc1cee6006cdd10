/* Every kernel of this build against the double reference, on guarded pages, as TAP; then the check itself against
   kernels with faults made on purpose. No test library, so that it runs under emulators and sanitizers.

   kernels [CASES [SEED]]     cases per kernel, 200; seed, 0 */
#include "check/check.h"

#include <fovea/fovea.h>
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
    printf("1..%u\n", t.count);
    return t.failed ? 1 : 0;
}
