/* Blocks on huge pages; see pages.h. */
#include "io/pages.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Advice only: a kernel without huge pages refuses it, and the block is as good as malloc's. */
static void ask_for_huge_pages(void *block, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    (void)madvise(block, bytes, MADV_HUGEPAGE);
#else
    (void)block;
    (void)bytes;
#endif
}

void *pages_get_aligned(size_t bytes, size_t alignment)
{
    const int huge = bytes >= PAGES_HUGE;
    size_t room = bytes ? bytes : 1;
    void *block = NULL;
    alignment = alignment < 64 ? 64 : alignment;
    if (bytes > PTRDIFF_MAX - PAGES_HUGE) /* no object is so large */
        return NULL;
    if (huge) {
        alignment = alignment < PAGES_HUGE ? PAGES_HUGE : alignment;
        /* whole pages: advice covers nothing that belongs to a neighbour */
        room = (bytes + PAGES_HUGE - 1) / PAGES_HUGE * PAGES_HUGE;
    }
    if (posix_memalign(&block, alignment, room))
        return NULL;
    if (huge)
        ask_for_huge_pages(block, room);
    return block;
}

void *pages_get(size_t bytes)
{
    return pages_get_aligned(bytes, 64);
}

double pages_huge_bytes(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    double kib, bytes = -1;
    if (!file)
        return -1;
    while (bytes < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "AnonHugePages: %lf", &kib) == 1)
            bytes = kib * 1024;
    fclose(file);
    return bytes;
}
