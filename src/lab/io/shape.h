/* Sizes of tensors, computed without overflow. */
#ifndef FV_LAB_IO_SHAPE_H
#define FV_LAB_IO_SHAPE_H
#include "io/tensor.h"

enum { SHAPE_RANK = 8, SHAPE_TEXT = 192 }; /* 8 numbers of 19 digits with their commas and brackets fit */

/* *bytes = element * product of dim. 0, or -1 when a dim is negative or the size does not fit. Zeros do not hide an
   overflow: strides made from the other dims must fit as well. */
int shape_bytes(const int64_t *dim, int rank, size_t element, size_t *bytes);
/* "[2, 3]"; returns text. */
const char *shape_text(const int64_t *dim, int rank, char text[SHAPE_TEXT]);
/* A tensor about to be written to `path`: IO_OK when rank, dim, bytes and data agree, else IO_INVALID and a line. */
int shape_check(const tensor *t, const char *path, char *why);
#endif
