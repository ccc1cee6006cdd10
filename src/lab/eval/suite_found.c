/* Recorded figures by processor: limits-found.tsv; see suite.h. */
#include "eval/suite.h"

#include "io/atomic.h"
#include "io/tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPU, ROW, FIGURE, COLUMNS };
static const char *const column_names[COLUMNS] = {"cpu", "row", "figure"};

static const char head[] = "# Figures that `fovea bench --suite limits --record FILE` found, by "
                           "processor (vendor-family-model-stepping, numbers as\n"
                           "# /proc/cpuinfo has them). On a processor other than the one that the "
                           "goals of limits.tsv were set on, a row that falls\n"
                           "# short of its figure here has regressed. Written by the program; "
                           "record on a quiet machine, and say why in the commit.\n";

int suite_found_read(const char *path, suite_found *f, char *why)
{
    int code = tsv_read(path, column_names, COLUMNS, &f->file, why);
    for (size_t n = 0; code == 0 && n < f->file.rows; n++) {
        const char *text = tsv_cell(&f->file, n, FIGURE);
        char *end;
        const double value = strtod(text, &end);
        if (end != text && *end == 0 && isfinite(value))
            continue;
        snprintf(why, SHAPES_TEXT, "%s:%d: column 'figure' of row '%s' cannot be read", path,
                 f->file.line[n], tsv_cell(&f->file, n, ROW));
        code = IO_INVALID;
        suite_found_free(f);
        break;
    }
    return code;
}

void suite_found_free(suite_found *f)
{
    tsv_free(&f->file);
}

double suite_found_figure(const suite_found *f, const char *cpu, const char *row)
{
    for (size_t n = 0; n < f->file.rows; n++)
        if (strcmp(tsv_cell(&f->file, n, CPU), cpu) == 0 &&
            strcmp(tsv_cell(&f->file, n, ROW), row) == 0)
            return strtod(tsv_cell(&f->file, n, FIGURE), NULL);
    return NAN;
}

int suite_found_knows(const suite_found *f, const char *cpu)
{
    for (size_t n = 0; n < f->file.rows; n++)
        if (strcmp(tsv_cell(&f->file, n, CPU), cpu) == 0)
            return 1;
    return 0;
}

static int is_replaced(const char *name, const char *const *row, const double *figure, size_t count)
{
    for (size_t n = 0; n < count; n++)
        if (strcmp(row[n], name) == 0)
            return isfinite(figure[n]);
    return 0;
}

static void print_table(const suite_found *f, FILE *out, const char *cpu, const char *const *row,
                        const double *figure, size_t count)
{
    fprintf(out, "%scpu\trow\tfigure\n", head);
    for (size_t n = 0; n < f->file.rows; n++) {
        const char *of = tsv_cell(&f->file, n, CPU), *name = tsv_cell(&f->file, n, ROW);
        if (strcmp(of, cpu) != 0 || !is_replaced(name, row, figure, count))
            fprintf(out, "%s\t%s\t%s\n", of, name, tsv_cell(&f->file, n, FIGURE));
    }
    for (size_t n = 0; n < count; n++)
        if (isfinite(figure[n]))
            fprintf(out, "%s\t%s\t%.4g\n", cpu, row[n], figure[n]);
}

int suite_found_write(const suite_found *f, const char *path, const char *cpu,
                      const char *const *row, const double *figure, size_t count, char *why)
{
    char *text = NULL;
    size_t bytes = 0;
    atomic_file file;
    FILE *out = open_memstream(&text, &bytes);
    if (out)
        print_table(f, out, cpu, row, figure, count);
    if (!out || fclose(out) != 0) {
        snprintf(why, SHAPES_TEXT, "%.200s: no memory for its text", path);
        free(text);
        return IO_RESOURCE;
    }
    int code = atomic_open(&file, path, why);
    if (code == IO_OK)
        code = atomic_write(&file, text, bytes, why);
    if (code == IO_OK)
        code = atomic_commit(&file, why);
    free(text);
    return code;
}
