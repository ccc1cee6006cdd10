/* Splitting a pattern into disjoint parts, each with the step that turns its strided keys into runs.

   Terms. A tree is rewritten as a union of terms by distributing '&' over '|', but only as far as a stride demands:
   what has no stride of its own stays together as one term of step 1. Terms of equal step are joined. Part k is term
   k without the terms before it, so no key is seen twice. When more than FV_TERMS terms would result, the pattern
   stays in one piece of step 1, which is right all the same, only slower. */
#include "pattern/internal.h"

typedef struct terms {
    unsigned count;
    int overflow;
    int64_t step[FV_TERMS];
    fv_node *node[FV_TERMS];
} terms;

static int add_term(fv_arena *arena, terms *set, int64_t step, fv_node *node)
{
    for (unsigned k = 0; k < set->count; k++) {
        if (set->step[k] != step)
            continue;
        set->node[k] = fv_node_join(arena, FV_OR, set->node[k], node);
        return set->node[k] != NULL;
    }
    if (set->count == FV_TERMS) {
        set->overflow = 1;
        return 1;
    }
    set->step[set->count] = step;
    set->node[set->count++] = node;
    return 1;
}

static int64_t leaf_step(const fv_leaf *leaf, int64_t lk)
{
    int64_t step = leaf->rule->step ? leaf->rule->step(leaf) : 1;
    return step < lk ? step : 1; /* else a class holds one key: points are as good */
}

/* A conjunction of two strides keeps to both, hence to the classes of their least common multiple, or of the larger. */
static int64_t joint_step(int64_t a, int64_t b, int64_t lk)
{
    int64_t whole = a / fv_gcd(a, b);
    return whole < lk && whole * b < lk ? whole * b : fv_max(a, b);
}

/* Each returns 0 when there is no memory. */
static int collect(fv_arena *arena, fv_node *node, int64_t lk, terms *out);

static int collect_or(fv_arena *arena, const fv_node *node, int64_t lk, terms *out)
{
    for (unsigned k = 0; k < node->count && !out->overflow; k++) {
        terms part = {0};
        if (!collect(arena, node->child[k], lk, &part))
            return 0;
        out->overflow |= part.overflow;
        for (unsigned t = 0; t < part.count; t++)
            if (!add_term(arena, out, part.step[t], part.node[t]))
                return 0;
    }
    return 1;
}

static int collect_and(fv_arena *arena, const fv_node *node, int64_t lk, terms *out)
{
    if (!collect(arena, node->child[0], lk, out))
        return 0;
    for (unsigned k = 1; k < node->count && !out->overflow; k++) {
        terms left = *out, right = {0};
        if (!collect(arena, node->child[k], lk, &right))
            return 0;
        *out = (terms){.overflow = right.overflow};
        for (unsigned a = 0; a < left.count; a++) {
            for (unsigned b = 0; b < right.count; b++) {
                fv_node *both = fv_node_join(arena, FV_AND, left.node[a], right.node[b]);
                if (!both ||
                    !add_term(arena, out, joint_step(left.step[a], right.step[b], lk), both))
                    return 0;
            }
        }
    }
    return 1;
}

static int collect(fv_arena *arena, fv_node *node, int64_t lk, terms *out)
{
    switch (node->op) {
    case FV_OR:
        return collect_or(arena, node, lk, out);
    case FV_AND:
        return collect_and(arena, node, lk, out);
    case FV_LEAF:
        return add_term(arena, out, leaf_step(node->leaf, lk), node);
    default:
        return add_term(arena, out, 1, node);
    }
}

static void set_part(fv_pattern *pattern, fv_part *part, int64_t step, fv_node *node)
{
    part->step = step;
    part->node = node;
    part->need = fv_node_need(node, &pattern->shape, step);
    part->nature = fv_node_nature(node, step);
    fv_reach reach;
    part->band = step == 1 && fv_node_band(node, &reach);
    part->back = part->band ? reach.back : 0;
    part->ahead = part->band ? reach.ahead : 0;
}

static int has_step(const fv_node *node, int64_t lk)
{
    if (node->op == FV_LEAF)
        return leaf_step(node->leaf, lk) > 1;
    for (unsigned k = 0; k < node->count; k++)
        if (node->op != FV_NOT && has_step(node->child[k], lk))
            return 1;
    return 0;
}

/* Step 1 first; the others in the order written. */
static void lead_with_step_one(terms *set)
{
    for (unsigned k = 1; k < set->count; k++) {
        if (set->step[k] != 1)
            continue;
        fv_node *node = set->node[k];
        for (unsigned m = k; m > 0; m--) {
            set->step[m] = set->step[m - 1];
            set->node[m] = set->node[m - 1];
        }
        set->step[0] = 1;
        set->node[0] = node;
    }
}

fovea_status fv_split(fv_pattern *pattern, fovea_error *err)
{
    fv_arena *arena = &pattern->arena;
    fv_node *before = NULL;
    terms set = {0};

    pattern->parts = 0;
    set_part(pattern, &pattern->whole, 1, pattern->root);
    if (has_step(pattern->root, pattern->shape.lk) &&
        !collect(arena, pattern->root, pattern->shape.lk, &set))
        return fv_no_memory(err);
    if (!set.count || set.overflow) {
        set_part(pattern, &pattern->part[pattern->parts++], 1, pattern->root);
        return FOVEA_OK;
    }
    lead_with_step_one(&set);
    for (unsigned k = 0; k < set.count; k++) {
        fv_node *node = set.node[k];
        if (before) {
            fv_node *rest = fv_node_not(arena, before);
            node = rest ? fv_node_join(arena, FV_AND, node, rest) : NULL;
        }
        before = before ? fv_node_join(arena, FV_OR, before, set.node[k]) : set.node[k];
        if (!node || !before)
            return fv_no_memory(err);
        if (k)
            fv_node_order(node, &pattern->shape,
                          set.step[k]); /* a node of its own: the others keep their order */
        set_part(pattern, &pattern->part[pattern->parts++], set.step[k], node);
    }
    return FOVEA_OK;
}
