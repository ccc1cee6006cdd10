/* Tables of results: storage and the five printers. Contract in table.h. */
#include "report/table.h"
#include <assert.h>
#include <fovea/fovea.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct cell {
    json_t *value; /* NULL: never set */
    char *shown;   /* NULL: made from the value */
} cell;

struct table {
    const table_column *column;
    unsigned columns, rows, room;
    cell *cells;           /* rows x columns */
    unsigned char *strong; /* per row */
    char *remarks;         /* lines, each with its newline */
    int failed;            /* memory ran out while filling */
};

table *table_create(const table_column *columns, unsigned count)
{
    table *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->column = columns;
    t->columns = count;
    return t;
}

void table_free(table *t)
{
    if (t == NULL)
        return;
    for (size_t n = 0; n < (size_t)t->rows * t->columns; n++) {
        json_decref(t->cells[n].value);
        free(t->cells[n].shown);
    }
    free(t->cells);
    free(t->strong);
    free(t->remarks);
    free(t);
}

unsigned table_rows(const table *t)
{
    return t->rows;
}

void table_row(table *t)
{
    if (t->rows == t->room) {
        unsigned room = t->room ? 2 * t->room : 16;
        cell *cells = realloc(t->cells, (size_t)room * t->columns * sizeof *cells);
        if (cells != NULL)
            t->cells = cells;
        unsigned char *strong = realloc(t->strong, room);
        if (strong != NULL)
            t->strong = strong;
        if (cells == NULL || strong == NULL) {
            t->failed = 1;
            return;
        }
        t->room = room;
    }
    memset(t->cells + (size_t)t->rows * t->columns, 0, t->columns * sizeof *t->cells);
    t->strong[t->rows++] = 0;
}

static unsigned find_column(const table *t, const char *key)
{
    unsigned n = 0;
    while (n < t->columns && strcmp(t->column[n].key, key) != 0)
        n++;
    assert(n < t->columns);
    return n;
}

void table_value(table *t, const char *key, json_t *value, const char *shown)
{
    if (t->failed || t->rows == 0 || value == NULL) {
        t->failed = 1;
        json_decref(value);
        return;
    }
    cell *c = &t->cells[(size_t)(t->rows - 1) * t->columns + find_column(t, key)];
    json_decref(c->value);
    free(c->shown);
    c->value = value;
    c->shown = shown ? strdup(shown) : NULL;
    if (shown != NULL && c->shown == NULL)
        t->failed = 1;
}

void table_text(table *t, const char *key, const char *value)
{
    /* File names need not be UTF-8, JSON texts must be. */
    json_t *text = json_string(value);
    if (text == NULL)
        text = json_string("(not UTF-8)");
    table_value(t, key, text, NULL);
}

void table_real(table *t, const char *key, double value, const char *shown)
{
    if (isfinite(value))
        table_value(t, key, json_real(value), shown);
    else
        table_value(t, key, json_null(), shown ? shown : "-");
}

void table_integer(table *t, const char *key, int64_t value, const char *shown)
{
    table_value(t, key, json_integer(value), shown);
}

void table_flag(table *t, const char *key, int value)
{
    table_value(t, key, json_boolean(value), value ? "yes" : "no");
}

void table_null(table *t, const char *key, const char *shown)
{
    table_value(t, key, json_null(), shown ? shown : "-");
}

void table_remark(table *t, const char *text)
{
    size_t old = t->remarks ? strlen(t->remarks) : 0, add = strlen(text);
    char *all = realloc(t->remarks, old + add + 2);
    if (all == NULL) {
        t->failed = 1;
        return;
    }
    memcpy(all + old, text, add);
    memcpy(all + old + add, "\n", 2);
    t->remarks = all;
}

void table_emphasise(table *t)
{
    if (t->rows > 0)
        t->strong[t->rows - 1] = 1;
}

size_t table_width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* ---------------------------------------------------------------- cells as text */

/* The value as text, to be freed: strings bare, numbers with all their digits, arrays and objects as JSON. */
static char *value_text(const json_t *value)
{
    char number[64];
    if (value == NULL || json_is_null(value))
        return strdup("");
    if (json_is_string(value))
        return strdup(json_string_value(value));
    if (json_is_boolean(value))
        return strdup(json_is_true(value) ? "true" : "false");
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return strdup(number);
    }
    if (json_is_real(value)) {
        /* The shortest text that reads back as the same number. */
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(number, sizeof number, "%.*g", digits, json_real_value(value));
            if (strtod(number, NULL) == json_real_value(value))
                break;
        }
        return strdup(number);
    }
    return json_dumps(value, JSON_COMPACT);
}

static char *shown_text(const cell *c)
{
    return c->shown ? strdup(c->shown) : value_text(c->value);
}

static char *csv_text(const cell *c)
{
    int nested = json_is_array(c->value) || json_is_object(c->value);
    return nested && c->shown ? strdup(c->shown) : value_text(c->value);
}

