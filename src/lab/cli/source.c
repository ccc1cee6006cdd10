/* Opening the input of compare and bench; see source.h. */
#include "cli/source.h"

#include "eval/available.h"
#include "eval/operands.h"
#include "eval/shapes.h"
#include "eval/synthetic.h"
#include "report/quantity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char source_words[] =
    "with --sample: its name, smollm2 (causal, the default) or minilm (encoder)";

int source_check_memory(const cli *c, double bytes, const char *what)
{
    const double available = available_bytes();
    if (available <= 0 || bytes <= available)
        return EXIT_DONE;
    return cli_fail(c, EXIT_RESOURCE, "%s needs %.0f bytes (%s), but %.0f (%s) are available", what,
                    bytes, quantity_bytes(bytes).text, available, quantity_bytes(available).text);
}

static void describe_shape(source *s)
{
    const fovea_problem *p = &s->problem;
    snprintf(s->shape, sizeof s->shape, "b=%lld hq=%lld hkv=%lld lq=%lld lk=%lld d=%lld dv=%lld",
             (long long)p->batch, (long long)p->hq, (long long)p->hkv, (long long)p->lq,
             (long long)p->lk, (long long)p->d, (long long)p->dv);
}

/* ------------------------------------------------------------------ files and samples */

typedef struct sample_file {
    const char *name, *path;
} sample_file;

static const sample_file samples[] = {
    {"smollm2", "samples/smollm2-causal.safetensors"},
    {"minilm", "samples/minilm-l6-encoder.safetensors"},
};

enum { SAMPLES = sizeof samples / sizeof *samples };

/* Path inside the data folder of a sample's name; NULL when it has none and the line is printed. */
static const char *sample_path(const cli *c, const char *name, int *code)
{
    const char *names[SAMPLES + 1];
    for (int n = 0; n < SAMPLES; n++) {
        names[n] = samples[n].name;
        if (strcmp(name, names[n]) == 0)
            return samples[n].path;
    }
    names[SAMPLES] = NULL;
    *code = cli_fail(c, EXIT_USAGE,
                     "unknown sample '%s'; the nearest is '%s'; allowed: smollm2, minilm", name,
                     cli_nearest(name, names));
    return NULL;
}

/* The problem of loaded tensors. `origin` is the file as people should see it, NULL for three files. */
static void adopt_file(const cli *c, source *s, const char *origin)
{
    const qkv *in = &s->file;
    char layer[40] = "";
    fovea_problem_init(&s->problem, in->batch, in->hq, in->hkv, in->lq, in->lk, in->d, in->dv,
                       in->dtype);
    s->problem.causal = in->causal || cli_flag(c, "--causal");
    s->problem.scale = cli_real(c, "--scale");
    s->arguments.q = in->q;
    s->arguments.k = in->k;
    s->arguments.v = in->v;
    if (in->layer >= 0)
        snprintf(layer, sizeof layer, ", layer %lld", (long long)in->layer);
    if (origin && in->model)
        snprintf(s->text, sizeof s->text, "%.150s%s (%.150s)", in->model, layer, origin);
    else if (origin)
        snprintf(s->text, sizeof s->text, "%.300s%s", origin, layer);
    else
        snprintf(s->text, sizeof s->text, "%.120s, %.120s, %.120s", cli_text(c, "--q"),
                 cli_text(c, "--k"), cli_text(c, "--v"));
}

static int open_sample(const cli *c, source *s)
{
    char path[1024], why[SHAPES_TEXT];
    int code = EXIT_DONE;
    const char *file = sample_path(c, cli_words(c) ? cli_word(c, 0) : samples[0].name, &code);
    if (!file)
        return code;
    if (!shapes_data_path(file, path, sizeof path, why))
        return cli_fail(c, EXIT_INPUT, "%s", why);
    const int64_t layer = cli_count(c, "--layer") ? cli_integer(c, "--layer") : -1;
    code = qkv_load_file(c, path, layer, qkv_dtype(cli_text(c, "--dtype")), &s->file);
    if (code == EXIT_DONE)
        adopt_file(c, s, file);
    return code;
}

