/* Text to tree.

     EXPR   = TERM { "|" TERM }
     TERM   = FACTOR { "&" FACTOR }
     FACTOR = "!" FACTOR | "(" EXPR ")" | NAME [ "(" [ ARGUMENT { "," ARGUMENT } ] ")" ]
     ARGUMENT = [ KEY "=" ] VALUE            positional arguments come first; a flag's KEY may stand alone
     VALUE  = NUMBER { "+" NUMBER } | "file:" PATH     a path runs to the next ',' or ')'
     NUMBER = digits [ "k" | "m" ]            times 1024 or 1048576

   Blanks are free between tokens. Any text is safe: the depth of parentheses and the number of primitives are
   limited, and everything is read in one pass. Positions in errors count bytes from 1. */
#include "pattern/internal.h"

#include <stdio.h>
#include <string.h>

typedef struct parser {
    const char *text, *at;
    fv_arena *arena;
    fovea_error *err;
    unsigned depth, leaves;
} parser;

/* A piece of the text. */
typedef struct token {
    const char *start;
    size_t length;
} token;

/* ------------------------------------------------------------------ characters */

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(parser *p)
{
    while (is_blank(*p->at))
        p->at++;
}

static long long position(const parser *p)
{
    return (long long)(p->at - p->text) + 1;
}

static token read_name(parser *p)
{
    token name = {p->at, 0};
    while (is_letter(*p->at) || is_digit(*p->at))
        p->at++;
    name.length = (size_t)(p->at - name.start);
    return name;
}

static int same(token name, const char *text)
{
    return strlen(text) == name.length && !memcmp(text, name.start, name.length);
}

enum { SHOWN = 40 };

/* Printable copy of a token for an error line, in SHOWN + 4 bytes; long ones are cut. */
static const char *show(token t, char *out)
{
    size_t n = t.length < SHOWN ? t.length : SHOWN;
    for (size_t k = 0; k < n; k++)
        out[k] = (unsigned char)t.start[k] < 32 || t.start[k] == 127 ? '?' : t.start[k];
    memcpy(out + n, t.length > SHOWN ? "..." : "", t.length > SHOWN ? 4 : 1);
    return out;
}

/* What stands at the parser, for a syntax error; in SHOWN + 8 bytes. */
static const char *found(const parser *p, char *out)
{
    token one = {p->at, 1};
    if (!*p->at)
        return strcpy(out, "the end");
    if ((unsigned char)*p->at >= 128) /* do not cut a character in two */
        while (((unsigned char)p->at[one.length] & 0xc0) == 0x80 && one.length < 4)
            one.length++;
    out[0] = '\'';
    show(one, out + 1);
    return strcat(out, "'");
}

static fovea_status syntax(const parser *p, const char *wanted)
{
    char text[SHOWN + 8];
    return fv_error_set(p->err, FOVEA_ERROR_SYNTAX,
                        "pattern, character %lld: expected %s, found %s", position(p), wanted,
                        found(p, text));
}

/* ------------------------------------------------------------------ nearest name */

/* Levenshtein distance; only the first 31 characters of a name count. */
static size_t distance(token name, const char *text)
{
    size_t row[32], n = name.length < 31 ? name.length : 31, m = strlen(text);
    for (size_t k = 0; k <= n; k++)
        row[k] = k;
    for (size_t i = 1; i <= m; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t k = 1; k <= n; k++) {
            size_t replace = corner + (name.start[k - 1] != text[i - 1]);
            size_t change = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;
            corner = row[k];
            row[k] = replace < change ? replace : change;
        }
    }
    return row[n];
}

