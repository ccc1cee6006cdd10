/* Plans: creation, questions, execution. */
#include "plan/forms.h"

#include "api/problem.h"
#include "core/error.h"
#include "drive/execute.h"

#include <stdio.h>
#include <string.h>

fovea_status fovea_plan_create(fovea_context *context, const fovea_problem *problem, const fovea_recipe *recipe,
                               fovea_plan **plan, fovea_error *err)
{
    fovea_plan *made;
    fovea_status status;
    if (!plan)
        return fv_error_set(err, FOVEA_ERROR_NULL, "plan is NULL");
    *plan = NULL;
    if (!context || !recipe)
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL", context ? "recipe" : "context");
    status = fv_problem_check(problem, err);
    if (status)
        return status;
    made = fv_memory_zero(&context->memory, sizeof *made);
    if (!made)
        return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for a plan of %zu bytes", sizeof *made);
    status = fv_plan_make(context, problem, recipe, made, err);
    if (status) {
        fovea_plan_destroy(made);
        return status;
    }
    *plan = made;
    return FOVEA_OK;
}

void fovea_plan_destroy(fovea_plan *plan)
{
    if (!plan)
        return;
    fv_plan_clear(plan);
    fv_memory_put(&plan->context->memory, plan);
}

size_t fovea_plan_workspace(const fovea_plan *plan)
{
    return plan ? plan->workspace : 0;
}

const char *fovea_plan_explain(const fovea_plan *plan)
{
    const char *text = plan ? fv_plan_describe(plan) : "";
    return text ? text : "no memory for the text of this plan\n";
}

int fovea_plan_form(const fovea_plan *plan, unsigned index, fovea_form *form)
{
    const fv_lengths *lengths;
    const fv_pass *pass;
    const unsigned number = index / FV_FORMS, row = index % FV_FORMS;
    char why[FV_FORM_REASON] = "";
    if (!plan || !form || form->struct_size != sizeof *form || number >= plan->lengths[0].passes)
        return 0;
    lengths = &plan->lengths[0];
    pass = &lengths->pass[number];
    if (row != pass->form)
        fv_forms_reason(plan, lengths, pass, row, why);
    form->pass = number;
    form->name = fv_forms[row].name;
    form->taken = row == pass->form;
    form->predicted_ns = fv_forms_pass_ns(plan, number, form->taken ? FV_FORMS : row);
    snprintf(form->reason, sizeof form->reason, "%s", why);
    return 1;
}

double fovea_plan_predicted_ns(const fovea_plan *plan)
{
    double ns = 0;
    for (unsigned k = 0; plan && k < plan->work.passes; k++)
        ns += fv_forms_pass_ns(plan, k, FV_FORMS);
    return ns;
}

fovea_status fovea_plan_cost(const fovea_plan *plan, fovea_cost *cost, fovea_error *err)
{
    if (!plan || !cost)
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL", plan ? "cost" : "plan");
    return fv_plan_count(plan, cost, err);
}

static fovea_status check_index(fovea_error *err, fovea_status status, const char *name, int64_t value, int64_t count)
{
    if (value >= 0 && value < count)
        return FOVEA_OK;
    return fv_error_set(err, status, "%s %lld is outside 0..%lld", name, (long long)value, (long long)(count - 1));
}

fovea_status fovea_plan_row(const fovea_plan *plan, int64_t sequence, int64_t head, int64_t row, uint8_t *out,
                            fovea_error *err)
{
    const fv_memory *memory;
    const fv_lengths *lengths;
    fovea_status status;
    if (!plan || !out)
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL", plan ? "out" : "plan");
    status = check_index(err, FOVEA_ERROR_SEQLENS, "sequence", sequence, plan->work.sequences);
    if (!status)
        status = check_index(err, FOVEA_ERROR_HEADS, "head", head, plan->problem.hq);
    if (!status)
        status = check_index(err, FOVEA_ERROR_ROWS, "row", row, plan->work.sequence[sequence].lengths->shape.lq);
    if (status)
        return status;
    memory = &plan->context->memory;
    lengths = plan->work.sequence[sequence].lengths;
    memset(out, 0, (size_t)lengths->shape.lk);
    for (unsigned i = 0; i < lengths->patterns; i++) {
        void *scratch = fv_memory_get(memory, fv_pattern_row_scratch(lengths->pattern[i]));
        const fv_run *run;
        size_t runs;
        if (!scratch)
            return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for the runs of a row");
        runs = fv_pattern_row(lengths->pattern[i], (fv_lane){row, head}, scratch, &run);
        for (size_t k = 0; k < runs; k++)
            memset(out + run[k].lo, 1, (size_t)(run[k].hi - run[k].lo));
        fv_memory_put(memory, scratch);
    }
    return FOVEA_OK;
}

