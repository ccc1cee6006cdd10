/* q, k and v from files, checked against each other. Contract in tensors.h. */
#include "cli/tensors.h"
#include "io/pages.h"
#include <stdlib.h>
#include <string.h>

const cli_option qkv_options[] = {
    {"--q", "FILE", 's', 0, 0, NULL,
     "queries [.., hq, lq, d], rank 2 to 4; .npy, or .safetensors with a tensor q"},
    {"--k", "FILE", 's', 0, 0, NULL, "keys [.., hkv, lk, d]; hq is a multiple of hkv"},
    {"--v", "FILE", 's', 0, 0, NULL, "values [.., hkv, lk, dv]"},
    {"--qkv", "FILE", 's', 0, 0, NULL,
     "one .safetensors file that holds q, k and v, in place of the three"},
    {"--layer", "N", 'i', 0, 100000, NULL, "with --qkv: tensors layer.N.q, layer.N.k, layer.N.v"},
    {"--dtype", "f32|bf16|f16", 'c', 0, 0, NULL,
     "round q, k and v to this type first; default: the files' type"},
    {0}};

static const float empty_data[1] = {
    0}; /* what an empty tensor points to: the engine wants no NULL */
static const char *const part_name[3] = {"q", "k", "v"};

int qkv_dtype(const char *name)
{
    for (int n = 0; name != NULL && n < 3; n++)
        if (strcmp(name, qkv_dtype_name((fovea_dtype)n)) == 0)
            return n;
    return -1;
}

const char *qkv_dtype_name(fovea_dtype dtype)
{
    return dtype == FOVEA_F32 ? "f32" : dtype == FOVEA_BF16 ? "bf16" : "f16";
}

size_t qkv_dtype_bytes(fovea_dtype dtype)
{
    return dtype == FOVEA_F32 ? 4 : 2;
}

/* The engine's type of a tensor's elements, -1 for integers. */
static int dtype_of(const tensor *t)
{
    return t->type == TENSOR_F32    ? FOVEA_F32
           : t->type == TENSOR_BF16 ? FOVEA_BF16
           : t->type == TENSOR_F16  ? FOVEA_F16
                                    : -1;
}

int64_t tensor_count(const tensor *t)
{
    int64_t n = 1;
    for (int x = 0; x < t->rank; x++)
        n *= t->dim[x];
    return n;
}

void tensor_shape_text(const tensor *t, char *out, size_t n)
{
    size_t used = (size_t)snprintf(out, n, "[");
    for (int x = 0; x < t->rank && used < n; x++)
        used +=
            (size_t)snprintf(out + used, n - used, "%s%lld", x ? ", " : "", (long long)t->dim[x]);
    if (used < n)
        snprintf(out + used, n - used, "]");
}

const float *tensor_as_f32(const tensor *t, void **block)
{
    *block = NULL;
    if (tensor_count(t) == 0)
        return empty_data;
    if (t->type == TENSOR_F32)
        return t->data;
    size_t n = (size_t)tensor_count(t);
    *block = pages_get(n * sizeof(float));
    if (*block != NULL)
        fovea_convert_to_f32((fovea_dtype)dtype_of(t), t->data, *block, n);
    return *block;
}

/* ---------------------------------------------------------------- shapes */

/* Dimension `from_end` places before the last, 1 when the rank has no such place. */
static int64_t dim_from_end(const tensor *t, int from_end)
{
    return from_end < t->rank ? t->dim[t->rank - 1 - from_end] : 1;
}

/* Where the three came from, for messages: "q.npy" or "layers.safetensors, tensor layer.3.q". */
typedef struct place {
    char text[3][600];
} place;

static int check_ranks(const cli *c, const tensor *t, const place *at)
{
    char shape[160], other[160];
    for (int n = 0; n < 3; n++) {
        tensor_shape_text(&t[n], shape, sizeof shape);
        if (dtype_of(&t[n]) < 0)
            return cli_fail(c, EXIT_INPUT, "%s: holds %s; %s must be f32, f16 or bf16", at->text[n],
                            tensor_type_name(t[n].type), part_name[n]);
        if (t[n].rank < 2 || t[n].rank > 4)
            return cli_fail(c, EXIT_USAGE,
                            "%s: %s has rank %d, shape %s; allowed: [L, D], [H, L, D] or [B, H, L, D]",
                            at->text[n], part_name[n], t[n].rank, shape);
        if (t[n].rank != t[0].rank) {
            tensor_shape_text(&t[0], other, sizeof other);
            return cli_fail(c, EXIT_USAGE,
                            "%s: %s has rank %d, shape %s, but q has rank %d, shape %s; all three must have "
                            "the same rank",
                            at->text[n], part_name[n], t[n].rank, shape, t[0].rank, other);
        }
    }
    return EXIT_DONE;
}

