/* Every argument of contexts, recipes and execute, invalid in turn: the exact status, a line that names the argument,
   its value and what is allowed, no handle left, nothing written. Problems and plans: arguments_plan.c. */
#include "attention_case.h"
#include "refusal.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, HQ = 4, HKV = 2, LQ = 6, LK = 10, D = 8, DV = 5 };

#define COUNT(list) (sizeof list / sizeof *list)

/* ------------------------------------------------------------------ context */

static void *some_allocate(void *user, size_t bytes, size_t alignment)
{
    void *block = NULL;
    (void)user;
    return posix_memalign(&block, alignment, bytes) ? NULL : block;
}

static void some_release(void *user, void *block)
{
    (void)user;
    free(block);
}

static int some_load(void *user, const char *path, fovea_array *array, char *why, size_t n)
{
    (void)user, (void)array;
    snprintf(why, n, "cannot open %s: a test", path);
    return 1;
}

static void some_unload(void *user, fovea_array *array)
{
    (void)user, (void)array;
}

#define OPTION(field) offsetof(fovea_context_options, field)

static const poke bad_options[] = {
    {"struct_size 0", OPTION(struct_size), SIZE, 0, NULL, FOVEA_ERROR_STRUCT, {"struct_size", "0"}},
    {"struct_size too large", OPTION(struct_size), SIZE, 9999, NULL, FOVEA_ERROR_STRUCT, {"struct_size", "9999"}},
    {"release alone", OPTION(allocate), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"allocate", "release"}},
    {"allocate alone", OPTION(release), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"allocate", "release"}},
    {"unload alone", OPTION(load), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"load", "unload"}},
    {"load alone", OPTION(unload), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"unload", "load"}},
    {"1025 threads", OPTION(threads), UNSIGNED, 1025, NULL, FOVEA_ERROR_THREADS, {"threads", "1025", "1..1024"}},
    {"very many threads",
     OPTION(threads),
     UNSIGNED,
     UINT_MAX,
     NULL,
     FOVEA_ERROR_THREADS,
     {"threads", "4294967295", "1..1024"}},
    {"unknown isa", OPTION(isa), POINTER, 0, "avx3", FOVEA_ERROR_ISA, {"isa", "avx3", "avx2"}},
    {"empty isa", OPTION(isa), POINTER, 0, "", FOVEA_ERROR_ISA, {"isa", "\"\"", "scalar"}},
    {"isa in capitals", OPTION(isa), POINTER, 0, "Scalar", FOVEA_ERROR_ISA, {"isa", "Scalar", "scalar"}},
};

static const fovea_context_options full_options = {.struct_size = sizeof full_options,
                                                   .allocate = some_allocate,
                                                   .release = some_release,
                                                   .load = some_load,
                                                   .unload = some_unload,
                                                   .threads = 1};

Test(arguments, context_options)
{
    for (size_t n = 0; n < sizeof bad_options / sizeof *bad_options; n++) {
        const poke *p = &bad_options[n];
        fovea_context_options o = full_options;
        fovea_error err = {FOVEA_OK, ""};
        fovea_context *context = NOTHING;
        poke_apply(p, &o);
        check_refusal(p->what, fovea_context_create(&o, &context, &err), p->status, &err, p->facts);
        cr_assert(context == NULL, "%s left a context", p->what);
        context = NOTHING;
        cr_assert(fovea_context_create(&o, &context, NULL) == p->status && context == NULL, "%s without err", p->what);
    }
}

Test(arguments, context_pointers)
{
    fovea_error err = {FOVEA_OK, ""};
    fovea_context *context = NULL;
    check_refusal("context NULL", fovea_context_create(NULL, NULL, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"context", "NULL"});
    cr_assert(fovea_context_create(&full_options, &context, &err) == FOVEA_OK && context != NULL);
    cr_assert(fovea_context_threads(context) == 1);
    cr_assert(strcmp(fovea_context_isa(context), fovea_isa_best()) == 0);
    fovea_context_destroy(context);
    fovea_context_destroy(NULL);
}

