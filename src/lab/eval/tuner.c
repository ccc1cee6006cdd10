/* Measuring what plans leave open; see tuner.h. Every race runs default, candidates, and the default once more, which shows
   how much of a difference is chance. */
#include "eval/tuner.h"

#include "eval/clock.h"
#include "eval/quantile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CANDIDATES = 6, RUNNERS = CANDIDATES + 2, WORKS = 3, ROUNDS = 400, ROUNDS_MIN = 4 };
/* Of the largest tensor below: the values of 8 heads of 8192 keys, d = 128. */
enum { FLOATS = 8 * 8192 * 128 };

typedef struct work {
    int64_t hq, hkv, lq, lk, d;
    fovea_dtype dtype;
    int heads_inside; /* [lk, hkv, d] */
} work;

typedef struct race {
    const char *key;
    int many;                      /* on the context with threads */
    double share;                  /* of the budget */
    const char *value[CANDIDATES]; /* the default is not among them; NULL ends */
    work work[WORKS];              /* hq 0 ends */
} race;

/* Lanes: heads with tiles enough for a task of one thread to get all it may. A candidate that is the default is left out. */
static const race races[] = {
    {"bf16", 0, 0.08, {"dot", "widen"}, {{2, 2, 512, 512, 64, FOVEA_BF16, 0}, {2, 2, 512, 512, 128, FOVEA_BF16, 0}}},
    {"block",
     0,
     0.17,
     {"64", "96", "128", "192", "256", "384"},
     {{2, 2, 1024, 1024, 64, FOVEA_F32, 0}, {1, 1, 1024, 1024, 128, FOVEA_F32, 0}}},
    {"tiles",
     0,
     0.13,
     {"2", "4", "8", "16"},
     {{2, 2, 1024, 1024, 64, FOVEA_F32, 0}, {2, 2, 1024, 1024, 128, FOVEA_F32, 0}}},
    {"copy_tiles",
     0,
     0.08,
     {"2", "3", "8", "17"},
     {{4, 4, 512, 512, 64, FOVEA_F32, 1}, {8, 8, 256, 512, 128, FOVEA_F32, 1}}},
    {"row_block",
     0,
     0.10,
     {"512", "1024", "2048", "4096"},
     {{8, 8, 1, 8192, 128, FOVEA_F32, 0}, {16, 4, 1, 8192, 128, FOVEA_F32, 0}}},
    {"row_ahead",
     0,
     0.05,
     {"2048", "4096", "8192", "16384"},
     {{8, 8, 1, 8192, 128, FOVEA_F32, 0}, {16, 4, 1, 8192, 128, FOVEA_F32, 0}}},
    {"row_ahead_half",
     0,
     0.05,
     {"2048", "4096", "8192"},
     {{16, 4, 1, 8192, 128, FOVEA_BF16, 0}, {32, 4, 1, 8192, 128, FOVEA_BF16, 0}}},
    {"row_ahead_half_single", 0, 0.05, {"1024", "2048", "4096"}, {{8, 8, 1, 8192, 128, FOVEA_BF16, 0}}},
    {"split",
     1,
     0.10,
     {"1024", "2048", "4096", "8192"},
     {{8, 8, 1, 8192, 128, FOVEA_F32, 0}, {4, 1, 1, 8192, 128, FOVEA_F32, 0}}},
};

typedef struct tensors {
    float *q, *k, *v, *o;
    uint16_t *half; /* bf16, for q, k and v alike */
} tensors;

typedef struct runner {
    fovea_plan *plan;
    const work *work;
    void *workspace;
    unsigned calls;
} runner;

/* ------------------------------------------------------------------ data and plans */

static void fill(float *x, size_t n, uint32_t state)
{
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state / 2147483648.0f;
    }
}

static void free_tensors(tensors *t)
{
    free(t->q);
    free(t->k);
    free(t->v);
    free(t->o);
    free(t->half);
}

