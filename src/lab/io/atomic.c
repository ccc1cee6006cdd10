/* Output files that appear whole or not at all. */
#include "io/atomic.h"
#include "io/fail.h"
#include "io/tensor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux writes at most 0x7ffff000 bytes per call anyway. */
static const size_t largest_write = (size_t)1 << 30;

/* The descriptor that a path names outright, or -1. Opening such a path again would lose the file's position. */
static int named_descriptor(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    if (!strcmp(path, "/dev/stdout"))
        return STDOUT_FILENO;
    if (!strcmp(path, "/dev/stderr"))
        return STDERR_FILENO;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        size_t n = strlen(folders[i]);
        if (!strncmp(path, folders[i], n) && path[n] >= '0' && path[n] <= '9') {
            char *end;
            long fd = strtol(path + n, &end, 10);
            return *end || fd > 65535 ? -1 : (int)fd;
        }
    }
    return -1;
}

static int open_through(atomic_file *f, int fd, char *why)
{
    f->fd = fd >= 0 ? dup(fd) : open(f->path, O_WRONLY | O_CLOEXEC);
    if (f->fd < 0)
        return io_fail_system(why, f->path, "cannot be opened for writing", errno);
    return IO_OK;
}

/* Creates the temporary file beside f->target. Its name is short and its own, so that any legal target has room. */
static int open_temporary(atomic_file *f, char *why)
{
    const char *slash = strrchr(f->target, '/');
    int folder = slash ? (int)(slash - f->target) + 1 : 0;
    size_t room = (size_t)folder + 64;
    f->temporary = malloc(room);
    if (!f->temporary)
        return io_fail_system(why, f->path, "cannot be created", ENOMEM);
    for (unsigned n = 0; n < 1000; n++) {
        snprintf(f->temporary, room, "%.*s.fovea-%ld-%u.tmp", folder, f->target, (long)getpid(), n);
        f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0)
            return IO_OK;
        if (errno != EEXIST)
            break;
    }
    int error = errno;
    free(f->temporary); /* not ours to unlink */
    f->temporary = NULL;
    return io_fail_system(why, f->path, "its folder takes no new file", error);
}

/* A path that exists: decides by what it is. */
static int open_existing(atomic_file *f, const struct stat *st, char *why)
{
    if (S_ISDIR(st->st_mode))
        return io_fail(why, IO_INVALID, f->path, "is a directory; an output must be a file");
    if (S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode))
        return open_through(f, -1, why);
    if (!S_ISREG(st->st_mode))
        return io_fail(why, IO_INVALID, f->path, "is a socket or block device; allowed: file, FIFO, character device");
    if (faccessat(AT_FDCWD, f->path, W_OK, AT_EACCESS))
        return io_fail_system(why, f->path, "cannot be overwritten", errno);
    struct stat link;
    int linked = !lstat(f->path, &link) && S_ISLNK(link.st_mode);
    f->target = linked ? realpath(f->path, NULL) : strdup(f->path);
    if (!f->target)
        return io_fail_system(why, f->path, "cannot be overwritten", errno);
    int code = open_temporary(f, why);
    if (code == IO_OK && fchmod(f->fd, st->st_mode & 0777))
        code = io_fail_system(why, f->path, "its permissions cannot be kept", errno);
    return code;
}

static int open_new(atomic_file *f, char *why)
{
    struct stat st;
    size_t n = strlen(f->path);
    if (!n || f->path[n - 1] == '/')
        return io_fail(why, IO_INVALID, f->path, "has no file name");
    if (!lstat(f->path, &st))
        return io_fail(why, IO_INVALID, f->path, "is a symbolic link to a file that does not exist");
    f->target = strdup(f->path);
    if (!f->target)
        return io_fail_system(why, f->path, "cannot be created", ENOMEM);
    return open_temporary(f, why);
}

int atomic_open(atomic_file *f, const char *path, char *why)
{
    struct stat st;
    int code;
    *f = (atomic_file){.path = path, .fd = -1};
    int fd = named_descriptor(path);
    if (fd >= 0)
        code = open_through(f, fd, why);
    else if (!stat(path, &st))
        code = open_existing(f, &st, why);
    else if (errno == ENOENT)
        code = open_new(f, why);
    else
        code = io_fail_system(why, path, "cannot be created", errno);
    if (code != IO_OK)
        atomic_cancel(f);
    return code;
}

/* A file size limit arrives as a signal that would end the process with the temporary file left; ignored, it becomes
   EFBIG. Returns 0 or an errno value. */
static int write_all(int fd, const char *data, size_t bytes)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    int error = 0;
    sigaction(SIGXFSZ, &ignore, &before);
    while (bytes && !error) {
        ssize_t put = write(fd, data, bytes < largest_write ? bytes : largest_write);
        if (put < 0) {
            error = errno == EINTR ? 0 : errno;
        } else {
            data += put;
            bytes -= (size_t)put;
        }
    }
    sigaction(SIGXFSZ, &before, NULL);
    return error;
}

int atomic_write(atomic_file *f, const void *data, size_t bytes, char *why)
{
    int error = write_all(f->fd, data, bytes);
    if (!error)
        return IO_OK;
    atomic_cancel(f);
    return io_fail_system(why, f->path, "cannot be written", error);
}

int atomic_commit(atomic_file *f, char *why)
{
    int failed = close(f->fd); /* some file systems report a full disk only here */
    f->fd = -1;
    if (!failed && f->temporary)
        failed = rename(f->temporary, f->target);
    if (failed) {
        int error = errno;
        atomic_cancel(f);
        return io_fail_system(why, f->path, "cannot be written", error);
    }
    free(f->temporary);
    f->temporary = NULL;
    atomic_cancel(f);
    return IO_OK;
}

void atomic_cancel(atomic_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->temporary)
        unlink(f->temporary);
    free(f->temporary);
    free(f->target);
    f->temporary = f->target = NULL;
    f->fd = -1;
}
