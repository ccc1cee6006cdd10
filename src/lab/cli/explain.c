/* fovea explain: one variant's story: formula, parameters, cost, paper, how other codes count, a picture of its mask,
   and for a given shape what would run and why. */
#include "cli/cli.h"
#include "cli/picture.h"
#include "cli/speed.h"
#include "cli/tensors.h"
#include "eval/shapes.h"
#include "report/quantity.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option explain_options[] = {
    {"--shape", "SHAPE", 's', 0, 0, NULL,
     "b,hq,hkv,lq,lk,d[,dv] or a name of 'fovea list shapes': say which kernels would run, why, "
     "and what it costs"},
    {"--dtype", "f32|bf16|f16", 'c', 0, 0, NULL,
     "element type for --shape; default f32, or the named shape's"},
    {"--causal", NULL, 'f', 0, 0, NULL, "causal problem, for --shape and the picture"},
    {"--measure", NULL, 'f', 0, 0, NULL,
     "with --shape: time it on synthetic data, beside the prediction and the machine's limit"},
    {"--size", "N", 'i', 1, PICTURE_MOST, NULL,
     "tokens of the picture; default: what suits the variant"},
    {"--ascii", NULL, 'f', 0, 0, NULL, "draw with ASCII; the default when the locale is not UTF-8"},
    {0}};

/* What is known before anything is printed. */
typedef struct story {
    const cli *c;
    fovea_context *context;
    const fovea_variant *variant;
    fovea_recipe *recipe; /* of the SPEC given; NULL when only a name was */
    char *picture_spec;   /* NULL: no picture, and then the reason is below */
    const char *picture_note;
    picture mask;
    char no_picture[600];
    fovea_plan *plan; /* with --shape */
    fovea_problem problem;
    fovea_cost cost;
    speed speed;
    char shape[200];
} story;

/* ---------------------------------------------------------------- gathering */

static int unknown_variant(const cli *c, const char *name)
{
    enum { MOST = 256 };
    const char *names[MOST + 1];
    unsigned count = 0;
    for (; count < MOST && fovea_variant_at(count) != NULL; count++)
        names[count] = fovea_variant_at(count)->name;
    names[count] = NULL;
    return cli_fail(c, EXIT_USAGE,
                    "unknown variant '%s'; the nearest is '%s' ('fovea list' names all)", name,
                    cli_nearest(name, names));
}

static int find_variant(story *s)
{
    const char *word = cli_word(s->c, 0);
    fovea_error err = {0};
    s->variant = fovea_variant_find(word);
    if (s->variant != NULL && cli_text(s->c, "--shape") == NULL)
        return EXIT_DONE;
    if (s->variant == NULL && strchr(word, ':') == NULL)
        return unknown_variant(s->c, word);
    if (fovea_recipe_parse(s->context, word, &s->recipe, &err) != FOVEA_OK)
        return cli_fail_error(s->c, &err);
    s->variant = fovea_recipe_variant(s->recipe);
    return EXIT_DONE;
}

/* A variant whose mask cannot be drawn is still explained: the reason is kept for the text. */
static void make_picture(story *s)
{
    const picture_example *example = picture_example_find(s->variant->name);
    int own = strchr(cli_word(s->c, 0), ':') != NULL;
    fovea_recipe *recipe = NULL;
    fovea_error err = {0};
    if (!own && example == NULL) {
        snprintf(s->no_picture, sizeof s->no_picture,
                 "its mask comes from your files: give the full SPEC to see it");
        return;
    }
    const char *spec = own ? cli_word(s->c, 0) : example->spec;
    int64_t length = own ? picture_length(s->recipe) : example->length;
    if (cli_count(s->c, "--size"))
        length = cli_integer(s->c, "--size");
    fovea_status status = fovea_recipe_parse(s->context, spec, &recipe, &err);
    if (status == FOVEA_OK)
        status = picture_make(s->context, recipe, length, cli_flag(s->c, "--causal"),
                              (uint64_t)cli_integer(s->c, "--seed"), &s->mask, &err);
    fovea_recipe_destroy(recipe);
    if (status != FOVEA_OK) {
        snprintf(s->no_picture, sizeof s->no_picture, "%s with %lld tokens: %s", spec,
                 (long long)length, err.text);
        return;
    }
    s->picture_spec = strdup(spec);
    s->picture_note = own ? "" : example->note;
}

/* A name that is in no row, with the nearest one. */
static int unknown_shape(const cli *c, const shapes *all, const char *text)
{
    const char **names = shapes_names(all);
    if (names == NULL)
        return cli_fail(c, EXIT_RESOURCE, "no memory for the names of shapes");
    int code = cli_fail(
        c, EXIT_USAGE,
        "--shape=%s is neither b,hq,hkv,lq,lk,d[,dv] nor a named shape; the nearest name is "
        "'%s' ('fovea list shapes' shows all)",
        text, cli_nearest(text, names));
    free(names);
    return code;
}