static int make_tensors(tensors *t)
{
    const size_t bytes = FLOATS * sizeof(float);
    *t = (tensors){aligned_alloc(64, bytes), aligned_alloc(64, bytes), aligned_alloc(64, bytes), aligned_alloc(64, bytes),
                   aligned_alloc(64, bytes / 2)};
    if (!t->q || !t->k || !t->v || !t->o || !t->half) {
        free_tensors(t);
        return 0;
    }
    fill(t->q, FLOATS, 1);
    fill(t->k, FLOATS, 2);
    fill(t->v, FLOATS, 3);
    fovea_convert_from_f32(FOVEA_BF16, t->q, t->half, FLOATS);
    return 1;
}

static fovea_status no_memory(fovea_error *err)
{
    if (err)
        *err = (fovea_error){FOVEA_ERROR_MEMORY, "no memory for the tensors of a tuning"};
    return FOVEA_ERROR_MEMORY;
}

static void close_runner(runner *r)
{
    fovea_plan_destroy(r->plan);
    free(r->workspace);
    *r = (runner){0};
}

static fovea_status open_runner(runner *r, fovea_context *context, const fovea_recipe *dense, const work *w, fovea_error *err)
{
    fovea_problem p;
    size_t bytes;
    fovea_problem_init(&p, 1, w->hq, w->hkv, w->lq, w->lk, w->d, w->d, w->dtype);
    if (w->heads_inside) {
        p.k.token = p.v.token = w->hkv * w->d;
        p.k.head = p.v.head = w->d;
    }
    r->work = w;
    r->calls = 1;
    if (fovea_plan_create(context, &p, dense, &r->plan, err))
        return err->status;
    bytes = fovea_plan_workspace(r->plan);
    r->workspace = aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (r->workspace)
        return FOVEA_OK;
    close_runner(r);
    return no_memory(err);
}

/* Nanoseconds of one execution. */
static double sample(const runner *r, const tensors *t)
{
    const int half = r->work->dtype != FOVEA_F32;
    const fovea_arguments a = {.struct_size = sizeof a,
                               .q = half ? (const void *)t->half : t->q,
                               .k = half ? (const void *)t->half : t->k,
                               .v = half ? (const void *)t->half : t->v,
                               .o = t->o};
    const uint64_t start = clock_ns();
    for (unsigned i = 0; i < r->calls; i++)
        fovea_execute(r->plan, &a, r->workspace, fovea_plan_workspace(r->plan), NULL);
    return (double)(clock_ns() - start) / r->calls;
}

static void warm_up(runner *r, const tensors *t)
{
    const double ns = sample(r, t), wanted = ceil(CLOCK_SAMPLE_NS / (ns > 1 ? ns : 1));
    r->calls = wanted < 1 ? 1 : wanted > CLOCK_CALLS_MAX ? CLOCK_CALLS_MAX : (unsigned)wanted;
}

/* ------------------------------------------------------------------ races */

double tuner_noise(double against_itself, double halves, double halves_of_default)
{
    return fmax(0.01, fmax(fabs(against_itself), fmax(fabs(halves), fabs(halves_of_default))));
}

enum { EVEN, ODD, ALL, PARTS }; /* rounds */

typedef struct field { /* one race being run */
    runner runner[RUNNERS][WORKS];
    double best[PARTS][RUNNERS][WORKS]; /* nanoseconds */
    unsigned runners, works, rounds;
    const char *value[RUNNERS]; /* the default, candidates, the default */
} field;

static void one_round(field *f, const tensors *t)
{
    for (unsigned w = 0; w < f->works; w++)
        for (unsigned i = 0; i < f->runners; i++) {
            const unsigned r = f->rounds / 2 & 1 ? f->runners - 1 - i : i; /* there and back: a drift cancels */
            const double ns = sample(&f->runner[r][w], t);
            double *part = &f->best[f->rounds & 1 ? ODD : EVEN][r][w], *all = &f->best[ALL][r][w];
            *part = fmin(*part, ns);
            *all = fmin(*all, ns);
        }
    f->rounds++;
}

/* Mean logarithm of a runner's best times. */
static double score(const field *f, unsigned part, unsigned r)
{
    double sum = 0;
    for (unsigned w = 0; w < f->works; w++)
        sum += log(f->best[part][r][w]);
    return sum / f->works;
}

