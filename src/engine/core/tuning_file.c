/* The tuning file: `key value` lines with # comments. Its header (format, library, cpu, isa, date) says what it was made
   for; a file made for something else is of no use and is ignored as a whole, as is one with a line that cannot be read:
   half of a tuning is not what was measured. Nothing here allocates. */
#include "core/tuning.h"

#include "core/cpu.h"
#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------ writing */

typedef struct text {
    char *out;
    size_t n, used;
} text;

static void add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(text *t, const char *format, ...)
{
    va_list list;
    int n;
    va_start(list, format);
    n = vsnprintf(t->used < t->n ? t->out + t->used : NULL, t->used < t->n ? t->n - t->used : 0, format, list);
    va_end(list);
    t->used += n > 0 ? (size_t)n : 0;
}

size_t fv_tuning_write(const fv_tuning *tuning, const char *isa, const char *date, char *out, size_t n)
{
    text t = {out, n, 0};
    char value[64];
    add(&t, "# fovea tuning, read when a context is made; made by `fovea tune`, yours to edit. Ignored on another CPU, with\n"
            "# another version of the library or another instruction set. FOVEA_TUNING=off ignores it too.\n"
            "format %d\nlibrary %s\ncpu %s\nisa %s\ndate %s\n",
        FV_TUNING_FORMAT, fovea_version(), fv_cpu_name(), isa, date);
    for (int i = 0; i < FV_TUNINGS; i++) {
        const fovea_tuning_key *row = &fv_tuning_key[i];
        add(&t, "\n# %s", row->help);
        if (row->words)
            add(&t, "; %s\n", row->words);
        else
            add(&t, "; %.15g..%.15g%s%s, default %.15g\n", row->min, row->max, *row->unit ? " " : "", row->unit,
                row->standard);
        fv_tuning_value_text(i, tuning->value[i], value, sizeof value);
        add(&t, "%s %s\n", row->name, value);
    }
    return t.used;
}

/* ------------------------------------------------------------------ reading */

enum { FORMAT, LIBRARY, CPU, ISA, DATE, HEADERS };
static const char *const header_name[HEADERS] = {"format", "library", "cpu", "isa", "date"};

typedef struct reading {
    fv_tuning tuning;
    const char *name, *isa;
    unsigned long line;
    unsigned headers, keys; /* bit sets of what was seen */
    char differs[200];      /* first difference between what the file was made for and what there is */
} reading;

static void compare(reading *r, const char *what, const char *theirs, const char *ours)
{
    if (strcmp(theirs, ours) && !r->differs[0])
        snprintf(r->differs, sizeof r->differs, "made for %s \"%.60s\", this is \"%.60s\"", what, theirs, ours);
}

static fovea_status read_header(reading *r, int header, const char *value, const char *where, fovea_error *err)
{
    char format[16];
    if (r->headers >> header & 1)
        return fv_error_set(err, FOVEA_ERROR_TUNING, "%s: %s is \"%.40s\", given a second time; allowed: once", where,
                            header_name[header], value);
    r->headers |= 1u << header;
    if (header == FORMAT) {
        snprintf(format, sizeof format, "%d", FV_TUNING_FORMAT);
        compare(r, "format", value, format);
    }
    if (header == LIBRARY)
        compare(r, "library", value, fovea_version());
    if (header == CPU)
        compare(r, "cpu", value, fv_cpu_name());
    if (header == ISA)
        compare(r, "instruction set", value, r->isa);
    return FOVEA_OK;
}

/* One line, without its newline; blanks at both ends are gone. */
static fovea_status read_line(reading *r, char *line, fovea_error *err)
{
    char where[FV_TUNING_SOURCE + 32], *value;
    fovea_status status;
    int key;
    if (!*line || *line == '#')
        return FOVEA_OK;
    snprintf(where, sizeof where, "%s, line %lu", r->name, r->line);
    value = line + strcspn(line, " \t");
    if (!*value)
        return fv_error_set(err, FOVEA_ERROR_TUNING, "%s: \"%.40s\" has no value; allowed: key value", where, line);
    *value++ = 0;
    value += strspn(value, " \t");
    for (int i = 0; i < HEADERS; i++)
        if (!strcmp(line, header_name[i]))
            return read_header(r, i, value, where, err);
    if (r->differs[0]) /* keys of another version need not be ours */
        return FOVEA_OK;
    if (r->headers != (1u << HEADERS) - 1)
        return fv_error_set(err, FOVEA_ERROR_TUNING,
                            "%s: %s is \"%.40s\" before the header; allowed: format, library, cpu, isa and date come first",
                            where, line, value);
    status = fv_tuning_set(&r->tuning, line, value, where, err);
    if (status)
        return status;
    key = fv_tuning_find(line);
    if (r->keys >> key & 1)
        return fv_error_set(err, FOVEA_ERROR_TUNING, "%s: %s is \"%.40s\", given a second time; allowed: once", where, line,
                            value);
    r->keys |= 1u << key;
    return FOVEA_OK;
}

