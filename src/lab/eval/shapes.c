/* Named shapes from shapes.tsv (io/tsv.h). Contract in shapes.h. */
#define _GNU_SOURCE
#include "eval/shapes.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FOVEA_DATADIR
#define FOVEA_DATADIR "/usr/local/share/fovea"
#endif

enum { EXIT_INVALID = 3, EXIT_NO_MEMORY = 4, PATH_ROOM = 1024, FOLDERS = 8 };

static int fail(char *why, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int fail(char *why, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, SHAPES_TEXT, format, args);
    va_end(args);
    return code;
}

/* ---------------------------------------------------------------- where data files live */

/* Folder of the running executable, without a slash at the end; 1 when known. */
static int executable_folder(char *out, size_t n)
{
    ssize_t got = readlink("/proc/self/exe", out, n - 1);
    if (got <= 0)
        return 0;
    out[got] = 0;
    char *slash = strrchr(out, '/');
    if (slash == NULL)
        return 0;
    *slash = 0;
    return 1;
}

static unsigned data_folders(char folder[FOLDERS][PATH_ROOM])
{
    char exe[PATH_ROOM / 2], above[PATH_ROOM / 2];
    const char *given = getenv("FOVEA_DATA");
    unsigned n = 0;
    if (given != NULL && *given) {
        snprintf(folder[0], PATH_ROOM, "%s", given);
        snprintf(folder[1], PATH_ROOM, "%s/src/lab/eval", given);
        return 2;
    }
    if (executable_folder(exe, sizeof exe)) {
        snprintf(folder[n++], PATH_ROOM, "%s", exe);
        snprintf(folder[n++], PATH_ROOM, "%s/src/lab/eval", exe);
        snprintf(above, sizeof above, "%s", exe);
        char *slash = strrchr(above, '/');
        if (slash != NULL)
            *slash = 0;
        snprintf(folder[n++], PATH_ROOM, "%s", above);
        snprintf(folder[n++], PATH_ROOM, "%s/src/lab/eval", above);
        snprintf(folder[n++], PATH_ROOM, "%s/share/fovea", above);
    }
    snprintf(folder[n++], PATH_ROOM, "%s", FOVEA_DATADIR);
    return n;
}

void shapes_data_folders(char *out, size_t n)
{
    char folder[FOLDERS][PATH_ROOM];
    unsigned count = data_folders(folder);
    size_t used = 0;
    for (unsigned f = 0; f < count && used < n; f++)
        used += (size_t)snprintf(out + used, n - used, "%s%s", f ? ", " : "", folder[f]);
}

int shapes_data_path(const char *file, char *path, size_t n, char *why)
{
    char folder[FOLDERS][PATH_ROOM], tried[SHAPES_TEXT / 2];
    unsigned count = data_folders(folder);
    for (unsigned f = 0; f < count; f++) {
        if ((size_t)snprintf(path, n, "%s/%s", folder[f], file) < n && access(path, R_OK) == 0)
            return 1;
    }
    shapes_data_folders(tried, sizeof tried);
    *path = 0;
    fail(why, 0, "%s not found in %s; set FOVEA_DATA to the folder that holds it", file, tried);
    return 0;
}

/* ---------------------------------------------------------------- cells */

static int read_count(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    int64_t unit = *end == 'k' ? 1024 : *end == 'm' ? 1048576 : 1;
    end += unit != 1;
    return *text >= '0' && *text <= '9' && errno == 0 && *end == 0 &&
           !__builtin_mul_overflow((int64_t)n, unit, value);
}

/* A positive number, or 0 for an empty cell; 1 when it is one. */
static int read_positive(const char *text, double *value)
{
    char *end;
    *value = 0;
    if (tsv_is_empty(text))
        return 1;
    *value = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*value) && *value > 0;
}