static double halves(const field *f, unsigned r)
{
    return score(f, EVEN, r) - score(f, ODD, r);
}

static fovea_status set(tuner *t, const char *key, const char *value, fovea_error *err)
{
    fovea_status status = fovea_context_tune(t->one, key, value, err);
    return status || !t->many ? status : fovea_context_tune(t->many, key, value, err);
}

static fovea_status open_field(tuner *t, const race *race, const char *standard, const fovea_recipe *dense, field *f,
                               fovea_error *err)
{
    fovea_status status = FOVEA_OK;
    for (unsigned i = 0; i < sizeof f->best / sizeof(double); i++)
        (&f->best[0][0][0])[i] = INFINITY;
    f->value[f->runners++] = standard;
    for (unsigned i = 0; i < CANDIDATES && race->value[i]; i++)
        if (strcmp(race->value[i], standard) != 0)
            f->value[f->runners++] = race->value[i];
    f->value[f->runners++] = standard;
    while (f->works < WORKS && race->work[f->works].hq)
        f->works++;
    for (unsigned r = 0; r < f->runners && !status; r++) {
        status = set(t, race->key, f->value[r], err);
        for (unsigned w = 0; w < f->works && !status; w++)
            status = open_runner(&f->runner[r][w], race->many ? t->many : t->one, dense, &race->work[w], err);
    }
    return status;
}

static void judge(const field *f, tuner_step *step)
{
    unsigned best = 1; /* every race has a candidate */
    for (unsigned r = 2; r + 1 < f->runners; r++)
        if (score(f, ALL, r) < score(f, ALL, best))
            best = r;
    step->gain = 1 - exp(score(f, ALL, best) - fmin(score(f, ALL, 0), score(f, ALL, f->runners - 1)));
    step->noise = tuner_noise(score(f, ALL, 0) - score(f, ALL, f->runners - 1), halves(f, best), halves(f, 0));
    step->rounds = f->rounds;
    snprintf(step->best, sizeof step->best, "%s", f->value[best]);
    if (step->gain > step->noise)
        snprintf(step->value, sizeof step->value, "%s", step->best);
}

static fovea_status run_race(tuner *t, const race *race, const fovea_recipe *dense, const tensors *data, tuner_step *step,
                             fovea_error *err)
{
    const uint64_t start = clock_ns();
    field *f = calloc(1, sizeof *f);
    fovea_status status = f ? open_field(t, race, step->standard, dense, f, err) : no_memory(err);
    if (!status) {
        for (unsigned r = 0; r < f->runners; r++)
            for (unsigned w = 0; w < f->works; w++)
                warm_up(&f->runner[r][w], data);
        while (f->rounds < ROUNDS &&
               (f->rounds < ROUNDS_MIN || (double)(clock_ns() - start) < race->share * t->seconds * 1e9))
            one_round(f, data);
        judge(f, step);
    }
    for (unsigned r = 0; f && r < f->runners; r++)
        for (unsigned w = 0; w < f->works; w++)
            close_runner(&f->runner[r][w]);
    free(f);
    return status ? status : set(t, race->key, step->value, err);
}

/* ------------------------------------------------------------------ steps */

static const fovea_tuning_key *find_key(const char *name)
{
    const fovea_tuning_key *key = NULL;
    for (unsigned i = 0; (key = fovea_tuning_key_at(i)) != NULL && strcmp(key->name, name) != 0; i++)
        ;
    return key;
}

static void value_text(const fovea_tuning_key *key, double value, char *out, size_t n)
{
    const char *word = key->words;
    for (int i = 0; word && i < (int)value; i++)
        word += strcspn(word, "|") + 1;
    if (word)
        snprintf(out, n, "%.*s", (int)strcspn(word, "|"), word);
    else
        snprintf(out, n, "%.15g", value);
}

static tuner_step *new_step(tuner *t, const char *name)
{
    tuner_step *step = &t->step[t->steps++];
    const fovea_tuning_key *key = find_key(name);
    *step = (tuner_step){.key = key->name, .gain = NAN, .noise = NAN};
    value_text(key, key->standard, step->standard, sizeof step->standard);
    memcpy(step->value, step->standard, sizeof step->value);
    if (t->progress)
        t->progress(t->user, name, (double)(t->steps - 1) / TUNER_STEPS);
    return step;
}

