/* Values of parameters; see value.h. An error names the variant, the key, the value and what is allowed. */
#include "variants/value.h"

#include "core/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What one reading needs everywhere. */
typedef struct reader {
    const fv_pattern_env *env;
    const fv_row *row;
    const fovea_parameter *parameter;
    const fv_trait *trait;
    fv_text *out;
    fovea_error *err;
} reader;

static int is(const reader *r, const char *type)
{
    return strcmp(r->parameter->type, type) == 0;
}

/* ------------------------------------------------------------------ what is allowed */

static void bound(char *text, size_t n, double x)
{
    if (x == floor(x) && fabs(x) < 1e17)
        snprintf(text, n, "%.0f", x);
    else
        snprintf(text, n, "%.7g", x);
}

/* "1 to 16", "greater than 0", "any finite number", "0 or 1" */
static void range(const fovea_parameter *p, char *text, size_t n)
{
    char min[32], max[32];
    bound(min, sizeof min, p->min);
    bound(max, sizeof max, p->max);
    if (p->max == FV_REAL_MAX && p->min == -FV_REAL_MAX)
        snprintf(text, n, "any finite number");
    else if (p->max == FV_REAL_MAX && p->min == FV_REAL_TINY)
        snprintf(text, n, "greater than 0 (1.2e-38 or more)");
    else if (p->max == FV_REAL_MAX)
        snprintf(text, n, "%s or more", min);
    else if (p->min == FV_REAL_TINY)
        snprintf(text, n, "greater than 0, at most %s", max);
    else if (p->min + 1 == p->max && strcmp(p->type, "real") != 0)
        snprintf(text, n, "%s or %s", min, max);
    else
        snprintf(text, n, "%s to %s", min, max);
}

/* "both local stride" as "both, local or stride" */
static void word_list(const char *words, char *text, size_t n)
{
    size_t used = 0;
    while (*words && used < n) {
        size_t length = strcspn(words, " ");
        const char *rest = words + length + (words[length] == ' ');
        used += (size_t)snprintf(text + used, n - used, "%.*s%s", (int)length, words,
                                 !*rest              ? ""
                                 : strchr(rest, ' ') ? ", "
                                                     : " or ");
        words = rest;
    }
}

void fv_value_allowed(const fv_row *row, const fovea_parameter *p, char text[FV_ALLOWED])
{
    const char *words = fv_row_trait(row, p->name)->words;
    char numbers[80];
    if (strcmp(p->type, "word") == 0) {
        word_list(words, text, FV_ALLOWED);
    } else if (strcmp(p->type, "file") == 0) {
        snprintf(text, FV_ALLOWED, "file:PATH");
    } else if (strcmp(p->type, "pattern") == 0) {
        snprintf(text, FV_ALLOWED, "an expression of pattern primitives");
    } else {
        range(p, numbers, sizeof numbers);
        snprintf(text, FV_ALLOWED, "%s%s%s%s%s%s", strcmp(p->type, "list") == 0 ? "a+b+..., each " : "", numbers,
                 p->unit[0] ? " " : "", p->unit, words ? " or " : "", words ? words : "");
    }
}

/* The allowed word that is nearest to `value`, in buffer. */
static const char *nearest_word(const reader *r, const char *value, char *buffer, size_t n)
{
    unsigned least = ~0u;
    buffer[0] = 0;
    for (const char *word = r->trait->words; *word;) {
        char one[64];
        size_t length = strcspn(word, " ");
        snprintf(one, sizeof one, "%.*s", (int)length, word);
        if (fv_distance(one, value) < least) {
            least = fv_distance(one, value);
            snprintf(buffer, n, "%s", one);
        }
        word += length + (word[length] == ' ');
    }
    return buffer;
}

/* "window: left=abc is not a whole number: allowed 0 to ... tokens" */
static fovea_status refuse(const reader *r, const char *value, size_t n, const char *why)
{
    char shown[FV_SHOWN], allowed[FV_ALLOWED];
    fv_value_allowed(r->row, r->parameter, allowed);
    return fv_error_set(r->err, FOVEA_ERROR_VALUE, "%s: %s=%s %s: allowed %s", r->row->variant.name, r->parameter->name,
                        fv_show(shown, value, n), why, allowed);
}

/* ------------------------------------------------------------------ one value */

static int has_word(const char *words, const char *value)
{
    size_t n = strlen(value);
    for (const char *word = words; word && *word; word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        if (length == n && memcmp(word, value, n) == 0)
            return 1;
        word += length;
    }
    return 0;
}

static fovea_status read_integer(const reader *r, const char *value, size_t n)
{
    int64_t number;
    if (!fv_read_integer(value, n, &number))
        return refuse(r, value, n, "is not a whole number");
    if ((double)number < r->parameter->min || (double)number > r->parameter->max)
        return refuse(r, value, n, "is out of range");
    fv_text_format(r->out, "%lld", (long long)number);
    return FOVEA_OK;
}

static fovea_status read_real(const reader *r, const char *value)
{
    double number;
    if (has_word(r->trait->words, value)) {
        fv_text_put(r->out, value);
        return FOVEA_OK;
    }
    if (!fv_read_real(value, strlen(value), &number))
        return refuse(r, value, strlen(value), "is not a number");
    if (!(number >= r->parameter->min && number <= r->parameter->max))
        return refuse(r, value, strlen(value), "is out of range");
    fv_text_put(r->out, value);
    return FOVEA_OK;
}

