/* The registry, the SPEC parser and what recipes build. Most tests walk the rows, so that a new row is tested by being
   there; the keep sets of the static rows are compared with predicates written from their definitions. */
#include "recipe_env.h"

#include <math.h>

/* Parses what must fail with this status and with all the words (up to the first NULL) in one line. */
static void refuse(const char *spec, fovea_status expected, const char *const words[])
{
    fovea_error err = {FOVEA_OK, ""};
    fovea_recipe *recipe = (fovea_recipe *)&err;
    fovea_status status = fv_recipe_parse(&env, spec, &recipe, &err);
    cr_assert(status != FOVEA_OK, "%s was accepted", spec);
    cr_assert(recipe == NULL, "%s left a recipe", spec);
    cr_assert(status == expected && err.status == expected, "%s: status %d, not %d: %s", spec, status, expected,
              err.text);
    cr_assert(strchr(err.text, '\n') == NULL, "%s: more than a line: %s", spec, err.text);
    for (int i = 0; words[i]; i++)
        cr_assert(strstr(err.text, words[i]), "%s: \"%s\" is not in \"%s\"", spec, words[i], err.text);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Values for required parameters and for defaults that the small shapes cannot hold; NULL: the default is fine. */
static const char *sample(const char *variant, const char *key)
{
    /* clang-format off */
    static const char *const table[][3] = {
        {"prefix", "prefix", "8"},     {"document", "lengths", "20+40+4"}, {"bigbird", "block", "4"},
        {"blocks", "mask", "file:mask"}, {"blocks", "bq", "16"},           {"blocks", "bk", "16"},
        {"tree", "parents", "file:parents"}, {"axial", "size", "8+8"},     {"axial", "axis", "1"},
        {"crisscross", "size", "8+8"}, {"swin", "size", "8+8"},            {"swin", "window", "4"},
        {"natten", "size", "8+8"},     {"pattern", "expr", "causal"},      {"entmax", "alpha", "1.5"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i][0], variant) == 0 && strcmp(table[i][1], key) == 0)
            return table[i][2];
    return NULL;
}

/* A SPEC of the variant with every sample value but that of `without`, and with `more` when it is not NULL. */
static void write_spec(char *text, size_t n, const fovea_variant *v, const char *without, const char *more)
{
    const char *separator = ":";
    int used = snprintf(text, n, "%s", v->name);
    for (unsigned i = 0; i < v->parameter_count; i++) {
        const char *key = v->parameters[i].name, *value = sample(v->name, key);
        if (!value || (without && strcmp(key, without) == 0))
            continue;
        used += strcmp(v->name, "pattern") == 0
                    ? snprintf(text + used, n - (size_t)used, "%s%s", separator, value)
                    : snprintf(text + used, n - (size_t)used, "%s%s=%s", separator, key, value);
        separator = ",";
    }
    if (more)
        snprintf(text + used, n - (size_t)used, "%s%s", separator, more);
}

static int numeric(const fovea_parameter *p)
{
    return strcmp(p->type, "int") == 0 || strcmp(p->type, "real") == 0 || strcmp(p->type, "list") == 0;
}

/* ------------------------------------------------------------------ rows */

Test(registry, names_in_order)
{
    /* clang-format off */
    static const char *const names[] = {
        "dense", "window", "streaming", "trishape", "chunked", "prefix", "document", "blockwindow", "sparse-strided",
        "sparse-fixed", "logsparse", "longnet", "longformer", "bigbird", "blocks", "tree", "axial", "crisscross",
        "swin", "natten", "pattern", "topk", "topp", "threshold", "localv", "sparsemax", "entmax15", "entmax", "relu",
        "sigmoid", "offbyone"};
    /* clang-format on */
    static const char *const families[] = {"exact", "static", "pruned"};
    unsigned family = 0;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        const fovea_variant *v = fovea_variant_at(i);
        cr_assert(v && strcmp(v->name, names[i]) == 0, "row %u is %s, not %s", i, v ? v->name : "missing", names[i]);
        cr_assert(fovea_variant_find(names[i]) == v);
        while (strcmp(v->family, families[family]) != 0)
            cr_assert(++family < 3, "%s: family %s", v->name, v->family);
    }
    cr_assert(fovea_variant_at(sizeof names / sizeof *names) == NULL);
    cr_assert(fovea_variant_find("flash") == NULL && fovea_variant_find(NULL) == NULL);
}