/* A value that is measured, or known, and not raced for. */
static fovea_status fact(tuner *t, const char *name, double value, const char *note, fovea_error *err)
{
    tuner_step *step = new_step(t, name);
    if (value > 0)
        snprintf(step->value, sizeof step->value, "%.15g", value);
    snprintf(step->note, sizeof step->note, "%s", note);
    return set(t, name, step->value, err);
}

/* The best of some short measurements: whoever disturbs one makes it slower. */
static fovea_status measure_rates(tuner *t, fovea_error *err)
{
    enum { TIMES = 30 };
    const double seconds = fmin(t->seconds / 30, 0.3) / TIMES;
    double fma = 0, read = 0;
    fovea_status status;
    for (int i = 0; i < TIMES; i++) {
        fma = fmax(fma, fovea_measure_fma(t->one, seconds));
        read = fmax(read, fovea_measure_read(t->one, (size_t)1 << 26, seconds));
    }
    status = fact(t, "fma_gflops", round(fma), "measured, one thread", err);
    if (!status)
        status = fact(t, "read_gbps", round(10 * read) / 10, "measured, 64 MiB, one thread", err);
#ifdef _SC_LEVEL2_CACHE_SIZE
    if (!status)
        status = fact(t, "near_bytes", (double)sysconf(_SC_LEVEL2_CACHE_SIZE) / 2, "half of the second cache", err);
#endif
    return status;
}

/* Predicted time of the only pass in a form. */
static double predicted(const fovea_plan *plan, const char *name)
{
    fovea_form form = {.struct_size = sizeof form};
    for (unsigned i = 0; fovea_plan_form(plan, i, &form); i++)
        if (strcmp(form.name, name) == 0)
            return form.predicted_ns;
    return NAN;
}

/* Scales the cost model of one form: the median over some shapes near the crossing of the forms, of the best time of each
   over its prediction. */
static fovea_status measure_form(tuner *t, const char *form, const char *key, const fovea_recipe *dense, const tensors *data,
                                 fovea_error *err)
{
    static const work works[] = {{1, 1, 4, 512, 64, FOVEA_F32, 0},   {1, 1, 8, 512, 64, FOVEA_F32, 0},
                                 {1, 1, 12, 512, 64, FOVEA_F32, 0},  {1, 1, 16, 512, 64, FOVEA_F32, 0},
                                 {1, 1, 6, 512, 128, FOVEA_F32, 0},  {1, 1, 12, 512, 128, FOVEA_F32, 0},
                                 {1, 1, 8, 2048, 128, FOVEA_F32, 0}, {1, 1, 8, 64, 64, FOVEA_F32, 0}};
    enum { COUNT = sizeof works / sizeof *works };
    tuner_step *step = new_step(t, key);
    const uint64_t start = clock_ns();
    runner runner[COUNT] = {{0}};
    double best[COUNT], ratio[COUNT];
    fovea_status status = set(t, "form", form, err);
    for (unsigned w = 0; w < COUNT && !status; w++) {
        status = open_runner(&runner[w], t->one, dense, &works[w], err);
        if (!status)
            warm_up(&runner[w], data);
        best[w] = INFINITY;
    }
    for (; !status && step->rounds < ROUNDS; step->rounds++) {
        if (step->rounds >= ROUNDS_MIN && (double)(clock_ns() - start) > 0.05 * t->seconds * 1e9)
            break;
        for (unsigned w = 0; w < COUNT; w++)
            best[w] = fmin(best[w], sample(&runner[w], data));
    }
    for (unsigned w = 0; w < COUNT; w++) {
        ratio[w] = status ? 1 : best[w] / predicted(runner[w].plan, form);
        close_runner(&runner[w]);
    }
    quantile_sort(ratio, COUNT);
    /* within 5 %, what the model is off by anyway, the default stands */
    if (fabs(log(quantile_sorted(ratio, COUNT, 0.5))) > 0.05)
        snprintf(step->value, sizeof step->value, "%.2f", fmin(fmax(quantile_sorted(ratio, COUNT, 0.5), 0.1), 10));
    snprintf(step->note, sizeof step->note, "time over prediction of %d shapes: %.2f..%.2f", COUNT, ratio[0], ratio[COUNT - 1]);
    if (!status)
        status = set(t, key, step->value, err);
    return status ? status : set(t, "form", "auto", err);
}