static fovea_status unknown_primitive(const parser *p, token name)
{
    const char *nearest = "";
    size_t best = SIZE_MAX;
    char text[SHOWN + 4], list[320];
    size_t used = 0;

    for (unsigned k = 0; fv_rule_at(k); k++) {
        const char *known = fv_rule_at(k)->text.name;
        size_t d = distance(name, known);
        if (d < best) {
            best = d;
            nearest = known;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", k ? ", " : "", known);
    }
    return fv_error_set(p->err, FOVEA_ERROR_PARAMETER,
                        "pattern: unknown primitive '%s'; the nearest is '%s' (allowed: %s)",
                        show(name, text), nearest, list);
}

static fovea_status unknown_key(const parser *p, const fv_rule *rule, token name)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX, used = 0;
    char text[SHOWN + 4], list[160] = "";

    for (unsigned k = 0; rule->argument[k].name; k++) {
        const char *known = rule->argument[k].name;
        size_t d = distance(name, known);
        if (d < best) {
            best = d;
            nearest = known;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", k ? ", " : "", known);
    }
    if (!nearest)
        return fv_error_set(p->err, FOVEA_ERROR_PARAMETER, "%s: takes no arguments, was given '%s'",
                            rule->text.name, show(name, text));
    return fv_error_set(p->err, FOVEA_ERROR_PARAMETER,
                        "%s: unknown argument '%s'; the nearest is '%s' (allowed: %s)",
                        rule->text.name, show(name, text), nearest, list);
}

/* ------------------------------------------------------------------ values */

static fovea_status bad_number(const parser *p, const fv_rule *rule, const fv_argument *argument,
                               token t)
{
    char text[SHOWN + 4], range[64];
    if (argument->max == INT64_MAX)
        snprintf(range, sizeof range, "an integer of at least %lld", (long long)argument->min);
    else
        snprintf(range, sizeof range, "an integer from %lld to %lld", (long long)argument->min,
                 (long long)argument->max);
    return fv_error_set(p->err, FOVEA_ERROR_VALUE, "%s: %s=%s must be %s%s", rule->text.name,
                        argument->name, show(t, text), range,
                        argument->max == INT64_MAX ? " (k and m may follow the digits)" : "");
}

/* Digits with an optional k or m; 0 when it is none or does not fit. */
static int read_number(token t, int64_t *out)
{
    int64_t value = 0, unit = 1;
    size_t n = t.length;
    if (n > 1 && (t.start[n - 1] == 'k' || t.start[n - 1] == 'm'))
        unit = t.start[--n] == 'k' ? 1024 : 1048576;
    if (n == 0)
        return 0;
    for (size_t k = 0; k < n; k++) {
        if (!is_digit(t.start[k]) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, t.start[k] - '0', &value))
            return 0;
    }
    return !__builtin_mul_overflow(value, unit, out);
}

/* Up to the next character that can end a number. */
static token read_word(parser *p)
{
    token t = {p->at, 0};
    while (*p->at && !is_blank(*p->at) && !strchr("+,()=&|", *p->at))
        p->at++;
    t.length = (size_t)(p->at - t.start);
    return t;
}

static fovea_status add_number(const parser *p, fv_value *value, int64_t number)
{
    if ((value->count & (value->count - 1)) == 0) { /* full at every power of two */
        size_t room = value->count ? value->count * 2 : 1;
        int64_t *wider = fv_arena_get(p->arena, room * sizeof *wider);
        if (!wider)
            return fv_no_memory(p->err);
        if (value->count)
            memcpy(wider, value->number, value->count * sizeof *wider);
        value->number = wider;
    }
    value->number[value->count++] = number;
    return FOVEA_OK;
}

static fovea_status read_numbers(parser *p, const fv_rule *rule, const fv_argument *argument,
                                 fv_value *value)
{
    for (;;) {
        int64_t number;
        fovea_status status;
        skip_blanks(p);
        token t = read_word(p);
        if (!t.length)
            return syntax(p, "a number");
        if (!read_number(t, &number) || number < argument->min || number > argument->max)
            return bad_number(p, rule, argument, t);
        status = add_number(p, value, number);
        if (status)
            return status;
        skip_blanks(p);
        if (*p->at != '+')
            return FOVEA_OK;
        if (argument->kind == FV_INT)
            return fv_error_set(p->err, FOVEA_ERROR_VALUE, "%s: %s takes one number, not a list",
                                rule->text.name, argument->name);
        p->at++;
    }
}

