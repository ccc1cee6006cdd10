/* Planning, running, timing and judging a list of variants; see measure.h. */
#include "eval/measure.h"

#include "eval/reference.h"
#include "io/pages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct measure {
    fovea_context *context;
    const measure_input *input;
    unsigned count;
    fovea_plan **plans;   /* all rows */
    fovea_plan **sampled; /* the sampled rows alone; NULL entries when there are none */
    size_t workspace_bytes;
    /* of measure_run */
    void *workspace;
    float *o;            /* b hq lq dv elements, strides of the problem */
    float *sampled_o;    /* [b, hq, nrows, dv] */
    uint8_t *mask;       /* [b, hq, nrows, lk] */
    double *reference_o; /* [b, hq, nrows, dv] */
    float *reference_p;  /* [b, hq, nrows, lk]; float: shares of 1, summed in double */
    double *row_p;       /* [nrows, lk] of one head */
    double *row_recall;  /* [b, hq, nrows] */
    const measure_options *options;
    fovea_error *err;
};

static size_t heads_of(const measure *m)
{
    return (size_t)(m->input->problem.batch * m->input->problem.hq);
}

static size_t sampled_rows(const measure *m)
{
    return heads_of(m) * (size_t)m->input->nrows;
}

static void strides_of_sampled(fovea_problem *problem, int64_t nrows)
{
    problem->o.token = problem->dv;
    problem->o.head = nrows * problem->dv;
    problem->o.batch = problem->hq * nrows * problem->dv;
}

static fovea_status plan_one(measure *m, const fovea_recipe *recipe, unsigned i)
{
    fovea_problem problem = m->input->problem;
    fovea_status status = fovea_plan_create(m->context, &problem, recipe, &m->plans[i], m->err);
    if (status || m->input->nrows == 0)
        return status;
    problem.nrows = m->input->nrows;
    problem.rows = m->input->rows;
    strides_of_sampled(&problem, m->input->nrows);
    return fovea_plan_create(m->context, &problem, recipe, &m->sampled[i], m->err);
}

static fovea_status no_memory(fovea_error *err, const char *what, double bytes)
{
    if (err) {
        err->status = FOVEA_ERROR_MEMORY;
        snprintf(err->text, sizeof err->text, "no memory for %s (%.0f bytes)", what, bytes);
    }
    return FOVEA_ERROR_MEMORY;
}

fovea_status measure_create(fovea_context *context, const measure_input *input,
                            const fovea_recipe *const *recipes, unsigned count, measure **result,
                            unsigned *culprit, fovea_error *err)
{
    measure *m = calloc(1, sizeof *m);
    if (!m)
        return no_memory(err, "a comparison", sizeof *m);
    m->context = context;
    m->input = input;
    m->count = count;
    m->err = err;
    m->plans = calloc((size_t)count + 1, sizeof *m->plans);
    m->sampled = calloc((size_t)count + 1, sizeof *m->sampled);
    fovea_status status = FOVEA_OK;
    if (!m->plans || !m->sampled)
        status = no_memory(err, "plans", (double)count * sizeof *m->plans);
    for (unsigned i = 0; !status && i < count; i++) {
        status = plan_one(m, recipes[i], i);
        if (status) {
            if (culprit)
                *culprit = i;
            break;
        }
        const size_t all = fovea_plan_workspace(m->plans[i]);
        const size_t some = m->sampled[i] ? fovea_plan_workspace(m->sampled[i]) : 0;
        if (all > m->workspace_bytes)
            m->workspace_bytes = all;
        if (some > m->workspace_bytes)
            m->workspace_bytes = some;
    }
    if (status) {
        measure_destroy(m);
        return status;
    }
    *result = m;
    return FOVEA_OK;
}

static void release(measure *m)
{
    free(m->workspace);
    free(m->o);
    free(m->sampled_o);
    free(m->mask);
    free(m->reference_o);
    free(m->reference_p);
    free(m->row_p);
    free(m->row_recall);
    m->workspace = NULL;
    m->o = m->sampled_o = m->reference_p = NULL;
    m->mask = NULL;
    m->reference_o = m->row_p = m->row_recall = NULL;
}

