/* Tab separated tables; see tsv.h. */
#define _GNU_SOURCE
#include "io/tsv.h"
#include "io/fail.h"
#include "io/tensor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_whole(const char *path, tsv *t, char *why)
{
    FILE *f = fopen(path, "rb");
    size_t n = 0;
    if (f == NULL)
        return io_fail_system(why, path, "cannot open", errno);
    /* A file without a zero byte is read whole by one getdelim; with one it is no text. */
    const ssize_t got = getdelim(&t->text, &n, 0, f);
    const int more = got > 0 && strlen(t->text) != (size_t)got;
    fclose(f);
    if (got > 0 && !more)
        return IO_OK;
    return io_fail(why, IO_INVALID, path, "is %s", more ? "not a text file" : "empty");
}

/* at[n]: which cell of a line holds column n. The first column that the heading lacks, or NULL. */
static const char *read_heading(char *line, const char *const *name, unsigned columns, int *at)
{
    int cell = 0;
    for (unsigned n = 0; n < columns; n++)
        at[n] = -1;
    for (char *word; (word = strsep(&line, "\t")) != NULL; cell++)
        for (unsigned n = 0; n < columns; n++)
            if (strcmp(word, name[n]) == 0)
                at[n] = cell;
    for (unsigned n = 0; n < columns; n++)
        if (at[n] < 0)
            return name[n];
    return NULL;
}

static void split_line(char *line, const int *at, unsigned columns, char **cell)
{
    static char none[] = "";
    int number = 0;
    for (unsigned n = 0; n < columns; n++)
        cell[n] = none;
    for (char *word; (word = strsep(&line, "\t")) != NULL; number++)
        for (unsigned n = 0; n < columns; n++)
            if (at[n] == number)
                cell[n] = word;
}

static size_t count_lines(const char *text)
{
    size_t lines = 1;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static int split(const char *path, const char *const *name, int *at, tsv *t, char *why)
{
    char *rest = t->text;
    int number = 0, heading = 0;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        number++;
        line[strcspn(line, "\r")] = 0;
        if (line[0] == '#' || line[0] == 0)
            continue;
        if (!heading) {
            const char *lacks = read_heading(line, name, t->columns, at);
            if (lacks)
                return io_fail(why, IO_INVALID, path, "line %d: the heading lacks the column '%s'",
                               number, lacks);
            heading = 1;
            continue;
        }
        split_line(line, at, t->columns, t->cell + t->rows * t->columns);
        t->line[t->rows++] = number;
    }
    return heading ? IO_OK : io_fail(why, IO_INVALID, path, "has no heading");
}

int tsv_read(const char *path, const char *const *name, unsigned columns, tsv *t, char *why)
{
    *t = (tsv){.columns = columns};
    int code = read_whole(path, t, why);
    if (code == IO_OK) {
        const size_t lines = count_lines(t->text);
        int *at = calloc(columns + 1u, sizeof *at);
        t->cell = calloc(lines * columns + 1, sizeof *t->cell);
        t->line = calloc(lines + 1, sizeof *t->line);
        code = at && t->cell && t->line
                   ? split(path, name, at, t, why)
                   : io_fail(why, IO_RESOURCE, path, "no memory for its %zu lines", lines);
        free(at);
    }
    if (code != IO_OK)
        tsv_free(t);
    return code;
}

void tsv_free(tsv *t)
{
    free(t->text);
    free(t->cell);
    free(t->line);
    *t = (tsv){0};
}

char *tsv_cell(const tsv *t, size_t row, unsigned column)
{
    return t->cell[row * t->columns + column];
}

int tsv_is_empty(const char *cell)
{
    return cell[0] == 0 || strcmp(cell, "-") == 0;
}