static const char *heading(const table_column *column)
{
    return column->title ? column->title : column->key;
}

static void pad(FILE *out, size_t n)
{
    while (n-- > 0)
        putc(' ', out);
}

/* ---------------------------------------------------------------- for people */

/* All visible texts, rows x columns, and the width of each column. NULL without memory. */
static char **people_texts(const table *t, size_t *width)
{
    char **text = calloc((size_t)t->rows * t->columns + 1, sizeof *text);
    if (text == NULL)
        return NULL;
    for (unsigned x = 0; x < t->columns; x++)
        width[x] = table_width(heading(&t->column[x]));
    for (unsigned y = 0; y < t->rows; y++) {
        for (unsigned x = 0; x < t->columns; x++) {
            size_t at = (size_t)y * t->columns + x;
            text[at] = shown_text(&t->cells[at]);
            if (text[at] == NULL)
                continue; /* printed as an empty cell; the printer reports the failure */
            size_t w = table_width(text[at]);
            width[x] = w > width[x] ? w : width[x];
        }
    }
    return text;
}

static int in_text(const table_column *column)
{
    return !(column->flags & (TABLE_HIDE_PEOPLE | TABLE_HIDE_TEXT));
}

static unsigned last_visible(const table *t)
{
    unsigned last = 0;
    for (unsigned x = 0; x < t->columns; x++)
        if (in_text(&t->column[x]))
            last = x;
    return last;
}

/* One line; text[x] is the cell of column x. The last column is not padded. */
static void print_aligned(const table *t, const size_t *width, const char *const *text, FILE *out)
{
    unsigned last = last_visible(t);
    int first = 1;
    for (unsigned x = 0; x < t->columns; x++) {
        if (!in_text(&t->column[x]))
            continue;
        const char *s = text[x] ? text[x] : "";
        size_t gap = width[x] - table_width(s);
        fputs(first ? "" : "  ", out);
        first = 0;
        if (t->column[x].flags & TABLE_RIGHT)
            pad(out, gap);
        fputs(s, out);
        if (!(t->column[x].flags & TABLE_RIGHT) && x != last)
            pad(out, gap);
    }
}

static void print_text(const table *t, const size_t *width, char *const *text,
                       const char *const *head, int color, FILE *out)
{
    fputs(color ? "\033[1m" : "", out);
    print_aligned(t, width, head, out);
    fputs(color ? "\033[0m\n" : "\n", out);
    for (unsigned y = 0; y < t->rows; y++) {
        int strong = color && t->strong[y];
        fputs(strong ? "\033[1m" : "", out);
        print_aligned(t, width, (const char *const *)text + (size_t)y * t->columns, out);
        fputs(strong ? "\033[0m\n" : "\n", out);
    }
    if (t->remarks)
        fprintf(out, "\n%s", t->remarks);
}

/* Markdown has one character that ends a cell. */
static void print_escaped(const char *s, FILE *out)
{
    for (; *s; s++) {
        if (*s == '|')
            putc('\\', out);
        putc(*s == '\n' ? ' ' : *s, out);
    }
}

static void print_md_line(const table *t, const char *const *text, FILE *out)
{
    putc('|', out);
    for (unsigned x = 0; x < t->columns; x++) {
        if (t->column[x].flags & TABLE_HIDE_PEOPLE)
            continue;
        putc(' ', out);
        print_escaped(text[x] ? text[x] : "", out);
        fputs(" |", out);
    }
    putc('\n', out);
}

static void print_md(const table *t, char *const *text, const char *const *head, FILE *out)
{
    print_md_line(t, head, out);
    putc('|', out);
    for (unsigned x = 0; x < t->columns; x++)
        if (!(t->column[x].flags & TABLE_HIDE_PEOPLE))
            fputs(t->column[x].flags & TABLE_RIGHT ? "---:|" : "---|", out);
    putc('\n', out);
    for (unsigned y = 0; y < t->rows; y++)
        print_md_line(t, (const char *const *)text + (size_t)y * t->columns, out);
    if (t->remarks)
        fprintf(out, "\n%s", t->remarks);
}

static int print_people(const table *t, table_format format, const table_frame *frame, FILE *out)
{
    size_t *width = calloc(t->columns + 1u, sizeof *width);
    const char **head = calloc(t->columns + 1u, sizeof *head);
    char **text = width && head ? people_texts(t, width) : NULL;
    int failed = text == NULL;
    if (!failed) {
        for (unsigned x = 0; x < t->columns; x++)
            head[x] = heading(&t->column[x]);
        if (format == TABLE_MD)
            print_md(t, text, head, out);
        else
            print_text(t, width, text, head, frame->color, out);
        for (size_t n = 0; n < (size_t)t->rows * t->columns; n++) {
            failed |= text[n] == NULL;
            free(text[n]);
        }
    }
    free(text);
    free(head);
    free(width);
    return failed ? -1 : 0;
}