/* Known names that this CPU lacks; the environment variable is an argument too. */
Test(arguments, context_isa)
{
    fovea_error err = {FOVEA_OK, ""};
    const char *name;
    for (unsigned i = 0; (name = fovea_isa_name(i)) != NULL; i++) {
        fovea_context_options o = {.struct_size = sizeof o, .isa = name};
        fovea_context *context = NOTHING;
        fovea_status status = fovea_context_create(&o, &context, &err);
        cr_assert(fovea_isa_available(name) == (status == FOVEA_OK), "%s", name);
        if (status) {
            check_refusal(name, status, FOVEA_ERROR_ISA, &err,
                          (const char *const[FACTS]){"isa", name, fovea_isa_best()});
            cr_assert(context == NULL);
            continue;
        }
        cr_assert(strcmp(fovea_context_isa(context), name) == 0, "%s became %s", name, fovea_context_isa(context));
        fovea_context_destroy(context);
    }
    setenv("FOVEA_ISA", "sse9", 1);
    fovea_context *context = NOTHING;
    check_refusal("FOVEA_ISA", fovea_context_create(NULL, &context, &err), FOVEA_ERROR_ISA, &err,
                  (const char *const[FACTS]){"FOVEA_ISA", "sse9", "scalar"});
    cr_assert(context == NULL);
    setenv("FOVEA_ISA", "scalar", 1);
    context = new_context();
    cr_assert(strcmp(fovea_context_isa(context), "scalar") == 0);
    fovea_context_destroy(context);
    unsetenv("FOVEA_ISA");
}

Test(arguments, names_and_indices)
{
    const unsigned far[] = {1000, UINT_MAX};
    fovea_kernel row;
    cr_assert(fovea_isa_available(NULL) == -1 && fovea_isa_available("") == -1 && fovea_isa_available("avx3") == -1);
    cr_assert(fovea_isa_available("scalar") == 1 && fovea_isa_available(fovea_isa_best()) == 1);
    cr_assert(strcmp(fovea_isa_name(0), "scalar") == 0 && strcmp(fovea_isa_name(1), "generic") == 0);
    for (int i = 0; i < 2; i++) {
        memset(&row, 0xff, sizeof row);
        cr_assert(fovea_isa_name(far[i]) == NULL && fovea_variant_at(far[i]) == NULL);
        cr_assert(fovea_common_parameter_at(far[i]) == NULL && fovea_primitive_at(far[i]) == NULL);
        cr_assert(fovea_kernel_at(far[i], &row) == 0 && row.available == -1);
    }
    cr_assert(fovea_kernel_at(0, NULL) == 0 && fovea_kernel_at(0, &row) == 1);
    cr_assert(fovea_variant_find(NULL) == NULL && fovea_variant_find("") == NULL &&
              fovea_variant_find("Dense") == NULL);
    for (int s = -1; s <= FOVEA_STATUS_COUNT; s++)
        cr_assert(fovea_status_text((fovea_status)s) && *fovea_status_text((fovea_status)s), "status %d has no text",
                  s);
    for (int s = 0; s < FOVEA_STATUS_COUNT; s++)
        for (int t = 0; t < s; t++)
            cr_assert(strcmp(fovea_status_text((fovea_status)s), fovea_status_text((fovea_status)t)) != 0);
}

/* ------------------------------------------------------------------ recipe */