Test(registry, texts_are_whole)
{
    const fovea_variant *v;
    for (unsigned i = 0; (v = fovea_variant_at(i)) != NULL; i++) {
        cr_assert(v->paper && *v->paper && v->codes && v->parameter_count <= 16);
        cr_assert(strlen(v->summary) > 15 && strlen(v->summary) < 130, "%s: summary", v->name);
        cr_assert(strlen(v->formula) > 10 && strlen(v->cost) > 10, "%s: formula, cost", v->name);
        cr_assert(!strchr(v->summary, '\n') && !strchr(v->formula, '\n') && !strchr(v->cost, '\n'), "%s", v->name);
        cr_assert(!strcmp(v->phase, "both") || !strcmp(v->phase, "prefill") || !strcmp(v->phase, "decode"), "%s",
                  v->name);
        for (unsigned k = 0; k < v->parameter_count; k++) {
            const fovea_parameter *p = &v->parameters[k];
            cr_assert(p->name && *p->name && p->standard && p->unit && strlen(p->help) > 5, "%s: parameter %u", v->name,
                      k);
            cr_assert(strstr("int real flag list word file pattern", p->type), "%s: %s", v->name, p->type);
            cr_assert(!numeric(p) || p->min < p->max, "%s: %s", v->name, p->name);
            cr_assert(!p->required || !*p->standard, "%s: %s is required and has a default", v->name, p->name);
        }
    }
}

Test(registry, every_default_is_accepted_when_written)
{
    const fovea_variant *v;
    for (unsigned i = 0; (v = fovea_variant_at(i)) != NULL; i++) {
        for (unsigned k = 0; k < v->parameter_count; k++) {
            const fovea_parameter *p = &v->parameters[k];
            char spec[256], more[96];
            fovea_recipe *recipe;
            if (!*p->standard)
                continue;
            snprintf(more, sizeof more, strcmp(p->type, "pattern") ? "%s=%s" : "%s=\"%s\"", p->name, p->standard);
            write_spec(spec, sizeof spec, v, p->name, more);
            recipe = parse(spec);
            cr_assert(fovea_recipe_is_set(recipe, p->name), "%s", spec);
            cr_assert(strcmp(fovea_recipe_get(recipe, p->name), p->standard) == 0, "%s", spec);
            cr_assert(fovea_recipe_variant(recipe) == v);
            fovea_recipe_destroy(recipe);
        }
    }
    cr_assert(counter.live == 0, "%ld blocks leaked", counter.live);
}

/* Text of a number just outside the range, as far as the type can say it. */
static void outside(char *text, size_t n, const fovea_parameter *p, int above)
{
    double x = above ? p->max : p->min;
    if (strcmp(p->type, "real") == 0)
        x = above ? (x < 1e30 ? x + 1 : 1e39) : (x > 0 && x < 1e-30 ? 0 : x > -1e30 ? x - 1 : -1e39);
    else
        x += above ? 1 : -1;
    snprintf(text, n, strcmp(p->type, "real") ? "%.0f" : "%.9g", x);
}

static void check_bounds(const fovea_variant *v, const fovea_parameter *p)
{
    for (int above = 0; above < 2; above++) {
        char spec[256], more[96], bad[64];
        outside(bad, sizeof bad, p, above);
        snprintf(more, sizeof more, "%s=%s", p->name, bad);
        write_spec(spec, sizeof spec, v, p->name, more);
        refuse(spec, FOVEA_ERROR_VALUE, WORDS(v->name, p->name, bad, "is out of range: allowed"));
    }
}

