/* fovea run: one computation, tensors in and out.

   Promises: every mistake is found before the first output file is touched; outputs appear whole, and when one cannot
   be written those written before it are removed. Silent on success, unless --format asks for a result. */
#include "cli/cli.h"
#include "cli/tensors.h"
#include "eval/clock.h"
#include "io/pages.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const cli_option run_options[] = {
    {"--variant", "SPEC", 's', 0, 0, NULL,
     "what to compute: NAME[:key=value,...] or 'pattern:EXPR'; 'fovea list' names them"},
    {"-o", "FILE", 's', 0, 0, NULL,
     "output [.., hq, lq, dv] as f32, .npy, or .safetensors with tensors o and lse"},
    {"--lse", "FILE", 's', 0, 0, NULL, "log-sum-exp [.., hq, lq] as f32, natural logarithm"},
    {"--mask-out", "FILE", 's', 0, 0, NULL,
     "byte mask .npy [b, hq, lq, lk]: 1 for the pairs that entered; at most 2^30 pairs"},
    {"--bias", "FILE", 's', 0, 0, NULL,
     "additive bias [lq, lk], [hq, lq, lk] or [b, hq, lq, lk], f32 or f16"},
    {"--sink", "FILE", 's', 0, 0, NULL, "one sink logit per query head, [hq]"},
    {"--causal", NULL, 'f', 0, 0, NULL,
     "keys j <= i + lk - lq only, unless the SPEC sets causal; a --qkv file may say so itself"},
    {"--scale", "X", 'r', DBL_MIN, FLT_MAX, NULL,
     "multiplier of the scores, unless the SPEC sets scale; default 1/sqrt(d)"},
    {"--precision", "exact|fast", 'c', 0, 0, "exact",
     "fast: bf16 inputs may round probabilities to bf16"},
    {"--positions", "tail|sample:N", 's', 0, 0, NULL,
     "compute the last query row, or N evenly spread ones, only"},
    {0}};

enum { OUTPUTS = 3 };
static const char *const output_option[OUTPUTS] = {"-o", "--lse", "--mask-out"};
static const double MOST_MASK_PAIRS = 1073741824.0; /* 2^30 bytes */

typedef struct job {
    const cli *c;
    qkv in;
    fovea_context *context;
    fovea_recipe *recipe;
    fovea_plan *plan;
    fovea_problem problem;
    int64_t *rows; /* of --positions, NULL for all */
    int64_t nrows; /* rows computed */
    tensor bias_file, sink_file;
    void *bias_block, *sink_block;
    const float *bias, *sinks;
    float *o, *lse;
    uint8_t *mask;
    fovea_cost cost;
    uint64_t kept;
    double seconds;
} job;

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---------------------------------------------------------------- before reading anything */

static int check_paths(const cli *c)
{
    for (int n = 0; n < OUTPUTS; n++) {
        const char *path = cli_text(c, output_option[n]);
        int mask = n == 2;
        if (path != NULL && !ends_with(path, ".npy") && (mask || !ends_with(path, ".safetensors")))
            return cli_fail(c, EXIT_USAGE, "%s=%s: the suffix chooses the format; allowed: .npy%s",
                            output_option[n], path, mask ? "" : ", .safetensors");
        for (int m = 0; path != NULL && m < n; m++) {
            const char *other = cli_text(c, output_option[m]);
            if (other != NULL && strcmp(path, other) == 0)
                return cli_fail(c, EXIT_USAGE,
                                "%s and %s both name %s; give each output its own file",
                                output_option[m], output_option[n], path);
        }
    }
    if (cli_text(c, "--variant") == NULL || *cli_text(c, "--variant") == 0)
        return cli_fail(
            c, EXIT_USAGE,
            "--variant is missing; type --variant dense, or another name of 'fovea list'");
    if (cli_count(c, "--variant") > 1)
        return cli_fail(
            c, EXIT_USAGE,
            "--variant was given %u times, but run computes one; 'fovea compare' takes several",
            cli_count(c, "--variant"));
    if (cli_text(c, "-o") == NULL)
        return cli_fail(c, EXIT_USAGE,
                        "-o is missing; type -o FILE.npy to say where the output goes");
    return EXIT_DONE;
}

