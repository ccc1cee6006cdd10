/* What .npy and .safetensors share: element types, ownership, the choice by suffix. */
#include "io/tensor.h"
#include "io/fail.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

const char *tensor_type_name(tensor_type type)
{
    static const char *const names[] = {
        [TENSOR_F32] = "F32", [TENSOR_F16] = "F16", [TENSOR_BF16] = "BF16",
        [TENSOR_U8] = "U8",   [TENSOR_I32] = "I32", [TENSOR_I64] = "I64",
    };
    return names[type];
}

size_t tensor_type_bytes(tensor_type type)
{
    static const unsigned char sizes[] = {
        [TENSOR_F32] = 4, [TENSOR_F16] = 2, [TENSOR_BF16] = 2, [TENSOR_U8] = 1, [TENSOR_I32] = 4, [TENSOR_I64] = 8,
    };
    return sizes[type];
}

void tensor_free(tensor *t)
{
    if (t->block && t->mapped)
        munmap(t->block, t->block_bytes);
    else
        free(t->block);
    *t = (tensor){0};
}

static int ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && !strcmp(path + n - m, suffix);
}

int tensor_read(const char *path, const char *name, tensor *t, char *why)
{
    if (ends_with(path, ".npy"))
        return npy_read(path, t, why);
    if (ends_with(path, ".safetensors"))
        return safetensors_read(path, name, t, why);
    *t = (tensor){0};
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    return io_fail(why, IO_INVALID, path, "suffix '%.40s' is not known; allowed: .npy, .safetensors", dot ? dot : "");
}