Test(registry, values_outside_the_range_are_refused_with_the_range)
{
    const fovea_variant *v;
    const fovea_parameter *p;
    for (unsigned i = 0; (v = fovea_variant_at(i)) != NULL; i++)
        for (unsigned k = 0; k < v->parameter_count; k++)
            if (numeric(&v->parameters[k]))
                check_bounds(v, &v->parameters[k]);
    for (unsigned k = 0; (p = fovea_common_parameter_at(k)) != NULL; k++)
        if (numeric(p))
            check_bounds(fovea_variant_find("dense"), p);
    refuse("topk:k=0", FOVEA_ERROR_VALUE, WORDS("topk", "k=0", "1 to 1099511627776 keys"));
    refuse("topp:p=0", FOVEA_ERROR_VALUE, WORDS("greater than 0, at most 1"));
    refuse("entmax:alpha=1", FOVEA_ERROR_VALUE, WORDS("1.000001 to 16"));
    refuse("dense:softcap=0", FOVEA_ERROR_VALUE, WORDS("greater than 0"));
    refuse("threshold:rel=-0.5", FOVEA_ERROR_VALUE, WORDS("0 or more"));
    refuse("sparse-fixed:stride=16", FOVEA_ERROR_VALUE, WORDS("summary=32", "0 to stride=16"));
    refuse("axial:size=8+8,axis=2", FOVEA_ERROR_VALUE, WORDS("axis=2", "0 to 1"));
}

Test(registry, the_ends_of_the_ranges_are_accepted)
{
    const fovea_variant *v;
    for (unsigned i = 0; (v = fovea_variant_at(i)) != NULL; i++) {
        for (unsigned k = 0; k < v->parameter_count; k++) {
            const fovea_parameter *p = &v->parameters[k];
            char spec[256], more[96];
            if (strcmp(p->type, "int") != 0 || strcmp(p->name, "axis") == 0 || strcmp(v->name, "sparse-fixed") == 0)
                continue;
            for (int above = 0; above < 2; above++) {
                snprintf(more, sizeof more, "%s=%.0f", p->name, above ? p->max : p->min);
                write_spec(spec, sizeof spec, v, p->name, more);
                fovea_recipe_destroy(parse(spec));
            }
        }
    }
}

Test(registry, a_misspelt_key_names_the_nearest)
{
    const fovea_variant *v;
    for (unsigned i = 0; (v = fovea_variant_at(i)) != NULL; i++) {
        if (strcmp(v->name, "pattern") == 0)
            continue;
        for (unsigned k = 0; k < v->parameter_count; k++) {
            char spec[256], more[96], nearest[64];
            snprintf(more, sizeof more, "%sy=1", v->parameters[k].name);
            snprintf(nearest, sizeof nearest, "nearest is %s;", v->parameters[k].name);
            write_spec(spec, sizeof spec, v, NULL, more);
            refuse(spec, FOVEA_ERROR_PARAMETER, WORDS(v->name, nearest, "causal", "scale", "softcap", "alibi", "sink"));
        }
    }
}

Test(registry, a_misspelt_name_names_the_nearest)
{
    const fovea_variant *v;
    for (unsigned i = 0; (v = fovea_variant_at(i)) != NULL; i++) {
        char spec[64], nearest[64];
        snprintf(spec, sizeof spec, "%sy:causal", v->name);
        snprintf(nearest, sizeof nearest, "nearest is %s;", v->name);
        refuse(spec, FOVEA_ERROR_VARIANT, WORDS(nearest, "`fovea list variants`"));
    }
    refuse("natten:size=8+8,kernal=3", FOVEA_ERROR_PARAMETER,
           WORDS("nearest is kernel; allowed are size, kernel, stride, dilation, causal, scale, softcap, alibi, sink"));
    refuse("tokp", FOVEA_ERROR_VARIANT, WORDS("\"tokp\"", "nearest is topk"));
    refuse("Dense", FOVEA_ERROR_VARIANT, WORDS("nearest is dense"));
    refuse("steaming:sinks=4", FOVEA_ERROR_VARIANT, WORDS("nearest is streaming"));
}

Test(registry, a_missing_required_parameter_is_named)
{
    const fovea_variant *v;
    unsigned required = 0;
    for (unsigned i = 0; (v = fovea_variant_at(i)) != NULL; i++) {
        for (unsigned k = 0; k < v->parameter_count; k++) {
            const fovea_parameter *p = &v->parameters[k];
            char spec[256];
            if (!p->required || strcmp(v->name, "pattern") == 0)
                continue;
            required++;
            write_spec(spec, sizeof spec, v, p->name, NULL);
            refuse(spec, FOVEA_ERROR_PARAMETER, WORDS(v->name, p->name, "is required", "allowed"));
        }
    }
    cr_assert(required == 10, "%u required parameters", required);
}

/* ------------------------------------------------------------------ SPEC */

