/* fovea info: what this machine is and how fast, what was chosen on it and why, and how this program was built. */
#include "cli/cli.h"
#include "eval/shapes.h"
#include "report/environment.h"
#include <stdlib.h>
#include <string.h>

#ifndef FOVEA_BUILD_LIBRARIES
#define FOVEA_BUILD_LIBRARIES "jansson " JANSSON_VERSION
#endif

static const table_column info_columns[] = {{"name", NULL, 0}, {"value", NULL, 0}};

/* One fact: a row of the table and a key of the JSON object. Takes the reference of value; shown NULL: a text value. */
static void fact(table *t, json_t *object, const char *key, json_t *value, const char *shown)
{
    table_row(t);
    table_text(t, "name", key);
    table_text(t, "value", shown ? shown : json_is_string(value) ? json_string_value(value) : "");
    json_object_set_new(object, key, value ? value : json_null());
}

static void text_fact(table *t, json_t *object, const char *key, const char *value)
{
    fact(t, object, key, json_string(value), NULL);
}

/* ---------------------------------------------------------------- caches */

/* First word of a file under cpu0's cache folder; 1 when there is one. */
static int cache_word(unsigned index, const char *what, char *out, size_t n)
{
    char path[160];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%u/%s", index, what);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    int found = fgets(out, (int)n, f) != NULL;
    fclose(f);
    if (found)
        out[strcspn(out, "\n")] = 0;
    return found;
}

static void cache_facts(table *t, json_t *object)
{
    char level[16], type[32], size[32], shared[128], shown[256];
    json_t *all = json_array();
    for (unsigned n = 0; n < 16 && cache_word(n, "level", level, sizeof level); n++) {
        if (!cache_word(n, "type", type, sizeof type) ||
            !cache_word(n, "size", size, sizeof size) || strcmp(type, "Instruction") == 0)
            continue;
        if (!cache_word(n, "shared_cpu_list", shared, sizeof shared))
            snprintf(shared, sizeof shared, "?");
        long kib = strtol(size, NULL, 10);
        snprintf(shown, sizeof shown, "L%s %ld KiB, shared by CPUs %s", level, kib, shared);
        table_row(t);
        table_text(t, "name", "cache");
        table_text(t, "value", shown);
        json_array_append_new(all,
                              json_pack("{s:i, s:s, s:I, s:s}", "level", atoi(level), "type", type,
                                        "bytes", (json_int_t)kib * 1024, "shared_cpus", shared));
    }
    json_object_set_new(object, "caches", all);
}

/* ---------------------------------------------------------------- instruction sets */

static void isa_facts(const cli *c, const fovea_context *context, table *t, json_t *object)
{
    char shown[512], why[200];
    size_t used = 0;
    json_t *known = json_array();
    for (unsigned n = 0; fovea_isa_name(n) != NULL; n++) {
        int available = fovea_isa_available(fovea_isa_name(n)) == 1;
        json_array_append_new(
            known, json_pack("{s:s, s:b}", "name", fovea_isa_name(n), "available", available));
        if (available && used < sizeof shown)
            used += (size_t)snprintf(shown + used, sizeof shown - used, "%s%s", used ? " " : "",
                                     fovea_isa_name(n));
    }
    fact(t, object, "isas", known, shown);
    const char *option = cli_text(c, "--isa"), *variable = getenv("FOVEA_ISA"),
               *chosen = fovea_context_isa(context);
    text_fact(t, object, "isa", chosen);
    if (option != NULL)
        snprintf(why, sizeof why, "asked for by --isa %s", option);
    else if (variable != NULL && *variable)
        snprintf(why, sizeof why, "capped by the environment, FOVEA_ISA=%s", variable);
    else
        snprintf(why, sizeof why,
                 "the strongest that this CPU, its operating system and this build have in common");
    text_fact(t, object, "isa_reason", why);
}

/* ---------------------------------------------------------------- tuning and rates */

static void tuning_facts(const fovea_context *context, table *t, json_t *object)
{
    const char *source = fovea_context_tuning_source(context), *note = fovea_context_tuning_note(context, NULL);
    const fovea_tuning_key *key;
    char shown[512], value[64];
    json_t *values = json_object();
    size_t used = (size_t)snprintf(shown, sizeof shown, "%.300s", source);
    for (unsigned n = 0; (key = fovea_tuning_key_at(n)) != NULL; n++) {
        const double x = fovea_context_tuning(context, key->name);
        cli_tuning_value(key, x, value, sizeof value);
        json_object_set_new(values, key->name, key->words ? json_string(value) : json_real(x));
        if (x != key->standard && used < sizeof shown)
            used += (size_t)snprintf(shown + used, sizeof shown - used, ", %s %s", key->name, value);
    }
    fact(t, object, "tuning",
         json_pack("{s:s, s:s, s:o}", "source", source, "note", note, "values", values), shown);
    if (*note) {
        table_row(t);
        table_text(t, "name", "tuning note");
        table_text(t, "value", note);
    }
}