Test(arguments, recipe_pointers)
{
    fovea_context *context = new_context();
    fovea_error err = {FOVEA_OK, ""};
    fovea_recipe *recipe = NOTHING;
    check_refusal("parse context", fovea_recipe_parse(NULL, "dense", &recipe, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"context", "NULL"});
    cr_assert(recipe == NULL);
    recipe = NOTHING;
    check_refusal("parse spec", fovea_recipe_parse(context, NULL, &recipe, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"spec", "NULL"});
    cr_assert(recipe == NULL);
    check_refusal("parse recipe", fovea_recipe_parse(context, "dense", NULL, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"recipe", "NULL"});
    recipe = NOTHING;
    check_refusal("create context", fovea_recipe_create(NULL, "dense", &recipe, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"context", "NULL"});
    cr_assert(recipe == NULL);
    recipe = NOTHING;
    check_refusal("create name", fovea_recipe_create(context, NULL, &recipe, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"name", "NULL"});
    cr_assert(recipe == NULL);
    check_refusal("create recipe", fovea_recipe_create(context, "dense", NULL, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"recipe", "NULL"});
    recipe = new_recipe(context, "window:window=5");
    check_refusal("set recipe", fovea_recipe_set(NULL, "window", "4", &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"recipe", "NULL"});
    check_refusal("set key", fovea_recipe_set(recipe, NULL, "4", &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"key", "NULL"});
    check_refusal("set value", fovea_recipe_set(recipe, "window", NULL, &err), FOVEA_ERROR_SYNTAX, &err,
                  (const char *const[FACTS]){"window", "value"}); /* only flags may stand alone */
    cr_assert(fovea_recipe_set(recipe, "causal", NULL, &err) == FOVEA_OK && fovea_recipe_is_set(recipe, "causal"));
    cr_assert(fovea_recipe_get(recipe, "nothing") == NULL && !fovea_recipe_is_set(recipe, "nothing"));
    fovea_recipe_destroy(recipe);
    fovea_recipe_destroy(NULL);
    fovea_context_destroy(context);
}

Test(arguments, specs)
{
    static const struct {
        const char *spec;
        fovea_status status;
        const char *facts[FACTS];
    } bad[] = {
        {"", FOVEA_ERROR_SYNTAX, {NULL}},
        {"windw", FOVEA_ERROR_VARIANT, {"windw", "window"}},
        {"window:windw=4", FOVEA_ERROR_PARAMETER, {"windw", "window"}},
        {"window:window=0", FOVEA_ERROR_VALUE, {"window", "0", "1"}},
        {"window:window=-3", FOVEA_ERROR_VALUE, {"window", "-3"}},
        {"window:window=1.5", FOVEA_ERROR_VALUE, {"window", "1.5"}},
        {"window:window=4x", FOVEA_ERROR_VALUE, {"window", "4x"}},
        {"window:window=99999999999999999999", FOVEA_ERROR_VALUE, {"window", "99999999999999999999"}},
        {"topk:k=0", FOVEA_ERROR_VALUE, {"k", "0", "1"}},
        {"topp:p=1.5", FOVEA_ERROR_VALUE, {"p", "1.5", "1"}},
        {"topp:p=nan", FOVEA_ERROR_VALUE, {"p", "nan"}},
        {"dense:scale=0", FOVEA_ERROR_VALUE, {"scale", "0"}},
        {"dense:scale=inf", FOVEA_ERROR_VALUE, {"scale", "inf"}},
        {"dense:softcap=-1", FOVEA_ERROR_VALUE, {"softcap", "-1"}},
        {"dense:sink=nan", FOVEA_ERROR_VALUE, {"sink", "nan"}},
        {"dense:causal=2", FOVEA_ERROR_VALUE, {"causal", "2"}},
        {"pattern:causel", FOVEA_ERROR_PARAMETER, {"causel", "causal"}},
        {"pattern:causal &", FOVEA_ERROR_SYNTAX, {NULL}},
        {"pattern:(causal", FOVEA_ERROR_SYNTAX, {NULL}},
        {"pattern:stride(0)", FOVEA_ERROR_VALUE, {"0", "1"}},
        {"pattern:window(lft=3)", FOVEA_ERROR_PARAMETER, {"lft", "left"}},
    };
    fovea_context *context = new_context();
    for (size_t n = 0; n < COUNT(bad); n++) {
        fovea_error err = {FOVEA_OK, ""};
        fovea_recipe *recipe = NOTHING;
        check_refusal(bad[n].spec, fovea_recipe_parse(context, bad[n].spec, &recipe, &err), bad[n].status, &err,
                      bad[n].facts);
        cr_assert(recipe == NULL, "%s left a recipe", bad[n].spec);
    }
    fovea_context_destroy(context);
}

