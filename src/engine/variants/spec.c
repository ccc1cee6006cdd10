/* The SPEC parser: NAME[:key=value,...] or pattern:EXPR. Blanks are free between tokens; a value in double quotes may
   hold commas. Splits only: what a key or value means is the recipe's business. */
#include "core/error.h"
#include "variants/build.h"
#include "variants/object.h"
#include "variants/text.h"

#include <string.h>

/* One key[=value] of a SPEC, cut out in place. */
typedef struct item {
    char *key, *value; /* value NULL when the key stands alone */
    int quoted;
} item;

static fovea_status syntax(fovea_error *err, const fovea_recipe *recipe, const char *what, const char *text)
{
    char shown[FV_SHOWN];
    return fv_error_set(err, FOVEA_ERROR_SYNTAX, "%s: %s \"%s\": allowed NAME[:key=value,...] or pattern:EXPR",
                        recipe->row->variant.name, what, fv_show(shown, text, strlen(text)));
}

static char *skip_blanks(char *at)
{
    while (fv_blank(*at))
        at++;
    return at;
}

/* Ends the text [start, end) with a NUL after its last character that is no blank. */
static char *cut(char *start, char *end)
{
    while (end > start && fv_blank(end[-1]))
        end--;
    *end = 0;
    return start;
}

/* Cuts the next item at *at and moves *at behind it, to NULL after the last one. */
static fovea_status next_item(char **at, item *it, const fovea_recipe *recipe, fovea_error *err)
{
    char *start = skip_blanks(*at), *end = start + strcspn(start, "=,"), mark = *end;
    *it = (item){.key = start};
    if (end == start)
        return syntax(err, recipe, *start ? "a key is missing before" : "ends where a key is expected, after",
                      *start ? start : recipe->row->variant.name);
    cut(start, end);
    *at = mark ? end + 1 : NULL;
    if (mark != '=')
        return FOVEA_OK;
    start = skip_blanks(end + 1);
    it->quoted = *start == '"';
    if (it->quoted) {
        char *close = strchr(++start, '"');
        if (!close)
            return syntax(err, recipe, "no closing double quote after", start);
        end = skip_blanks(close + 1);
        if (*end && *end != ',')
            return syntax(err, recipe, "a comma is expected before", end);
        mark = *end;
        start = skip_blanks(start);
        it->value = cut(start, close > start ? close : start);
    } else {
        end = start + strcspn(start, ",");
        mark = *end;
        it->value = cut(start, end);
    }
    *at = mark ? end + 1 : NULL;
    return FOVEA_OK;
}

/* A comma inside an expression that was not quoted ends it early; the compiler's complaint would not say why. */
static int cut_short(const fovea_recipe *recipe, const item *it)
{
    int index = fv_row_parameter_find(recipe->row, it->key), open = 0;
    if (index < 0 || it->quoted || !it->value ||
        strcmp(fv_row_parameter_at(recipe->row, (unsigned)index)->type, "pattern"))
        return 0;
    for (const char *c = it->value; *c; c++)
        open += (*c == '(') - (*c == ')');
    return open > 0;
}

static fovea_status read_items(fovea_recipe *recipe, char *at, fovea_error *err)
{
    while (at) {
        item it;
        fovea_status status = next_item(&at, &it, recipe, err);
        if (status)
            return status;
        if (fovea_recipe_is_set(recipe, it.key))
            return syntax(err, recipe, "given twice:", it.key);
        if (cut_short(recipe, &it))
            return syntax(err, recipe, "an expression with commas belongs in double quotes:", it.value);
        status = fv_recipe_assign(recipe, it.key, it.value, err);
        if (status)
            return status;
    }
    return FOVEA_OK;
}

/* pattern:EXPR, where all after the colon is the expression. */
static fovea_status read_expression(fovea_recipe *recipe, char *colon, fovea_error *err)
{
    char *expression = colon ? skip_blanks(colon + 1) : NULL;
    if (!expression || !*expression)
        return fv_error_set(err, FOVEA_ERROR_SYNTAX, "pattern: an expression is missing: allowed pattern:EXPR");
    return fv_recipe_assign(recipe, "expr", expression, err);
}

static fovea_status read_spec(const fv_pattern_env *env, char *text, fovea_recipe **recipe, fovea_error *err)
{
    char *start = skip_blanks(text), *colon = strchr(start, ':');
    fovea_status status;
    if (!*start)
        return fv_error_set(err, FOVEA_ERROR_SYNTAX, "the SPEC is empty: allowed NAME[:key=value,...] or pattern:EXPR");
    cut(start, colon ? colon : start + strlen(start));
    status = fv_recipe_create(env, start, recipe, err);
    if (!status && strcmp((*recipe)->row->variant.name, "pattern") == 0)
        status = read_expression(*recipe, colon, err);
    else if (!status && colon)
        status = read_items(*recipe, colon + 1, err);
    if (!status)
        status = fv_recipe_check(*recipe, err);
    return status;
}

fovea_status fv_recipe_parse(const fv_pattern_env *env, const char *spec, fovea_recipe **recipe, fovea_error *err)
{
    char *text = fv_memory_text(env->memory, spec);
    size_t end;
    fovea_status status;
    *recipe = NULL;
    if (!text)
        return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for the recipe");
    for (end = strlen(text); end > 0 && fv_blank(text[end - 1]);)
        text[--end] = 0;
    status = read_spec(env, text, recipe, err);
    if (status) {
        fovea_recipe_destroy(*recipe);
        *recipe = NULL;
    }
    fv_memory_put(env->memory, text);
    return status;
}