static fovea_status read_path(parser *p, const fv_rule *rule, const fv_argument *argument,
                              fv_value *value)
{
    token path, whole = {p->at, 0};
    char text[SHOWN + 4], *copy;

    while (p->at[whole.length] && !strchr(",)", p->at[whole.length]))
        whole.length++;
    path = whole;
    if (path.length < 5 || memcmp(path.start, "file:", 5))
        return fv_error_set(p->err, FOVEA_ERROR_VALUE, "%s: %s=%s must be file:PATH",
                            rule->text.name, argument->name, show(whole, text));
    path.start += 5;
    path.length -= 5;
    while (path.length && is_blank(path.start[path.length - 1]))
        path.length--;
    while (path.length && is_blank(*path.start)) {
        path.start++;
        path.length--;
    }
    if (!path.length)
        return fv_error_set(p->err, FOVEA_ERROR_VALUE, "%s: %s=file: must be followed by a path",
                            rule->text.name, argument->name);
    for (size_t k = 0; k < path.length; k++)
        if ((unsigned char)path.start[k] < 32)
            return fv_error_set(p->err, FOVEA_ERROR_VALUE,
                                "%s: %s=%s must not hold control characters", rule->text.name,
                                argument->name, show(whole, text));
    copy = fv_arena_get(p->arena, path.length + 1);
    if (!copy)
        return fv_no_memory(p->err);
    memcpy(copy, path.start, path.length);
    value->path = copy;
    p->at += whole.length;
    return FOVEA_OK;
}

static fovea_status read_value(parser *p, fv_leaf *leaf, unsigned n)
{
    const fv_argument *argument = &leaf->rule->argument[n];
    skip_blanks(p);
    leaf->value[n].given = 1;
    if (argument->kind == FV_FILE)
        return read_path(p, leaf->rule, argument, &leaf->value[n]);
    return read_numbers(p, leaf->rule, argument, &leaf->value[n]);
}

/* ------------------------------------------------------------------ arguments */

static fovea_status read_keyed(parser *p, fv_leaf *leaf, token key, int bare)
{
    const fv_rule *rule = leaf->rule;
    unsigned n = 0;
    while (rule->argument[n].name && !same(key, rule->argument[n].name))
        n++;
    if (!rule->argument[n].name)
        return unknown_key(p, rule, key);
    if (leaf->value[n].given)
        return fv_error_set(p->err, FOVEA_ERROR_PARAMETER, "%s: %s is given twice", rule->text.name,
                            rule->argument[n].name);
    if (bare) {
        leaf->value[n].given = 1;
        return add_number(p, &leaf->value[n], 1);
    }
    return read_value(p, leaf, n);
}

/* 1 when the name is a flag of the primitive, which may stand without a value. */
static int is_flag(const fv_rule *rule, token name)
{
    for (unsigned n = 0; rule->argument[n].name; n++)
        if (rule->argument[n].kind == FV_FLAGS && same(name, rule->argument[n].name))
            return 1;
    return 0;
}

/* *next is the argument that the next positional value belongs to, or -1 after a keyed one. */
static fovea_status read_argument(parser *p, fv_leaf *leaf, int *next)
{
    const fv_rule *rule = leaf->rule;
    const char *start = p->at;
    token name = read_name(p);

    skip_blanks(p);
    if (name.length && !is_digit(*name.start) && (*p->at == '=' || is_flag(rule, name))) {
        int bare = *p->at != '=';
        p->at += !bare;
        *next = -1;
        return read_keyed(p, leaf, name, bare);
    }
    p->at = start;
    if (*next < 0)
        return syntax(p, "key=value after the first key=value");
    if (!rule->argument[*next].name) {
        char text[SHOWN + 4];
        token word = read_word(p);
        if (!word.length)
            return syntax(p, "an argument");
        return fv_error_set(p->err, FOVEA_ERROR_PARAMETER,
                            "%s: '%s' is one argument too many; it is written %s", rule->text.name,
                            show(word, text), rule->text.usage);
    }
    unsigned n = (unsigned)*next;
    if (rule->argument[n].kind != FV_SET)
        ++*next;
    return read_value(p, leaf, n);
}

static fovea_status read_arguments(parser *p, fv_leaf *leaf)
{
    int next = 0;
    p->at++; /* the parenthesis */
    skip_blanks(p);
    if (*p->at == ')') {
        p->at++;
        return FOVEA_OK;
    }
    for (;;) {
        fovea_status status;
        skip_blanks(p);
        status = read_argument(p, leaf, &next);
        if (status)
            return status;
        skip_blanks(p);
        if (*p->at == ')')
            break;
        if (*p->at != ',')
            return syntax(p, "',' or ')'");
        p->at++;
    }
    p->at++;
    return FOVEA_OK;
}

