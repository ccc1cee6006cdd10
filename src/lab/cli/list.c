/* fovea list: the rows of every table that the tool knows, for people and for scripts. */
#include "cli/cli.h"
#include "eval/shapes.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Builds one table, prints it, frees it. */
typedef struct topic {
    const char *name;
    const char *what;
    const table_column *columns;
    unsigned count;
    int (*fill)(const cli *c, const fovea_context *context,
                table *t); /* an exit code, its line printed */
} topic;

/* ---------------------------------------------------------------- variants */

static json_t *bound(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *parameter_json(const fovea_parameter *p)
{
    int number =
        strcmp(p->type, "int") == 0 || strcmp(p->type, "real") == 0 || strcmp(p->type, "list") == 0;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:b}", "name", p->name, "type", p->type,
                     "default", p->standard, "min", number ? bound(p->min) : json_null(), "max",
                     number ? bound(p->max) : json_null(), "unit", p->unit, "help", p->help,
                     "required", p->required);
}

json_t *cli_parameters_json(const fovea_variant *v)
{
    json_t *all = json_array();
    for (unsigned n = 0; n < v->parameter_count; n++) {
        if (json_array_append_new(all, parameter_json(&v->parameters[n])) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

/* "sinks=4,window=1020,seed=" */
static void parameters_text(const fovea_variant *v, char *out, size_t n)
{
    size_t used = 0;
    *out = 0;
    for (unsigned x = 0; x < v->parameter_count && used < n; x++)
        used += (size_t)snprintf(out + used, n - used, "%s%s=%s", x ? "," : "",
                                 v->parameters[x].name, v->parameters[x].standard);
}

static const table_column variant_columns[] = {{"name", NULL, 0},
                                               {"family", NULL, 0},
                                               {"phase", NULL, TABLE_HIDE_PEOPLE},
                                               {"parameters", NULL, 0},
                                               {"summary", NULL, 0},
                                               {"paper", NULL, TABLE_HIDE_TEXT},
                                               {"training_free", NULL, TABLE_HIDE_PEOPLE}};

static int fill_variants(const cli *c, const fovea_context *context, table *t)
{
    char text[512];
    (void)c;
    (void)context;
    for (unsigned n = 0; fovea_variant_at(n) != NULL; n++) {
        const fovea_variant *v = fovea_variant_at(n);
        parameters_text(v, text, sizeof text);
        table_row(t);
        table_text(t, "name", v->name);
        table_text(t, "family", v->family);
        table_text(t, "phase", v->phase);
        table_text(t, "paper", v->paper);
        table_flag(t, "training_free", v->training_free);
        table_value(t, "parameters", cli_parameters_json(v), text);
        table_text(t, "summary", v->summary);
    }
    table_remark(
        t, "'fovea explain NAME' tells a variant's formula, cost and paper, and draws its mask.");
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- patterns, kernels, instruction sets */

static const table_column pattern_columns[] = {
    {"name", NULL, 0}, {"usage", NULL, 0}, {"keeps", NULL, 0}};

static int fill_patterns(const cli *c, const fovea_context *context, table *t)
{
    (void)c;
    (void)context;
    for (unsigned n = 0; fovea_primitive_at(n) != NULL; n++) {
        const fovea_primitive *p = fovea_primitive_at(n);
        table_row(t);
        table_text(t, "name", p->name);
        table_text(t, "usage", p->usage);
        table_text(t, "keeps", p->keeps);
    }
    table_remark(
        t, "p = i + lk - lq is a query's position, j a key's. Combine with | & ! and parentheses:\n"
           "  --variant 'pattern:causal & (window(left=255) | sinks(4))'");
    return EXIT_DONE;
}

static const table_column kernel_columns[] = {
    {"name", NULL, 0}, {"op", NULL, 0},        {"dtype", NULL, 0},     {"isa", NULL, 0},
    {"tile", NULL, 0}, {"tolerance", NULL, 0}, {"available", NULL, 0}, {"note", NULL, 0}};

static int fill_kernels(const cli *c, const fovea_context *context, table *t)
{
    fovea_kernel k;
    (void)c;
    (void)context;
    for (unsigned n = 0; fovea_kernel_at(n, &k); n++) {
        table_row(t);
        table_text(t, "name", k.name);
        table_text(t, "op", k.op);
        table_text(t, "dtype", k.dtype);
        table_text(t, "isa", k.isa);
        table_text(t, "tile", k.tile ? k.tile : "");
        table_text(t, "tolerance", k.tolerance ? k.tolerance : "");
        table_flag(t, "available", k.available);
        table_text(t, "note", k.note ? k.note : "");
    }
    return EXIT_DONE;
}

static const table_column isa_columns[] = {
    {"name", NULL, 0}, {"available", NULL, 0}, {"chosen", NULL, 0}};

static int fill_isas(const cli *c, const fovea_context *context, table *t)
{
    const char *chosen = fovea_context_isa(context);
    (void)c;
    for (unsigned n = 0; fovea_isa_name(n) != NULL; n++) {
        const char *name = fovea_isa_name(n);
        table_row(t);
        table_text(t, "name", name);
        table_flag(t, "available", fovea_isa_available(name) == 1);
        table_flag(t, "chosen", strcmp(name, chosen) == 0);
        if (strcmp(name, chosen) == 0)
            table_emphasise(t);
    }
    table_remark(t, "Weakest first. --isa NAME or FOVEA_ISA=NAME caps the choice.");
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- shapes */

static const table_column shape_columns[] = {{"name", NULL, 0},
                                             {"section", NULL, TABLE_HIDE_PEOPLE},
                                             {"batch", "b", TABLE_RIGHT},
                                             {"hq", NULL, TABLE_RIGHT},
                                             {"hkv", NULL, TABLE_RIGHT},
                                             {"lq", NULL, TABLE_RIGHT},
                                             {"lk", NULL, TABLE_RIGHT},
                                             {"d", NULL, TABLE_RIGHT},
                                             {"dv", NULL, TABLE_RIGHT},
                                             {"dtype", NULL, 0},
                                             {"mask", NULL, 0},
                                             {"window", NULL, TABLE_RIGHT},
                                             {"sink", NULL, TABLE_HIDE_PEOPLE},
                                             {"softcap", NULL, TABLE_RIGHT},
                                             {"scale", NULL, TABLE_RIGHT | TABLE_HIDE_PEOPLE},
                                             {"calls", NULL, TABLE_RIGHT},
                                             {"sets", NULL, TABLE_HIDE_PEOPLE},
                                             {"what", NULL, 0},
                                             {"source", NULL, TABLE_HIDE_PEOPLE}};

static void optional_integer(table *t, const char *key, int64_t value)
{
    if (value > 0)
        table_integer(t, key, value, NULL);
    else
        table_null(t, key, NULL);
}

static void optional_real(table *t, const char *key, double value)
{
    if (value > 0)
        table_real(t, key, value, NULL);
    else
        table_null(t, key, NULL);
}

static void shape_row(table *t, const shape *s)
{
    static const char *const dtypes[] = {"f32", "bf16", "f16"};
    table_row(t);
    table_text(t, "name", s->name);
    table_text(t, "section", s->section);
    table_integer(t, "batch", s->batch, NULL);
    table_integer(t, "hq", s->hq, NULL);
    table_integer(t, "hkv", s->hkv, NULL);
    table_integer(t, "lq", s->lq, NULL);
    table_integer(t, "lk", s->lk, NULL);
    table_integer(t, "d", s->d, NULL);
    table_integer(t, "dv", s->dv, NULL);
    table_text(t, "dtype", dtypes[s->dtype]);
    table_text(t, "mask", s->mask);
    optional_integer(t, "window", s->window);
    table_flag(t, "sink", s->sink);
    optional_real(t, "softcap", s->softcap);
    optional_real(t, "scale", s->scale);
    optional_integer(t, "calls", s->calls);
    table_text(t, "sets", s->sets);
    table_text(t, "what", s->what);
    table_text(t, "source", s->source);
}

static int fill_shapes(const cli *c, const fovea_context *context, table *t)
{
    char why[SHAPES_TEXT];
    shapes all;
    (void)context;
    int code = shapes_load(&all, why);
    if (code != 0)
        return cli_fail(c, code, "%s", why);
    for (size_t n = 0; n < all.count; n++)
        shape_row(t, &all.row[n]);
    shapes_free(&all);
    table_remark(t, "One row is one attention call of one layer; calls: how many a forward pass or "
                    "decode step makes.");
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- the command */

enum { TOPICS = 5 };
static const topic topics[TOPICS] = {
    {"variants", "attention variants", variant_columns,
     sizeof variant_columns / sizeof *variant_columns, fill_variants},
    {"patterns", "primitives of patterns", pattern_columns,
     sizeof pattern_columns / sizeof *pattern_columns, fill_patterns},
    {"kernels", "kernels of this build", kernel_columns,
     sizeof kernel_columns / sizeof *kernel_columns, fill_kernels},
    {"shapes", "named shapes", shape_columns, sizeof shape_columns / sizeof *shape_columns,
     fill_shapes},
    {"isas", "instruction sets", isa_columns, sizeof isa_columns / sizeof *isa_columns, fill_isas}};

static const topic *find_topic(const cli *c, const char *name)
{
    const char *names[TOPICS + 1] = {0};
    for (unsigned n = 0; n < TOPICS; n++) {
        names[n] = topics[n].name;
        if (strcmp(name, names[n]) == 0)
            return &topics[n];
    }
    cli_fail(c, EXIT_USAGE,
             "unknown list '%s'; the nearest is '%s'; there are variants, patterns, kernels, "
             "shapes, isas",
             name, cli_nearest(name, names));
    return NULL;
}

static int run_list(const cli *c)
{
    const topic *what = find_topic(c, cli_words(c) ? cli_word(c, 0) : "variants");
    fovea_context *context;
    if (what == NULL)
        return EXIT_USAGE;
    int code = cli_context(c, &context);
    if (code != EXIT_DONE)
        return code;
    table *t = table_create(what->columns, what->count);
    code = t == NULL ? cli_fail(c, EXIT_RESOURCE, "no memory for the table")
                     : what->fill(c, context, t);
    if (code == EXIT_DONE)
        code = cli_print(c, context, t, NULL);
    table_free(t);
    fovea_context_destroy(context);
    return code;
}

const cli_command cli_list = {
    .name = "list",
    .summary = "list variants, pattern primitives, kernels, named shapes or instruction sets",
    .usage =
        "fovea list [variants|patterns|kernels|shapes|isas] [--format table|md|csv|json|jsonl]",
    .min_words = 0,
    .max_words = 1,
    .run = run_list,
    .words = "Without an argument: variants.",
};
