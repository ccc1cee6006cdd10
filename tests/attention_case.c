/* Random tensors, guarded executions, comparison with the oracle. */
#include "attention_case.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 16 }; /* elements behind each output */

/* ------------------------------------------------------------------ random numbers */

static uint64_t draw_bits(draw *d)
{
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double draw_uniform(draw *d)
{
    return (double)(draw_bits(d) >> 11) * 0x1p-53;
}

double draw_gaussian(draw *d)
{
    double radius = sqrt(-2 * log(1 - draw_uniform(d)));
    return radius * cos(6.283185307179586 * draw_uniform(d));
}

int64_t draw_below(draw *d, int64_t n)
{
    return (int64_t)(draw_uniform(d) * (double)n);
}

/* ------------------------------------------------------------------ instruction sets */

struct criterion_test_params every_isa(void)
{
    static unsigned numbers[32];
    unsigned n = 0;
    for (; n < 32 && fovea_isa_name(n); n++)
        numbers[n] = n;
    return cr_make_param_array(unsigned, numbers, n, NULL);
}

attention_run with_isa(const unsigned *number)
{
    const char *name = fovea_isa_name(*number);
    if (fovea_isa_available(name) != 1)
        cr_skip_test("%s: this CPU lacks it", name);
    return (attention_run){name, 1};
}

/* ------------------------------------------------------------------ storage types */

static void *must(void *block)
{
    cr_assert(block, "no memory for a test");
    return block;
}

static uint16_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float from_bf16(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Half precision by its definition: 11 significant bits, exponents -14..15, steps of 2^-24 below. */
static uint16_t to_f16(float x)
{
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    double size = fabs((double)x), steps;
    int e;
    if (isnan(x))
        return 0x7e00;
    if (size == 0)
        return sign;
    frexp(size, &e); /* size = f 2^e, f in [1/2, 1) */
    e = e - 1 < -14 ? -14 : e - 1;
    steps = nearbyint(ldexp(size, 10 - e)); /* the default rounding: to nearest even */
    if (steps >= 2048) {
        steps /= 2;
        e++;
    }
    if (e > 15)
        return sign | 0x7c00;
    return (uint16_t)(sign | (steps < 1024 ? (unsigned)steps : (unsigned)(e + 15) << 10 | ((unsigned)steps - 1024)));
}

static float from_f16(uint16_t h)
{
    int e = h >> 10 & 31;
    double size = e ? ldexp(1024 + (h & 1023), e - 25) : ldexp(h & 1023, -24);
    if (e == 31)
        size = h & 1023 ? NAN : INFINITY;
    return (float)(h & 0x8000 ? -size : size);
}

/* Writes the stored form and puts back what it means. */
static void round_tensor(fovea_dtype dtype, float *x, void *data, size_t n)
{
    uint16_t *half = data;
    for (size_t i = 0; i < n; i++) {
        if (dtype == FOVEA_F32) {
            ((float *)data)[i] = x[i];
            continue;
        }
        half[i] = dtype == FOVEA_BF16 ? to_bf16(x[i]) : to_f16(x[i]);
        x[i] = dtype == FOVEA_BF16 ? from_bf16(half[i]) : from_f16(half[i]);
    }
}

/* ------------------------------------------------------------------ cases */

static size_t q_count(const fovea_problem *p)
{
    return (size_t)(p->batch * p->hq * p->lq * p->d);
}

static size_t k_count(const fovea_problem *p)
{
    return (size_t)(p->batch * p->hkv * p->lk * p->d);
}

static size_t v_count(const fovea_problem *p)
{
    return (size_t)(p->batch * p->hkv * p->lk * p->dv);
}

static float *random_tensor(draw *d, size_t n)
{
    float *x = must(malloc((n ? n : 1) * sizeof *x));
    for (size_t i = 0; i < n; i++)
        x[i] = (float)draw_gaussian(d);
    return x;
}

static void allocate_outputs(attention_case *c, size_t o_count, size_t rows)
{
    free(c->o);
    free(c->lse);
    free(c->row_max);
    free(c->mask);
    c->o_count = o_count;
    c->rows = rows;
    c->mask_count = rows * (size_t)c->problem.lk;
    c->o = must(malloc((o_count + GUARD) * sizeof *c->o));
    c->lse = must(malloc((rows + GUARD) * sizeof *c->lse));
    c->row_max = must(malloc((rows + GUARD) * sizeof *c->row_max));
    c->mask = must(malloc(c->mask_count + GUARD));
    c->arguments.o = c->o;
    c->arguments.lse = c->lse;
    c->arguments.row_max = c->row_max;
    c->arguments.mask = c->mask;
    c->arguments.kept = &c->kept;
}

attention_case *case_new(int64_t batch, int64_t hq, int64_t hkv, int64_t lq, int64_t lk, int64_t d, int64_t dv,
                         fovea_dtype dtype, uint64_t seed)
{
    attention_case *c = must(calloc(1, sizeof *c));
    size_t bytes = dtype == FOVEA_F32 ? 4 : 2;
    draw rng = {seed};
    fovea_problem_init(&c->problem, batch, hq, hkv, lq, lk, d, dv, dtype);
    c->q = random_tensor(&rng, q_count(&c->problem));
    c->k = random_tensor(&rng, k_count(&c->problem));
    c->v = random_tensor(&rng, v_count(&c->problem));
    c->q_data = must(malloc(q_count(&c->problem) * bytes));
    c->k_data = must(malloc(k_count(&c->problem) * bytes));
    c->v_data = must(malloc(v_count(&c->problem) * bytes));
    case_store(c);
    c->arguments =
        (fovea_arguments){.struct_size = sizeof c->arguments, .q = c->q_data, .k = c->k_data, .v = c->v_data};
    allocate_outputs(c, (size_t)(batch * hq * lq * dv), (size_t)(batch * hq * lq));
    snprintf(c->name, sizeof c->name, "b%lld h%lld/%lld l%lld/%lld d%lld/%lld dtype %d seed %llu", (long long)batch,
             (long long)hq, (long long)hkv, (long long)lq, (long long)lk, (long long)d, (long long)dv, (int)dtype,
             (unsigned long long)seed);
    return c;
}

void case_free(attention_case *c)
{
    float *const floats[] = {c->q, c->k, c->v, c->bias, c->o, c->lse, c->row_max};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        free(floats[i]);
    free(c->q_data);
    free(c->k_data);
    free(c->v_data);
    free(c->mask);
    free(c);
}

void case_store(attention_case *c)
{
    round_tensor(c->problem.dtype, c->q, c->q_data, q_count(&c->problem));
    round_tensor(c->problem.dtype, c->k, c->k_data, k_count(&c->problem));
    round_tensor(c->problem.dtype, c->v, c->v_data, v_count(&c->problem));
}

void case_add_bias(attention_case *c, draw *d, int per_batch, int per_head, int holes)
{
    fovea_problem *p = &c->problem;
    size_t plane = (size_t)(p->lq * p->lk);
    size_t n = plane * (size_t)(per_head ? p->hq : 1) * (size_t)(per_batch ? p->batch : 1);
    c->bias = random_tensor(d, n);
    for (size_t i = 0; holes && i < n; i++)
        c->bias[i] = draw_below(d, 20) == 0 ? -INFINITY : c->bias[i];
    p->has_bias = 1;
    p->bias_row = p->lk;
    p->bias_head = per_head ? (int64_t)plane : 0;
    p->bias_batch = per_batch ? (int64_t)plane * (per_head ? p->hq : 1) : 0;
    c->arguments.bias = c->bias;
}

void case_add_sinks(attention_case *c, draw *d)
{
    cr_assert(c->problem.hq <= 32);
    for (int64_t h = 0; h < c->problem.hq; h++)
        c->sinks[h] = (float)(2 * draw_gaussian(d));
    c->problem.has_sinks = 1;
    c->arguments.sinks = c->sinks;
}

void case_set_rows(attention_case *c, int64_t n, const int64_t *rows)
{
    fovea_problem *p = &c->problem;
    p->nrows = n;
    p->rows = rows;
    p->o = (fovea_strides){0, 0, 0};
    allocate_outputs(c, (size_t)(p->batch * p->hq * n * p->dv), (size_t)(p->batch * p->hq * n));
}

void case_set_output(attention_case *c, fovea_strides strides, size_t elements)
{
    c->problem.o = strides;
    allocate_outputs(c, elements, c->rows);
}

void case_lay_canary(attention_case *c)
{
    memset(c->o, 0xff, (c->o_count + GUARD) * sizeof *c->o); /* NaN: what is not written is seen */
    memset(c->lse, 0xff, (c->rows + GUARD) * sizeof *c->lse);
    memset(c->row_max, 0xff, (c->rows + GUARD) * sizeof *c->row_max);
    memset(c->mask, 0xff, c->mask_count + GUARD);
    c->kept = UINT64_MAX;
}

static int all_ones(const void *block, size_t bytes)
{
    const uint8_t *x = block;
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != 0xff)
            return 0;
    return 1;
}

int case_untouched(const attention_case *c)
{
    return all_ones(c->o, (c->o_count + GUARD) * sizeof *c->o) &&
           all_ones(c->lse, (c->rows + GUARD) * sizeof *c->lse) &&
           all_ones(c->row_max, (c->rows + GUARD) * sizeof *c->row_max) && all_ones(c->mask, c->mask_count + GUARD) &&
           c->kept == UINT64_MAX;
}

typedef struct piece {
    void (*work)(void *arg, unsigned worker);
    void *arg;
    unsigned worker;
    pthread_t thread;
    int started;
} piece;

static void *run_piece(void *arg)
{
    piece *p = arg;
    p->work(p->arg, p->worker);
    return NULL;
}

/* A thread for each worker. The library's own pool spins, which costs seconds where threads outnumber cores. */
static void run_threads(void *user, unsigned workers, void (*work)(void *arg, unsigned worker), void *arg)
{
    piece *pieces = must(calloc(workers, sizeof *pieces));
    (void)user;
    for (unsigned w = 0; w < workers; w++) {
        pieces[w] = (piece){.work = work, .arg = arg, .worker = w};
        pieces[w].started = pthread_create(&pieces[w].thread, NULL, run_piece, &pieces[w]) == 0;
        if (!pieces[w].started)
            work(arg, w);
    }
    for (unsigned w = 0; w < workers; w++)
        if (pieces[w].started)
            pthread_join(pieces[w].thread, NULL);
    free(pieces);
}

fovea_status case_try(attention_case *c, const char *spec, attention_run run, fovea_error *err)
{
    fovea_context_options options = {
        .struct_size = sizeof options, .isa = run.isa, .threads = run.threads, .run = run_threads};
    fovea_context *context = NULL;
    fovea_recipe *recipe = NULL;
    fovea_plan *plan = NULL;
    fovea_status status;
    case_lay_canary(c);
    status = fovea_context_create(&options, &context, err);
    if (!status)
        status = fovea_recipe_parse(context, spec, &recipe, err);
    if (!status)
        status = fovea_plan_create(context, &c->problem, recipe, &plan, err);
    if (!status) {
        fovea_arguments a = c->arguments;
        a.lse = fovea_recipe_has_lse(recipe) ? a.lse : NULL;
        status = fovea_execute(plan, &a, NULL, 0, err);
    }
    fovea_plan_destroy(plan);
    fovea_recipe_destroy(recipe);
    fovea_context_destroy(context);
    return status;
}

void case_run(attention_case *c, const char *spec, attention_run run)
{
    fovea_error err = {FOVEA_OK, ""};
    cr_assert(case_try(c, spec, run, &err) == FOVEA_OK, "%s, %s: %s", c->name, spec, err.text);
    cr_assert(all_ones(c->o + c->o_count, GUARD * sizeof *c->o), "%s, %s: wrote behind o", c->name, spec);
    cr_assert(all_ones(c->lse + c->rows, GUARD * sizeof *c->lse), "%s, %s: wrote behind lse", c->name, spec);
    cr_assert(all_ones(c->row_max + c->rows, GUARD * sizeof *c->row_max), "%s, %s: wrote behind row_max", c->name,
              spec);
    cr_assert(all_ones(c->mask + c->mask_count, GUARD), "%s, %s: wrote behind mask", c->name, spec);
}

static int64_t output_rows(const fovea_problem *p)
{
    return p->nrows >= 0 ? p->nrows : p->lq;
}

const float *case_output(const attention_case *c, int64_t b, int64_t h, int64_t row)
{
    const fovea_problem *p = &c->problem;
    int64_t n = output_rows(p);
    if (!p->o.batch && !p->o.head && !p->o.token)
        return c->o + ((b * p->hq + h) * n + row) * p->dv;
    return c->o + b * p->o.batch + h * p->o.head + row * p->o.token;
}

/* ------------------------------------------------------------------ comparison */

attention_ref case_reference(const attention_case *c, int64_t b, const attention_rule *rule)
{
    const fovea_problem *p = &c->problem;
    static float same[32];
    attention_ref r = {.hq = p->hq, .hkv = p->hkv, .lq = p->lq, .lk = p->lk, .d = p->d, .dv = p->dv};
    r.q = c->q + b * p->hq * p->lq * p->d;
    r.k = c->k + b * p->hkv * p->lk * p->d;
    r.v = c->v + b * p->hkv * p->lk * p->dv;
    r.keep = rule->keep;
    r.causal = p->causal || rule->causal;
    r.passes = rule->passes;
    r.scale = p->scale;
    r.softcap = p->softcap;
    r.alibi = p->alibi;
    r.fast = p->precision == FOVEA_PRECISION_FAST;
    if (p->has_bias) {
        r.bias = c->bias + b * p->bias_batch;
        r.bias_head = p->bias_head;
        r.bias_row = p->bias_row;
    }
    for (int64_t h = 0; p->has_sink && h < p->hq && h < 32; h++)
        same[h] = (float)p->sink;
    r.sinks = p->has_sinks ? c->sinks : p->has_sink ? same : NULL;
    attention_ref_run(&r);
    return r;
}

void case_near(const attention_case *c, const char *what, int64_t h, int64_t row, int64_t column, double got,
               double truth, double bound)
{
    int good = isnan(truth) ? isnan(got) : isinf(truth) ? got == truth : fabs(got - truth) <= bound;
    if (!good)
        cr_assert(0, "%s: %s[h %lld, row %lld, %lld] is %.9g, not %.9g: off by %.3g, allowed %.3g", c->name, what,
                  (long long)h, (long long)row, (long long)column, got, truth, fabs(got - truth), bound);
}

static void check_row(const attention_case *c, const attention_ref *r, int64_t b, int64_t h, int64_t row)
{
    const fovea_problem *p = &c->problem;
    int64_t i = p->nrows >= 0 ? p->rows[row] : row, at = h * p->lq + i, out = (b * p->hq + h) * output_rows(p) + row;
    const float *o = case_output(c, b, h, row);
    for (int64_t e = 0; e < p->dv; e++)
        case_near(c, "o", h, row, e, o[e], r->o[at * p->dv + e], r->o_bound[at * p->dv + e]);
    if (c->arguments.lse)
        case_near(c, "lse", h, row, 0, c->lse[out], r->lse[at], r->lse_bound[at]);
    if (c->arguments.row_max && !isnan(r->row_max[at])) /* a maximum over NaN is not defined */
        case_near(c, "row_max", h, row, 0, c->row_max[out], r->row_max[at], r->row_max_bound[at]);
    for (int64_t j = 0; c->arguments.mask && j < p->lk; j++)
        if (c->mask[out * p->lk + j] != attention_ref_sees(r, h, i, j))
            cr_assert(0, "%s: mask[h %lld, row %lld, key %lld] is %d", c->name, (long long)h, (long long)row,
                      (long long)j, c->mask[out * p->lk + j]);
}

void case_check(const attention_case *c, const attention_rule *rule)
{
    const fovea_problem *p = &c->problem;
    uint64_t visible = 0;
    for (int64_t b = 0; b < p->batch; b++) {
        attention_ref r = case_reference(c, b, rule);
        for (int64_t h = 0; h < p->hq; h++)
            for (int64_t row = 0; row < output_rows(p); row++) {
                check_row(c, &r, b, h, row);
                visible += (uint64_t)r.visible[h * p->lq + (p->nrows >= 0 ? p->rows[row] : row)];
            }
        attention_ref_free(&r);
    }
    if (c->arguments.kept)
        cr_assert(c->kept == visible, "%s: kept %llu pairs, not %llu", c->name, (unsigned long long)c->kept,
                  (unsigned long long)visible);
}

void case_verify(attention_case *c, const attention_rule *rule, attention_run run)
{
    char name[sizeof c->name];
    memcpy(name, c->name, sizeof name);
    snprintf(c->name, sizeof c->name, "%.120s, %.40s, %s%s", name, rule->spec, run.isa ? run.isa : "best",
             c->problem.causal ? ", causal" : "");
    case_run(c, rule->spec, run);
    case_check(c, rule);
    memcpy(c->name, name, sizeof name);
}

void case_same(const attention_case *a, const attention_case *b, const char *what)
{
    const fovea_problem *p = &a->problem;
    cr_assert(a->rows == b->rows && p->dv == b->problem.dv);
    for (int64_t n = 0; n < p->batch; n++)
        for (int64_t h = 0; h < p->hq; h++)
            for (int64_t row = 0; row < output_rows(p); row++)
                if (memcmp(case_output(a, n, h, row), case_output(b, n, h, row), (size_t)p->dv * sizeof(float)))
                    cr_assert(0, "%s, %s: row %lld of head %lld, batch %lld differs", a->name, what, (long long)row,
                              (long long)h, (long long)n);
    cr_assert(memcmp(a->lse, b->lse, a->rows * sizeof *a->lse) == 0, "%s, %s: lse differs", a->name, what);
    cr_assert(memcmp(a->row_max, b->row_max, a->rows * sizeof *a->row_max) == 0, "%s, %s: row_max differs", a->name,
              what);
}