static void check_spec(const char *spec, const char *normal)
{
    fovea_recipe *recipe = parse(spec), *again;
    cr_assert(strcmp(fovea_recipe_spec(recipe), normal) == 0, "%s became %s, not %s", spec, fovea_recipe_spec(recipe),
              normal);
    again = parse(normal);
    cr_assert(strcmp(fovea_recipe_spec(again), normal) == 0, "%s is not stable", normal);
    fovea_recipe_destroy(recipe);
    fovea_recipe_destroy(again);
}

Test(spec, normal_form)
{
    check_spec("dense", "dense");
    check_spec(" dense : causal ", "dense:causal");
    check_spec("dense:causal=1,alibi=0", "dense:causal,alibi=0");
    check_spec("streaming:window=1k,sinks=4", "streaming:sinks=4,window=1024");
    check_spec(" streaming : sinks = 4 ,\twindow = 1m ", "streaming:sinks=4,window=1048576");
    check_spec("longnet:segments= 2k + 4096 ,dilations=1+2", "longnet:segments=2048+4096,dilations=1+2");
    check_spec("longformer:global=,window=3", "longformer:window=3,global=");
    check_spec("natten:size=8+8,causal", "natten:size=8+8,causal=1");
    check_spec("natten:causal=1+0,size=8+8", "natten:size=8+8,causal=1+0");
    check_spec("dense:sink=-0.5,scale=1e-3,softcap=.5", "dense:scale=1e-3,softcap=.5,sink=-0.5");
    check_spec("tree:parents=file:a b/c=d.npy", "tree:parents=file:a b/c=d.npy");
    check_spec("topk:k=8,pattern=causal", "topk:k=8,pattern=\"causal\"");
    check_spec("topk:causal,pattern=\" causal & window(left=15,right=0) \" , k=8",
               "topk:k=8,pattern=\"causal & window(left=15,right=0)\",causal");
    check_spec("pattern: causal & (window(left=3,right=1) | sinks(2))",
               "pattern:causal & (window(left=3,right=1) | sinks(2))");
    check_spec("sigmoid:bias=auto", "sigmoid:bias=auto");
    check_spec("sigmoid:bias=-3", "sigmoid:bias=-3");
    cr_assert(counter.live == 0, "%ld blocks leaked", counter.live);
}

Test(spec, syntax_errors)
{
    /* clang-format off */
    static const char *const bad[] = {
        "", "  ", "topk:", "topk: ", "topk:k=8,", "topk:,k=8", "topk:k=8,,causal", "topk:=8", "topk:k", "topk:k=",
        "topk:k= ,causal", "topk:k=8,k=8", "topk:causal,causal=0", "topk:pattern=\"causal", "topk:pattern=\"causal\"x",
        "topk:pattern=\"\"", "topk:pattern=causal & window(left=3,right=2)", "dense:scale", "blocks:mask", "pattern",
        "pattern:", "pattern: ", "longformer:global", "sigmoid:bias="};
    /* clang-format on */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse(bad[i], FOVEA_ERROR_SYNTAX, WORDS("allowed"));
    refuse("topk:k=8,k=9", FOVEA_ERROR_SYNTAX, WORDS("given twice", "\"k\""));
    refuse("topk:pattern=\"causal\"x", FOVEA_ERROR_SYNTAX, WORDS("a comma is expected before \"x\""));
    refuse("topk:pattern=window(left=1,right=2)", FOVEA_ERROR_SYNTAX, WORDS("double quotes"));
}