static int make_recipe(job *j)
{
    fovea_error err = {0};
    if (fovea_recipe_parse(j->context, cli_text(j->c, "--variant"), &j->recipe, &err) != FOVEA_OK)
        return cli_fail_error(j->c, &err);
    if (cli_text(j->c, "--lse") != NULL && !fovea_recipe_has_lse(j->recipe))
        return cli_fail(j->c, EXIT_USAGE, "--lse: %s has no log-sum-exp; leave --lse out",
                        fovea_recipe_variant(j->recipe)->name);
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- rows, bias, sink */

/* Row t of n spread evenly over lq rows, the last among them; n <= lq. */
static int64_t spread_row(int64_t t, int64_t n, int64_t lq)
{
    return (int64_t)((unsigned __int128)(t + 1) * (uint64_t)lq / (uint64_t)n) - 1;
}

static int make_rows(job *j)
{
    const char *text = cli_text(j->c, "--positions");
    int64_t wanted = 1, lq = j->in.lq;
    j->nrows = lq;
    if (text == NULL)
        return EXIT_DONE;
    if (strcmp(text, "tail") != 0 &&
        (strncmp(text, "sample:", 7) != 0 || !cli_read_integer(text + 7, &wanted) || wanted < 1))
        return cli_fail(j->c, EXIT_USAGE,
                        "--positions=%s; allowed: tail, or sample:N with a whole N of at least 1",
                        text);
    j->nrows = wanted < lq ? wanted : lq;
    j->rows = malloc((size_t)j->nrows * sizeof *j->rows + 1);
    if (j->rows == NULL)
        return cli_fail(j->c, EXIT_RESOURCE, "no memory for %lld row numbers", (long long)j->nrows);
    for (int64_t t = 0; t < j->nrows; t++)
        j->rows[t] = spread_row(t, j->nrows, lq);
    return EXIT_DONE;
}

/* A float tensor of --bias or --sink as f32. */
static int read_floats(job *j, const char *option, const char *name, tensor *t, void **block,
                       const float **out)
{
    char why[IO_TEXT];
    const char *path = cli_text(j->c, option);
    int code = tensor_read(path, name, t, why);
    if (code != IO_OK)
        return cli_fail(j->c, code, "%s: %s", option, why);
    if (t->type != TENSOR_F32 && t->type != TENSOR_F16 && t->type != TENSOR_BF16)
        return cli_fail(j->c, EXIT_INPUT, "%s: %s: holds %s; allowed: f32, f16, bf16", option, path,
                        tensor_type_name(t->type));
    *out = tensor_as_f32(t, block);
    return *out ? EXIT_DONE
                : cli_fail(j->c, EXIT_RESOURCE, "%s: %s: no memory to convert it to f32", option,
                           path);
}

static int read_bias(job *j)
{
    char shape[160];
    const qkv *in = &j->in;
    const tensor *t = &j->bias_file;
    if (cli_text(j->c, "--bias") == NULL)
        return EXIT_DONE;
    int code = read_floats(j, "--bias", "bias", &j->bias_file, &j->bias_block, &j->bias);
    if (code != EXIT_DONE)
        return code;
    int64_t heads = t->rank >= 3 ? t->dim[t->rank - 3] : 1, batch = t->rank == 4 ? t->dim[0] : 1;
    int fits = t->rank >= 2 && t->rank <= 4 && t->dim[t->rank - 1] == in->lk &&
               t->dim[t->rank - 2] == in->lq && (heads == 1 || heads == in->hq) &&
               (batch == 1 || batch == in->batch);
    if (!fits) {
        tensor_shape_text(t, shape, sizeof shape);
        return cli_fail(j->c, EXIT_USAGE,
                        "--bias: %s has shape %s; allowed: [%lld, %lld], [%lld, %lld, %lld] or "
                        "[%lld, %lld, %lld, %lld] ([lq, lk], [hq, lq, lk], [b, hq, lq, lk])",
                        cli_text(j->c, "--bias"), shape, (long long)in->lq, (long long)in->lk,
                        (long long)in->hq, (long long)in->lq, (long long)in->lk,
                        (long long)in->batch, (long long)in->hq, (long long)in->lq,
                        (long long)in->lk);
    }
    j->problem.has_bias = 1;
    j->problem.bias_row = in->lk;
    j->problem.bias_head = heads == 1 ? 0 : in->lq * in->lk;
    j->problem.bias_batch = batch == 1 ? 0 : heads * in->lq * in->lk;
    return EXIT_DONE;
}

static int read_sink(job *j)
{
    char shape[160];
    const char *path = cli_text(j->c, "--sink");
    if (path == NULL)
        return EXIT_DONE;
    int code = read_floats(j, "--sink", "sink", &j->sink_file, &j->sink_block, &j->sinks);
    if (code != EXIT_DONE)
        return code;
    if (j->sink_file.rank != 1 || j->sink_file.dim[0] != j->in.hq) {
        tensor_shape_text(&j->sink_file, shape, sizeof shape);
        return cli_fail(j->c, EXIT_USAGE,
                        "--sink: %s has shape %s; allowed: [%lld], one logit per query head", path,
                        shape, (long long)j->in.hq);
    }
    for (int64_t h = 0; h < j->in.hq; h++)
        if (isnan(j->sinks[h]) || j->sinks[h] == INFINITY)
            return cli_fail(j->c, EXIT_INPUT,
                            "--sink: %s: logit %lld is %g; allowed: a finite number or -inf", path,
                            (long long)h, (double)j->sinks[h]);
    j->problem.has_sinks = 1;
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- computing */

static int make_plan(job *j)
{
    fovea_error err = {0};
    fovea_problem *p = &j->problem;
    p->causal = cli_flag(j->c, "--causal") || j->in.causal;
    if (j->in.causal && !cli_flag(j->c, "--causal"))
        cli_note(j->c, "causal, as the metadata of %s say; a SPEC with causal=0 overrules them",
                 cli_text(j->c, "--qkv"));
    p->scale = cli_real(j->c, "--scale");
    p->precision = strcmp(cli_text(j->c, "--precision"), "fast") == 0 ? FOVEA_PRECISION_FAST
                                                                      : FOVEA_PRECISION_EXACT;
    p->o = (fovea_strides){0, 0, 0}; /* contiguous over the rows that are computed, be they none */
    if (j->rows != NULL) {
        p->nrows = j->nrows;
        p->rows = j->rows;
    }
    double pairs = (double)j->in.batch * (double)j->in.hq * (double)j->nrows * (double)j->in.lk;
    if (cli_text(j->c, "--mask-out") != NULL && pairs > MOST_MASK_PAIRS)
        return cli_fail(
            j->c, EXIT_USAGE,
            "--mask-out: b*hq*lq*lk = %.0f pairs; allowed: at most 2^30 = 1073741824; give "
            "--positions sample:N to keep fewer rows",
            pairs);
    if (fovea_plan_create(j->context, p, j->recipe, &j->plan, &err) != FOVEA_OK)
        return cli_fail_error(j->c, &err);
    return EXIT_DONE;
}

/* A block of count * size bytes, at least one; NULL also when the product overflows. */
static void *block_of(int64_t count, int64_t inner, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow((size_t)count, (size_t)inner, &n) ||
        __builtin_mul_overflow(n, size, &n))
        return NULL;
    return pages_get(n);
}

static int compute(job *j)
{
    fovea_error err = {0};
    int64_t rows = j->in.batch * j->in.hq * j->nrows;
    int wants_mask = cli_text(j->c, "--mask-out") != NULL;
    int wants_lse =
        cli_text(j->c, "--lse") != NULL ||
        (ends_with(cli_text(j->c, "-o"), ".safetensors") && fovea_recipe_has_lse(j->recipe));
    j->o = block_of(rows, j->in.dv, sizeof *j->o);
    j->lse = wants_lse ? block_of(rows, 1, sizeof *j->lse) : NULL;
    j->mask = wants_mask ? block_of(rows, j->in.lk, 1) : NULL;
    if (j->o == NULL || (wants_lse && j->lse == NULL) || (wants_mask && j->mask == NULL))
        return cli_fail(j->c, EXIT_RESOURCE, "no memory for the outputs of %lld rows",
                        (long long)rows);
    fovea_arguments arguments = {.struct_size = sizeof arguments,
                                 .q = j->in.q,
                                 .k = j->in.k,
                                 .v = j->in.v,
                                 .bias = j->bias,
                                 .sinks = j->sinks,
                                 .o = j->o,
                                 .lse = j->lse,
                                 .mask = j->mask,
                                 .kept = cli_count(j->c, "--format") ? &j->kept : NULL};
    if (arguments.kept != NULL && fovea_plan_cost(j->plan, &j->cost, &err) != FOVEA_OK)
        return cli_fail_error(j->c, &err);
    uint64_t start = clock_ns();
    if (fovea_execute(j->plan, &arguments, NULL, 0, &err) != FOVEA_OK)
        return cli_fail_error(j->c, &err);
    j->seconds = (double)(clock_ns() - start) * 1e-9;
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- writing */

/* A tensor over memory that stays the caller's: the last `rank` of [b, hq, rows, inner]; inner -1 leaves it out. */
static tensor view(const job *j, tensor_type type, const void *data, int rank, int64_t inner)
{
    int64_t dim[4] = {j->in.batch, j->in.hq, j->nrows, inner};
    int last = inner < 0 ? 3 : 4;
    tensor t = {
        .type = type, .rank = rank - (inner < 0), .data = data, .bytes = tensor_type_bytes(type)};
    for (int n = 0; n < t.rank; n++) {
        t.dim[n] = dim[last - t.rank + n];
        t.bytes *= (size_t)t.dim[n];
    }
    return t;
}

static int write_one(const job *j, int which, const char *path, char *why)
{
    static const char *const names[] = {"o", "lse"};
    tensor o = view(j, TENSOR_F32, j->o, j->in.rank, j->in.dv);
    tensor lse = view(j, TENSOR_F32, j->lse, j->in.rank, -1);
    tensor mask = view(j, TENSOR_U8, j->mask, 4, j->in.lk);
    const tensor *both[] = {&o, &lse};
    if (ends_with(path, ".safetensors"))
        return which == 0 ? safetensors_write(path, names, both, j->lse ? 2 : 1, why)
                          : safetensors_write(path, names + 1, both + 1, 1, why);
    return npy_write(path, which == 0 ? &o : which == 1 ? &lse : &mask, why);
}

/* A regular file that this run wrote; devices stay. */
static void remove_written(const char *path)
{
    struct stat s;
    if (lstat(path, &s) == 0 && S_ISREG(s.st_mode))
        unlink(path);
}

static int write_outputs(const job *j)
{
    char why[IO_TEXT];
    for (int n = 0; n < OUTPUTS; n++) {
        const char *path = cli_text(j->c, output_option[n]);
        int code = path ? write_one(j, n, path, why) : IO_OK;
        if (code == IO_OK)
            continue;
        for (int m = 0; m < n; m++)
            if (cli_text(j->c, output_option[m]) != NULL)
                remove_written(cli_text(j->c, output_option[m]));
        return cli_fail(j->c, code, "%s: %s", output_option[n], why);
    }
    return EXIT_DONE;
}

/* ---------------------------------------------------------------- the result, when asked for */

static const table_column run_columns[] = {{"variant", NULL, 0},
                                           {"dtype", NULL, 0},
                                           {"shape", NULL, 0},
                                           {"rows", NULL, TABLE_RIGHT},
                                           {"seconds", NULL, TABLE_RIGHT},
                                           {"density", NULL, TABLE_RIGHT},
                                           {"density_realised", "realised", TABLE_RIGHT},
                                           {"kernel", NULL, 0},
                                           {"output", NULL, 0}};

static int report(const job *j)
{
    const fovea_cost *cost = &j->cost;
    char shape[200], text[40];
    if (!cli_count(j->c, "--format"))
        return EXIT_DONE;
    table *t = table_create(run_columns, sizeof run_columns / sizeof *run_columns);
    if (t == NULL)
        return cli_fail(j->c, EXIT_RESOURCE, "no memory for the result");
    const qkv *in = &j->in;
    snprintf(shape, sizeof shape, "%lld,%lld,%lld,%lld,%lld,%lld,%lld", (long long)in->batch,
             (long long)in->hq, (long long)in->hkv, (long long)in->lq, (long long)in->lk,
             (long long)in->d, (long long)in->dv);
    table_row(t);
    table_text(t, "variant", fovea_recipe_spec(j->recipe));
    table_text(t, "dtype", qkv_dtype_name(in->dtype));
    table_text(t, "shape", shape);
    table_integer(t, "rows", j->nrows, NULL);
    snprintf(text, sizeof text, "%.4g", j->seconds);
    table_real(t, "seconds", j->seconds, text);
    snprintf(text, sizeof text, "%.4f", cost->density);
    table_real(t, "density", cost->density, text);
    double realised = cost->dense_pairs > 0 ? (double)j->kept / cost->dense_pairs : 0;
    snprintf(text, sizeof text, "%.4f", realised);
    table_real(t, "density_realised", realised, text);
    table_text(t, "kernel", cost->kernel ? cost->kernel : "");
    table_text(t, "output", cli_text(j->c, "-o"));
    int code = cli_print(j->c, j->context, t, NULL);
    table_free(t);
    return code;
}

static int run_steps(job *j)
{
    int code = check_paths(j->c);
    if (code == EXIT_DONE)
        code = cli_context(j->c, &j->context);
    if (code == EXIT_DONE)
        code = make_recipe(j);
    if (code == EXIT_DONE)
        code = qkv_load(j->c, &j->in);
    if (code != EXIT_DONE)
        return code;
    const qkv *in = &j->in;
    fovea_problem_init(&j->problem, in->batch, in->hq, in->hkv, in->lq, in->lk, in->d, in->dv,
                       in->dtype);
    int (*const steps[])(job *) = {make_rows, read_bias, read_sink, make_plan, compute};
    for (unsigned n = 0; n < sizeof steps / sizeof *steps && code == EXIT_DONE; n++)
        code = steps[n](j);
    if (code == EXIT_DONE)
        code = write_outputs(j);
    return code == EXIT_DONE ? report(j) : code;
}

static int run_run(const cli *c)
{
    job j = {.c = c};
    int code = run_steps(&j);
    free(j.o);
    free(j.lse);
    free(j.mask);
    free(j.rows);
    free(j.bias_block);
    free(j.sink_block);
    tensor_free(&j.bias_file);
    tensor_free(&j.sink_file);
    fovea_plan_destroy(j.plan);
    fovea_recipe_destroy(j.recipe);
    qkv_free(&j.in);
    fovea_context_destroy(j.context);
    return code;
}

const cli_command cli_run = {
    .name = "run",
    .summary = "compute one variant on tensors in files, and write the output tensors",
    .usage = "fovea run --variant SPEC (--q F --k F --v F | --qkv F [--layer N]) -o F [--lse F] "
             "[--mask-out F] [--bias F] "
             "[--sink F] [--causal] [--scale X] [--dtype T] [--precision exact|fast] [--isa NAME] "
             "[--threads N] [--seed N] "
             "[--positions tail|sample:N]",
    .options = run_options,
    .run = run_run,
    .shared = qkv_options,
};
