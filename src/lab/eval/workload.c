/* Workloads of the suite; see workload.h. */
#include "eval/workload.h"

#include "io/pages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USAGE = 2, NO_MEMORY = 4 }; /* the tool's exit codes */

/* 5.5 cycles for 16 exponentials, at 32 flops a cycle. */
static const double flops_of_exponential = 11;

/* ------------------------------------------------------------------ masks */

/* Chooses `kept` of `columns` entries, each set as likely as another [Knuth, volume 2, 3.4.2, algorithm S]. */
static void draw_row(uint8_t *row, int64_t columns, int64_t kept, uint64_t *state)
{
    for (int64_t c = 0; c < columns; c++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const int64_t left = columns - c;
        row[c] = (int64_t)((*state >> 33) % (uint64_t)left) < kept;
        kept -= row[c];
    }
}

static int load_mask(void *user, const char *path, fovea_array *array, char *why, size_t n)
{
    unsigned percent, rows, columns;
    uint64_t state = 1;
    int end = 0;
    (void)user;
    if (sscanf(path, "keep-%u-%ux%u%n", &percent, &rows, &columns, &end) != 3 || path[end] ||
        percent > 100 || !rows || !columns || rows > 1 << 16 || columns > 1 << 16) {
        snprintf(why, n,
                 "%.100s: the suite knows keep-PERCENT-ROWSxCOLUMNS only, up to 65536 of each",
                 path);
        return 1;
    }
    uint8_t *mask = malloc((size_t)rows * columns);
    if (!mask) {
        snprintf(why, n, "%.100s: no memory for it", path);
        return 1;
    }
    const int64_t kept = (int64_t)columns * percent / 100;
    for (unsigned r = 0; r < rows; r++)
        draw_row(mask + (size_t)r * columns, columns, kept > 0 ? kept : 1, &state);
    array->data = array->handle = mask;
    array->rank = 3;
    array->dim[0] = 1;
    array->dim[1] = rows;
    array->dim[2] = columns;
    array->type = 'b';
    return 0;
}

static void unload_mask(void *user, fovea_array *array)
{
    (void)user;
    free(array->handle);
    array->handle = NULL;
}

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    return pages_get_aligned(bytes, alignment);
}

static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

/* ------------------------------------------------------------------ planning */

static int engine_failed(const fovea_error *err, char *why)
{
    snprintf(why, SHAPES_TEXT, "%s", err->text);
    return err->status == FOVEA_ERROR_MEMORY ? NO_MEMORY : USAGE;
}

static int no_memory(char *why, const char *what, double bytes)
{
    snprintf(why, SHAPES_TEXT, "no memory for %s (%.0f bytes)", what, bytes);
    return NO_MEMORY;
}

static int open_context(workload *w, const suite_work *work, const char *isa, uint64_t seed,
                        char *why)
{
    fovea_error err = {0};
    const fovea_context_options options = {
        .struct_size = sizeof options,
        .allocate = allocate,
        .release = release,
        .threads = work->threads,
        .load = load_mask,
        .unload = unload_mask,
        .isa = isa,
        .seed = seed,
    };
    memset(w, 0, sizeof *w);
    w->copies = 1;
    w->kept = NAN;
    if (fovea_context_create(&options, &w->context, &err) ||
        fovea_recipe_parse(w->context, work->spec, &w->recipe, &err))
        return engine_failed(&err, why);
    fovea_problem_init(&w->problem, work->shape.batch, work->shape.hq, work->shape.hkv,
                       work->shape.lq, work->shape.lk, work->shape.d, work->shape.dv, work->dtype);
    w->problem.precision = work->precision;
    return 0;
}

static int create_plan(workload *w, char *why)
{
    fovea_error err = {0};
    if (fovea_plan_create(w->context, &w->problem, w->recipe, &w->plan, &err) ||
        fovea_plan_cost(w->plan, &w->cost, &err))
        return engine_failed(&err, why);
    w->workspace_bytes = fovea_plan_workspace(w->plan);
    return 0;
}

int workload_plan(workload *w, const suite_work *work, const char *isa, uint64_t seed, char *why)
{
    const int code = open_context(w, work, isa, seed, why);
    return code ? code : create_plan(w, why);
}

/* ------------------------------------------------------------------ operands */

/* Moves k and v into one block that holds as many copies of both as it takes. The numbers repeat, the addresses
   do not. */