/* Best time of a plan made with this threshold. */
static fovea_status time_with(tuner *t, const char *flops, const fovea_recipe *dense, const work *w, const tensors *data,
                              double *best, fovea_error *err)
{
    runner r = {0};
    fovea_status status = fovea_context_tune(t->many, "thread_flops", flops, err);
    if (!status)
        status = open_runner(&r, t->many, dense, w, err);
    if (status)
        return status;
    warm_up(&r, data);
    *best = INFINITY;
    for (int i = 0; i < 9; i++)
        *best = fmin(*best, sample(&r, data));
    close_runner(&r);
    return FOVEA_OK;
}

/* Flops at which a second thread begins to pay: decoding over more and more keys, with all threads and with one. */
static fovea_status find_crossing(tuner *t, const fovea_recipe *dense, const tensors *data, double *flops, fovea_error *err)
{
    double alone = 0, shared = 0;
    for (int64_t lk = 16; lk <= 4096 && (lk == 16 || shared >= 0.98 * alone); lk += lk / 2) {
        const work w = {8, 8, 1, lk, 64, FOVEA_F32, 0};
        fovea_status status = time_with(t, "1000000000000", dense, &w, data, &alone, err);
        if (!status)
            status = time_with(t, "0", dense, &w, data, &shared, err);
        if (status)
            return status;
    }
    *flops = round(alone * fovea_context_tuning(t->one, "fma_gflops") / 1000) * 1000;
    return FOVEA_OK;
}

/* Two crossings must agree, and lie more than a factor of two from the default: time is flat near the crossing. */
static fovea_status measure_threads(tuner *t, const fovea_recipe *dense, const tensors *data, fovea_error *err)
{
    tuner_step *step = new_step(t, "thread_flops");
    const double standard = find_key("thread_flops")->standard;
    double a = 0, b = 0;
    fovea_status status;
    if (!t->many) {
        snprintf(step->note, sizeof step->note, "not measured: one CPU");
        return FOVEA_OK;
    }
    status = find_crossing(t, dense, data, &a, err);
    if (!status)
        status = find_crossing(t, dense, data, &b, err);
    if (status)
        return status;
    snprintf(step->note, sizeof step->note, "more threads pay from %.3g and, again, from %.3g flops on", a, b);
    if (fmax(a, b) < 2 * fmin(a, b) && (fmax(a, b) < standard / 2 || fmin(a, b) > 2 * standard))
        snprintf(step->value, sizeof step->value, "%.15g", fmax(a, b));
    return set(t, "thread_flops", step->value, err);
}

fovea_status tuner_run(tuner *t, fovea_error *err)
{
    fovea_recipe *dense = NULL;
    tensors data;
    fovea_status status;
    t->steps = 0;
    if (!make_tensors(&data))
        return no_memory(err);
    status = fovea_recipe_parse(t->one, "dense", &dense, err);
    if (!status)
        status = measure_rates(t, err);
    for (unsigned i = 0; !status && i < sizeof races / sizeof *races; i++) {
        tuner_step *step = new_step(t, races[i].key);
        if (races[i].many && !t->many)
            snprintf(step->note, sizeof step->note, "not measured: one CPU");
        else
            status = run_race(t, &races[i], dense, &data, step, err);
    }
    if (!status)
        status = measure_form(t, "lanes", "lanes_cost", dense, &data, err);
    if (!status)
        status = measure_form(t, "rows", "rows_cost", dense, &data, err);
    if (!status)
        status = measure_threads(t, dense, &data, err);
    fovea_recipe_destroy(dense);
    free_tensors(&data);
    return status;
}
