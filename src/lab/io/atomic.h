/* Output files that appear whole or not at all: written under a temporary name in the same folder, then renamed. An
   existing file keeps its old contents until then, so reading from the file that is being replaced is fine. A symbolic
   link stays and its target is replaced. FIFOs, character devices and /dev/stdout, /dev/stderr, /dev/fd/N cannot be
   replaced: they are written through. Folders and block devices are refused. */
#ifndef FV_LAB_IO_ATOMIC_H
#define FV_LAB_IO_ATOMIC_H
#include <stddef.h>

typedef struct atomic_file {
    const char *path; /* as the user wrote it; borrowed */
    char *target;     /* links resolved */
    char *temporary;  /* NULL when written through */
    int fd;           /* -1 when closed */
} atomic_file;

/* Each returns IO_OK or an exit code with a line in why[IO_TEXT]; on failure the file is cancelled already. */
int atomic_open(atomic_file *f, const char *path, char *why);
int atomic_write(atomic_file *f, const void *data, size_t bytes, char *why);
int atomic_commit(atomic_file *f, char *why);
/* Drops everything written; nothing happens after commit or a failure. */
void atomic_cancel(atomic_file *f);
#endif
