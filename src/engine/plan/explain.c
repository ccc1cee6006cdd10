/* What a plan says of itself: form, kernels and tiles of each pass, and why others were not taken. */
#include "core/cpu.h"
#include "core/numbers.h"
#include "plan/forms.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = 8192 };

const char *fv_driver_name(fv_driver driver)
{
    static const char *const names[] = {"lanes", "rows", "pruned", "small", "thin"};
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
    const fv_work *w = pass->narrow ? plan->work.narrow : &plan->work;
    const fvk_row *scores = pass->narrow ? plan->narrow_kernel : plan->main_kernel;
    const fv_lengths *lengths = &plan->lengths[0];
    const char *type = fv_dtype_name(plan->problem.dtype);
    const int64_t rows = pass->classes ? (lengths->rows + pass->classes - 1) / pass->classes * w->group : 0;
    char time[32];
    fv_forms_time(fv_forms_pass_ns(plan, number, FV_FORMS), time, sizeof time);
    add(text, "pass %u: form %s, key step %lld, predicted %s%s\n", number + 1, fv_forms[pass->form].name,
        (long long)pass->step, time,
        w->alone[number] && plan->context->threads.workers > 1 ? ", on the calling thread alone" : "");
    if (pass->driver == FV_DRIVE_LANES)
        add(text, "  kernels %s, %s; tile of %d queries x %d keys, blocks of %d keys shared by %d tiles\n",
            scores->name, w->kernel.pv_tile ? "pv_tile_bf16" : w->kernel.pv_pair ? "pv_pair_bf16" : "pv_f32", w->kernel.lanes,
            w->kernel.mr ? w->kernel.mr : scores->mr, w->block, w->tiles);
    else if (pass->driver == FV_DRIVE_SMALL)
        add(text, "  kernels %s, small_softmax_f32, small_pv_f32; %lld keys in the lanes, %d query rows per task\n",
            plan->main_kernel->name, (long long)lengths->shape.lk, pass->width);
    else if (pass->driver == FV_DRIVE_THIN)
        add(text, "  kernels %s, pv_f32; tiles of %d queries against %lld keys in one block, %d query rows per task\n",
            plan->main_kernel->name, w->kernel.lanes, (long long)lengths->shape.lk, pass->width);
    else if (pass->driver == FV_DRIVE_ROWS)
        add(text, "  kernels dot_%s, axpy_%s; keys and values read once for %lld rows, blocks of %d keys, %lld key ranges\n",
            type, type, (long long)(rows < FVK_MAX_ROWS ? rows : FVK_MAX_ROWS), w->row_block, (long long)pass->splits);
    else
        add(text, "  normaliser %s on whole rows; scores by %s\n", w->normaliser->name, plan->main_kernel->name);
    for (unsigned form = 0; form < FV_FORMS; form++) {
        char why[FV_FORM_REASON];
        if (form == pass->form)
            continue;
        fv_forms_reason(plan, lengths, pass, form, why);
        add(text, "  not %s: %s\n", fv_forms[form].name, why);
    }
}

/* Values that are not the defaults. */
static void describe_tuning(const fovea_plan *plan, char *text)
{
    const fv_tuning *t = &plan->context->tuning;
    char values[FV_TUNING_FILE_MOST];
    add(text, "tuning: %.300s", t->source);
    for (int i = 0; i < FV_TUNINGS; i++)
        if (t->value[i] != fv_tuning_key[i].standard) {
            fv_tuning_value_text(i, t->value[i], values, sizeof values);
            add(text, ", %s %s", fv_tuning_key[i].name, values);
        }
    add(text, "\n");
    if (t->note[0])
        add(text, "  %s\n", t->note);
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

static char *make_text(const fovea_plan *plan)
{
    const fv_work *w = &plan->work;
    char text[TEXT] = "";
    add(text, "instruction set: %s\n", fvk_isa_names[fv_cpu_strongest(plan->context->isas)]);
    describe_isas(plan, text);
    for (unsigned i = 0; i < plan->lengths[0].passes && i < 16; i++)
        describe_pass(plan, &plan->lengths[0].pass[i], i, text);
    if (plan->pair_percent)
        add(text, "bf16 dot product measured at %d %% of the fma rate: %s\n", plan->pair_percent,
            w->kernel.pv_tile && w->kernel.parts == 3 ? "taken for scores and values, three parts to a probability"
            : w->kernel.pv_pair || w->kernel.pv_tile  ? "taken for scores and values"
            : w->kernel.qk_pair ? "taken for the scores; for values too with precision=fast"
                                : "not taken, keys and values are widened to float");
    else if (plan->pair_here)
        add(text, "bf16 dot product %s by the tuning\n", w->kernel.qk_pair ? "taken" : "not taken");
    else if (plan->problem.dtype == FOVEA_BF16)
        add(text, "bf16 is widened to float: no bf16 dot product among the instruction sets allowed\n");
    add(text, "score edits between dot and softmax:%s%s%s%s\n", w->softcap > 0 ? " softcap" : "", w->alibi ? " alibi" : "",
        w->has_bias ? " bias" : "", w->edits ? "" : " none");
    add(text, "workspace: %zu bytes for %u workers\n", plan->workspace, plan->context->threads.workers);
    describe_tuning(plan, text);
    return fv_memory_text(&plan->context->memory, text);
}

const char *fv_plan_describe(const fovea_plan *plan)
{
    char *_Atomic *slot = &((fovea_plan *)(uintptr_t)plan)->text; /* the one part of a plan that is written later */
    char *text = atomic_load(slot), *none = NULL;
    if (text)
        return text;
    text = make_text(plan);
    if (text && !atomic_compare_exchange_strong(slot, &none, text)) {
        fv_memory_put(&plan->context->memory, text); /* another thread was first */
        text = none;
    }
    return text;
}
