/* Recipes: a registry row with the values of its parameters, and what it builds for one sequence shape. */
#ifndef FV_VARIANTS_RECIPE_H
#define FV_VARIANTS_RECIPE_H
#include "pattern/pattern.h"
#include <fovea/fovea.h>

enum { FV_BUILD_PATTERNS = 32, FV_BUILD_ARGS = 4 };

/* What a recipe means for one shape. Text blocks come from the memory given and are freed by fv_build_free. */
typedef struct fv_build {
    char *pattern[FV_BUILD_PATTERNS]; /* expressions; more than one: a multiset merged by lse (LongNet's branches) */
    unsigned patterns;
    const char *normaliser; /* NULL: softmax; else a name of drive/normalise.h */
    double arg[FV_BUILD_ARGS];
    int zero_logit;      /* one zero logit joins the denominator (offbyone) */
    int fixes_causality; /* the problem's causal flag changes nothing */
    /* common parameters that the SPEC set explicitly */
    int causal_set, scale_set, softcap_set, alibi_set, sink_set;
    int causal, alibi;
    double scale, softcap, sink;
} fv_build;

/* env's seed is the default of seed=. Checks that the variant fits the shape (document lengths, bigbird's lq = lk ...). */
fovea_status fv_recipe_build(const fovea_recipe *recipe, const fv_pattern_env *env, const fv_shape *shape, fv_build *build,
                             fovea_error *err);
void fv_build_free(const fv_memory *memory, fv_build *build);

/* Without a context: what the public functions are made of. env is copied; its hooks must outlive the recipe. */
fovea_status fv_recipe_parse(const fv_pattern_env *env, const char *spec, fovea_recipe **recipe, fovea_error *err);
fovea_status fv_recipe_create(const fv_pattern_env *env, const char *name, fovea_recipe **recipe, fovea_error *err);
#endif