static int read_shape(const story *s, const char *text, shape *out)
{
    char why[SHAPES_TEXT];
    shapes all;
    if (shapes_parse(text, out))
        return EXIT_DONE;
    if (strchr(text, ',') != NULL)
        return cli_fail(
            s->c, EXIT_USAGE,
            "--shape=%s; allowed: b,hq,hkv,lq,lk,d[,dv], six or seven whole numbers, lq and lk of "
            "at least 0, the others of at least 1, hq a multiple of hkv",
            text);
    int code = shapes_load(&all, why);
    if (code != 0)
        return cli_fail(s->c, code, "--shape=%s: %s", text, why);
    const shape *row = shapes_find(&all, text);
    if (row != NULL)
        *out = *row;
    else
        code = unknown_shape(s->c, &all, text);
    out->name = out->section = out->what = out->mask = out->source = out->sets =
        ""; /* their text is freed here */
    shapes_free(&all);
    return code;
}

static int make_plan(story *s)
{
    const char *text = cli_text(s->c, "--shape");
    fovea_error err = {0};
    shape x = {0};
    if (text == NULL && cli_flag(s->c, "--measure"))
        return cli_fail(s->c, EXIT_USAGE, "--measure without --shape; give --shape b,hq,hkv,lq,lk,d[,dv] or a named shape");
    if (text == NULL)
        return EXIT_DONE;
    int code = read_shape(s, text, &x);
    if (code != EXIT_DONE)
        return code;
    int dtype = qkv_dtype(cli_text(s->c, "--dtype"));
    fovea_problem *p = &s->problem;
    fovea_problem_init(p, x.batch, x.hq, x.hkv, x.lq, x.lk, x.d, x.dv,
                       dtype < 0 ? x.dtype : (fovea_dtype)dtype);
    p->causal = x.causal || cli_flag(s->c, "--causal");
    p->scale = x.scale;
    p->softcap = x.softcap;
    p->has_sinks = x.sink;
    snprintf(s->shape, sizeof s->shape, "%lld,%lld,%lld,%lld,%lld,%lld,%lld", (long long)x.batch,
             (long long)x.hq, (long long)x.hkv, (long long)x.lq, (long long)x.lk, (long long)x.d,
             (long long)x.dv);
    if (fovea_plan_create(s->context, p, s->recipe, &s->plan, &err) != FOVEA_OK ||
        fovea_plan_cost(s->plan, &s->cost, &err) != FOVEA_OK)
        return cli_fail_error(s->c, &err);
    s->speed = speed_predict(s->plan);
    if (cli_flag(s->c, "--measure"))
        code = speed_measure(s->c, s->context, p, s->plan, &s->cost, &s->speed);
    return code;
}

/* ---------------------------------------------------------------- for people */

static int is_format(const story *s, const char *name)
{
    return strcmp(cli_text(s->c, "--format"), name) == 0;
}
static int unicode(const story *s)
{
    return !cli_flag(s->c, "--ascii") && cli_unicode();
}

static void heading(const story *s, const char *title)
{
    int color = cli_color(s->c, stdout);
    if (is_format(s, "md"))
        printf("\n## %s\n\n", title);
    else
        printf("\n%s%s%s\n", color ? "\033[1m" : "", title, color ? "\033[0m" : "");
}

static void fence(const story *s)
{
    if (is_format(s, "md"))
        puts("```");
}

/* Lines of a text that may have several, each wrapped and set in by two columns. */
static void print_lines(const char *text)
{
    char *copy = strdup(text), *rest = copy;
    for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        fputs("  ", stdout);
        cli_print_wrapped(line, 2, 2, stdout);
    }
    free(copy);
}

/* The engine's lines as they are, set in by two columns. */
static void print_raw(const char *text)
{
    while (*text) {
        int n = (int)strcspn(text, "\n");
        printf("  %.*s\n", n, text);
        text += n + (text[n] == '\n');
    }
}

static void section(const story *s, const char *title, const char *text)
{
    if (text == NULL || *text == 0)
        return;
    heading(s, title);
    print_lines(text);
}

static void print_parameters(const story *s)
{
    if (s->variant->parameter_count > 0) {
        heading(s, "Parameters (key=default)");
        fence(s);
        for (unsigned n = 0; n < s->variant->parameter_count; n++)
            cli_print_parameter(&s->variant->parameters[n], stdout);
        fence(s);
    }
    heading(s, "Parameters of every softmax variant");
    fence(s);
    for (unsigned n = 0; fovea_common_parameter_at(n) != NULL; n++)
        cli_print_parameter(fovea_common_parameter_at(n), stdout);
    fence(s);
}