Test(spec, value_errors)
{
    /* clang-format off */
    static const char *const bad[] = {
        "topk:k=abc", "topk:k=1.5", "topk:k=1.5k", "topk:k=1e3", "topk:k=4K", "topk:k=k", "topk:k=-", "topk:k=4 k",
        "topk:k=99999999999999999999999", "topk:k=9223372036854775807m", "topk:k=0x10", "topk:k=-1", "dense:scale=nan",
        "dense:scale=inf", "dense:scale=1e999", "dense:scale=-1", "dense:scale=1e", "dense:scale=.", "dense:scale=1..2",
        "dense:scale=1e2k", "dense:scale=0x1p3", "dense:scale=1,5", "dense:sink=-inf", "dense:sink=nan",
        "dense:causal=2", "dense:causal=yes", "topp:p=1.0001", "topp:p=-0", "threshold:prob=1.5",
        "threshold:rel=1,prob=0.1", "window:window=8,left=2", "window:right=0,window=8", "document:lengths=8+",
        "document:lengths=+8", "document:lengths=8++8", "document:lengths=8+x", "longnet:segments=64", "longnet:segments=1+1+1,dilations=1+1",
        "crisscross:size=8", "crisscross:size=4+4+4", "axial:size=2+2+2+2,axis=0", "swin:size=8+8,window=4+4+4",
        "natten:size=8+8,kernel=3+3+3", "natten:size=8+8,causal=2", "blocks:mask=mask", "blocks:mask=file:",
        "tree:parents=\"file:a,b\"", "sparse-strided:part=all", "sigmoid:bias=automatic"};
    /* clang-format on */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fovea_error err = {FOVEA_OK, ""};
        fovea_recipe *recipe = NULL;
        fovea_status status = fv_recipe_parse(&env, bad[i], &recipe, &err);
        if (strcmp(bad[i], "dense:scale=1,5") == 0)
            cr_assert(status == FOVEA_ERROR_PARAMETER, "%s: %s", bad[i], err.text);
        else
            cr_assert(status == FOVEA_ERROR_VALUE && strstr(err.text, "allowed"), "%s: %d %s", bad[i], status,
                      err.text);
    }
    refuse("sparse-strided:part=loca", FOVEA_ERROR_VALUE,
           WORDS("part=loca", "nearest is local", "both, local or stride"));
    refuse("document:lengths=8+", FOVEA_ERROR_VALUE, WORDS("lengths=8+ has an empty list element"));
    refuse("topk:k=\x01\n\x7f", FOVEA_ERROR_VALUE, WORDS("k=??"));
    cr_assert(counter.live == 0, "%ld blocks leaked", counter.live);
}

Test(spec, expressions_are_checked_when_parsed)
{
    refuse("pattern:causl", FOVEA_ERROR_PARAMETER, WORDS("causl", "causal"));
    refuse("topk:pattern=causl", FOVEA_ERROR_PARAMETER, WORDS("topk: pattern: ", "causl"));
    refuse("pattern:causal &", FOVEA_ERROR_SYNTAX, WORDS("pattern: "));
    refuse("pattern:(causal", FOVEA_ERROR_SYNTAX, WORDS("pattern: "));
}

Test(spec, no_sink_without_a_denominator)
{
    static const char *const names[] = {"sparsemax", "entmax15", "entmax", "relu", "sigmoid"};
    const fovea_variant *v;
    for (unsigned i = 0; (v = fovea_variant_at(i)) != NULL; i++) {
        char spec[256];
        int without = 0;
        fovea_recipe *recipe;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            without |= strcmp(v->name, names[k]) == 0;
        write_spec(spec, sizeof spec, v, NULL, NULL);
        recipe = parse(spec);
        cr_assert(fovea_recipe_has_lse(recipe) == !without, "%s", v->name);
        fovea_recipe_destroy(recipe);
        if (strcmp(v->name, "pattern") == 0)
            continue;
        write_spec(spec, sizeof spec, v, NULL, "sink=0.5,softcap=20,alibi,scale=0.1");
        if (without)
            refuse(spec, FOVEA_ERROR_PARAMETER, WORDS(v->name, "sink=0.5", "is not allowed"));
        else
            fovea_recipe_destroy(parse(spec));
    }
}

/* Long and odd texts of every kind end in an error or a recipe, never in a crash; run under the sanitizers. */
Test(spec, noise)
{
    static const char letters[] = "topkwindow:=,+\"().-0123456789 km|&!\n\xff";
    uint64_t state = 3;
    char spec[80];
    for (int i = 0; i < 20000; i++) {
        fovea_recipe *recipe = NULL;
        fovea_error err;
        size_t used = (size_t)snprintf(spec, sizeof spec, "%s", i % 3 == 0 ? "topk:k=" : i % 3 == 1 ? "window:" : "");
        for (size_t n = i % 40; n > 0; n--) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
            spec[used++] = letters[(state >> 33) % (sizeof letters - 1)];
        }
        spec[used] = 0;
        if (fv_recipe_parse(&env, spec, &recipe, &err) == FOVEA_OK)
            cr_assert(recipe != NULL, "%s", spec);
        else
            cr_assert(recipe == NULL && strchr(err.text, '\n') == NULL, "%s: %s", spec, err.text);
        fovea_recipe_destroy(recipe);
    }
    cr_assert(counter.live == 0, "%ld blocks leaked", counter.live);
}