static fovea_status read_list(const reader *r, const char *value)
{
    unsigned count = 0, least = r->trait->min_count, most = r->trait->max_count;
    size_t end = strlen(value);
    for (size_t start = 0; end > 0 && start <= end;) {
        size_t stop = start + strcspn(value + start, "+"), from = start, to = stop;
        fovea_status status;
        fv_trim(value, &from, &to);
        if (from == to)
            return refuse(r, value, end, "has an empty list element");
        if (count++)
            fv_text_put(r->out, "+");
        status = read_integer(r, value + from, to - from);
        if (status)
            return status;
        start = stop + 1;
    }
    if (count < least || (most && count > most)) {
        char allowed[48];
        if (least == most)
            snprintf(allowed, sizeof allowed, "exactly %u", least);
        else
            snprintf(allowed, sizeof allowed, "%u to %u", least, most);
        return fv_error_set(r->err, FOVEA_ERROR_VALUE, "%s: %s=%.100s holds %u number%s: allowed %s",
                            r->row->variant.name, r->parameter->name, value, count, count == 1 ? "" : "s", allowed);
    }
    return FOVEA_OK;
}

static fovea_status read_flag(const reader *r, const char *value)
{
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return refuse(r, value, strlen(value), "is neither on nor off");
    fv_text_put(r->out, value);
    return FOVEA_OK;
}

static fovea_status read_word(const reader *r, const char *value)
{
    char why[96], word[64];
    if (has_word(r->trait->words, value)) {
        fv_text_put(r->out, value);
        return FOVEA_OK;
    }
    snprintf(why, sizeof why, "is unknown, nearest is %s", nearest_word(r, value, word, sizeof word));
    return refuse(r, value, strlen(value), why);
}

/* A path goes into pattern expressions, so the characters that end it there are refused here, where the key is known.
   */
static fovea_status read_file(const reader *r, const char *value)
{
    char shown[FV_SHOWN];
    const char *path = value + 5;
    if (strncmp(value, "file:", 5) != 0 || !*path)
        return fv_error_set(r->err, FOVEA_ERROR_VALUE, "%s: %s=%s names no file: allowed file:PATH",
                            r->row->variant.name, r->parameter->name, fv_show(shown, value, strlen(value)));
    if (strpbrk(path, ",)\"\n\r"))
        return fv_error_set(r->err, FOVEA_ERROR_VALUE,
                            "%s: %s=%s: allowed file:PATH without comma, closing parenthesis, double quote or newline",
                            r->row->variant.name, r->parameter->name, fv_show(shown, value, strlen(value)));
    fv_text_put(r->out, value);
    return FOVEA_OK;
}

/* The compiler's own error lines begin with "pattern: "; the variant and the key say more. */
static fovea_status read_pattern(const reader *r, const char *value)
{
    fv_pattern *pattern = NULL;
    fovea_error inner = {FOVEA_OK, ""};
    fovea_status status = fv_pattern_compile(r->env, value, NULL, &pattern, &inner);
    const char *name = r->row->variant.name, *key = r->parameter->name;
    const char *what = strncmp(inner.text, "pattern: ", 9) == 0 ? inner.text + 9 : inner.text;
    if (status == FOVEA_ERROR_MEMORY || (status && strcmp(name, "pattern") == 0))
        return fv_error_set(r->err, status, "pattern: %.490s", what);
    if (status)
        return fv_error_set(r->err, status, "%s: %s: %.440s", name, key, what);
    fv_text_put(r->out, value);
    return FOVEA_OK;
}

static fovea_status read_any(const reader *r, const char *value)
{
    if (is(r, "int"))
        return read_integer(r, value, strlen(value));
    if (is(r, "real"))
        return read_real(r, value);
    if (is(r, "flag"))
        return read_flag(r, value);
    if (is(r, "list"))
        return read_list(r, value);
    if (is(r, "word"))
        return read_word(r, value);
    return is(r, "file") ? read_file(r, value) : read_pattern(r, value);
}

fovea_status fv_value_read(const fv_pattern_env *env, const fv_row *row, const fovea_parameter *parameter,
                           const char *value, fv_text *out, fovea_error *err)
{
    const reader r = {env, row, parameter, fv_row_trait(row, parameter->name), out, err};
    fovea_status status;
    if (!value && (is(&r, "flag") || r.trait->bare))
        value = "1";
    if (!value || (!*value && !r.trait->empty)) {
        char allowed[FV_ALLOWED];
        fv_value_allowed(row, parameter, allowed);
        return fv_error_set(err, FOVEA_ERROR_SYNTAX, "%s: %s%s %s: allowed %s", row->variant.name, parameter->name,
                            value ? "=" : "", value ? "has an empty value" : "needs a value", allowed);
    }
    status = read_any(&r, value);
    if (!status && out->failed)
        return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for the value of %s", parameter->name);
    return status;
}

/* ------------------------------------------------------------------ lists */

size_t fv_list_count(const char *list)
{
    size_t count = *list != 0;
    for (; *list; list++)
        count += *list == '+';
    return count;
}

int64_t fv_list_at(const char *list, size_t index)
{
    int64_t value = 0;
    for (; *list; list += strspn(list, "+")) {
        size_t n = strcspn(list, "+");
        if (index-- == 0)
            return fv_read_integer(list, n, &value) ? value : 0;
        list += n;
    }
    return 0;
}
