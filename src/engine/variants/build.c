/* From a recipe to what it means for one shape: patterns as text, the normaliser and its arguments, the edits that the
   SPEC set. */
#include "variants/build.h"

#include "core/error.h"
#include "variants/object.h"
#include "variants/text.h"

#include <string.h>

/* ------------------------------------------------------------------ templates */

/* Writes what {name...} stands for; `body` is the text between the braces. Returns 0 for a template that names no
   parameter of the row or one without a value, which is a mistake in the row. */
static int write_value(const fv_builder *builder, fv_text *out, const char *body, size_t n)
{
    const fovea_recipe *recipe = builder->recipe;
    char name[32] = "";
    const char *value;
    size_t length = strcspn(body, "}+,");
    int64_t moved = 0;
    if (n > 2 && body[n - 2] == '-' && body[n - 1] == '1') {
        length = n - 2;
        moved = -1;
    } else if (n > 2 && body[n - 2] == '+' && body[n - 1] == '1') {
        length = n - 2;
        moved = 1;
    }
    if (length >= sizeof name)
        return 0;
    memcpy(name, body, length);
    value = fovea_recipe_get(recipe, name);
    if (!value)
        return 0;
    if (moved) {
        fv_text_format(out, "%lld", (long long)(fv_recipe_integer(recipe, name) + moved));
    } else if (body[n - 1] == ',') {
        for (const char *c = value; *c; c++)
            fv_text_add(out, *c == '+' ? "," : c, 1);
    } else {
        fv_text_put(out, value);
    }
    return 1;
}

fovea_status fv_builder_pattern(fv_builder *builder, const char *pattern)
{
    fv_text text = {.memory = builder->env->memory};
    fv_build *build = builder->build;
    while (*pattern) {
        size_t plain = strcspn(pattern, "{"), body;
        fv_text_add(&text, pattern, plain);
        pattern += plain;
        if (!*pattern)
            break;
        body = strcspn(++pattern, "}");
        if (!pattern[body] || body == 0 || !write_value(builder, &text, pattern, body)) {
            fv_memory_put(text.memory, text.data);
            return fv_error_set(builder->err, FOVEA_ERROR_SYNTAX, "%s: the row's template names no value at {%.40s",
                                builder->recipe->row->variant.name, pattern);
        }
        pattern += body + 1;
    }
    if (build->patterns == FV_BUILD_PATTERNS) {
        fv_memory_put(text.memory, text.data);
        return fv_error_set(builder->err, FOVEA_ERROR_VALUE, "%s: more than %d branches",
                            builder->recipe->row->variant.name, FV_BUILD_PATTERNS);
    }
    build->pattern[build->patterns] = fv_text_take(&text);
    if (!build->pattern[build->patterns])
        return fv_error_set(builder->err, FOVEA_ERROR_MEMORY, "no memory for the pattern");
    build->patterns++;
    return FOVEA_OK;
}

/* ------------------------------------------------------------------ recipes */

/* The common parameters that were set. A row's own parameter of the same name (natten's causal) is none of them. */
static void read_edits(const fovea_recipe *recipe, fv_build *build)
{
    const unsigned own = recipe->row->variant.parameter_count;
    for (unsigned i = own; i < recipe->parameters; i++) {
        const char *name;
        double value;
        if (!recipe->value[i])
            continue;
        name = fv_row_parameter_at(recipe->row, i)->name;
        value = fv_recipe_real(recipe, name);
        if (strcmp(name, "causal") == 0) {
            build->causal_set = 1;
            build->causal = value != 0;
        } else if (strcmp(name, "scale") == 0) {
            build->scale_set = 1;
            build->scale = value;
        } else if (strcmp(name, "softcap") == 0) {
            build->softcap_set = 1;
            build->softcap = value;
        } else if (strcmp(name, "alibi") == 0) {
            build->alibi_set = 1;
            build->alibi = value != 0;
        } else if (strcmp(name, "sink") == 0) {
            build->sink_set = 1;
            build->sink = value;
        }
    }
}

fovea_status fv_recipe_build(const fovea_recipe *recipe, const fv_pattern_env *env, const fv_shape *shape,
                             fv_build *build, fovea_error *err)
{
    const fv_row *row = recipe->row;
    fv_builder builder = {recipe, env, shape, build, err};
    fovea_status status;
    *build = (fv_build){.normaliser = row->normaliser,
                        .zero_logit = (row->flags & FV_ROW_ZERO_LOGIT) != 0,
                        .fixes_causality = (row->flags & FV_ROW_FIXES_CAUSALITY) != 0};
    status = fv_recipe_check(recipe, err);
    if (status)
        return status;
    read_edits(recipe, build);
    for (int i = 0; i < FV_BUILD_ARGS && row->arg[i]; i++)
        build->arg[i] = fv_recipe_real(recipe, row->arg[i]);
    if (row->pattern)
        status = fv_builder_pattern(&builder, row->pattern);
    if (!status && row->build)
        status = row->build(&builder);
    if (status)
        fv_build_free(env->memory, build);
    return status;
}

void fv_build_free(const fv_memory *memory, fv_build *build)
{
    for (unsigned i = 0; i < build->patterns; i++)
        fv_memory_put(memory, build->pattern[i]);
    build->patterns = 0;
}
