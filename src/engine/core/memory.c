/* Memory through the host's allocator. */
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

static void *standard_allocate(void *user, size_t bytes, size_t alignment)
{
    void *block = NULL;
    (void)user;
    return posix_memalign(&block, alignment, bytes ? bytes : 1) ? NULL : block;
}

static void standard_release(void *user, void *block)
{
    (void)user;
    free(block);
}

const fv_memory fv_memory_standard = {standard_allocate, standard_release, NULL};

void *fv_memory_get(const fv_memory *memory, size_t bytes)
{
    return memory->allocate(memory->user, bytes ? bytes : 1, 64);
}

void *fv_memory_zero(const fv_memory *memory, size_t bytes)
{
    void *block = fv_memory_get(memory, bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

char *fv_memory_text(const fv_memory *memory, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = fv_memory_get(memory, bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

void fv_memory_put(const fv_memory *memory, void *block)
{
    if (block)
        memory->release(memory->user, block);
}