/* ------------------------------------------------------------------ by calls */

Test(recipe, by_calls)
{
    fovea_error err = {FOVEA_OK, ""};
    fovea_recipe *r = NULL;
    cr_assert(fv_recipe_create(&env, "window", &r, &err) == FOVEA_OK);
    cr_assert(strcmp(fovea_recipe_spec(r), "window") == 0 && strcmp(fovea_recipe_get(r, "window"), "4096") == 0);
    cr_assert(fovea_recipe_get(r, "left") == NULL && fovea_recipe_get(r, "scale") == NULL);
    cr_assert(fovea_recipe_get(r, "breadth") == NULL && fovea_recipe_is_set(r, "breadth") == 0);
    cr_assert(fovea_recipe_set(r, "window", " 4k ", &err) == FOVEA_OK && fovea_recipe_is_set(r, "window"));
    cr_assert(fovea_recipe_set(r, "window", "16", &err) == FOVEA_OK, "a call may change its mind");
    cr_assert(fovea_recipe_set(r, "causal", NULL, &err) == FOVEA_OK);
    cr_assert(strcmp(fovea_recipe_spec(r), "window:window=16,causal") == 0, "%s", fovea_recipe_spec(r));
    cr_assert(fovea_recipe_set(r, "window", "0", &err) == FOVEA_ERROR_VALUE);
    cr_assert(strcmp(fovea_recipe_spec(r), "window:window=16,causal") == 0, "a failed call changed the recipe");
    cr_assert(fovea_recipe_set(r, NULL, "0", &err) == FOVEA_ERROR_NULL);
    cr_assert(fovea_recipe_set(NULL, "window", "0", &err) == FOVEA_ERROR_NULL);
    fovea_recipe_destroy(r);
    fovea_recipe_destroy(NULL);

    cr_assert(fv_recipe_create(&env, "pattern", &r, &err) == FOVEA_OK);
    cr_assert(fovea_recipe_set(r, "expr", "causal", &err) == FOVEA_OK);
    cr_assert(fovea_recipe_set(r, "scale", "2", &err) == FOVEA_OK);
    cr_assert(strcmp(fovea_recipe_spec(r), "pattern:causal") == 0, "%s", fovea_recipe_spec(r));
    fovea_recipe_destroy(r);
    cr_assert(fv_recipe_create(&env, "blok", &r, &err) == FOVEA_ERROR_VARIANT && r == NULL &&
              strstr(err.text, "blocks"));
    cr_assert(counter.live == 0, "%ld blocks leaked", counter.live);
}

/* ------------------------------------------------------------------ build */

Test(build, every_row_makes_patterns_that_compile)
{
    const fovea_variant *v;
    for (unsigned i = 0; (v = fovea_variant_at(i)) != NULL; i++) {
        char spec[256];
        fv_build b;
        fovea_error err = {FOVEA_OK, ""};
        write_spec(spec, sizeof spec, v, NULL, NULL);
        cr_assert(build(spec, &square, &b, &err) == FOVEA_OK, "%s: %s", spec, err.text);
        cr_assert(b.patterns >= 1, "%s has no pattern", spec);
        for (unsigned k = 0; k < b.patterns; k++) {
            fv_pattern *pattern = NULL;
            cr_assert(strchr(b.pattern[k], '{') == NULL, "%s: %s", spec, b.pattern[k]);
            cr_assert(fv_pattern_compile(&env, b.pattern[k], &square, &pattern, &err) == FOVEA_OK, "%s: %s: %s", spec,
                      b.pattern[k], err.text);
            fv_pattern_free(pattern);
        }
        fv_build_free(&memory, &b);
    }
    cr_assert(counter.live == 0, "%ld blocks leaked", counter.live);
}

