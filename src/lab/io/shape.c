/* Sizes of tensors. */
#include "io/shape.h"
#include "io/fail.h"

#include <stdio.h>

int shape_bytes(const int64_t *dim, int rank, size_t element, size_t *bytes)
{
    int64_t size = (int64_t)element;
    int empty = 0;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0)
            return -1;
        if (dim[i] == 0)
            empty = 1;
        else if (__builtin_mul_overflow(size, dim[i], &size))
            return -1;
    }
    if ((uint64_t)size > PTRDIFF_MAX)
        return -1;
    *bytes = empty ? 0 : (size_t)size;
    return 0;
}

const char *shape_text(const int64_t *dim, int rank, char text[SHAPE_TEXT])
{
    size_t used = 0;
    text[used++] = '[';
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(text + used, SHAPE_TEXT - used, "%s%lld", i ? ", " : "", (long long)dim[i]);
    text[used++] = ']';
    text[used] = '\0';
    return text;
}

int shape_check(const tensor *t, const char *path, char *why)
{
    char text[SHAPE_TEXT];
    size_t bytes;
    if (t->rank < 0 || t->rank > SHAPE_RANK)
        return io_fail(why, IO_INVALID, path, "a tensor of rank %d cannot be written; allowed: 0 to %d", t->rank,
                       SHAPE_RANK);
    if (shape_bytes(t->dim, t->rank, tensor_type_bytes(t->type), &bytes))
        return io_fail(why, IO_INVALID, path, "shape %s is negative or too large", shape_text(t->dim, t->rank, text));
    if (bytes != t->bytes || (bytes && !t->data))
        return io_fail(why, IO_INVALID, path, "shape %s of %s needs %zu bytes, the tensor has %zu",
                       shape_text(t->dim, t->rank, text), tensor_type_name(t->type), bytes, t->data ? t->bytes : 0);
    return IO_OK;
}
