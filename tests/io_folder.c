/* A folder of its own for each test of files. */
#include "io_folder.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATHS = 8, PATH_ROOM = 800 };
static char folder[512];

void folder_open(void)
{
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/fovea-io-XXXXXX", root && *root ? root : "/tmp");
    cr_assert(mkdtemp(folder) != NULL, "no folder %s", folder);
}

void folder_close(void)
{
    DIR *d = opendir(folder);
    cr_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d));) {
        const char *path = folder_path(e->d_name);
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && unlink(path))
            rmdir(path);
    }
    closedir(d);
    cr_assert(!rmdir(folder), "%s is not empty", folder);
}

const char *folder_path(const char *name)
{
    static char paths[PATHS][PATH_ROOM];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH_ROOM, "%s/%s", folder, name);
    return path;
}

unsigned folder_files(void)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    cr_assert(d != NULL);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void put(int fd, const void *data, size_t bytes)
{
    cr_assert(write(fd, data, bytes) == (ssize_t)bytes);
}

void folder_put(const char *path, const void *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    cr_assert(fd >= 0, "cannot write %s", path);
    put(fd, data, bytes);
    close(fd);
}

unsigned char *folder_get(const char *path, size_t *bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    cr_assert(fd >= 0 && !fstat(fd, &st), "cannot read %s", path);
    unsigned char *data = malloc((size_t)st.st_size + 1);
    cr_assert(data && read(fd, data, (size_t)st.st_size) == st.st_size);
    close(fd);
    *bytes = (size_t)st.st_size;
    return data;
}

void folder_feed(const char *path, const void *data, size_t bytes, int endless)
{
    static const char zeros[4096];
    cr_assert(!mkfifo(path, 0600), "no FIFO %s", path);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child)
        return;
    signal(SIGPIPE, SIG_DFL);
    alarm(60); /* a test that fails before it opens the FIFO must not leave this process waiting */
    int fd = open(path, O_WRONLY);
    /* One byte at a time at first: the reader must not take a short read for the end. */
    for (size_t i = 0; i < bytes && i < 200; i++)
        if (write(fd, (const char *)data + i, 1) != 1)
            _exit(1);
    if (bytes > 200 && write(fd, (const char *)data + 200, bytes - 200) < 0)
        _exit(1);
    while (endless)
        if (write(fd, zeros, sizeof zeros) < 0)
            _exit(1);
    _exit(0);
}

void expect_line(const char *why, const char *path, const char *expected)
{
    size_t n = strlen(why);
    cr_assert(n > 0 && n < IO_TEXT);
    for (size_t i = 0; i < n; i++)
        cr_assert((unsigned char)why[i] >= ' ' && why[i] != 0x7f, "control character in '%s'", why);
    cr_assert(!strncmp(why, path, strlen(path)), "'%s' does not name %s", why, path);
    cr_assert(strstr(why, expected) != NULL, "'%s' lacks '%s'", why, expected);
}

void expect_sound(const tensor *t)
{
    size_t size = tensor_type_bytes(t->type);
    volatile unsigned char sum = 0;
    cr_assert(t->rank >= 0 && t->rank <= 8);
    for (int i = 0; i < t->rank; i++) {
        cr_assert(t->dim[i] >= 0);
        size *= (size_t)t->dim[i];
    }
    cr_assert(size == t->bytes, "shape needs %zu bytes, tensor has %zu", size, t->bytes);
    cr_assert(t->data != NULL && (uintptr_t)t->data % tensor_type_bytes(t->type) == 0);
    for (size_t i = 0; i < t->bytes; i++)
        sum = (unsigned char)(sum + ((const unsigned char *)t->data)[i]);
}

void expect_empty(const tensor *t)
{
    static const tensor empty;
    cr_assert(!t->data && !t->block && !t->bytes && !t->rank && t->type == empty.type && !t->mapped);
}
