/* What the build and check functions of rows work with. */
#ifndef FV_VARIANTS_BUILD_H
#define FV_VARIANTS_BUILD_H
#include "variants/row.h"

struct fv_builder {
    const fovea_recipe *recipe;
    const fv_pattern_env *env;
    const fv_shape *shape;
    fv_build *build;
    fovea_error *err;
};

/* Appends one pattern to the build, the template expanded. */
fovea_status fv_builder_pattern(fv_builder *builder, const char *pattern);

/* The value, set or default, of a parameter that has one. */
int64_t fv_recipe_integer(const fovea_recipe *recipe, const char *key);
double fv_recipe_real(const fovea_recipe *recipe, const char *key);
/* FOVEA_ERROR_VALUE when both were set. */
fovea_status fv_recipe_exclude(const fovea_recipe *recipe, const char *a, const char *b, fovea_error *err);

/* object.c: required parameters are there and the row's own check agrees. */
fovea_status fv_recipe_check(const fovea_recipe *recipe, fovea_error *err);
#endif
