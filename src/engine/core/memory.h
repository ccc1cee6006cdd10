/* Memory through the host's allocator. Every block is aligned to 64 bytes. */
#ifndef FV_CORE_MEMORY_H
#define FV_CORE_MEMORY_H
#include <stddef.h>

typedef struct fv_memory {
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *block);
    void *user;
} fv_memory;

extern const fv_memory fv_memory_standard;

void *fv_memory_get(const fv_memory *memory, size_t bytes);  /* NULL when there is none; 0 bytes give a block too */
void *fv_memory_zero(const fv_memory *memory, size_t bytes); /* the same, zeroed */
char *fv_memory_text(const fv_memory *memory, const char *text);
void fv_memory_put(const fv_memory *memory, void *block); /* NULL is fine */
#endif
