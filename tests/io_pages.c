/* src/lab/io/pages.c: blocks for tensors are whole, aligned as promised, and large ones are advised as one range. */
#include "io/pages.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int aligned(const void *block, size_t to)
{
    return block != NULL && (uintptr_t)block % to == 0;
}

Test(pages, small_blocks_are_aligned_to_a_cache_line)
{
    for (size_t bytes = 0; bytes < 200; bytes += 33) {
        char *block = pages_get(bytes);
        cr_assert(aligned(block, 64), "%zu bytes", bytes);
        memset(block, 1, bytes);
        free(block);
    }
    void *wide = pages_get_aligned(100, 4096);
    cr_assert(aligned(wide, 4096));
    free(wide);
}

Test(pages, large_blocks_begin_a_huge_page)
{
    const size_t sizes[] = {PAGES_HUGE, PAGES_HUGE + 1, 3 * (size_t)PAGES_HUGE - 1};
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        char *block = pages_get(sizes[n]);
        cr_assert(aligned(block, PAGES_HUGE), "%zu bytes", sizes[n]);
        block[0] = block[sizes[n] - 1] = 1;
        free(block);
    }
}

Test(pages, more_than_there_can_be_is_refused)
{
    cr_assert_null(pages_get(SIZE_MAX));
    cr_assert_null(pages_get(SIZE_MAX - PAGES_HUGE));
}

/* 1 when the mapping that holds `block` carries the flag "hg", which the advice sets; -1 when the kernel does not
   tell. */
static int is_advised(const void *block)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    int inside = 0, found = -1;
    if (!file)
        return -1;
    while (found < 0 && fgets(line, sizeof line, file)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)block >= from && (uintptr_t)block < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, " hg") != NULL;
    }
    fclose(file);
    return found;
}

Test(pages, large_blocks_ask_for_huge_pages)
{
    char *block = pages_get(4 * (size_t)PAGES_HUGE);
    cr_assert_not_null(block);
    memset(block, 1, 4 * (size_t)PAGES_HUGE);
    const int advised = is_advised(block);
    if (advised < 0 || pages_huge_bytes() < 0)
        cr_skip_test("the kernel does not tell");
    cr_assert_eq(advised, 1);
    free(block);
}