/* A refused value leaves the recipe as it was. */
Test(arguments, recipe_set_changes_nothing_on_failure)
{
    fovea_context *context = new_context();
    fovea_recipe *recipe = new_recipe(context, "window:window=5");
    fovea_error err = {FOVEA_OK, ""};
    cr_assert(fovea_recipe_set(recipe, "window", "0", &err) == FOVEA_ERROR_VALUE);
    cr_assert(fovea_recipe_set(recipe, "wndow", "7", &err) == FOVEA_ERROR_PARAMETER);
    cr_assert(strcmp(fovea_recipe_get(recipe, "window"), "5") == 0 &&
              strcmp(fovea_recipe_spec(recipe), "window:window=5") == 0);
    cr_assert(fovea_recipe_set(recipe, "window", "6", &err) == FOVEA_OK);
    cr_assert(strcmp(fovea_recipe_get(recipe, "window"), "6") == 0 && fovea_recipe_is_set(recipe, "window"));
    fovea_recipe_destroy(recipe);
    fovea_context_destroy(context);
}

/* ------------------------------------------------------------------ execute */

#define ARGUMENT(field) offsetof(fovea_arguments, field)

static const void *const some_rows[B * HKV * LK];
static const int32_t negative_page[] = {0, 1, 2, 0, -1, 2}, far_page[] = {0, 1, 2, 0, 1, 9};
static const float nan_sink[] = {0, 0, NAN, 0}, infinite_sink[] = {0, 0, 0, INFINITY};

static const poke bad_arguments[] = {
    {"struct_size", ARGUMENT(struct_size), SIZE, 7, NULL, FOVEA_ERROR_STRUCT, {"struct_size", "7"}},
    {"q", ARGUMENT(q), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"q", "NULL"}},
    {"k", ARGUMENT(k), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"k", "NULL"}},
    {"v", ARGUMENT(v), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"v", "NULL"}},
    {"o", ARGUMENT(o), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"o", "NULL"}},
    {"bias", ARGUMENT(bias), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"bias", "NULL"}},
    {"sinks", ARGUMENT(sinks), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"sinks", "NULL"}},
    {"sinks NaN", ARGUMENT(sinks), POINTER, 0, nan_sink, FOVEA_ERROR_SINK, {"sinks[2]", "nan"}},
    {"sinks infinite", ARGUMENT(sinks), POINTER, 0, infinite_sink, FOVEA_ERROR_SINK, {"sinks[3]", "inf"}},
    {"k_rows alone", ARGUMENT(k_rows), POINTER, 0, some_rows, FOVEA_ERROR_NULL, {"v_rows", "NULL"}},
    {"v_rows alone", ARGUMENT(v_rows), POINTER, 0, some_rows, FOVEA_ERROR_NULL, {"k_rows", "NULL"}},
};
static const poke bad_tables[] = {
    {"pages NULL", ARGUMENT(pages), POINTER, 0, NULL, FOVEA_ERROR_NULL, {"pages", "NULL"}},
    {"page negative", ARGUMENT(pages), POINTER, 0, negative_page, FOVEA_ERROR_PAGES, {"pages", "-1", "8"}},
    {"page beyond", ARGUMENT(pages), POINTER, 0, far_page, FOVEA_ERROR_PAGES, {"pages", "9", "8"}},
};

/* Lays the canary by a run of another context, then refuses: whatever the case holds must stay. */
static void refuse_execute(const fovea_plan *plan, attention_case *c, const poke *bad, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fovea_arguments a = c->arguments;
        fovea_error err = {FOVEA_OK, ""};
        poke_apply(&bad[i], &a);
        check_refusal(bad[i].what, fovea_execute(plan, &a, NULL, 0, &err), bad[i].status, &err, bad[i].facts);
        cr_assert(fovea_execute(plan, &a, NULL, 0, NULL) == bad[i].status);
        cr_assert(case_untouched(c), "%s: a refused execute wrote", bad[i].what);
    }
}

