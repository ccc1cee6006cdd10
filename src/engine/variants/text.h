/* Texts of recipes: one that grows, numbers read without the host's locale, foreign text shown in an error line, and
   the nearest name to a misspelt one. */
#ifndef FV_VARIANTS_TEXT_H
#define FV_VARIANTS_TEXT_H
#include "core/memory.h"
#include <stddef.h>
#include <stdint.h>

/* Starts as {memory}. After a failed allocation `failed` is set and nothing more is added. data, once there is any,
   ends with a NUL and belongs to whoever holds the struct. */
typedef struct fv_text {
    const fv_memory *memory;
    char *data;
    size_t used, room;
    int failed;
} fv_text;

void fv_text_add(fv_text *text, const char *bytes, size_t n);
void fv_text_put(fv_text *text, const char *string);
void fv_text_format(fv_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* at most 127 bytes */
/* The text, never NULL unless it failed: then the block is freed. The struct is empty afterwards. */
char *fv_text_take(fv_text *text);

int fv_blank(char c); /* space, tab, newline, carriage return */
/* Moves both ends of text[*start, *end) inwards past blanks. */
void fv_trim(const char *text, size_t *start, size_t *end);

/* Whole number with an optional suffix k (1024) or m (1048576); saturates at the ends of int64. 1 when n bytes are
   one. */
int fv_read_integer(const char *text, size_t n, int64_t *value);
/* Decimal number such as -0.5, 3 or 1e-3, never infinite or NaN; too large ones become +-HUGE_VAL. 1 when n bytes are
   one. */
int fv_read_real(const char *text, size_t n, double *value);

/* Foreign bytes for an error line: at most 48 of them, control characters as '?'. Returns buffer. */
enum { FV_SHOWN = 64 };
const char *fv_show(char buffer[FV_SHOWN], const char *text, size_t n);

/* Edit distance: one for a byte added, dropped or changed, or for two neighbours swapped. Only the first 63 bytes
   count. */
unsigned fv_distance(const char *a, const char *b);
#endif