/* One agreement between q, k and v; `of` and `with` index them. */
typedef struct agreement {
    int of, with, from_end;
    const char *what;
} agreement;

static int check_agreements(const cli *c, const tensor *t, const place *at)
{
    static const agreement rules[] = {{1, 0, 3, "batch"},
                                      {2, 0, 3, "batch"},
                                      {1, 0, 0, "head size d"},
                                      {2, 1, 2, "heads (hkv)"},
                                      {2, 1, 1, "keys (lk)"}};
    char shape[160], other[160];
    for (unsigned n = 0; n < sizeof rules / sizeof *rules; n++) {
        const agreement *r = &rules[n];
        int64_t a = dim_from_end(&t[r->of], r->from_end),
                b = dim_from_end(&t[r->with], r->from_end);
        if (a == b)
            continue;
        tensor_shape_text(&t[r->of], shape, sizeof shape);
        tensor_shape_text(&t[r->with], other, sizeof other);
        return cli_fail(c, EXIT_USAGE,
                        "%s: %s has %s %lld in shape %s, but %s has %lld in %s; they must be equal",
                        at->text[r->of], part_name[r->of], r->what, (long long)a, shape,
                        part_name[r->with], (long long)b, other);
    }
    for (int n = 0; n < 3; n++) {
        if (dim_from_end(&t[n], 0) >= 1 && dim_from_end(&t[n], 3) >= 1)
            continue;
        tensor_shape_text(&t[n], shape, sizeof shape);
        return cli_fail(c, EXIT_USAGE,
                        "%s: %s has shape %s; batch and head size must be at least 1", at->text[n],
                        part_name[n], shape);
    }
    int64_t hq = dim_from_end(&t[0], 2), hkv = dim_from_end(&t[1], 2);
    if (hkv < 1 || hq < 1 || hq % hkv != 0)
        return cli_fail(
            c, EXIT_USAGE,
            "hq=%lld is not a multiple of hkv=%lld (%s, %s); each key/value head serves hq/hkv "
            "query heads, so hq must be a positive multiple of hkv",
            (long long)hq, (long long)hkv, at->text[0], at->text[1]);
    return EXIT_DONE;
}

