/* Compiling a pattern: text -> tree -> bound to a shape -> parts. Also the nodes of the tree. */
#include "pattern/internal.h"

#include <string.h>

/* ------------------------------------------------------------------ nodes */

fv_node *fv_node_leaf(fv_arena *arena, fv_leaf *leaf)
{
    fv_node *node = fv_arena_get(arena, sizeof *node);
    if (node) {
        node->op = FV_LEAF;
        node->leaf = leaf;
    }
    return node;
}

fv_node *fv_node_not(fv_arena *arena, fv_node *child)
{
    if (child->op == FV_NOT)
        return child->child[0];
    fv_node *node = fv_arena_get(arena, sizeof *node);
    if (!node || !(node->child = fv_arena_get(arena, sizeof(fv_node *))))
        return NULL;
    node->op = FV_NOT;
    node->count = 1;
    node->child[0] = child;
    return node;
}

static void splice(fv_node *node, fv_node *operand)
{
    if (operand->op == node->op) {
        memcpy(node->child + node->count, operand->child, operand->count * sizeof(fv_node *));
        node->count += operand->count;
    } else {
        node->child[node->count++] = operand;
    }
}

fv_node *fv_node_join(fv_arena *arena, fv_op op, fv_node *a, fv_node *b)
{
    size_t room = (a->op == op ? a->count : 1) + (b->op == op ? b->count : 1);
    fv_node *node = fv_arena_get(arena, sizeof *node);
    if (!node || !(node->child = fv_arena_get(arena, room * sizeof(fv_node *))))
        return NULL;
    node->op = op;
    splice(node, a);
    splice(node, b);
    return node;
}

/* ------------------------------------------------------------------ patterns */

static void order_all(fv_node *node, const fv_shape *shape)
{
    for (unsigned k = 0; k < node->count; k++)
        order_all(node->child[k], shape);
    fv_node_order(node, shape, 1);
}

static fovea_status compile(fv_pattern *pattern, const fv_pattern_env *env, const char *text,
                            const fv_shape *shape, fovea_error *err)
{
    fv_binding binding = {env, *shape, &pattern->arena, 0};
    fovea_status status;

    pattern->shape = *shape;
    status = fv_parse(&pattern->arena, text, &pattern->root, err);
    if (!status)
        status = fv_bind(pattern->root, &binding, err);
    if (status)
        return status;
    order_all(pattern->root, shape);
    pattern->bits = binding.bits;
    pattern->need = fv_node_need(pattern->root, shape, 1);
    return fv_split(pattern, err);
}

fovea_status fv_pattern_compile(const fv_pattern_env *env, const char *text, const fv_shape *shape,
                                fv_pattern **pattern, fovea_error *err)
{
    fovea_status status;
    *pattern = NULL;
    if (!shape) {
        fv_arena arena = {*env->memory, NULL};
        fv_node *root;
        status = fv_parse(&arena, text, &root, err);
        fv_arena_free(&arena);
        return status;
    }
    fv_pattern *made = fv_memory_zero(env->memory, sizeof *made);
    if (!made)
        return fv_no_memory(err);
    made->arena.memory = *env->memory;
    status = compile(made, env, text, shape, err);
    if (status)
        fv_pattern_free(made);
    else
        *pattern = made;
    return status;
}

void fv_pattern_free(fv_pattern *pattern)
{
    if (!pattern)
        return;
    fv_memory memory = pattern->arena.memory;
    fv_arena_free(&pattern->arena);
    fv_memory_put(&memory, pattern);
}

unsigned fv_pattern_parts(const fv_pattern *pattern)
{
    return pattern->parts;
}

int64_t fv_pattern_step(const fv_pattern *pattern, unsigned part)
{
    return fv_pattern_part(pattern, part)->step;
}

const fv_part *fv_pattern_part(const fv_pattern *pattern, unsigned part)
{
    return part == FV_PATTERN_WHOLE ? &pattern->whole : &pattern->part[part];
}

int fv_pattern_band(const fv_pattern *pattern, unsigned part, int64_t *back, int64_t *ahead)
{
    const fv_part *p = fv_pattern_part(pattern, part);
    *back = p->back;
    *ahead = p->ahead;
    return p->band;
}
