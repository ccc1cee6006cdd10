/* A folder of its own for each test of files, under TMPDIR, and what those tests ask of it. */
#ifndef FV_TESTS_IO_FOLDER_H
#define FV_TESTS_IO_FOLDER_H
#include "io/tensor.h"

void folder_open(void);  /* .init of a test suite */
void folder_close(void); /* .fini: removes everything */
/* Path of a file in the folder; valid until the eighth call after this one. */
const char *folder_path(const char *name);
unsigned folder_files(void); /* entries, hidden ones too */

void folder_put(const char *path, const void *data, size_t bytes);
/* Contents, to be freed. */
unsigned char *folder_get(const char *path, size_t *bytes);
/* A FIFO into which a process of its own writes data and, when `endless`, zeros until the reader goes away. */
void folder_feed(const char *path, const void *data, size_t bytes, int endless);

/* A failure's line: one line, printable, names the file, contains `expected`. */
void expect_line(const char *why, const char *path, const char *expected);
/* A tensor that was read from a damaged file with success: its fields must agree and its data be readable. */
void expect_sound(const tensor *t);
void expect_empty(const tensor *t);
#endif