static void check_build(const char *spec, int fixes_causality, const char *normaliser, double a0, double a1)
{
    fv_build b;
    fovea_error err = {FOVEA_OK, ""};
    cr_assert(build(spec, &square, &b, &err) == FOVEA_OK, "%s: %s", spec, err.text);
    cr_assert(b.fixes_causality == fixes_causality, "%s: fixes_causality", spec);
    cr_assert((b.normaliser == NULL) == (normaliser == NULL), "%s: normaliser", spec);
    if (normaliser)
        cr_assert(strcmp(b.normaliser, normaliser) == 0 && b.arg[0] == a0 && b.arg[1] == a1, "%s: %s(%g, %g)", spec,
                  b.normaliser, b.arg[0], b.arg[1]);
    cr_assert(b.zero_logit == (strncmp(spec, "offbyone", 8) == 0), "%s: zero_logit", spec);
    fv_build_free(&memory, &b);
}

Test(build, causality_and_normalisers)
{
    check_build("dense", 0, NULL, 0, 0);
    check_build("window", 1, NULL, 0, 0);
    check_build("window:left=3", 0, NULL, 0, 0);
    check_build("window:right=3", 0, NULL, 0, 0);
    check_build("streaming", 1, NULL, 0, 0);
    check_build("trishape", 1, NULL, 0, 0);
    check_build("chunked", 1, NULL, 0, 0);
    check_build("prefix:prefix=3", 1, NULL, 0, 0);
    check_build("document:lengths=64", 0, NULL, 0, 0);
    check_build("blockwindow", 1, NULL, 0, 0);
    check_build("sparse-strided", 1, NULL, 0, 0);
    check_build("sparse-fixed", 1, NULL, 0, 0);
    check_build("logsparse", 1, NULL, 0, 0);
    check_build("longnet", 0, NULL, 0, 0);
    check_build("longformer", 0, NULL, 0, 0);
    check_build("bigbird:block=4", 0, NULL, 0, 0);
    check_build("tree:parents=file:parents", 1, NULL, 0, 0);
    check_build("natten:size=8+8", 0, NULL, 0, 0);
    check_build("pattern:causal", 0, NULL, 0, 0);
    check_build("topk:k=5", 0, "topk", 5, 0);
    check_build("topp", 0, "topp", 0.95, 0);
    check_build("threshold", 0, "threshold-rel", 10, 1);
    check_build("threshold:rel=2.5,renorm=0", 0, "threshold-rel", 2.5, 0);
    check_build("threshold:prob=1e-3", 0, "threshold-prob", 1e-3, 1);
    check_build("threshold:prob=.125,renorm=0", 0, "threshold-prob", 0.125, 0);
    check_build("localv", 0, "localv", 64, 0);
    check_build("sparsemax", 0, "sparsemax", 0, 0);
    check_build("entmax15", 0, "entmax15", 0, 0);
    check_build("entmax:alpha=1.25", 0, "entmax", 1.25, 0);
    check_build("relu", 0, "relu", 1, 0);
    check_build("relu:power=0.5", 0, "relu", 0.5, 0);
    check_build("sigmoid", 0, "sigmoid", 0, 1);
    check_build("sigmoid:bias=-2.5", 0, "sigmoid", -2.5, 0);
    check_build("offbyone", 0, NULL, 0, 0);
}

Test(build, edits_that_were_set)
{
    fv_build b;
    fovea_error err = {FOVEA_OK, ""};
    cr_assert(build("dense", &square, &b, &err) == FOVEA_OK);
    cr_assert(!b.causal_set && !b.scale_set && !b.softcap_set && !b.alibi_set && !b.sink_set);
    fv_build_free(&memory, &b);
    cr_assert(build("dense:causal=0,scale=0.1,softcap=30,alibi,sink=-1.5e0", &square, &b, &err) == FOVEA_OK);
    cr_assert(b.causal_set && b.scale_set && b.softcap_set && b.alibi_set && b.sink_set);
    cr_assert(b.causal == 0 && b.scale == 0.1 && b.softcap == 30 && b.alibi == 1 && b.sink == -1.5);
    fv_build_free(&memory, &b);
    cr_assert(build("natten:size=8+8,causal=1", &square, &b, &err) == FOVEA_OK);
    cr_assert(!b.causal_set, "natten's own causal is the per-axis rule");
    fv_build_free(&memory, &b);
}