static int check_types(const cli *c, const tensor *t, const place *at)
{
    for (int n = 1; n < 3; n++)
        if (t[n].type != t[0].type)
            return cli_fail(
                c, EXIT_USAGE,
                "%s: %s is %s but q is %s; give --dtype f32, bf16 or f16 to convert all three",
                at->text[n], part_name[n], tensor_type_name(t[n].type),
                tensor_type_name(t[0].type));
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- conversion */

/* Element n of the three as `dtype`: the file's own data when it has that type, else a converted copy. */
static const void *convert(qkv *in, int n, fovea_dtype dtype)
{
    const tensor *t = &in->file[n];
    if (tensor_count(t) == 0)
        return empty_data;
    if (dtype_of(t) == (int)dtype)
        return t->data;
    size_t count = (size_t)tensor_count(t);
    void *block = NULL;
    const float *f32 = tensor_as_f32(t, &block);
    if (f32 == NULL || dtype == FOVEA_F32) {
        in->converted[n] = block;
        return f32;
    }
    in->converted[n] = pages_get(count * qkv_dtype_bytes(dtype));
    if (in->converted[n] != NULL)
        fovea_convert_from_f32(dtype, f32, in->converted[n], count);
    free(block);
    return in->converted[n];
}

/* Checks the three tensors and fills the rest of *in. */
static int finish(const cli *c, int dtype, const place *at, qkv *in)
{
    int code = check_ranks(c, in->file, at);
    if (code == EXIT_DONE)
        code = check_agreements(c, in->file, at);
    if (code == EXIT_DONE && dtype < 0)
        code = check_types(c, in->file, at);
    if (code != EXIT_DONE)
        return code;
    in->rank = in->file[0].rank;
    in->batch = dim_from_end(&in->file[0], 3);
    in->hq = dim_from_end(&in->file[0], 2);
    in->hkv = dim_from_end(&in->file[1], 2);
    in->lq = dim_from_end(&in->file[0], 1);
    in->lk = dim_from_end(&in->file[1], 1);
    in->d = dim_from_end(&in->file[0], 0);
    in->dv = dim_from_end(&in->file[2], 0);
    in->dtype = (fovea_dtype)(dtype < 0 ? dtype_of(&in->file[0]) : dtype);
    in->q = convert(in, 0, in->dtype);
    in->k = convert(in, 1, in->dtype);
    in->v = convert(in, 2, in->dtype);
    if (in->q == NULL || in->k == NULL || in->v == NULL)
        return cli_fail(c, EXIT_RESOURCE, "no memory to convert q, k and v to %s",
                        qkv_dtype_name(in->dtype));
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- reading */

static int read_three(const cli *c, const char *const *path, qkv *in, place *at)
{
    char why[IO_TEXT];
    for (int n = 0; n < 3; n++) {
        int code = tensor_read(path[n], part_name[n], &in->file[n], why);
        if (code != IO_OK)
            return cli_fail(c, code, "%s", why);
        snprintf(at->text[n], sizeof at->text[n], "%s", path[n]);
    }
    return EXIT_DONE;
}

static int has_name(char *const *names, size_t count, const char *name)
{
    for (size_t n = 0; n < count; n++)
        if (strcmp(names[n], name) == 0)
            return 1;
    return 0;
}

static int metadata_number(const char *path, const char *key, int64_t *value, char *why)
{
    char *text = NULL;
    int code = safetensors_metadata(path, key, &text, why);
    *value = -1;
    if (code == IO_OK && text != NULL)
        cli_read_integer(text, value);
    free(text);
    return code;
}

/* The layer to read when none was asked for: -1 for plain q, k, v, else the metadata's default_layer. */
static int default_layer(const char *path, int64_t *layer, char *why)
{
    char **names = NULL;
    size_t count = 0;
    int code = safetensors_names(path, &names, &count, why);
    *layer = -1;
    if (code == IO_OK && !has_name(names, count, "q")) {
        code = metadata_number(path, "default_layer", layer, why);
        if (code == IO_OK && *layer < 0) {
            snprintf(why, IO_TEXT,
                     "%.300s: has no tensor 'q' and no default_layer in its metadata; its tensors "
                     "begin with "
                     "'%.60s'; name a layer by --layer N",
                     path, count ? names[0] : "");
            code = IO_INVALID;
        }
    }
    if (names != NULL)
        safetensors_names_free(names, count);
    return code;
}

int qkv_load_file(const cli *c, const char *path, int64_t layer, int dtype, qkv *in)
{
    char why[IO_TEXT], name[64];
    place at;
    int64_t causal = 0;
    memset(in, 0, sizeof *in);
    int code = layer < 0 ? default_layer(path, &layer, why) : IO_OK;
    in->layer = layer;
    for (int n = 0; n < 3 && code == IO_OK; n++) {
        if (layer < 0)
            snprintf(name, sizeof name, "%s", part_name[n]);
        else
            snprintf(name, sizeof name, "layer.%lld.%s", (long long)layer, part_name[n]);
        snprintf(at.text[n], sizeof at.text[n], "%.500s, tensor %s", path, name);
        code = safetensors_read(path, name, &in->file[n], why);
    }
    if (code == IO_OK)
        code = metadata_number(path, "causal", &causal, why);
    if (code == IO_OK)
        code = safetensors_metadata(path, "model", &in->model, why);
    in->causal = causal == 1;
    code = code == IO_OK ? finish(c, dtype, &at, in) : cli_fail(c, code, "%s", why);
    if (code != EXIT_DONE)
        qkv_free(in);
    return code;
}

int qkv_load(const cli *c, qkv *in)
{
    const char *path[3] = {cli_text(c, "--q"), cli_text(c, "--k"), cli_text(c, "--v")};
    const char *whole = cli_text(c, "--qkv");
    int dtype = qkv_dtype(cli_text(c, "--dtype"));
    int given = (path[0] != NULL) + (path[1] != NULL) + (path[2] != NULL);
    place at;
    memset(in, 0, sizeof *in);
    in->layer = -1;
    if (whole != NULL && given > 0)
        return cli_fail(c, EXIT_USAGE,
                        "--qkv and --q, --k, --v are two ways to say the same; give one of them");
    if (whole != NULL) {
        int64_t layer = cli_count(c, "--layer") ? cli_integer(c, "--layer") : -1;
        return qkv_load_file(c, whole, layer, dtype, in);
    }
    if (given < 3)
        return cli_fail(c, EXIT_USAGE, "%s is missing; give --q F --k F --v F, or --qkv F",
                        path[0] == NULL   ? "--q"
                        : path[1] == NULL ? "--k"
                                          : "--v");
    if (cli_count(c, "--layer"))
        return cli_fail(
            c, EXIT_USAGE,
            "--layer names tensors of a --qkv file and means nothing with --q, --k, --v");
    int code = read_three(c, path, in, &at);
    if (code == EXIT_DONE)
        code = finish(c, dtype, &at, in);
    if (code != EXIT_DONE)
        qkv_free(in);
    return code;
}

void qkv_free(qkv *in)
{
    for (int n = 0; n < 3; n++) {
        tensor_free(&in->file[n]);
        free(in->converted[n]);
    }
    free(in->model);
    memset(in, 0, sizeof *in);
}
