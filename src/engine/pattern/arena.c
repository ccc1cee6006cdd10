/* Arena of a pattern: many small blocks that live and die together. */
#include "pattern/internal.h"

#include <string.h>

struct fv_chunk {
    fv_chunk *next;
    size_t used, size; /* bytes after this header */
    size_t padding;    /* keeps the header a multiple of 16 bytes */
};

enum { CHUNK = 4096 };

void *fv_arena_get(fv_arena *arena, size_t bytes)
{
    fv_chunk *chunk = arena->chunk;
    void *block;

    if (bytes > SIZE_MAX - 64)
        return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    if (!chunk || chunk->size - chunk->used < bytes) {
        size_t size = bytes > CHUNK ? bytes : CHUNK;
        chunk = fv_memory_get(&arena->memory, sizeof *chunk + size);
        if (!chunk)
            return NULL;
        chunk->next = arena->chunk;
        chunk->used = 0;
        chunk->size = size;
        arena->chunk = chunk;
    }
    block = (char *)(chunk + 1) + chunk->used;
    chunk->used += bytes;
    return memset(block, 0, bytes);
}

void fv_arena_free(fv_arena *arena)
{
    while (arena->chunk) {
        fv_chunk *next = arena->chunk->next;
        fv_memory_put(&arena->memory, arena->chunk);
        arena->chunk = next;
    }
}

fovea_status fv_no_memory(fovea_error *err)
{
    return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for a pattern");
}
