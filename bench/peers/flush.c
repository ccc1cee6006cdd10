/* Cold caches for decoding rows: bytes of memory are pushed out line by line, or by reading a block larger than the caches. */
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <emmintrin.h>

void peer_flush(const void *at, size_t bytes)
{
    const char *p = at;
    for (size_t i = 0; i < bytes; i += 64)
        _mm_clflush(p + i);
    _mm_mfence();
}
#else
void peer_flush(const void *at, size_t bytes)
{
    (void)at;
    (void)bytes; /* no instruction for it: the worker streams instead, since peer_flushes says 0 */
}
#endif

int peer_flushes(void)
{
#if defined(__x86_64__)
    return 1;
#else
    return 0;
#endif
}

uint64_t peer_stream(const uint64_t *at, size_t bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes / 8; i += 8)
        sum += at[i];
    return sum;
}