/* Measured now, so that they can be compared with what a tuning file holds. One thread. */
static void rate_facts(const fovea_context *context, table *t, json_t *object)
{
    enum { READ_BYTES = 1 << 26 };
    const double seconds = 0.1, fma = fovea_measure_fma(context, seconds), bf16 = fovea_measure_bf16(context, seconds),
                 near = fovea_measure_read(context, 1 << 18, seconds), read = fovea_measure_read(context, READ_BYTES, seconds);
    char shown[200], half[48] = "";
    if (bf16 > 0)
        snprintf(half, sizeof half, "bf16 dot %.4g GFLOP/s, ", bf16);
    snprintf(shown, sizeof shown, "fma %.4g GFLOP/s, %sread %.3g GB/s from near caches, %.3g GB/s over 64 MiB; one thread", fma,
             half, near, read);
    fact(t, object, "rates",
         json_pack("{s:f, s:f, s:f, s:f}", "fma_peak_gflops", fma, "bf16_peak_gflops", bf16, "read_near_gbps", near, "read_gbps",
                   read),
         shown);
}

/* ---------------------------------------------------------------- the command */

static void fill(const cli *c, const fovea_context *context, table *t, json_t *object)
{
    char shown[64], where[SHAPES_TEXT], why[SHAPES_TEXT];
    unsigned kernels = 0, usable = 0;
    fovea_kernel k;
    for (; fovea_kernel_at(kernels, &k); kernels++)
        usable += k.available == 1;
    text_fact(t, object, "version", fovea_version());
    text_fact(t, object, "cpu", environment_cpu());
    text_fact(t, object, "features", fovea_cpu_features());
    isa_facts(c, context, t, object);
    snprintf(shown, sizeof shown, "%u, of which %u run here", kernels, usable);
    fact(t, object, "kernels",
         json_pack("{s:i, s:i}", "built", (int)kernels, "usable", (int)usable), shown);
    snprintf(shown, sizeof shown, "%u", environment_cpus());
    fact(t, object, "cpus", json_integer(environment_cpus()), shown);
    snprintf(shown, sizeof shown, "%u", fovea_context_threads(context));
    fact(t, object, "threads", json_integer(fovea_context_threads(context)), shown);
    cache_facts(t, object);
    tuning_facts(context, t, object);
    rate_facts(context, t, object);
    text_fact(t, object, "compiler", environment_compiler());
    text_fact(t, object, "flags", environment_flags());
    text_fact(t, object, "libraries", FOVEA_BUILD_LIBRARIES);
    if (shapes_data_path("shapes.tsv", where, sizeof where, why))
        text_fact(t, object, "data", where);
    else
        fact(t, object, "data", json_null(), why);
}

static int print_object(const cli *c, const fovea_context *context, json_t *object)
{
    table_frame frame = {
        .argc = cli_argc(c), .argv = cli_argv(c), .environment = cli_environment(c, context)};
    int failed = frame.environment == NULL;
    if (!failed && strcmp(cli_text(c, "--format"), "jsonl") == 0)
        failed = json_dumpf(object, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF;
    else if (!failed)
        failed = table_print_document(&frame, json_pack("[O]", object), stdout);
    json_decref(frame.environment);
    return failed ? cli_fail(c, EXIT_RESOURCE, "no memory to print the results") : EXIT_DONE;
}

static int run_info(const cli *c)
{
    fovea_context *context;
    int code = cli_context(c, &context);
    if (code != EXIT_DONE)
        return code;
    table *t = table_create(info_columns, sizeof info_columns / sizeof *info_columns);
    json_t *object = json_object();
    if (t == NULL || object == NULL) {
        code = cli_fail(c, EXIT_RESOURCE, "no memory for the results");
    } else {
        fill(c, context, t, object);
        code = strncmp(cli_text(c, "--format"), "json", 4) == 0 ? print_object(c, context, object)
                                                                : cli_print(c, context, t, NULL);
    }
    json_decref(object);
    table_free(t);
    fovea_context_destroy(context);
    return code;
}

const cli_command cli_info = {
    .name = "info",
    .summary = "show the CPU, its caches, the instruction set chosen and why, and how this program "
               "was built",
    .usage = "fovea info [--isa NAME] [--format table|md|csv|json|jsonl]",
    .run = run_info,
};