static int open_files(const cli *c, source *s)
{
    const int code = qkv_load(c, &s->file);
    if (code == EXIT_DONE)
        adopt_file(c, s, cli_text(c, "--qkv"));
    return code;
}

/* ------------------------------------------------------------------ shapes */

static int unknown_shape(const cli *c, const shapes *all, const char *text)
{
    if (strchr(text, ','))
        return cli_fail(c, EXIT_USAGE,
                        "--shape=%s is not b,hq,hkv,lq,lk,d[,dv]: six or seven whole numbers "
                        "(suffix k or m allowed), hq a "
                        "multiple of hkv, d and dv in 1..65536",
                        text);
    const char **names = shapes_names(all);
    const char *nearest = names ? cli_nearest(text, names) : NULL;
    const int code =
        cli_fail(c, EXIT_USAGE,
                 "unknown shape '%s'; the nearest is '%s' ('fovea list shapes' prints them; "
                 "b,hq,hkv,lq,lk,d[,dv] gives your own)",
                 text, nearest ? nearest : "");
    free(names);
    return code;
}

/* In double: a shape may be far too big for integers. */
static double bytes_of(const shape *row, fovea_dtype dtype)
{
    const double queries = (double)row->batch * (double)row->hq * (double)row->lq;
    const double keys = (double)row->batch * (double)row->hkv * (double)row->lk;
    const double inputs = queries * (double)row->d + keys * (double)(row->d + row->dv);
    const double each = sizeof(float) + (dtype == FOVEA_F32 ? 0.0 : (double)qkv_dtype_bytes(dtype));
    return inputs * each + queries * (double)row->dv * sizeof(float);
}

/* Fills s->made for the problem. 0, or -1 without memory. */
static int make_tensors(const cli *c, const shape *row, operands_layout layout, source *s)
{
    const uint64_t seed = (uint64_t)cli_integer(c, "--seed");
    const synthetic_kind kind = (synthetic_kind)synthetic_find(cli_text(c, "--synthetic"));
    if (operands_make(&s->problem, layout, kind, seed, s->made))
        return -1;
    if (row->sink) {
        s->sinks = malloc((size_t)row->hq * sizeof *s->sinks);
        if (!s->sinks)
            return -1;
        synthetic_sinks(seed, row->hq, s->sinks);
        s->problem.has_sinks = 1;
    }
    s->arguments.q = s->made[0];
    s->arguments.k = s->made[1];
    s->arguments.v = s->made[2];
    s->arguments.sinks = s->sinks;
    return 0;
}

/* Says in one text what the named shape brought along, and what of its mask is not applied. */
static void describe_synthetic(const cli *c, const shape *row, int named, source *s)
{
    char edits[160] = "";
    size_t used = 0;
    if (row->window)
        used += (size_t)snprintf(edits + used, sizeof edits - used, ", window %lld",
                                 (long long)row->window);
    if (row->sink)
        used += (size_t)snprintf(edits + used, sizeof edits - used, ", sink logit per head");
    if (row->softcap > 0)
        used += (size_t)snprintf(edits + used, sizeof edits - used, ", soft cap %g", row->softcap);
    if (named && !row->causal && strcmp(row->mask, "none") != 0)
        snprintf(edits + used, sizeof edits - used, ", without its mask '%.50s'", row->mask);
    snprintf(s->text, sizeof s->text, "synthetic %s%s%.60s%s", cli_text(c, "--synthetic"),
             named ? ", shape of " : "", named ? row->name : "", edits);
}

