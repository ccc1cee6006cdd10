/* Laying a worker's scratch out: the same walk measures it (base NULL) and hands it out. Blocks are aligned to 64 bytes. */
#ifndef FV_DRIVE_SCRATCH_H
#define FV_DRIVE_SCRATCH_H
#include <stddef.h>

typedef struct fv_scratch {
    char *base; /* aligned to 64, or NULL to measure only */
    size_t used;
} fv_scratch;

static inline void *fv_scratch_take(fv_scratch *s, size_t bytes)
{
    void *block = s->base ? s->base + s->used : NULL;
    s->used += (bytes + 63) & ~(size_t)63;
    return block;
}
#endif