void measure_destroy(measure *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < m->count; i++) {
        if (m->plans)
            fovea_plan_destroy(m->plans[i]);
        if (m->sampled)
            fovea_plan_destroy(m->sampled[i]);
    }
    release(m);
    free(m->plans);
    free(m->sampled);
    free(m);
}

const fovea_plan *measure_plan(const measure *m, unsigned recipe)
{
    return m->plans[recipe];
}

double measure_bytes(const measure *m)
{
    const fovea_problem *p = &m->input->problem;
    const double heads = (double)heads_of(m), rows = (double)m->input->nrows, dv = (double)p->dv,
                 lk = (double)p->lk;
    const double all_o = heads * (double)p->lq * dv * sizeof(float);
    const double sampled_o = heads * rows * dv * (sizeof(float) + sizeof(double));
    const double pairs =
        heads * rows * lk * (sizeof(float) + sizeof(uint8_t)) + rows * lk * sizeof(double);
    return (double)m->workspace_bytes + all_o + sampled_o + pairs + heads * rows * sizeof(double);
}

static fovea_status allocate(measure *m)
{
    const fovea_problem *p = &m->input->problem;
    const size_t rows = sampled_rows(m), dv = (size_t)p->dv, lk = (size_t)p->lk;
    m->workspace = pages_get(m->workspace_bytes);
    m->o = pages_get(heads_of(m) * (size_t)p->lq * dv * sizeof *m->o);
    /* nothing here may be of 0 bytes */
    m->sampled_o = malloc((rows * dv + 1) * sizeof *m->sampled_o);
    m->mask = malloc(rows * lk + 1);
    m->reference_o = malloc((rows * dv + 1) * sizeof *m->reference_o);
    m->reference_p = malloc((rows * lk + 1) * sizeof *m->reference_p);
    m->row_p = malloc(((size_t)m->input->nrows * lk + 1) * sizeof *m->row_p);
    m->row_recall = malloc((rows + 1) * sizeof *m->row_recall);
    if (!m->workspace || !m->o || !m->sampled_o || !m->mask || !m->reference_o || !m->reference_p ||
        !m->row_p || !m->row_recall)
        return no_memory(m->err, "outputs and reference", measure_bytes(m));
    return FOVEA_OK;
}

static void tell(const measure *m, const char *what, double part)
{
    if (m->options->progress)
        m->options->progress(m->options->user, what, part);
}

static fovea_status compute_reference(measure *m)
{
    const measure_input *input = m->input;
    const size_t nrows = (size_t)input->nrows, lk = (size_t)input->problem.lk,
                 dv = (size_t)input->problem.dv;
    for (int64_t b = 0; b < input->problem.batch; b++) {
        for (int64_t h = 0; h < input->problem.hq; h++) {
            const size_t head = (size_t)(b * input->problem.hq + h);
            tell(m, "reference", (double)head / (double)heads_of(m));
            if (reference_rows(&input->problem, &input->arguments, b, h, input->rows, input->nrows,
                               m->reference_o + head * nrows * dv, m->row_p, NULL))
                return no_memory(m->err, "the reference",
                                 (double)(input->problem.d * input->nrows) * sizeof(double));
            for (size_t i = 0; i < nrows * lk; i++)
                m->reference_p[head * nrows * lk + i] = (float)m->row_p[i];
        }
    }
    return FOVEA_OK;
}

/* All 0 means contiguous, as for the library. */
static fovea_strides output_strides(const fovea_problem *p)
{
    const fovea_strides contiguous = {p->hq * p->lq * p->dv, p->lq * p->dv, p->dv};
    return p->o.batch || p->o.head || p->o.token ? p->o : contiguous;
}

