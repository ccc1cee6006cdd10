/* Values of parameters: read from foreign text, checked against the row, written back in one canonical form. */
#ifndef FV_VARIANTS_VALUE_H
#define FV_VARIANTS_VALUE_H
#include "variants/row.h"
#include "variants/text.h"

/* Appends to out the canonical form of `value` (trimmed; NULL when the key stood alone): whole numbers without suffix,
   lists as a+b, flags 0 or 1, files as file:PATH, expressions and reals as given. env checks expressions. */
fovea_status fv_value_read(const fv_pattern_env *env, const fv_row *row, const fovea_parameter *parameter,
                           const char *value, fv_text *out, fovea_error *err);

/* What a parameter may be, as an error line says it: "1 to 16 keys", "greater than 0", "both, local or stride". */
enum { FV_ALLOWED = 160 };
void fv_value_allowed(const fv_row *row, const fovea_parameter *parameter, char text[FV_ALLOWED]);

/* Elements of a canonical list. */
size_t fv_list_count(const char *list);
int64_t fv_list_at(const char *list, size_t index); /* 0 past the last one */
#endif
