/* Tables in text files: tab separated, '#' begins a comment line, the first other line names the columns in any
   order, and an empty cell is "" or "-". */
#ifndef FV_LAB_IO_TSV_H
#define FV_LAB_IO_TSV_H
#include <stddef.h>

typedef struct tsv {
    char *text;  /* what the cells point into */
    char **cell; /* [rows, columns], in the order of the names asked for */
    int *line;   /* [rows], counted from 1 */
    size_t rows;
    unsigned columns;
} tsv;

/* Reads the columns `name[0..columns-1]`, of which the heading must have all; others are passed over, and cells that a
   line lacks are "". A table may have no rows. 0, or the tool's exit code (3, 4) with one line in why[IO_TEXT]. */
int tsv_read(const char *path, const char *const *name, unsigned columns, tsv *t, char *why);
void tsv_free(tsv *t);

char *tsv_cell(const tsv *t, size_t row, unsigned column);
int tsv_is_empty(const char *cell);
#endif
