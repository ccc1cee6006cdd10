/* The recipe object; see object.h. A failed call leaves the recipe as it was. */
#include "variants/object.h"

#include "core/error.h"
#include "variants/build.h"
#include "variants/value.h"

#include <stdio.h>
#include <string.h>

static fovea_status no_memory(fovea_error *err)
{
    return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for the recipe");
}

/* ------------------------------------------------------------------ SPEC text */

/* key=value as a SPEC writes it: a flag that is on stands alone, an expression is quoted. */
static void write_item(fv_text *text, const fovea_parameter *parameter, const char *value)
{
    int quoted = strcmp(parameter->type, "pattern") == 0;
    fv_text_put(text, parameter->name);
    if (strcmp(parameter->type, "flag") == 0 && strcmp(value, "1") == 0)
        return;
    fv_text_put(text, quoted ? "=\"" : "=");
    fv_text_put(text, value);
    fv_text_put(text, quoted ? "\"" : "");
}

/* The SPEC of the recipe with parameter `index` replaced by `value`; NULL without memory. pattern:EXPR has no room for
   common parameters, they are left out. */
static char *write_spec(const fovea_recipe *recipe, unsigned index, const char *value)
{
    fv_text text = {.memory = recipe->env.memory};
    int free_form = strcmp(recipe->row->variant.name, "pattern") == 0;
    const char *separator = ":";
    fv_text_put(&text, recipe->row->variant.name);
    for (unsigned i = 0; i < recipe->parameters; i++) {
        const char *each = i == index ? value : recipe->value[i];
        if (!each || (free_form && i > 0))
            continue;
        fv_text_put(&text, separator);
        if (free_form)
            fv_text_put(&text, each);
        else
            write_item(&text, fv_row_parameter_at(recipe->row, i), each);
        separator = ",";
    }
    return fv_text_take(&text);
}

/* ------------------------------------------------------------------ life */

fovea_status fv_recipe_create(const fv_pattern_env *env, const char *name, fovea_recipe **recipe, fovea_error *err)
{
    char shown[FV_SHOWN];
    const fv_row *row = fv_row_find(name);
    fovea_recipe *r;
    *recipe = NULL;
    if (!row)
        return fv_error_set(err, FOVEA_ERROR_VARIANT,
                            "unknown variant \"%s\": nearest is %s; `fovea list variants` shows all",
                            fv_show(shown, name, strlen(name)), fv_row_nearest(name)->variant.name);
    r = fv_memory_zero(env->memory, sizeof *r);
    if (!r)
        return no_memory(err);
    r->env = *env;
    r->row = row;
    while (fv_row_parameter_at(row, r->parameters))
        r->parameters++;
    r->value = fv_memory_zero(env->memory, r->parameters * sizeof *r->value);
    r->spec = fv_memory_text(env->memory, name);
    if (!r->value || !r->spec) {
        fovea_recipe_destroy(r);
        return no_memory(err);
    }
    *recipe = r;
    return FOVEA_OK;
}

void fovea_recipe_destroy(fovea_recipe *recipe)
{
    if (!recipe)
        return;
    for (unsigned i = 0; recipe->value && i < recipe->parameters; i++)
        fv_memory_put(recipe->env.memory, recipe->value[i]);
    fv_memory_put(recipe->env.memory, recipe->value);
    fv_memory_put(recipe->env.memory, recipe->spec);
    fv_memory_put(recipe->env.memory, recipe);
}

/* ------------------------------------------------------------------ set */

static fovea_status unknown_key(const fv_row *row, const char *key, fovea_error *err)
{
    char shown[FV_SHOWN], names[320];
    const fovea_parameter *p, *nearest = NULL;
    size_t used = 0;
    for (unsigned i = 0; (p = fv_row_parameter_at(row, i)) != NULL; i++) {
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", p->name);
        if (!nearest || fv_distance(key, p->name) < fv_distance(key, nearest->name))
            nearest = p;
    }
    return fv_error_set(err, FOVEA_ERROR_PARAMETER, "%s: unknown parameter \"%s\": nearest is %s; allowed are %s",
                        row->variant.name, fv_show(shown, key, strlen(key)), nearest->name, names);
}

