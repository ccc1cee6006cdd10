/* Lists that the public header offers and that live elsewhere: primitives, kernels; recipes with a context. */
#include "core/context.h"
#include "core/cpu.h"
#include "core/error.h"
#include "variants/recipe.h"

const fovea_primitive *fovea_primitive_at(unsigned index)
{
    return fv_pattern_primitive_at(index);
}

int fovea_kernel_at(unsigned index, fovea_kernel *row)
{
    const fvk_row *k;
    if (index >= fvk_table_rows || !row)
        return 0;
    k = &fvk_table[index];
    *row = (fovea_kernel){k->name, k->op_name, k->dtype_name, k->isa_name, k->tolerance, k->lanes ? k->tile : "",
                          k->note,
                          (int)(fv_cpu_isas() >> k->isa & 1)};
    return 1;
}

static fv_pattern_env surroundings(const fovea_context *c)
{
    return (fv_pattern_env){&c->memory, c->load, c->unload, c->load_user, c->seed};
}

fovea_status fovea_recipe_parse(fovea_context *context, const char *spec, fovea_recipe **recipe, fovea_error *err)
{
    fv_pattern_env env;
    if (!recipe || !context || !spec) {
        if (recipe)
            *recipe = NULL;
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL", !context ? "context" : !spec ? "spec" : "recipe");
    }
    *recipe = NULL;
    env = surroundings(context);
    return fv_recipe_parse(&env, spec, recipe, err);
}

fovea_status fovea_recipe_create(fovea_context *context, const char *name, fovea_recipe **recipe, fovea_error *err)
{
    fv_pattern_env env;
    if (!recipe || !context || !name) {
        if (recipe)
            *recipe = NULL;
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL", !context ? "context" : !name ? "name" : "recipe");
    }
    *recipe = NULL;
    env = surroundings(context);
    return fv_recipe_create(&env, name, recipe, err);
}
