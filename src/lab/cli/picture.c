/* Pictures of masks. Contract in picture.h. */
#include "cli/picture.h"
#include "eval/synthetic.h"
#include <stdlib.h>
#include <string.h>

enum { WIDEST = 64, PICTURE_DIM = 16 };

static const picture_example examples[] = {
    {"dense", "dense", 32, "with `causal` only the lower left half remains"},
    {"window", "window:window=12", 48, ""},
    {"streaming", "streaming:sinks=3,window=10", 48, "the first keys stay visible for ever"},
    {"trishape", "trishape:sinks=3,window=10,last=8", 48, "the last queries see everything"},
    {"chunked", "chunked:chunk=12", 48, ""},
    {"prefix", "prefix:prefix=12", 48, "the prefix sees itself in both directions"},
    {"document", "document:lengths=10+22+16", 48,
     "with `causal` each document keeps its lower left half"},
    {"blockwindow", "blockwindow:block=6,blocks=3", 48, ""},
    {"sparse-strided", "sparse-strided:stride=8", 48,
     "part=local and part=stride are its two halves"},
    {"sparse-fixed", "sparse-fixed:stride=8,summary=2", 48, ""},
    {"logsparse", "logsparse", 48, ""},
    {"longnet", "longnet:segments=12+24,dilations=1+2", 48, "union of the branches of head 0"},
    {"longformer", "longformer:window=5,global=0+24", 48, "global tokens are rows and columns"},
    {"bigbird", "bigbird:block=4,random=1", 48, ""},
    {"axial", "axial:size=6+8,axis=1", 48, "a 6 x 8 grid: each token sees its own row of the grid"},
    {"crisscross", "crisscross:size=6+8", 48, "a 6 x 8 grid: own row and own column"},
    {"swin", "swin:size=8+8,window=4,shift=2", 64,
     "an 8 x 8 grid; shifted windows are cut at the edges"},
    {"natten", "natten:size=8+8,kernel=3", 64,
     "an 8 x 8 grid; every token sees the 3 x 3 tokens around it"},
    {"topk", "topk:k=6,causal", 48, ""},
    {"topp", "topp:p=0.8,causal", 48, ""},
    {"threshold", "threshold:rel=2,causal", 48, ""},
    {"localv", "localv:k=6,causal", 48, "the keys whose values are read"},
    {"sparsemax", "sparsemax:causal", 48, ""},
    {"entmax15", "entmax15:causal", 48, ""},
    {"entmax", "entmax:alpha=1.3,causal", 48, ""},
    {"relu", "relu:causal", 48, "all visible keys enter; negative scores get weight 0"},
    {"sigmoid", "sigmoid:causal", 48, "all visible keys enter, each with its own weight"},
    {"offbyone", "offbyone:causal", 48,
     "all visible keys enter; the weights may sum to less than 1"},
    {"pattern", "pattern:causal & (window(left=7) | stride(8) | sinks(2))", 48,
     "one example of an expression"},
};

const picture_example *picture_example_find(const char *variant)
{
    for (unsigned n = 0; n < sizeof examples / sizeof *examples; n++)
        if (strcmp(examples[n].variant, variant) == 0)
            return &examples[n];
    return NULL;
}

/* ---------------------------------------------------------------- length */

/* Numbers of a value such as "2048+4k": their sum, product and largest; 1 when all of it was read. */
typedef struct numbers {
    double sum, product, largest;
} numbers;

static int read_numbers(const char *text, numbers *out)
{
    *out = (numbers){0, 1, 0};
    for (;;) {
        char *end;
        double value = strtod(text, &end);
        if (end == text || value < 0)
            return 0;
        value *= *end == 'k' ? 1024 : *end == 'm' ? 1048576 : 1;
        end += *end == 'k' || *end == 'm';
        out->sum += value;
        out->product *= value;
        out->largest = value > out->largest ? value : out->largest;
        if (*end == 0)
            return 1;
        if (*end != '+')
            return 0;
        text = end + 1;
    }
}

int64_t picture_length(const fovea_recipe *recipe)
{
    const fovea_variant *v = fovea_recipe_variant(recipe);
    double length = 0;
    numbers n;
    for (unsigned x = 0; x < v->parameter_count; x++) {
        const fovea_parameter *p = &v->parameters[x];
        const char *value = fovea_recipe_get(recipe, p->name);
        if (value == NULL || !fovea_recipe_is_set(recipe, p->name) || !read_numbers(value, &n))
            continue;
        /* These two fix the length; the plan fails on any other. */
        if (strcmp(p->name, "size") == 0)
            return n.product < PICTURE_MOST ? (int64_t)n.product : PICTURE_MOST;
        if (strcmp(p->name, "lengths") == 0)
            return n.sum < PICTURE_MOST ? (int64_t)n.sum : PICTURE_MOST;
        /* A window shows on four times its size, a block among sixteen. */
        double times = strcmp(p->name, "block") == 0 || strcmp(p->name, "bq") == 0 ||
                               strcmp(p->name, "bk") == 0
                           ? 16
                           : 4;
        if (strcmp(p->type, "real") != 0 && strcmp(p->name, "seed") != 0)
            length = n.largest * times > length ? n.largest * times : length;
    }
    return length <= PICTURE_LEAST  ? PICTURE_LEAST
           : length >= PICTURE_MOST ? PICTURE_MOST
                                    : (int64_t)length;
}

