/* The bytes of an input file. Large regular files are mapped read-only; small ones, pipes and devices are read, never
   further than a parser asks, so that an endless stream or an invented length costs no memory. A mapped file must not
   be shortened by somebody else while it is in use: the system then ends the process (SIGBUS). */
#ifndef FV_LAB_IO_BYTES_H
#define FV_LAB_IO_BYTES_H
#include "io/tensor.h"

typedef struct bytes {
    const char *path;    /* borrowed */
    unsigned char *data; /* read-only when mapped */
    size_t count;        /* bytes at data */
    size_t capacity;     /* of the allocation or the mapping */
    int mapped;
    int fd; /* of a stream that has not ended yet, else -1 */
} bytes;

int bytes_open(bytes *b, const char *path, char *why);
/* Loads until count >= upto or the file ends; the end is no failure, so compare count afterwards. Moves data. */
int bytes_need(bytes *b, size_t upto, char *why);
/* Makes t, whose type, rank, dim and bytes are set, own the bytes from `offset`, which must be there. Copies when they
   are not aligned to the element. b is closed either way; on failure t is empty. */
int bytes_give(bytes *b, size_t offset, tensor *t, char *why);
void bytes_close(bytes *b); /* twice is fine */
#endif