static int read_dtype(const char *text, fovea_dtype *dtype)
{
    static const char *const names[] = {"f32", "bf16", "f16"};
    for (unsigned n = 0; n < 3; n++) {
        if (strcmp(text, names[n]) == 0) {
            *dtype = (fovea_dtype)n;
            return 1;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- rows */

enum {
    NAME,
    SECTION,
    WHAT,
    BATCH,
    HQ,
    HKV,
    LQ,
    LK,
    D,
    DV,
    DTYPE,
    MASK,
    WINDOW,
    SINK,
    SOFTCAP,
    SCALE,
    CALLS,
    SOURCE,
    SETS,
    COLUMNS
};
static const char *const column_names[COLUMNS] = {
    "name",  "section", "what",   "batch", "hq",      "hkv",   "lq",    "lk",     "d",   "dv",
    "dtype", "mask",    "window", "sink",  "softcap", "scale", "calls", "source", "sets"};

static int shape_is_sound(const shape *row)
{
    return row->batch >= 1 && row->hq >= 1 && row->hkv >= 1 && row->hq % row->hkv == 0 &&
           row->d >= 1 && row->dv >= 1;
}

/* NULL, or the name of the column that cannot be read. */
static const char *read_row(char *const *cell, shape *row)
{
    int64_t *const counts[] = {&row->batch, &row->hq, &row->hkv, &row->lq,
                               &row->lk,    &row->d,  &row->dv};
    row->name = cell[NAME];
    row->section = cell[SECTION];
    row->what = cell[WHAT];
    row->mask = cell[MASK];
    row->causal = strcmp(cell[MASK], "causal") == 0;
    row->source = cell[SOURCE];
    row->sets = tsv_is_empty(cell[SETS]) ? "" : cell[SETS];
    for (int n = BATCH; n <= DV; n++)
        if (!read_count(cell[n], counts[n - BATCH]))
            return column_names[n];
    if (tsv_is_empty(row->name))
        return column_names[NAME];
    if (!read_dtype(cell[DTYPE], &row->dtype))
        return column_names[DTYPE];
    row->window = 0;
    if (!tsv_is_empty(cell[WINDOW]) && !read_count(cell[WINDOW], &row->window))
        return column_names[WINDOW];
    row->calls = 0;
    if (!tsv_is_empty(cell[CALLS]) && !read_count(cell[CALLS], &row->calls))
        return column_names[CALLS];
    row->sink = !tsv_is_empty(cell[SINK]);
    if (!read_positive(cell[SOFTCAP], &row->softcap))
        return column_names[SOFTCAP];
    if (!read_positive(cell[SCALE], &row->scale))
        return column_names[SCALE];
    return shape_is_sound(row) ? NULL : column_names[HQ];
}

int shapes_read(const char *path, shapes *s, char *why)
{
    memset(s, 0, sizeof *s);
    int code = tsv_read(path, column_names, COLUMNS, &s->file, why);
    if (code == 0 && s->file.rows == 0)
        code = fail(why, EXIT_INVALID, "%s: holds no shape", path);
    if (code == 0 && !(s->row = calloc(s->file.rows, sizeof *s->row)))
        code = fail(why, EXIT_NO_MEMORY, "%s: no memory for its rows", path);
    for (size_t n = 0; code == 0 && n < s->file.rows; n++) {
        shape row;
        char *const *cell = s->file.cell + n * COLUMNS;
        const char *bad = read_row(cell, &row);
        if (bad != NULL)
            code = fail(why, EXIT_INVALID, "%s:%d: column '%s' of shape '%s' cannot be read", path,
                        s->file.line[n], bad, cell[NAME]);
        else if (shapes_find(s, row.name) != NULL)
            code = fail(why, EXIT_INVALID, "%s:%d: shape '%s' is there twice", path, s->file.line[n],
                        row.name);
        else
            s->row[s->count++] = row;
    }
    if (code != 0)
        shapes_free(s);
    return code;
}

int shapes_load(shapes *s, char *why)
{
    char path[PATH_ROOM];
    memset(s, 0, sizeof *s);
    if (!shapes_data_path("shapes.tsv", path, sizeof path, why))
        return EXIT_INVALID;
    return shapes_read(path, s, why);
}

void shapes_free(shapes *s)
{
    free(s->row);
    tsv_free(&s->file);
    memset(s, 0, sizeof *s);
}

const shape *shapes_find(const shapes *s, const char *name)
{
    for (size_t n = 0; n < s->count; n++)
        if (strcmp(s->row[n].name, name) == 0)
            return &s->row[n];
    return NULL;
}

int shapes_in_set(const shape *row, const char *set)
{
    size_t n = strlen(set);
    for (const char *at = row->sets; *at;) {
        size_t m = strcspn(at, ",");
        if (m == n && memcmp(at, set, n) == 0)
            return 1;
        at += m;
        at += strspn(at, ", ");
    }
    return 0;
}

const char **shapes_names(const shapes *s)
{
    const char **names = calloc(s->count + 1, sizeof *names);
    for (size_t n = 0; names != NULL && n < s->count; n++)
        names[n] = s->row[n].name;
    return names;
}

int shapes_parse(const char *text, shape *row)
{
    int64_t number[7];
    char copy[256], *rest = copy;
    int count = 0;
    if (strlen(text) >= sizeof copy)
        return 0;
    strcpy(copy, text);
    for (char *word; (word = strsep(&rest, ",")) != NULL; count++)
        if (count == 7 || !read_count(word, &number[count]))
            return 0;
    if (count < 6)
        return 0;
    *row = (shape){.name = "",
                   .section = "",
                   .what = "",
                   .mask = "",
                   .source = "",
                   .sets = "",
                   .dtype = FOVEA_F32};
    row->batch = number[0];
    row->hq = number[1];
    row->hkv = number[2];
    row->lq = number[3];
    row->lk = number[4];
    row->d = number[5];
    row->dv = count == 7 ? number[6] : number[5];
    return shape_is_sound(row);
}
