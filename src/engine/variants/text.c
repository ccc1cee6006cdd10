/* Texts of recipes; see text.h. */
#include "variants/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------ growing text */

void fv_text_add(fv_text *text, const char *bytes, size_t n)
{
    if (text->failed)
        return;
    if (text->used + n + 1 > text->room) {
        size_t room = 2 * (text->used + n + 1) + 32;
        char *data = fv_memory_get(text->memory, room);
        if (!data) {
            text->failed = 1;
            return;
        }
        if (text->used)
            memcpy(data, text->data, text->used);
        fv_memory_put(text->memory, text->data);
        text->data = data;
        text->room = room;
    }
    if (n)
        memcpy(text->data + text->used, bytes, n);
    text->used += n;
    text->data[text->used] = 0;
}

void fv_text_put(fv_text *text, const char *string)
{
    fv_text_add(text, string, strlen(string));
}

void fv_text_format(fv_text *text, const char *format, ...)
{
    char line[128];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    fv_text_put(text, line);
}

char *fv_text_take(fv_text *text)
{
    char *data;
    fv_text_add(text, "", 0);
    data = text->data;
    if (text->failed) {
        fv_memory_put(text->memory, data);
        data = NULL;
    }
    *text = (fv_text){.memory = text->memory};
    return data;
}

/* ------------------------------------------------------------------ characters */

int fv_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void fv_trim(const char *text, size_t *start, size_t *end)
{
    while (*start < *end && fv_blank(text[*start]))
        ++*start;
    while (*start < *end && fv_blank(text[*end - 1]))
        --*end;
}

static int digit(const char *text, size_t i, size_t n)
{
    return i < n && text[i] >= '0' && text[i] <= '9';
}

const char *fv_show(char buffer[FV_SHOWN], const char *text, size_t n)
{
    const size_t most = 48;
    size_t i;
    for (i = 0; i < n && i < most; i++)
        buffer[i] = (unsigned char)text[i] < 32 || text[i] == 127 ? '?' : text[i];
    strcpy(buffer + i, n > most ? "..." : "");
    return buffer;
}

/* ------------------------------------------------------------------ numbers */

int fv_read_integer(const char *text, size_t n, int64_t *value)
{
    size_t i = n && (text[0] == '-' || text[0] == '+');
    int negative = n && text[0] == '-';
    int64_t sum = 0, unit = 1;
    if (!digit(text, i, n))
        return 0;
    for (; digit(text, i, n); i++)
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, text[i] - '0', &sum))
            sum = INT64_MAX / 16; /* stays far above every range and cannot wrap below */
    if (i + 1 == n && (text[i] == 'k' || text[i] == 'm'))
        unit = text[i++] == 'k' ? 1024 : 1048576;
    if (i != n)
        return 0;
    if (__builtin_mul_overflow(sum, unit, &sum))
        sum = INT64_MAX;
    *value = negative ? -sum : sum;
    return 1;
}

/* mantissa * 10^exponent. With a mantissa below 2^53 and a power of ten below 10^22 both factors are exact and the
   result is correctly rounded; otherwise long double keeps it within an ulp. */
static double scale_by_ten(uint64_t mantissa, int exponent)
{
    long double power = 1, base = 10;
    int size = exponent < 0 ? -exponent : exponent;
    if (mantissa == 0)
        return 0;
    if (mantissa <= (UINT64_C(1) << 53) && size <= 22) {
        double exact = 1;
        for (int i = 0; i < size; i++)
            exact *= 10;
        return exponent < 0 ? (double)mantissa / exact : (double)mantissa * exact;
    }
    if (size > 400)
        return exponent < 0 ? 0 : HUGE_VAL;
    for (int bits = size; bits; bits >>= 1, base *= base)
        if (bits & 1)
            power *= base;
    return (double)(exponent < 0 ? (long double)mantissa / power : (long double)mantissa * power);
}

int fv_read_real(const char *text, size_t n, double *value)
{
    size_t i = n && (text[0] == '-' || text[0] == '+');
    int negative = n && text[0] == '-', digits = 0, point = 0;
    uint64_t mantissa = 0;
    int64_t exponent = 0, written = 0;
    for (; digit(text, i, n) || (i < n && text[i] == '.' && !point); i++) {
        if (text[i] == '.') {
            point = 1;
            continue;
        }
        digits = 1;
        if (mantissa < UINT64_C(1000000000000000000)) {
            mantissa = 10 * mantissa + (uint64_t)(text[i] - '0');
            exponent -= point;
        } else {
            exponent += !point; /* digits beyond the 19th only move the point */
        }
    }
    if (!digits)
        return 0;
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        size_t start = ++i;
        if (!fv_read_integer(text + start, n - start, &written) || text[n - 1] == 'k' || text[n - 1] == 'm')
            return 0;
        i = n;
    }
    if (i != n)
        return 0;
    written = written > 100000 ? 100000 : written < -100000 ? -100000 : written;
    exponent += written;
    exponent = exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent;
    *value = scale_by_ten(mantissa, (int)exponent) * (negative ? -1 : 1);
    return 1;
}

/* ------------------------------------------------------------------ names */

unsigned fv_distance(const char *a, const char *b)
{
    unsigned row[3][64]; /* row[i % 3][j]: distance of the first i bytes of a and the first j of b */
    size_t na = strlen(a), nb = strlen(b);
    na = na > 63 ? 63 : na;
    nb = nb > 63 ? 63 : nb;
    for (size_t i = 0; i <= na; i++) {
        unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned best = now[j - 1] + 1;
            if (i > 0 && last[j] + 1 < best)
                best = last[j] + 1;
            if (i > 0 && last[j - 1] + (a[i - 1] != b[j - 1]) < best)
                best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}