static fovea_status check_tensors(const fovea_plan *plan, const fovea_arguments *a, fovea_error *err)
{
    const fovea_problem *p = &plan->problem;
    const int64_t out = p->batch * p->hq * plan->work.out_rows;
    const char *missing = NULL;
    if (!a->k_rows != !a->v_rows)
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL: k_rows and v_rows go together",
                            a->k_rows ? "v_rows" : "k_rows");
    if (a->k_rows && p->page_size)
        return fv_error_set(err, FOVEA_ERROR_PAGES, "k_rows together with page_size %lld; give one of them",
                            (long long)p->page_size);
    if (out && !a->o)
        missing = "o";
    else if (out && !a->q)
        missing = "q";
    else if (out && p->lk && !a->k && !a->k_rows)
        missing = "k";
    else if (out && p->lk && !a->v && !a->v_rows)
        missing = "v";
    else if (p->page_size && p->lk && !a->pages)
        missing = "pages";
    else if (p->has_bias && out && p->lk && !a->bias)
        missing = "bias";
    else if (p->has_sinks && !a->sinks)
        missing = "sinks";
    if (missing)
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL", missing);
    if (a->lse && !plan->has_lse)
        return fv_error_set(err, FOVEA_ERROR_OUTPUT, "lse was asked for, but \"%s\" has none; leave it NULL", plan->spec);
    for (int64_t h = 0; p->has_sinks && h < p->hq; h++)
        if (!(a->sinks[h] < __builtin_inff()))
            return fv_error_set(err, FOVEA_ERROR_SINK, "sinks[%lld] = %g is not a number below infinity", (long long)h,
                                (double)a->sinks[h]);
    return FOVEA_OK;
}

static fovea_status check_page_table(const fovea_plan *plan, const fovea_arguments *a, fovea_error *err)
{
    const fovea_problem *p = &plan->problem;
    int64_t pages = p->page_size ? (p->lk + p->page_size - 1) / p->page_size : 0;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t i = 0; i < pages; i++) {
            int32_t page = a->pages[b * p->page_table_stride + i];
            if (page < 0 || page >= p->page_count)
                return fv_error_set(err, FOVEA_ERROR_PAGES, "pages[%lld, %lld] = %d is outside 0..%lld", (long long)b,
                                    (long long)i, page, (long long)(p->page_count - 1));
        }
    return FOVEA_OK;
}

fovea_status fovea_execute(const fovea_plan *plan, const fovea_arguments *a, void *workspace, size_t workspace_bytes,
                           fovea_error *err)
{
    fv_tensors tensors;
    void *own = NULL;
    fovea_status status;
    if (!plan || !a)
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL", plan ? "arguments" : "plan");
    if (a->struct_size != sizeof *a)
        return fv_error_set(err, FOVEA_ERROR_STRUCT, "arguments.struct_size %zu is not sizeof(fovea_arguments) = %zu",
                            a->struct_size, sizeof *a);
    status = check_tensors(plan, a, err);
    if (!status)
        status = check_page_table(plan, a, err);
    if (status)
        return status;
    if (workspace && (workspace_bytes < plan->workspace || (uintptr_t)workspace % 64))
        return fv_error_set(err, FOVEA_ERROR_WORKSPACE,
                            "workspace %p of %zu bytes: the plan needs %zu bytes aligned to 64", workspace,
                            workspace_bytes, plan->workspace);
    if (!workspace) {
        workspace = own = fv_memory_get(&plan->context->memory, plan->workspace);
        if (!own)
            return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for a workspace of %zu bytes", plan->workspace);
    }
    if (a->mask)
        memset(a->mask, 0, (size_t)(plan->problem.batch * plan->problem.hq * plan->work.out_rows * plan->work.mask_keys));
    tensors.arguments = a;
    fv_execute(&plan->work, &tensors, &plan->context->threads, workspace);
    if (a->kept)
        *a->kept = tensors.kept;
    fv_memory_put(&plan->context->memory, own);
    return FOVEA_OK;
}