typedef struct planned {
    fovea_context *context;
    fovea_recipe *recipe;
    fovea_plan *plan;
} planned;

static planned plan_case(attention_case *c, const char *spec)
{
    planned p = {new_context(), NULL, NULL};
    fovea_error err = {FOVEA_OK, ""};
    p.recipe = new_recipe(p.context, spec);
    cr_assert(fovea_plan_create(p.context, &c->problem, p.recipe, &p.plan, &err) == FOVEA_OK, "%s: %s", spec, err.text);
    case_lay_canary(c);
    return p;
}

static void close_plan(planned *p)
{
    fovea_plan_destroy(p->plan);
    fovea_recipe_destroy(p->recipe);
    fovea_context_destroy(p->context);
}

Test(arguments, execute)
{
    attention_case *c = case_new(B, HQ, HKV, LQ, LK, D, DV, FOVEA_F32, 60);
    draw d = {2};
    planned p;
    fovea_error err = {FOVEA_OK, ""};
    case_add_bias(c, &d, 0, 0, 0);
    case_add_sinks(c, &d);
    p = plan_case(c, "dense");
    refuse_execute(p.plan, c, bad_arguments, COUNT(bad_arguments));
    check_refusal("plan", fovea_execute(NULL, &c->arguments, NULL, 0, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"plan", "NULL"});
    check_refusal("arguments", fovea_execute(p.plan, NULL, NULL, 0, &err), FOVEA_ERROR_NULL, &err,
                  (const char *const[FACTS]){"arguments", "NULL"});
    cr_assert(case_untouched(c));
    close_plan(&p);
    case_free(c);
}

Test(arguments, execute_pages)
{
    const poke both = {"k_rows with pages", ARGUMENT(k_rows),       POINTER, 0, some_rows,
                       FOVEA_ERROR_PAGES,   {"k_rows", "page_size"}};
    static const int32_t table[] = {0, 1, 2, 0, 1, 8};
    attention_case *c = case_new(B, HQ, HKV, LQ, LK, D, DV, FOVEA_F32, 61);
    planned p;
    c->problem.page_size = 4;
    c->problem.page_table_stride = 3;
    c->problem.page_count = 9;
    c->arguments.pages = table;
    p = plan_case(c, "dense");
    refuse_execute(p.plan, c, bad_tables, COUNT(bad_tables));
    c->arguments.v_rows = some_rows;
    refuse_execute(p.plan, c, &both, 1);
    close_plan(&p);
    case_free(c);
}

/* Variants without lse. */
Test(arguments, execute_output_that_does_not_exist)
{
    static const char *const specs[] = {"sparsemax", "entmax15", "entmax:alpha=1.3", "relu", "sigmoid"};
    for (size_t n = 0; n < COUNT(specs); n++) {
        attention_case *c = case_new(B, HQ, HKV, LQ, LK, D, DV, FOVEA_F32, 62);
        planned p = plan_case(c, specs[n]);
        fovea_error err = {FOVEA_OK, ""};
        cr_assert(!fovea_recipe_has_lse(p.recipe));
        check_refusal(specs[n], fovea_execute(p.plan, &c->arguments, NULL, 0, &err), FOVEA_ERROR_OUTPUT, &err,
                      (const char *const[FACTS]){"lse", specs[n]});
        cr_assert(case_untouched(c), "%s: a refused execute wrote", specs[n]);
        c->arguments.lse = NULL;
        cr_assert(fovea_execute(p.plan, &c->arguments, NULL, 0, &err) == FOVEA_OK, "%s: %s", specs[n], err.text);
        close_plan(&p);
        case_free(c);
    }
}
