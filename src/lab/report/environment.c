/* Where a result was measured. Contract in environment.h. */
#define _GNU_SOURCE
#include "report/environment.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#ifndef FOVEA_BUILD_FLAGS
#define FOVEA_BUILD_FLAGS "unknown"
#endif

/* Text after the colon of the first line that starts with `key`, without its newline; 1 when found. */
static int cpuinfo_field(const char *key, char *out, size_t n)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[512];
    int found = 0;
    if (f == NULL)
        return 0;
    while (!found && fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, key, strlen(key)) != 0)
            continue;
        /* "model" is not "model name" */
        if (line + strlen(key) + strspn(line + strlen(key), " \t") != colon)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, n, "%s", colon);
        found = *out != 0;
    }
    fclose(f);
    return found;
}

const char *environment_cpu(void)
{
    static char name[512]; /* the tool asks from its main thread only */
    struct utsname machine;
    if (name[0] != 0)
        return name;
    if (!cpuinfo_field("model name", name, sizeof name) &&
        !cpuinfo_field("Hardware", name, sizeof name))
        snprintf(name, sizeof name, "%s", uname(&machine) == 0 ? machine.machine : "unknown");
    return name;
}

static int cpuinfo_number(const char *key)
{
    char text[64], *end;
    if (!cpuinfo_field(key, text, sizeof text))
        return -1;
    const long n = strtol(text, &end, 0);
    return end != text && *end == 0 && n >= 0 && n < 1 << 30 ? (int)n : -1;
}

environment_processor environment_cpu_model(void)
{
    environment_processor p = {
        .family = cpuinfo_number("cpu family"),
        .model = cpuinfo_number("model"),
        .stepping = cpuinfo_number("stepping"),
    };
    if (!cpuinfo_field("vendor_id", p.vendor, sizeof p.vendor))
        p.vendor[0] = 0;
    if (p.vendor[0] && p.family >= 0 && p.model >= 0)
        snprintf(p.key, sizeof p.key, "%s-%d-%d-%d", p.vendor, p.family, p.model, p.stepping);
    else
        snprintf(p.key, sizeof p.key, "%.120s", environment_cpu());
    return p;
}

const char *environment_compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

const char *environment_flags(void)
{
    return FOVEA_BUILD_FLAGS;
}

unsigned environment_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}

json_t *environment_json(const char *isa, unsigned threads, int64_t seed)
{
    /* A CPU name is ASCII on every machine met; one that is not must not cost the result. */
    json_t *cpu = json_string(environment_cpu());
    return json_pack("{s:o, s:s, s:I, s:s, s:s, s:I}", "cpu", cpu ? cpu : json_string("unknown"),
                     "isa", isa ? isa : "none", "threads", (json_int_t)threads, "compiler",
                     environment_compiler(), "flags", environment_flags(), "seed",
                     (json_int_t)seed);
}