/* Numbers read as the C library reads them in the C locale. */
Test(build, numbers)
{
    static const char *const texts[] = {"0.1",
                                        "3",
                                        "1e-3",
                                        "0.95",
                                        "123456.789",
                                        "1e22",
                                        "1e23",
                                        "4.35e-7",
                                        "0.30000000000000004",
                                        "179769313486231570000",
                                        "2.5e-38",
                                        "00012.5000",
                                        "7.e2",
                                        "+2.5",
                                        "3.14159265358979323846264338327950288"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char spec[96];
        fv_build b;
        fovea_error err = {FOVEA_OK, ""};
        double expected = strtod(texts[i], NULL);
        snprintf(spec, sizeof spec, "dense:scale=%s", texts[i]);
        cr_assert(build(spec, &square, &b, &err) == FOVEA_OK, "%s: %s", spec, err.text);
        cr_assert(fabs(b.scale - expected) <= 0x1p-52 * expected, "%s: %.17g, not %.17g", texts[i], b.scale, expected);
        if (i < 6)
            cr_assert(b.scale == expected, "%s: %.17g, not %.17g", texts[i], b.scale, expected);
        fv_build_free(&memory, &b);
    }
}

Test(build, shapes_that_do_not_fit)
{
    fv_build b;
    fovea_error err = {FOVEA_OK, ""};
    cr_assert(build("document:lengths=60+5", &square, &b, &err) == FOVEA_ERROR_SHAPE);
    cr_assert(strstr(err.text, "60+5") && strstr(err.text, "lk=64"), "%s", err.text);
    cr_assert(build("document:lengths=60+3", &square, &b, &err) == FOVEA_ERROR_SHAPE);
    cr_assert(build("document:lengths=1099511627776+1099511627776", &square, &b, &err) == FOVEA_ERROR_SHAPE);
    cr_assert(build("bigbird:block=4", &tail, &b, &err) == FOVEA_ERROR_SHAPE && strstr(err.text, "lq=24"), "%s",
              err.text);
    cr_assert(counter.live == 0, "%ld blocks leaked", counter.live);
}

Test(build, seed_of_the_surroundings)
{
    fv_build b;
    fovea_error err = {FOVEA_OK, ""};
    cr_assert(build("bigbird:block=4", &square, &b, &err) == FOVEA_OK && !strstr(b.pattern[0], "seed"), "%s",
              b.pattern[0]);
    fv_build_free(&memory, &b);
    cr_assert(build("bigbird:block=4,seed=9", &square, &b, &err) == FOVEA_OK && strstr(b.pattern[0], "seed=9"));
    fv_build_free(&memory, &b);
}

Test(build, longnet_has_a_pattern_per_branch)
{
    fv_build b;
    fovea_error err = {FOVEA_OK, ""};
    cr_assert(build("longnet:segments=16+32+64,dilations=1+2+4,causal", &square, &b, &err) == FOVEA_OK, "%s", err.text);
    cr_assert(b.patterns == 3 && strcmp(b.pattern[1], "longnet(32,2)") == 0 && b.causal_set && b.causal);
    fv_build_free(&memory, &b);
}

/* Every allocation of parsing, setting and building fails once: an error, no leak, and the next attempt works. */
Test(build, memory_that_runs_out)
{
    static const char *const specs[] = {"topk:k=8,pattern=\"causal & window(left=15)\",scale=0.5",
                                        "longformer:window=3,global=1+2", "longnet:segments=16+32,dilations=1+2",
                                        "pattern:causal | sinks(3)"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        fovea_status status = FOVEA_ERROR_MEMORY;
        for (long at = 1; status == FOVEA_ERROR_MEMORY; at++) {
            fovea_recipe *recipe = NULL;
            fv_build b;
            fovea_error err = {FOVEA_OK, ""};
            counter = (counted){.fail_at = at};
            cr_assert(at < 1000, "%s never succeeds", specs[i]);
            status = fv_recipe_parse(&env, specs[i], &recipe, &err);
            if (!status)
                status = fovea_recipe_set(recipe, "causal", "1", &err);
            if (!status)
                status = fv_recipe_build(recipe, &env, &square, &b, &err);
            if (!status)
                fv_build_free(&memory, &b);
            fovea_recipe_destroy(recipe);
            cr_assert(status == FOVEA_OK || status == FOVEA_ERROR_MEMORY, "%s: %s", specs[i], err.text);
            cr_assert(counter.live == 0, "%s: %ld blocks leaked at request %ld", specs[i], counter.live, at);
        }
    }
    counter = (counted){0};
}
