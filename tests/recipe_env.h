/* What tests of recipes stand on: an allocator that counts and can fail, a loader that knows two files, two shapes, and
   parse and build for SPECs that must be valid. */
#ifndef FV_TESTS_RECIPE_ENV_H
#define FV_TESTS_RECIPE_ENV_H
#include "variants/recipe.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An allocator that counts its blocks and fails at the n-th request. */
typedef struct counted {
    long asked, live, fail_at; /* fail_at 0: never */
} counted;

static void *counted_allocate(void *user, size_t bytes, size_t alignment)
{
    counted *c = user;
    void *block = NULL;
    if (++c->asked == c->fail_at || posix_memalign(&block, alignment, bytes))
        return NULL;
    memset(block, 0xa5, bytes);
    c->live++;
    return block;
}

static void counted_release(void *user, void *block)
{
    ((counted *)user)->live--;
    free(block);
}

static counted counter;
static const fv_memory memory = {counted_allocate, counted_release, &counter};

/* file:mask is a byte mask [1, 4, 4] of ones but one; file:parents a tree of four tokens. */
static int load(void *user, const char *path, fovea_array *array, char *why, size_t n)
{
    static uint8_t mask[16];
    static const int32_t parents[4] = {-1, 0, 0, 2};
    (void)user;
    *array = (fovea_array){0};
    if (strcmp(path, "mask") == 0) {
        memset(mask, 1, sizeof mask);
        mask[2] = 0;
        *array = (fovea_array){.data = mask, .dim = {1, 4, 4}, .rank = 3, .type = 'b'};
    } else if (strcmp(path, "parents") == 0) {
        *array = (fovea_array){.data = parents, .dim = {4}, .rank = 1, .type = 'i'};
    } else {
        snprintf(why, n, "no such file");
        return 1;
    }
    return 0;
}

static void unload(void *user, fovea_array *array)
{
    (void)user, (void)array;
}

static const fv_pattern_env env = {&memory, load, unload, NULL, 7};
static const fv_shape square = {64, 64, 2}, tail = {24, 64, 2};

/* Parses what must be valid. */
static inline fovea_recipe *parse(const char *spec)
{
    fovea_error err = {FOVEA_OK, ""};
    fovea_recipe *recipe = NULL;
    fovea_status status = fv_recipe_parse(&env, spec, &recipe, &err);
    cr_assert(status == FOVEA_OK && recipe, "%s: %s", spec, err.text);
    return recipe;
}

/* Builds a valid SPEC for a shape. */
static inline fovea_status build(const char *spec, const fv_shape *shape, fv_build *b, fovea_error *err)
{
    fovea_recipe *recipe = parse(spec);
    fovea_status status = fv_recipe_build(recipe, &env, shape, b, err);
    fovea_recipe_destroy(recipe);
    return status;
}
#endif
