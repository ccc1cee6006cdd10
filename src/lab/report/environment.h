/* Where a result was measured: the block that every JSON output carries. */
#ifndef FV_LAB_REPORT_ENVIRONMENT_H
#define FV_LAB_REPORT_ENVIRONMENT_H
#include <jansson.h>
#include <stdint.h>

/* The CPU's own name (/proc/cpuinfo), else the machine's architecture; a static text. */
const char *environment_cpu(void);
/* What tells models apart, as /proc/cpuinfo has it; family, model and stepping are -1 and vendor "" where it does not. */
typedef struct environment_processor {
    char vendor[64]; /* "AuthenticAMD" */
    int family, model, stepping;
    char key[128];   /* "AuthenticAMD-25-97-2"; without these numbers environment_cpu() */
} environment_processor;
environment_processor environment_cpu_model(void);
const char *environment_compiler(void); /* "gcc 12.2.0" */
const char *environment_flags(void);    /* FOVEA_BUILD_FLAGS of the build, or "unknown" */
/* CPUs this process may run on, at least 1. */
unsigned environment_cpus(void);

/* {"cpu", "isa", "threads", "compiler", "flags", "seed"}; new reference, NULL without memory. */
json_t *environment_json(const char *isa, unsigned threads, int64_t seed);
#endif
