/* Where tensors live: the one allocator for q, k, v, outputs, workspace and the block that read bandwidth is
   measured on.

   Blocks of 2 MiB and more begin at a multiple of 2 MiB and ask the kernel for huge pages where it has madvise
   for it. Otherwise every few rows of keys touch a new page, and the walk for it is time that the kernels are
   then blamed for: on a machine with AVX-512, 4 KiB pages cost dense prefill at d = 64 a point of the peak and a
   decode step over 32k keys 2 to 5 %. So figures of this tool are with huge pages wherever the kernel grants
   them. */
#ifndef FV_LAB_IO_PAGES_H
#define FV_LAB_IO_PAGES_H
#include <stddef.h>

enum { PAGES_HUGE = 1 << 21 };

/* At least `bytes` bytes (0 gives a block too), aligned to `alignment` (a power of two, raised to 64); NULL without
   memory. free() gives it back. */
void *pages_get_aligned(size_t bytes, size_t alignment);
/* The same, aligned to 64. */
void *pages_get(size_t bytes);

/* Bytes of this process that lie on huge pages now, as the kernel counts them; -1 when it does not say. */
double pages_huge_bytes(void);
#endif
