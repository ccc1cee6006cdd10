/* Refusals: checks and the table's hand. */
#include "refusal.h"

#include <stdint.h>
#include <string.h>

int refusal_nothing;

void check_refusal(const char *what, fovea_status got, fovea_status expected, const fovea_error *err,
                   const char *const facts[FACTS])
{
    cr_assert(got == expected, "%s: status %d (%s), not %d: %s", what, got, fovea_status_text(got), expected,
              err->text);
    cr_assert(err->status == expected, "%s: err.status %d, not %d", what, err->status, expected);
    cr_assert(err->text[0] && memchr(err->text, 0, sizeof err->text) && !strchr(err->text, '\n'),
              "%s: not one line: %s", what, err->text);
    for (int i = 0; i < FACTS && facts[i]; i++)
        cr_assert(strstr(err->text, facts[i]), "%s: \"%s\" is not in \"%s\"", what, facts[i], err->text);
}

void poke_apply(const poke *p, void *object)
{
    void *at = (char *)object + p->offset;
    switch (p->type) {
    case I64:
        *(int64_t *)at = (int64_t)p->number;
        break;
    case F64:
        *(double *)at = p->number;
        break;
    case INT:
        *(int *)at = (int)p->number;
        break;
    case UNSIGNED:
        *(unsigned *)at = (unsigned)p->number;
        break;
    case SIZE:
        *(size_t *)at = (size_t)p->number;
        break;
    case POINTER:
        memcpy(at, &p->pointer, sizeof p->pointer);
        break;
    }
}

fovea_context *new_context(void)
{
    fovea_context *context = NULL;
    cr_assert(fovea_context_create(NULL, &context, NULL) == FOVEA_OK);
    return context;
}

fovea_recipe *new_recipe(fovea_context *context, const char *spec)
{
    fovea_error err = {FOVEA_OK, ""};
    fovea_recipe *recipe = NULL;
    cr_assert(fovea_recipe_parse(context, spec, &recipe, &err) == FOVEA_OK, "%s: %s", spec, err.text);
    return recipe;
}
