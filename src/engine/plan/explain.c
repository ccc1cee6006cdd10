/* What a plan says of itself: driver, kernels and tiles of each pass, and why others were not taken. */
#include "core/cpu.h"
#include "core/error.h"
#include "core/numbers.h"
#include "plan/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = 4096 };

const char *fv_driver_name(fv_driver driver)
{
    static const char *const names[] = {"lanes", "rows", "pruned"};
    return names[driver];
}

static void add(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char *text, const char *format, ...)
{
    size_t n = strlen(text);
    va_list list;
    va_start(list, format);
    vsnprintf(text + n, TEXT - n, format, list);
    va_end(list);
}

static void describe_pass(const fovea_plan *plan, const fv_pass *pass, unsigned number, char *text)
{
    const fv_work *w = &plan->work;
    const char *type = fv_dtype_name(plan->problem.dtype);
    int64_t rows = pass->classes ? (plan->lengths[0].rows + pass->classes - 1) / pass->classes * w->group : 0;
    add(text, "pass %u: driver %s, key step %lld\n", number + 1, fv_driver_name(pass->driver), (long long)pass->step);
    if (pass->driver == FV_DRIVE_LANES) {
        add(text, "  kernels %s, pv_f32; tile of %d queries x %d keys, blocks of %d keys shared by %d tiles\n",
            plan->main_kernel->name, w->kernel.lanes, w->kernel.mr ? w->kernel.mr : plan->main_kernel->mr, w->block, w->tiles);
        add(text, "  not rows: %lld query rows share a key/value head, more than %d\n", (long long)rows, FVK_MAX_ROWS);
    } else if (pass->driver == FV_DRIVE_ROWS) {
        add(text, "  kernels dot_%s, axpy_%s; keys and values read once for %lld rows, blocks of %d keys, %lld key ranges\n",
            type, type, (long long)rows, w->row_block, (long long)pass->splits);
        add(text, "  not lanes: %lld query rows would fill %lld of %d lanes\n", (long long)rows, (long long)rows,
            w->kernel.lanes);
    } else {
        add(text, "  normaliser %s on whole rows; scores by %s\n", w->normaliser->name, plan->main_kernel->name);
        add(text, "  not lanes or rows: this normaliser has no online form\n");
    }
}

static void describe_isas(const fovea_plan *plan, char *text)
{
    const unsigned here = fv_cpu_isas(), allowed = plan->context->isas;
    const fvk_isa best = fv_cpu_strongest(allowed);
    for (int i = 0; i < FVK_ISAS; i++) {
        if (i == (int)best)
            continue;
        if (!(here >> i & 1))
            add(text, "  not %s: not in this build, or this CPU lacks it\n", fvk_isa_names[i]);
        else if (!(allowed >> i & 1))
            add(text, "  not %s: capped by --isa or FOVEA_ISA\n", fvk_isa_names[i]);
        else
            add(text, "  not %s: weaker than %s\n", fvk_isa_names[i], fvk_isa_names[best]);
    }
}

fovea_status fv_plan_describe(fovea_plan *plan, fovea_error *err)
{
    const fv_work *w = &plan->work;
    char text[TEXT] = "";
    add(text, "instruction set: %s\n", fvk_isa_names[fv_cpu_strongest(plan->context->isas)]);
    describe_isas(plan, text);
    for (unsigned i = 0; i < plan->lengths[0].passes && i < 16; i++)
        describe_pass(plan, &plan->lengths[0].pass[i], i, text);
    if (plan->pair_percent)
        add(text, "bf16 dot product measured at %d %% of the fma rate: %s\n", plan->pair_percent,
            w->kernel.qk_pair ? "taken for the scores" : "not taken, keys are widened to float");
    else if (plan->problem.dtype == FOVEA_BF16)
        add(text, "bf16 is widened to float: no bf16 dot product among the instruction sets allowed\n");
    add(text, "score edits between dot and softmax:%s%s%s%s\n", w->softcap > 0 ? " softcap" : "", w->alibi ? " alibi" : "",
        w->has_bias ? " bias" : "", w->edits ? "" : " none");
    add(text, "workspace: %zu bytes for %u workers\n", plan->workspace, plan->context->threads.workers);
    plan->text = fv_memory_text(&plan->context->memory, text);
    return plan->text ? FOVEA_OK : fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for the text of a plan");
}