static int make_cold(workload *w, char *why)
{
    const fovea_problem *p = &w->problem;
    const size_t element = operands_element(p->dtype);
    size_t count[3];
    operands_count(p, count);
    w->k_bytes = (count[1] * element + 63) / 64 * 64;
    w->v_bytes = (count[2] * element + 63) / 64 * 64;
    const size_t both = w->k_bytes + w->v_bytes;
    w->copies =
        both < WORKLOAD_COLD_BYTES ? (unsigned)((WORKLOAD_COLD_BYTES + both - 1) / both) : 1;
    w->cold = pages_get(w->copies * both);
    if (!w->cold)
        return no_memory(why, "keys and values", (double)w->copies * (double)both);
    for (unsigned n = 0; n < w->copies; n++) {
        memcpy(w->cold + n * both, w->made[1], count[1] * element);
        memcpy(w->cold + n * both + w->k_bytes, w->made[2], count[2] * element);
    }
    for (int n = 1; n < 3; n++) {
        free(w->made[n]);
        w->made[n] = NULL;
    }
    return 0;
}

static int make_operands(workload *w, const suite_work *work, int cold, uint64_t seed, char *why)
{
    const shape *s = &work->shape;
    const double o_bytes = (double)(s->batch * s->hq * s->lq * s->dv) * sizeof(float);
    if (operands_make(&w->problem, work->layout, SYNTHETIC_GAUSSIAN, seed, w->made))
        return no_memory(why, "q, k and v", o_bytes);
    w->o = pages_get((size_t)o_bytes);
    if (!w->o)
        return no_memory(why, "o", o_bytes);
    w->arguments = (fovea_arguments){.struct_size = sizeof w->arguments,
                                     .q = w->made[0],
                                     .k = w->made[1],
                                     .v = w->made[2],
                                     .o = w->o};
    return cold ? make_cold(w, why) : 0;
}

static int run_once(workload *w, char *why)
{
    fovea_error err = {0};
    fovea_arguments arguments = w->arguments;
    uint64_t kept = 0;
    w->workspace = pages_get(w->workspace_bytes);
    if (!w->workspace)
        return no_memory(why, "the workspace", (double)w->workspace_bytes);
    if (w->cold) {
        arguments.k = w->cold;
        arguments.v = w->cold + w->k_bytes;
    }
    arguments.kept = &kept;
    if (fovea_execute(w->plan, &arguments, w->workspace, w->workspace_bytes, &err))
        return engine_failed(&err, why);
    w->kept = w->cost.dense_pairs > 0 ? (double)kept / w->cost.dense_pairs : NAN;
    return 0;
}

int workload_open(workload *w, const suite_work *work, const char *isa, int cold, uint64_t seed,
                  char *why)
{
    int code = open_context(w, work, isa, seed, why);
    if (!code) /* before the plan: the layout is a matter of strides */
        code = make_operands(w, work, cold, seed, why);
    if (!code)
        code = create_plan(w, why);
    return code ? code : run_once(w, why);
}

void workload_free(workload *w)
{
    fovea_plan_destroy(w->plan);
    fovea_recipe_destroy(w->recipe);
    fovea_context_destroy(w->context);
    for (int n = 0; n < 3; n++)
        free(w->made[n]);
    free(w->o);
    free(w->workspace);
    free(w->cold);
    memset(w, 0, sizeof *w);
}

/* ------------------------------------------------------------------ running */

int workload_run(const workload *w)
{
    fovea_arguments arguments = w->arguments;
    int status = 0;
    for (unsigned n = 0; n < w->copies && !status; n++) {
        if (w->cold) {
            arguments.k = w->cold + n * (w->k_bytes + w->v_bytes);
            arguments.v = (const char *)arguments.k + w->k_bytes;
        }
        status = (int)fovea_execute(w->plan, &arguments, w->workspace, w->workspace_bytes, NULL);
    }
    return status;
}

size_t workload_bytes(const workload *w)
{
    const double least = 1 << 16, most = WORKLOAD_COLD_BYTES;
    return w->cold ? WORKLOAD_COLD_BYTES : (size_t)fmin(fmax(w->cost.bytes, least), most);
}

double workload_flops(const workload *w, int exponentials)
{
    const double one =
        w->cost.flops + (exponentials ? flops_of_exponential * w->cost.visible_pairs : 0);
    return one * w->copies;
}
