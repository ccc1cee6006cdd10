/* The bytes of an input file. */
#include "io/bytes.h"
#include "io/fail.h"
#include "io/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Below this a read is cheaper than a mapping and its page faults. */
enum { MAP_FROM = 64 * 1024 };

int bytes_open(bytes *b, const char *path, char *why)
{
    struct stat st;
    *b = (bytes){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (b->fd < 0)
        return io_fail_system(why, path, "cannot be opened", errno);
    if (fstat(b->fd, &st)) {
        int error = errno;
        bytes_close(b);
        return io_fail_system(why, path, "cannot be examined", error);
    }
    if (S_ISDIR(st.st_mode)) {
        bytes_close(b);
        return io_fail(why, IO_INVALID, path, "is a directory, not a file");
    }
    if (!S_ISREG(st.st_mode) || st.st_size < MAP_FROM || (uintmax_t)st.st_size > PTRDIFF_MAX)
        return IO_OK;
    /* File systems without mappings exist; reading serves them. */
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, b->fd, 0);
    if (map != MAP_FAILED) {
        close(b->fd);
        b->fd = -1;
        b->data = map;
        b->count = b->capacity = (size_t)st.st_size;
        b->mapped = 1;
    }
    return IO_OK;
}

/* Grows with what has arrived, not with what was promised, and never beyond upto: with end_stream that makes each read
   beyond count a heap overflow, which a sanitizer sees. */
static int grow(bytes *b, size_t upto)
{
    size_t capacity = upto;
    if (upto - b->count > MAP_FROM)
        capacity = b->capacity < MAP_FROM ? MAP_FROM : b->capacity * 2;
    if (capacity > upto)
        capacity = upto;
    unsigned char *data = realloc(b->data, capacity);
    if (!data)
        return -1;
    b->data = data;
    b->capacity = capacity;
    return 0;
}

/* Gives back what no byte arrived for. */
static void end_stream(bytes *b)
{
    unsigned char *data = b->count ? realloc(b->data, b->count) : NULL;
    if (data) {
        b->data = data;
        b->capacity = b->count;
    }
    close(b->fd);
    b->fd = -1;
}

int bytes_need(bytes *b, size_t upto, char *why)
{
    while (b->fd >= 0 && b->count < upto) {
        if (b->count == b->capacity && grow(b, upto))
            return io_fail(why, IO_RESOURCE, b->path, "no memory for more than %zu bytes of it", b->count);
        ssize_t got = read(b->fd, b->data + b->count, b->capacity - b->count);
        if (got > 0) {
            b->count += (size_t)got;
        } else if (got == 0) {
            end_stream(b);
        } else if (errno != EINTR) {
            return io_fail_system(why, b->path, "cannot be read", errno);
        }
    }
    return IO_OK;
}

int bytes_give(bytes *b, size_t offset, tensor *t, char *why)
{
    size_t element = tensor_type_bytes(t->type);
    if (t->bytes && (uintptr_t)(b->data + offset) % element == 0) {
        t->data = b->data + offset;
        t->block = b->data;
        t->block_bytes = b->capacity;
        t->mapped = b->mapped;
        b->data = NULL;
        bytes_close(b);
        return IO_OK;
    }
    size_t room = t->bytes ? t->bytes : 1;
    void *copy = pages_get(room);
    if (!copy) {
        int code = io_fail(why, IO_RESOURCE, b->path, "no memory for %zu bytes of tensor data", room);
        bytes_close(b);
        *t = (tensor){0};
        return code;
    }
    if (t->bytes)
        memcpy(copy, b->data + offset, t->bytes);
    t->data = t->block = copy;
    t->block_bytes = room;
    t->mapped = 0;
    bytes_close(b);
    return IO_OK;
}

void bytes_close(bytes *b)
{
    if (b->data && b->mapped)
        munmap(b->data, b->capacity);
    else
        free(b->data);
    if (b->fd >= 0)
        close(b->fd);
    *b = (bytes){.path = b->path, .fd = -1};
}
