/* The recipe object: a row, a text for each parameter that was set, and the SPEC they make together. */
#ifndef FV_VARIANTS_OBJECT_H
#define FV_VARIANTS_OBJECT_H
#include "variants/row.h"

struct fovea_recipe {
    fv_pattern_env env;
    const fv_row *row;
    unsigned parameters; /* own and common */
    char **value;        /* [parameters], canonical; NULL where not set */
    char *spec;
};

/* Sets one parameter that SPEC gave as key[=value]; value NULL when the key stood alone. */
fovea_status fv_recipe_assign(fovea_recipe *recipe, const char *key, const char *value, fovea_error *err);
#endif