/* ---------------------------------------------------------------- making */

static fovea_status nominal(const fovea_plan *plan, picture *out, fovea_error *err)
{
    for (int64_t i = 0; i < out->length; i++) {
        fovea_status status = fovea_plan_row(plan, 0, 0, i, out->mask + i * out->length, err);
        if (status != FOVEA_OK)
            return status;
    }
    return FOVEA_OK;
}

static fovea_status no_memory(fovea_error *err)
{
    err->status = FOVEA_ERROR_MEMORY;
    snprintf(err->text, sizeof err->text, "no memory for the picture");
    return FOVEA_ERROR_MEMORY;
}

/* Tensors with what language models show, first keys and near keys, so that pruning has something to find. */
static fovea_status realised(const fovea_plan *plan, uint64_t seed, picture *out, fovea_error *err)
{
    size_t n = (size_t)out->length * PICTURE_DIM;
    synthetic_shape shape = {1,           1,           1,           out->length,
                             out->length, PICTURE_DIM, PICTURE_DIM, 0.25}; /* 1/sqrt(16) */
    float *all = calloc(4 * n + 1, sizeof *all);
    if (all == NULL ||
        synthetic_fill(SYNTHETIC_SINKS_AND_LOCAL, seed, &shape, all, all + n, all + 2 * n) != 0) {
        free(all);
        return no_memory(err);
    }
    fovea_arguments arguments = {.struct_size = sizeof arguments,
                                 .q = all,
                                 .k = all + n,
                                 .v = all + 2 * n,
                                 .o = all + 3 * n,
                                 .mask = out->mask};
    fovea_status status = fovea_execute(plan, &arguments, NULL, 0, err);
    free(all);
    return status;
}

fovea_status picture_make(fovea_context *context, const fovea_recipe *recipe, int64_t length,
                          int causal, uint64_t seed, picture *out, fovea_error *err)
{
    fovea_problem problem;
    fovea_plan *plan = NULL;
    *out = (picture){.length = length,
                     .realised = strcmp(fovea_recipe_variant(recipe)->family, "pruned") == 0};
    fovea_problem_init(&problem, 1, 1, 1, length, length, PICTURE_DIM, PICTURE_DIM, FOVEA_F32);
    problem.causal = causal;
    fovea_status status = fovea_plan_create(context, &problem, recipe, &plan, err);
    if (status != FOVEA_OK)
        return status;
    out->mask = calloc((size_t)length * (size_t)length + 1, 1);
    if (out->mask == NULL)
        status = no_memory(err);
    else
        status = out->realised ? realised(plan, seed, out, err) : nominal(plan, out, err);
    fovea_plan_destroy(plan);
    if (status != FOVEA_OK)
        picture_free(out);
    return status;
}

void picture_free(picture *p)
{
    free(p->mask);
    p->mask = NULL;
}

/* ---------------------------------------------------------------- drawing */

/* Keys per character; queries are twice as many, because characters are twice as high as wide. */
static int64_t patch_width(const picture *p)
{
    return (p->length + WIDEST - 1) / WIDEST;
}

static int at(const picture *p, int64_t i, int64_t j)
{
    return i < p->length && j < p->length ? p->mask[i * p->length + j] : 0;
}

/* 0 none, 1 upper query only, 2 lower only, 3 both. */
static int pair(const picture *p, int64_t i, int64_t j)
{
    return at(p, i, j) + 2 * at(p, i + 1, j);
}

/* 0 none, 1 up to a quarter of the pairs, 2 up to a half, 3 up to all but one, 4 all. */
static int shade(const picture *p, int64_t i, int64_t j, int64_t w)
{
    int64_t kept = 0, all = 0;
    for (int64_t y = i; y < i + 2 * w && y < p->length; y++)
        for (int64_t x = j; x < j + w && x < p->length; x++, all++)
            kept += at(p, y, x);
    if (kept == 0)
        return 0;
    return kept == all ? 4 : 4 * kept <= all ? 1 : 2 * kept <= all ? 2 : 3;
}

void picture_draw(const picture *p, int unicode, const char *margin, FILE *out)
{
    static const char *const halves[2][4] = {{".", "'", ",", "#"}, {"·", "▀", "▄", "█"}};
    static const char *const shades[2][5] = {{".", ":", "+", "%", "#"}, {"·", "░", "▒", "▓", "█"}};
    int64_t w = patch_width(p);
    for (int64_t i = 0; i < p->length; i += 2 * w) {
        fputs(margin, out);
        for (int64_t j = 0; j < p->length; j += w)
            fputs(w == 1 ? halves[unicode][pair(p, i, j)] : shades[unicode][shade(p, i, j, w)],
                  out);
        putc('\n', out);
    }
}

void picture_legend(const picture *p, int unicode, char *out, size_t n)
{
    int64_t w = patch_width(p);
    if (w == 1)
        snprintf(out, n, "keys to the right, queries down, two per line: %s",
                 unicode ? "█ both read the key, ▀ ▄ the upper or lower one, · none"
                         : "# both read the key, ' and , the upper or lower one, . none");
    else
        snprintf(out, n,
                 "keys to the right, queries down; a character is %lld keys x %lld queries: %s",
                 (long long)w, (long long)(2 * w),
                 unicode ? "█ all pairs, ▓ ▒ ░ fewer, · none" : "# all pairs, % + : fewer, . none");
}