/* The sampled rows of the full output, whatever its strides. */
static void gather(measure *m)
{
    const fovea_problem *p = &m->input->problem;
    const fovea_strides o = output_strides(p);
    const int64_t nrows = m->input->nrows;
    float *to = m->sampled_o;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->hq; h++)
            for (int64_t r = 0; r < nrows; r++, to += p->dv)
                memcpy(to, m->o + b * o.batch + h * o.head + m->input->rows[r] * o.token,
                       (size_t)p->dv * sizeof *to);
}

static fovea_status check_recall(measure *m, unsigned i, measure_result *result)
{
    const size_t rows = sampled_rows(m), lk = (size_t)m->input->problem.lk;
    fovea_arguments arguments = m->input->arguments;
    arguments.o = m->sampled_o;
    arguments.mask = m->mask;
    const fovea_status status =
        fovea_execute(m->sampled[i], &arguments, m->workspace, m->workspace_bytes, m->err);
    if (status)
        return status;
    for (size_t r = 0; r < rows; r++)
        m->row_recall[r] = metrics_recall_row(m->reference_p + r * lk, m->mask + r * lk, lk);
    result->recall = metrics_recall_summary(m->row_recall, rows);
    return FOVEA_OK;
}

static fovea_status check_one(measure *m, unsigned i, measure_result *result)
{
    fovea_status status = fovea_plan_cost(m->plans[i], &result->cost, m->err);
    if (status)
        return status;
    fovea_arguments arguments = m->input->arguments;
    uint64_t kept = 0;
    arguments.o = m->o;
    arguments.kept = &kept;
    status = fovea_execute(m->plans[i], &arguments, m->workspace, m->workspace_bytes, m->err);
    if (status)
        return status;
    result->kept = (double)kept;
    result->density_realised =
        result->cost.dense_pairs > 0 ? (double)kept / result->cost.dense_pairs : NAN;
    gather(m);
    result->errors = metrics_compare(m->sampled_o, m->reference_o, sampled_rows(m),
                                     (size_t)m->input->problem.dv);
    result->recall = metrics_recall_summary(m->row_recall, 0);
    return m->sampled[i] ? check_recall(m, i, result) : FOVEA_OK;
}

static int run_one(void *user, unsigned runner)
{
    measure *m = user;
    fovea_arguments arguments = m->input->arguments;
    arguments.o = m->o;
    if (runner == m->count) {
        m->options->beside(m->options->beside_user);
        return 0;
    }
    return (int)fovea_execute(m->plans[runner], &arguments, m->workspace, m->workspace_bytes,
                              m->err);
}

static void race_progress(void *user, unsigned done, unsigned all)
{
    tell(user, "timing", (double)done / all);
}

static fovea_status time_all(measure *m, measure_result *results)
{
    clock_times *times = calloc((size_t)m->count + 1, sizeof *times);
    if (!times)
        return no_memory(m->err, "times", (double)m->count * sizeof *times);
    const clock_race race = {
        .runners = m->count + (m->options->beside != NULL),
        .run = run_one,
        .user = m,
        .rounds = m->options->repeat,
        .seconds = m->options->seconds,
        .progress = race_progress,
    };
    const int status = clock_run(&race, times);
    for (unsigned i = 0; !status && i < m->count; i++)
        results[i].times = times[i];
    free(times);
    return status < 0
               ? no_memory(m->err, "times", (double)m->count * m->options->repeat * sizeof(double))
               : (fovea_status)status;
}

fovea_status measure_run(measure *m, const measure_options *options, measure_result *results,
                         fovea_error *err)
{
    m->options = options;
    m->err = err;
    memset(results, 0, m->count * sizeof *results);
    fovea_status status = allocate(m);
    if (!status)
        status = compute_reference(m);
    for (unsigned i = 0; !status && i < m->count; i++) {
        tell(m, "checking", (double)i / m->count);
        status = check_one(m, i, &results[i]);
    }
    if (!status)
        status = time_all(m, results);
    release(m);
    return status;
}
