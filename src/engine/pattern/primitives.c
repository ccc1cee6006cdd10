/* The table of primitives, in the order of `fovea list patterns`, and what is done to every one of them. */
#include "pattern/internal.h"

static const fv_rule *const rules[] = {
    &fv_rule_all,       &fv_rule_self,        &fv_rule_causal,       &fv_rule_window,
    &fv_rule_sinks,     &fv_rule_columns,     &fv_rule_global,       &fv_rule_stride,
    &fv_rule_dilated,   &fv_rule_chunk,       &fv_rule_document,     &fv_rule_blocks,
    &fv_rule_random,    &fv_rule_axial,       &fv_rule_neighborhood, &fv_rule_swin,
    &fv_rule_bigbird,   &fv_rule_blockwindow, &fv_rule_summary,      &fv_rule_lastrows,
    &fv_rule_logsparse, &fv_rule_longnet,     &fv_rule_tree,
};

const fv_rule *fv_rule_at(unsigned index)
{
    return index < sizeof rules / sizeof *rules ? rules[index] : NULL;
}

const fovea_primitive *fv_pattern_primitive_at(unsigned index)
{
    const fv_rule *rule = fv_rule_at(index);
    return rule ? &rule->text : NULL;
}

fovea_status fv_bind(fv_node *node, fv_binding *binding, fovea_error *err)
{
    if (node->op == FV_LEAF)
        return node->leaf->rule->bind ? node->leaf->rule->bind(node->leaf, binding, err) : FOVEA_OK;
    for (unsigned k = 0; k < node->count; k++) {
        fovea_status status = fv_bind(node->child[k], binding, err);
        if (status)
            return status;
    }
    return FOVEA_OK;
}