fovea_status fv_tuning_read(fv_tuning *tuning, const char *isa, const char *name, const char *bytes, size_t n,
                            fovea_error *err)
{
    reading r = {.name = name, .isa = isa};
    char line[256];
    fv_tuning_defaults(&r.tuning);
    for (size_t at = 0; at < n;) {
        const char *end = memchr(bytes + at, '\n', n - at);
        size_t length = end ? (size_t)(end - (bytes + at)) : n - at, skip;
        fovea_status status;
        r.line++;
        if (length >= sizeof line || memchr(bytes + at, 0, length))
            return fv_error_set(err, FOVEA_ERROR_TUNING, "%s, line %lu: %zu bytes%s; allowed: text of at most %zu bytes a line",
                                name, r.line, length, length >= sizeof line ? "" : " with a 0 among them", sizeof line - 1);
        memcpy(line, bytes + at, length);
        at += length + 1;
        while (length && strchr(" \t\r", line[length - 1]))
            length--;
        line[length] = 0;
        skip = strspn(line, " \t");
        status = read_line(&r, line + skip, err);
        if (status)
            return status;
    }
    if (r.differs[0])
        return fv_error_set(err, FOVEA_ERROR_ISA, "%s: %s", name, r.differs);
    if (r.headers != (1u << HEADERS) - 1)
        return fv_error_set(err, FOVEA_ERROR_TUNING,
                            "%s, line %lu: the file ends before its header does; allowed: format, library, cpu, isa and date",
                            name, r.line);
    memcpy(tuning->value, r.tuning.value, sizeof tuning->value);
    return FOVEA_OK;
}

/* ------------------------------------------------------------------ finding */

void fv_tuning_path(const char *option, char path[FV_TUNING_SOURCE], int *asked)
{
    const char *given = option ? option : getenv("FOVEA_TUNING"), *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n = 0;
    *asked = given != NULL;
    if (given)
        n = snprintf(path, FV_TUNING_SOURCE, "%s", strcmp(given, "off") ? given : "");
    else if (folder && folder[0] == '/') /* its specification: a relative path is to be ignored */
        n = snprintf(path, FV_TUNING_SOURCE, "%s/fovea/tuning", folder);
    else if (home && home[0])
        n = snprintf(path, FV_TUNING_SOURCE, "%s/.config/fovea/tuning", home);
    if (n <= 0)
        path[0] = 0;
}

/* Bytes read, or -1 with the reason in *why and *missing telling whether it was only not there. A FIFO must not stop us. */
static ptrdiff_t read_file(const char *path, char bytes[FV_TUNING_FILE_MOST + 1], const char **why, int *missing)
{
    struct stat st;
    ptrdiff_t n = 0, got = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *missing = fd < 0 && (errno == ENOENT || errno == ENOTDIR);
    *why = *missing ? "there is no such file" : "it cannot be opened";
    if (fd < 0)
        return -1;
    *why = "it is not a regular file";
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        got = -1;
    while (got > 0 && n <= FV_TUNING_FILE_MOST) {
        got = read(fd, bytes + n, (size_t)(FV_TUNING_FILE_MOST + 1 - n));
        if (got < 0)
            *why = "it cannot be read";
        n += got > 0 ? got : 0;
    }
    close(fd);
    if (got >= 0 && n > FV_TUNING_FILE_MOST) {
        *why = "it has more than 16384 bytes";
        return -1;
    }
    return got < 0 ? -1 : n;
}

int fv_tuning_load(fv_tuning *tuning, const char *option, const char *isa)
{
    char path[FV_TUNING_SOURCE], bytes[FV_TUNING_FILE_MOST + 1];
    const char *why;
    fovea_error err = {FOVEA_OK, ""};
    int asked, missing;
    ptrdiff_t n;
    fv_tuning_defaults(tuning);
    fv_tuning_path(option, path, &asked);
    if (!path[0])
        return -1;
    n = read_file(path, bytes, &why, &missing);
    if (n < 0 && missing && !asked)
        return -1;
    if (n < 0)
        fv_error_set(&err, FOVEA_ERROR_FILE, "%.400s: %s", path, why);
    else if (fv_tuning_read(tuning, isa, path, bytes, (size_t)n, &err) == FOVEA_OK) {
        memcpy(tuning->source, path, sizeof tuning->source);
        return 2;
    }
    tuning->status = err.status;
    snprintf(tuning->note, sizeof tuning->note, "tuning file ignored, defaults are used: %.460s", err.text);
    return 1;
}
