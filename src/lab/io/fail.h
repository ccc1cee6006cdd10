/* The one line about a file that cannot be used. It is "PATH: what is wrong; what is allowed", always printable and
   without a line break, whatever bytes a stranger's file or path put into it. */
#ifndef FV_LAB_IO_FAIL_H
#define FV_LAB_IO_FAIL_H

/* Both fill why[IO_TEXT] and return the exit code. */
int io_fail(char *why, int code, const char *path, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* For a failed system call: `what` could not be done because of errno value `error`. Exhausted memory, disk, quota or
   descriptors give IO_RESOURCE, all else IO_INVALID. */
int io_fail_system(char *why, const char *path, const char *what, int error);
#endif