static int fill_shape(const cli *c, const shape *row, int named, operands_layout layout, source *s)
{
    const char *dtype = cli_text(c, "--dtype");
    const fovea_dtype type = dtype ? (fovea_dtype)qkv_dtype(dtype) : row->dtype;
    int code = source_check_memory(c, bytes_of(row, type), "this shape");
    if (code != EXIT_DONE)
        return code;
    fovea_problem_init(&s->problem, row->batch, row->hq, row->hkv, row->lq, row->lk, row->d,
                       row->dv, type);
    s->problem.causal = row->causal || cli_flag(c, "--causal");
    s->problem.scale = cli_count(c, "--scale") ? cli_real(c, "--scale") : row->scale;
    s->problem.softcap = row->softcap;
    s->window = row->window;
    s->synthetic = 1;
    if (make_tensors(c, row, layout, s))
        return cli_fail(c, EXIT_RESOURCE, "no memory for q, k and v (%s)",
                        quantity_bytes(bytes_of(row, type)).text);
    describe_synthetic(c, row, named, s);
    describe_shape(s);
    return EXIT_DONE;
}

int source_open_shape(const cli *c, const char *text, operands_layout layout, source *s)
{
    char why[SHAPES_TEXT];
    shape own;
    shapes all = {0};
    int code;
    memset(s, 0, sizeof *s);
    s->arguments.struct_size = sizeof s->arguments;
    if (shapes_parse(text, &own)) {
        code = fill_shape(c, &own, 0, layout, s);
    } else if ((code = shapes_load(&all, why)) != 0) {
        code = cli_fail(c, code, "%s", why);
    } else {
        const shape *row = shapes_find(&all, text);
        code = row ? fill_shape(c, row, 1, layout, s) : unknown_shape(c, &all, text);
    }
    shapes_free(&all);
    if (code != EXIT_DONE)
        source_free(s);
    return code;
}

/* ------------------------------------------------------------------ choosing */

static int check_choice(const cli *c)
{
    const int files =
        cli_count(c, "--qkv") || cli_count(c, "--q") || cli_count(c, "--k") || cli_count(c, "--v");
    const int sample = cli_flag(c, "--sample"), shape = cli_count(c, "--shape") > 0;
    if (files + sample + shape > 1)
        return cli_fail(
            c, EXIT_USAGE,
            "--sample, --shape and tensor files (--qkv, --q --k --v) exclude each other; give one");
    if (files + sample + shape == 0)
        return cli_fail(
            c, EXIT_USAGE,
            "no input; give --sample [smollm2|minilm], --qkv F, --q F --k F --v F, or --shape "
            "NAME or b,hq,hkv,lq,lk,d[,dv]");
    if (cli_words(c) && !sample)
        return cli_fail(c, EXIT_USAGE,
                        "unexpected argument '%s'; a word may only name a sample, after --sample",
                        cli_word(c, 0));
    if (cli_count(c, "--synthetic") && !shape)
        return cli_fail(
            c, EXIT_USAGE,
            "--synthetic fills a --shape with made-up data; with real tensors it means nothing");
    if (cli_count(c, "--layer") && shape)
        return cli_fail(c, EXIT_USAGE,
                        "--layer names a layer of a file and means nothing with --shape");
    return EXIT_DONE;
}

int source_open(const cli *c, source *s)
{
    memset(s, 0, sizeof *s);
    int code = check_choice(c);
    if (code != EXIT_DONE)
        return code;
    if (cli_count(c, "--shape"))
        return source_open_shape(c, cli_text(c, "--shape"), OPERANDS_BHLD, s);
    s->arguments.struct_size = sizeof s->arguments;
    code = cli_flag(c, "--sample") ? open_sample(c, s) : open_files(c, s);
    if (code == EXIT_DONE)
        describe_shape(s);
    else
        source_free(s);
    return code;
}

void source_free(source *s)
{
    qkv_free(&s->file);
    for (int n = 0; n < 3; n++)
        free(s->made[n]);
    free(s->sinks);
    memset(s, 0, sizeof *s);
}
