/* Counts what a plan visits by walking its spans: time proportional to them, memory to one tile and one row of keys. */
#include "core/error.h"
#include "core/numbers.h"
#include "plan/plan.h"

#include <string.h>

/* One sequence: visible pairs, and keys that some query of each key/value head sees. */
static void count_sequence(const fovea_plan *plan, const fv_sequence *s, char *scratch, uint8_t *seen, double *pairs,
                           double *keys)
{
    const fv_work *w = &plan->work;
    const fv_lengths *lengths = s->lengths;
    for (int64_t kv = 0; kv < plan->problem.hkv; kv++) {
        memset(seen, 0, (size_t)lengths->shape.lk);
        for (unsigned k = 0; k < lengths->passes; k++) {
            const fv_task task = {s, &lengths->pass[k], kv, 0};
            int64_t units = fv_work_units(w, lengths, task.pass->step, FVK_MAX_LANES), class;
            for (int64_t u = 0; u < units; u++) {
                fv_place place[FVK_MAX_LANES];
                fv_lane lane[FVK_MAX_LANES];
                const fv_span *span;
                int n = fv_work_places(w, &task, u, FVK_MAX_LANES, place, &class);
                for (int i = 0; i < n; i++)
                    lane[i] = place[i].lane;
                size_t spans = fv_pattern_tile(task.pass->pattern, task.pass->part, lane, (unsigned)n, class, scratch, &span);
                for (size_t i = 0; i < spans; i++) {
                    *pairs += (double)(span[i].hi - span[i].lo) * __builtin_popcountll(span[i].lanes);
                    for (int64_t t = span[i].lo; t < span[i].hi; t++)
                        seen[class + task.pass->step * t] = 1;
                }
            }
        }
        for (int64_t j = 0; j < lengths->shape.lk; j++)
            *keys += seen[j];
    }
}

/* Pairs that dense attention with the same causal flag visits. */
static double dense_pairs(const fovea_plan *plan, const fv_sequence *s)
{
    const fv_shape *shape = &s->lengths->shape;
    double pairs = 0;
    for (int64_t r = 0; r < s->lengths->rows; r++) {
        int64_t i = plan->rows ? plan->rows[r] : r, p = i + shape->lk - shape->lq;
        int64_t n = !plan->problem.causal ? shape->lk : p < 0 ? 0 : p + 1 < shape->lk ? p + 1 : shape->lk;
        pairs += (double)n;
    }
    return pairs * (double)plan->problem.hq;
}

fovea_status fv_plan_count(const fovea_plan *plan, fovea_cost *cost, fovea_error *err)
{
    const fovea_problem *p = &plan->problem;
    const fv_memory *memory = &plan->context->memory;
    const double size = (double)fv_dtype_bytes(p->dtype);
    size_t bytes = 0;
    double keys = 0, rows = 0;
    char *scratch;
    uint8_t *seen;
    for (int64_t i = 0; i < plan->shapes; i++)
        for (unsigned k = 0; k < plan->lengths[i].passes; k++) {
            const fv_pass *pass = &plan->lengths[i].pass[k];
            size_t need = fv_pattern_tile_scratch(pass->pattern, pass->part, FVK_MAX_LANES);
            bytes = need > bytes ? need : bytes;
        }
    scratch = fv_memory_get(memory, bytes);
    seen = fv_memory_get(memory, (size_t)p->lk + 1);
    memset(cost, 0, sizeof *cost);
    if (!scratch || !seen) {
        fv_memory_put(memory, scratch);
        fv_memory_put(memory, seen);
        return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory to count spans (%zu bytes)", bytes + (size_t)p->lk);
    }
    for (int64_t i = 0; i < plan->work.sequences; i++) {
        const fv_sequence *s = &plan->work.sequence[i];
        if (i && s->lengths == plan->work.sequence[0].lengths && !p->nseq) { /* batches are alike */
            cost->visible_pairs *= (double)p->batch;
            cost->dense_pairs *= (double)p->batch;
            keys *= (double)p->batch;
            rows *= (double)p->batch;
            break;
        }
        count_sequence(plan, s, scratch, seen, &cost->visible_pairs, &keys);
        cost->dense_pairs += dense_pairs(plan, s);
        rows += (double)s->lengths->rows * (double)p->hq;
    }
    fv_memory_put(memory, scratch);
    fv_memory_put(memory, seen);
    cost->density = cost->dense_pairs > 0 ? cost->visible_pairs / cost->dense_pairs : 0;
    cost->flops = 2 * (double)(p->d + p->dv) * cost->visible_pairs;
    cost->bytes = (rows * (double)p->d + keys * (double)(p->d + p->dv)) * size + rows * (double)p->dv * sizeof(float);
    cost->kernel = (plan->lengths[0].pass[0].narrow ? plan->narrow_kernel : plan->main_kernel)->name;
    cost->isa = plan->main_kernel->isa_name;
    cost->driver = fv_driver_name(plan->lengths[0].pass[0].driver);
    if (plan->lengths[0].pass[0].driver == FV_DRIVE_ROWS) {
        const fvk_row *dot = fvk_find(FVK_DOT, (fvk_dtype)p->dtype, plan->context->isas, 0);
        cost->kernel = dot->name;
        cost->isa = dot->isa_name;
    }
    return FOVEA_OK;
}