/* ---------------------------------------------------------------- for programs */

/* RFC 4180: a field with a comma, quote or line end stands in quotes, quotes doubled. */
static void print_csv_field(const char *s, FILE *out)
{
    if (strpbrk(s, ",\"\r\n") == NULL) {
        fputs(s, out);
        return;
    }
    putc('"', out);
    for (; *s; s++) {
        if (*s == '"')
            putc('"', out);
        putc(*s, out);
    }
    putc('"', out);
}

static int print_csv(const table *t, FILE *out)
{
    int first = 1, failed = 0;
    for (unsigned x = 0; x < t->columns; x++) {
        if (t->column[x].flags & TABLE_HIDE_CSV)
            continue;
        fputs(first ? "" : ",", out);
        first = 0;
        print_csv_field(t->column[x].key, out);
    }
    putc('\n', out);
    for (unsigned y = 0; y < t->rows; y++) {
        first = 1;
        for (unsigned x = 0; x < t->columns; x++) {
            if (t->column[x].flags & TABLE_HIDE_CSV)
                continue;
            char *s = csv_text(&t->cells[(size_t)y * t->columns + x]);
            fputs(first ? "" : ",", out);
            first = 0;
            print_csv_field(s ? s : "", out);
            failed |= s == NULL;
            free(s);
        }
        putc('\n', out);
    }
    return failed ? -1 : 0;
}

static json_t *row_object(const table *t, unsigned y)
{
    json_t *object = json_object();
    for (unsigned x = 0; object != NULL && x < t->columns; x++) {
        const cell *c = &t->cells[(size_t)y * t->columns + x];
        if (t->column[x].flags & TABLE_HIDE_JSON)
            continue;
        json_t *value = c->value ? json_incref(c->value) : json_null();
        if (json_object_set_new(object, t->column[x].key, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *table_document(const table_frame *frame, json_t *results)
{
    json_t *document = json_object(), *command = json_array();
    json_t *environment = frame->environment ? json_incref(frame->environment) : json_object();
    int failed = results == NULL || document == NULL;
    for (int n = 0; n < frame->argc; n++) {
        json_t *word = json_string(frame->argv[n]);
        failed |= json_array_append_new(command, word ? word : json_string("(not UTF-8)"));
    }
    failed |= json_object_set_new(document, "fovea", json_string(fovea_version()));
    failed |= json_object_set_new(document, "command", command);
    failed |= json_object_set_new(document, "environment", environment);
    failed |= json_object_set_new(document, "results", results);
    if (failed) {
        json_decref(document);
        return NULL;
    }
    return document;
}

static int dump(const json_t *value, size_t flags, FILE *out)
{
    if (value == NULL || json_dumpf(value, out, flags) != 0)
        return -1;
    putc('\n', out);
    return 0;
}

int table_print_document(const table_frame *frame, json_t *results, FILE *out)
{
    json_t *document = table_document(frame, results);
    int failed = dump(document, JSON_INDENT(2), out);
    json_decref(document);
    return failed;
}

static int print_json(const table *t, const table_frame *frame, FILE *out)
{
    json_t *results = json_array();
    int failed = results == NULL;
    for (unsigned y = 0; y < t->rows; y++)
        failed |= json_array_append_new(results, row_object(t, y));
    if (failed) {
        json_decref(results);
        return -1;
    }
    return table_print_document(frame, results, out);
}

/* A line stands alone: it carries the version and the environment too. */
static int print_jsonl(const table *t, const table_frame *frame, FILE *out)
{
    int failed = 0;
    for (unsigned y = 0; y < t->rows; y++) {
        json_t *object = row_object(t, y);
        failed |= json_object_set_new(object, "fovea", json_string(fovea_version()));
        if (frame->environment)
            failed |= json_object_set(object, "environment", frame->environment);
        failed |= dump(object, JSON_COMPACT, out);
        json_decref(object);
    }
    return failed ? -1 : 0;
}

int table_print(const table *t, table_format format, const table_frame *frame, FILE *out)
{
    if (t->failed)
        return -1;
    switch (format) {
    case TABLE_CSV:
        return print_csv(t, out);
    case TABLE_JSON:
        return print_json(t, frame, out);
    case TABLE_JSONL:
        return print_jsonl(t, frame, out);
    case TABLE_TEXT:
    case TABLE_MD:
        break;
    }
    return print_people(t, format, frame, out);
}

int table_format_find(const char *name, table_format *format)
{
    static const char *const names[] = {"table", "md", "csv", "json", "jsonl"};
    for (unsigned n = 0; n < sizeof names / sizeof *names; n++) {
        if (strcmp(name, names[n]) == 0) {
            *format = (table_format)n;
            return 1;
        }
    }
    return 0;
}