static fovea_status require(const parser *p, const fv_leaf *leaf)
{
    const fv_rule *rule = leaf->rule;
    for (unsigned n = 0; rule->argument[n].name; n++)
        if (rule->argument[n].required && !leaf->value[n].given)
            return fv_error_set(p->err, FOVEA_ERROR_PARAMETER,
                                "%s: %s is missing; it is written %s", rule->text.name,
                                rule->argument[n].name, rule->text.usage);
    return rule->check ? rule->check(leaf, p->err) : FOVEA_OK;
}

/* ------------------------------------------------------------------ expressions */

static fovea_status read_primitive(parser *p, fv_node **out)
{
    token name = read_name(p);
    fv_leaf *leaf;
    fovea_status status = FOVEA_OK;
    const fv_rule *rule = NULL;

    for (unsigned k = 0; (rule = fv_rule_at(k)) && !same(name, rule->text.name);)
        k++;
    if (!rule)
        return unknown_primitive(p, name);
    if (++p->leaves > FV_LEAVES)
        return fv_error_set(p->err, FOVEA_ERROR_SYNTAX,
                            "pattern, character %lld: more than %d primitives", position(p),
                            FV_LEAVES);
    leaf = fv_arena_get(p->arena, sizeof *leaf);
    if (!leaf)
        return fv_no_memory(p->err);
    leaf->rule = rule;
    skip_blanks(p);
    if (*p->at == '(')
        status = read_arguments(p, leaf);
    if (!status)
        status = require(p, leaf);
    if (status)
        return status;
    *out = fv_node_leaf(p->arena, leaf);
    return *out ? FOVEA_OK : fv_no_memory(p->err);
}

static fovea_status read_expression(parser *p, fv_node **out);

static fovea_status read_factor(parser *p, fv_node **out)
{
    int negated = 0;
    fovea_status status;

    for (skip_blanks(p); *p->at == '!'; skip_blanks(p)) {
        negated = !negated;
        p->at++;
    }
    if (*p->at == '(') {
        if (++p->depth > FV_DEPTH)
            return fv_error_set(p->err, FOVEA_ERROR_SYNTAX,
                                "pattern, character %lld: more than %d nested parentheses",
                                position(p), FV_DEPTH);
        p->at++;
        status = read_expression(p, out);
        if (status)
            return status;
        if (*p->at != ')')
            return syntax(p, "'|', '&' or ')'");
        p->at++;
        p->depth--;
    } else if (is_letter(*p->at)) {
        status = read_primitive(p, out);
        if (status)
            return status;
    } else {
        return syntax(p, "a primitive, '!' or '('");
    }
    if (negated)
        *out = fv_node_not(p->arena, *out);
    return *out ? FOVEA_OK : fv_no_memory(p->err);
}

static fovea_status read_term(parser *p, fv_node **out)
{
    fovea_status status = read_factor(p, out);
    for (skip_blanks(p); !status && *p->at == '&'; skip_blanks(p)) {
        fv_node *next;
        p->at++;
        status = read_factor(p, &next);
        if (!status && !(*out = fv_node_join(p->arena, FV_AND, *out, next)))
            status = fv_no_memory(p->err);
    }
    return status;
}

static fovea_status read_expression(parser *p, fv_node **out)
{
    fovea_status status = read_term(p, out);
    while (!status && *p->at == '|') {
        fv_node *next;
        p->at++;
        status = read_term(p, &next);
        if (!status && !(*out = fv_node_join(p->arena, FV_OR, *out, next)))
            status = fv_no_memory(p->err);
    }
    return status;
}

fovea_status fv_parse(fv_arena *arena, const char *text, fv_node **root, fovea_error *err)
{
    parser p = {text, text, arena, err, 0, 0};
    fovea_status status = read_expression(&p, root);
    if (!status && *p.at)
        status = syntax(&p, "'|', '&' or the end");
    return status;
}
