/* Element types: sizes, and conversion to and from float with round to nearest even. */
#ifndef FV_CORE_NUMBERS_H
#define FV_CORE_NUMBERS_H
#include <fovea/fovea.h>

static inline size_t fv_dtype_bytes(fovea_dtype type) { return type == FOVEA_F32 ? 4 : 2; }
const char *fv_dtype_name(fovea_dtype type);
#endif