static void print_picture(const story *s)
{
    char text[400];
    heading(s, "Picture");
    if (s->picture_spec == NULL) {
        printf("  none: ");
        cli_print_wrapped(s->no_picture, 8, 2, stdout);
        return;
    }
    snprintf(text, sizeof text, "%s on %lld tokens%s%s%s%s", s->picture_spec,
             (long long)s->mask.length,
             strchr(cli_word(s->c, 0), ':') == NULL ? ", scaled down to fit" : "",
             s->mask.realised ? ", for synthetic q and k: the choice depends on the data" : "",
             *s->picture_note ? "; " : "", s->picture_note);
    print_lines(text);
    fence(s);
    picture_draw(&s->mask, unicode(s), "  ", stdout);
    fence(s);
    picture_legend(&s->mask, unicode(s), text, sizeof text);
    print_lines(text);
}

static void print_speed(const story *s)
{
    const speed *x = &s->speed;
    printf("  predicted %s%s", quantity_time(x->predicted_ns, cli_unicode()).text, x->limit ? "" : "\n");
    if (x->limit == NULL)
        return;
    printf(", %s of the limit by %s; measured %s, %s of it\n", quantity_percent(x->predicted_percent / 100).text,
           x->limit, quantity_time(x->measured_ns, cli_unicode()).text, quantity_percent(x->measured_percent / 100).text);
    printf("  limits measured meanwhile: fma %s GFLOP/s, read %s GB/s over a block of this size",
           quantity_amount(x->fma).text, quantity_amount(x->read).text);
    if (x->bf16 > 0)
        printf(", bf16 dot %s GFLOP/s", quantity_amount(x->bf16).text);
    puts("");
}

static void print_plan(const story *s)
{
    if (s->plan == NULL)
        return;
    heading(s, "For this shape");
    printf("  b,hq,hkv,lq,lk,d,dv = %s, %s%s, on %s\n", s->shape, qkv_dtype_name(s->problem.dtype),
           s->problem.causal ? ", causal" : "", fovea_context_isa(s->context));
    fence(s);
    print_raw(fovea_plan_explain(s->plan));
    fence(s);
    printf("  %.0f pairs of %.0f that dense visits: density %.4f; %.4g GFLOP, %.4g MB read or "
           "written at least\n",
           s->cost.visible_pairs, s->cost.dense_pairs, s->cost.density, s->cost.flops * 1e-9,
           s->cost.bytes * 1e-6);
    print_speed(s);
}

static void print_people(const story *s)
{
    const fovea_variant *v = s->variant;
    if (is_format(s, "md"))
        printf("# %s\n\n%s\n\n", v->name, v->summary);
    else {
        printf("%s: ", v->name);
        cli_print_wrapped(v->summary, (unsigned)strlen(v->name) + 2, 2, stdout);
    }
    printf("%s, phase: %s, drops into a trained model: %s\n", v->family, v->phase,
           v->training_free ? "yes" : "no");
    section(s, "Formula", v->formula);
    print_parameters(s);
    section(s, "Cost of a query row", v->cost);
    section(s, "In other codes", v->codes);
    section(s, "Paper", strcmp(v->paper, "-") == 0 ? "" : v->paper);
    print_picture(s);
    print_plan(s);
}

/* ---------------------------------------------------------------- for programs */