fovea_status fv_recipe_assign(fovea_recipe *recipe, const char *key, const char *value, fovea_error *err)
{
    const fv_row *row = recipe->row;
    int index = fv_row_parameter_find(row, key);
    fv_text text = {.memory = recipe->env.memory};
    char *canonical, *spec;
    fovea_status status;
    if (index < 0)
        return unknown_key(row, key, err);
    if ((row->flags & FV_ROW_NO_DENOMINATOR) && strcmp(key, "sink") == 0)
        return fv_error_set(err, FOVEA_ERROR_PARAMETER,
                            "%s: sink=%.40s is not allowed: %s has no sum of exponentials that a sink logit could join",
                            row->variant.name, value ? value : "", row->variant.name);
    status = fv_value_read(&recipe->env, row, fv_row_parameter_at(row, (unsigned)index), value, &text, err);
    if (status) {
        fv_memory_put(recipe->env.memory, text.data);
        return status;
    }
    canonical = fv_text_take(&text);
    spec = canonical ? write_spec(recipe, (unsigned)index, canonical) : NULL;
    if (!spec) {
        fv_memory_put(recipe->env.memory, canonical);
        return no_memory(err);
    }
    fv_memory_put(recipe->env.memory, recipe->value[index]);
    fv_memory_put(recipe->env.memory, recipe->spec);
    recipe->value[index] = canonical;
    recipe->spec = spec;
    return FOVEA_OK;
}

fovea_status fovea_recipe_set(fovea_recipe *recipe, const char *key, const char *value, fovea_error *err)
{
    char *copy;
    size_t start = 0, end;
    fovea_status status;
    if (!recipe || !key)
        return fv_error_set(err, FOVEA_ERROR_NULL, "fovea_recipe_set: %s is NULL", recipe ? "key" : "recipe");
    if (!value)
        return fv_recipe_assign(recipe, key, NULL, err);
    end = strlen(value);
    fv_trim(value, &start, &end);
    copy = fv_memory_text(recipe->env.memory, value + start);
    if (!copy)
        return no_memory(err);
    copy[end - start] = 0;
    status = fv_recipe_assign(recipe, key, copy, err);
    fv_memory_put(recipe->env.memory, copy);
    return status;
}

/* ------------------------------------------------------------------ get */

const char *fovea_recipe_spec(const fovea_recipe *recipe)
{
    return recipe ? recipe->spec : NULL;
}

const fovea_variant *fovea_recipe_variant(const fovea_recipe *recipe)
{
    return recipe ? &recipe->row->variant : NULL;
}

const char *fovea_recipe_get(const fovea_recipe *recipe, const char *key)
{
    int index = recipe && key ? fv_row_parameter_find(recipe->row, key) : -1;
    const fovea_parameter *parameter;
    if (index < 0)
        return NULL;
    if (recipe->value[index])
        return recipe->value[index];
    parameter = fv_row_parameter_at(recipe->row, (unsigned)index);
    if (parameter->standard[0])
        return parameter->standard;
    return fv_row_trait(recipe->row, key)->empty ? "" : NULL;
}

int fovea_recipe_is_set(const fovea_recipe *recipe, const char *key)
{
    int index = recipe && key ? fv_row_parameter_find(recipe->row, key) : -1;
    return index >= 0 && recipe->value[index];
}

int fovea_recipe_has_lse(const fovea_recipe *recipe)
{
    return recipe && !(recipe->row->flags & FV_ROW_NO_DENOMINATOR);
}

/* ------------------------------------------------------------------ check */

fovea_status fv_recipe_check(const fovea_recipe *recipe, fovea_error *err)
{
    const fv_row *row = recipe->row;
    const fovea_parameter *p;
    for (unsigned i = 0; (p = fv_row_parameter_at(row, i)) != NULL; i++) {
        char allowed[FV_ALLOWED];
        if (!p->required || recipe->value[i])
            continue;
        fv_value_allowed(row, p, allowed);
        return fv_error_set(err, FOVEA_ERROR_PARAMETER, "%s: parameter %s= is required (%s): allowed %s",
                            row->variant.name, p->name, p->help, allowed);
    }
    return row->check ? row->check(recipe, err) : FOVEA_OK;
}

fovea_status fv_recipe_exclude(const fovea_recipe *recipe, const char *a, const char *b, fovea_error *err)
{
    if (!fovea_recipe_is_set(recipe, a) || !fovea_recipe_is_set(recipe, b))
        return FOVEA_OK;
    return fv_error_set(err, FOVEA_ERROR_VALUE, "%s: %s=%.60s and %s=%.60s exclude each other: allowed one of the two",
                        recipe->row->variant.name, a, fovea_recipe_get(recipe, a), b, fovea_recipe_get(recipe, b));
}

int64_t fv_recipe_integer(const fovea_recipe *recipe, const char *key)
{
    return fv_list_at(fovea_recipe_get(recipe, key), 0);
}

double fv_recipe_real(const fovea_recipe *recipe, const char *key)
{
    const char *text = fovea_recipe_get(recipe, key);
    double value = 0;
    return text && fv_read_real(text, strlen(text), &value) ? value : 0;
}
