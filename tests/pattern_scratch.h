/* Scratch of exactly the size asked for, with a guard behind it: a bound that is too small is seen without a sanitizer
   too. */
#ifndef TESTS_PATTERN_SCRATCH_H
#define TESTS_PATTERN_SCRATCH_H
#include <stdlib.h>
#include <string.h>

enum { SCRATCH_GUARD = 64 };

static inline void *scratch_get(size_t bytes)
{
    char *block = malloc(bytes + SCRATCH_GUARD);
    memset(block + bytes, 0x5a, SCRATCH_GUARD);
    return block;
}

/* 1 when the guard is whole; frees the block. */
static inline int scratch_put(void *block, size_t bytes)
{
    const char *guard = (char *)block + bytes;
    int whole = 1;
    for (int k = 0; k < SCRATCH_GUARD; k++)
        whole &= guard[k] == 0x5a;
    free(block);
    return whole;
}
#endif