/* Rows of '#' (read) and '.' (not), one string per query. */
static json_t *picture_json(const story *s)
{
    json_t *rows = json_array();
    int64_t n = s->mask.length;
    char *line = malloc((size_t)n + 1);
    for (int64_t i = 0; line != NULL && i < n; i++) {
        for (int64_t j = 0; j < n; j++)
            line[j] = s->mask.mask[i * n + j] ? '#' : '.';
        json_array_append_new(rows, json_stringn(line, (size_t)n));
    }
    free(line);
    return json_pack("{s:s, s:I, s:b, s:o}", "spec", s->picture_spec, "length", (json_int_t)n,
                     "realised", s->mask.realised, "rows", rows);
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *forms_json(const fovea_plan *plan)
{
    fovea_form form = {.struct_size = sizeof form};
    json_t *all = json_array();
    for (unsigned i = 0; fovea_plan_form(plan, i, &form); i++)
        json_array_append_new(all, json_pack("{s:i, s:s, s:b, s:o, s:s}", "pass", (int)form.pass, "name", form.name, "taken",
                                             form.taken, "predicted_ns", number_or_null(form.predicted_ns), "reason",
                                             form.reason));
    return all;
}

/* Keys of a measurement are null without --measure. */
static json_t *speed_json(const speed *x)
{
    return json_pack("{s:o, s:o, s:s?, s:o, s:o, s:o, s:o, s:o}", "predicted_ns", number_or_null(x->predicted_ns),
                     "best_ns", number_or_null(x->measured_ns), "limit", x->limit, "percent_of_limit",
                     number_or_null(x->measured_percent), "predicted_percent_of_limit",
                     number_or_null(x->predicted_percent), "fma_peak_gflops", number_or_null(x->limit ? x->fma : NAN),
                     "bf16_peak_gflops", number_or_null(x->limit ? x->bf16 : NAN), "read_gbps",
                     number_or_null(x->limit ? x->read : NAN));
}

static json_t *plan_json(const story *s)
{
    const fovea_cost *cost = &s->cost;
    json_t *plan =
        json_pack("{s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:o, s:s}", "shape", s->shape, "dtype",
                  qkv_dtype_name(s->problem.dtype), "causal", s->problem.causal, "explain",
                  fovea_plan_explain(s->plan), "kernel", cost->kernel ? cost->kernel : "", "isa",
                  cost->isa ? cost->isa : "", "driver", cost->driver ? cost->driver : "", "visible_pairs",
                  cost->visible_pairs, "dense_pairs", cost->dense_pairs, "density", cost->density, "flops",
                  cost->flops, "bytes", cost->bytes, "forms", forms_json(s->plan), "tuning",
                  fovea_context_tuning_source(s->context));
    json_t *times = speed_json(&s->speed);
    if (plan != NULL && times != NULL)
        json_object_update(plan, times);
    json_decref(times);
    return plan;
}

static json_t *common_json(void)
{
    json_t *all = json_array();
    for (unsigned n = 0; fovea_common_parameter_at(n) != NULL; n++)
        json_array_append_new(all, json_string(fovea_common_parameter_at(n)->name));
    return all;
}

static const table_column explain_columns[] = {{"name", NULL, 0},
                                               {"spec", NULL, 0},
                                               {"family", NULL, 0},
                                               {"phase", NULL, 0},
                                               {"paper", NULL, 0},
                                               {"training_free", NULL, 0},
                                               {"summary", NULL, 0},
                                               {"formula", NULL, 0},
                                               {"cost", NULL, 0},
                                               {"codes", NULL, 0},
                                               {"parameters", NULL, TABLE_HIDE_CSV},
                                               {"common_parameters", NULL, TABLE_HIDE_CSV},
                                               {"picture", NULL, TABLE_HIDE_CSV},
                                               {"plan", NULL, TABLE_HIDE_CSV}};

static int print_programs(const story *s)
{
    const fovea_variant *v = s->variant;
    table *t = table_create(explain_columns, sizeof explain_columns / sizeof *explain_columns);
    if (t == NULL)
        return cli_fail(s->c, EXIT_RESOURCE, "no memory for the result");
    table_row(t);
    table_text(t, "name", v->name);
    table_text(t, "spec", s->recipe ? fovea_recipe_spec(s->recipe) : v->name);
    table_text(t, "family", v->family);
    table_text(t, "phase", v->phase);
    table_text(t, "paper", v->paper);
    table_flag(t, "training_free", v->training_free);
    table_text(t, "summary", v->summary);
    table_text(t, "formula", v->formula);
    table_text(t, "cost", v->cost);
    table_text(t, "codes", v->codes);
    table_value(t, "parameters", cli_parameters_json(v), NULL);
    table_value(t, "common_parameters", common_json(), NULL);
    if (s->picture_spec != NULL)
        table_value(t, "picture", picture_json(s), NULL);
    if (s->plan != NULL)
        table_value(t, "plan", plan_json(s), NULL);
    int code = cli_print(s->c, s->context, t, NULL);
    table_free(t);
    return code;
}

/* ---------------------------------------------------------------- the command */

static int run_explain(const cli *c)
{
    story s = {.c = c};
    int code = cli_context(c, &s.context);
    if (code == EXIT_DONE)
        code = find_variant(&s);
    if (code == EXIT_DONE)
        code = make_plan(&s);
    if (code == EXIT_DONE) {
        make_picture(&s);
        if (is_format(&s, "table") || is_format(&s, "md"))
            print_people(&s);
        else
            code = print_programs(&s);
    }
    picture_free(&s.mask);
    free(s.picture_spec);
    fovea_plan_destroy(s.plan);
    fovea_recipe_destroy(s.recipe);
    fovea_context_destroy(s.context);
    return code;
}

const cli_command cli_explain = {
    .name = "explain",
    .summary = "tell a variant's formula, parameters, cost and paper, draw its mask, name the "
               "kernels for a shape",
    .usage = "fovea explain NAME|SPEC [--shape b,hq,hkv,lq,lk,d[,dv]] [--dtype T] [--causal] "
             "[--measure] [--size N] [--ascii]",
    .options = explain_options,
    .min_words = 1,
    .max_words = 1,
    .run = run_explain,
    .words = "NAME is a row of 'fovea list'; a full SPEC, NAME:key=value,... or 'pattern:EXPR', is "
             "drawn with its own "
             "parameters.",
};
