/* Tables of results: filled once, printed as aligned text, Markdown, CSV or JSON.

   A cell holds a JSON value and, for people, the text that shows it (which may round, add a unit, or be left out). The
   text formats (table, md) print the text; csv, json and jsonl print the value, so no digit is lost to a script. */
#ifndef FV_LAB_REPORT_TABLE_H
#define FV_LAB_REPORT_TABLE_H
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

typedef enum table_format { TABLE_TEXT, TABLE_MD, TABLE_CSV, TABLE_JSON, TABLE_JSONL } table_format;

enum {
    TABLE_RIGHT = 1,       /* aligned to the right */
    TABLE_HIDE_PEOPLE = 2, /* not in table and md */
    TABLE_HIDE_CSV = 4,    /* not in csv */
    TABLE_HIDE_JSON = 8,   /* not in json and jsonl */
    TABLE_HIDE_TEXT = 16   /* not in table, where lines are short, but in md */
};

typedef struct table_column {
    const char *key;   /* name in csv and JSON */
    const char *title; /* heading of table and md; NULL: the key */
    unsigned flags;    /* TABLE_* above */
} table_column;

typedef struct table table;

/* `columns` must outlive the table. NULL without memory. */
table *table_create(const table_column *columns, unsigned count);
void table_free(table *t); /* NULL is fine */

/* Starts a row; its cells are null (empty for people) until set. */
void table_row(table *t);
/* Set a cell of the last row by its column's key (an unknown key is a mistake in the program: assert). `shown` NULL:
   the value as it is. Numbers that are not finite become null, shown as "-" unless `shown` says otherwise. */
void table_text(table *t, const char *key, const char *value);
void table_real(table *t, const char *key, double value, const char *shown);
void table_integer(table *t, const char *key, int64_t value, const char *shown);
void table_flag(table *t, const char *key, int value); /* true and false, "yes" and "no" */
void table_null(table *t, const char *key, const char *shown);
/* Takes the reference of `value`. `shown` is what people and csv see. */
void table_value(table *t, const char *key, json_t *value, const char *shown);
/* A line under the table in the formats for people (a caption, a remark); repeated calls add lines. */
void table_remark(table *t, const char *text);
/* Prints the last row set so in bold where colours are on. */
void table_emphasise(table *t);

unsigned table_rows(const table *t);

/* "table", "md", "csv", "json", "jsonl"; 1 when known. */
int table_format_find(const char *name, table_format *format);

/* What json and jsonl carry around the results. */
typedef struct table_frame {
    int argc;
    char *const *argv;   /* "command" */
    json_t *environment; /* borrowed; may be NULL */
    int color;           /* 1: headings and emphasis by terminal escapes (format table only) */
} table_frame;

/* 0, or -1 without memory (a cell could not be stored, or the text not made). Does not check the stream. */
int table_print(const table *t, table_format format, const table_frame *frame, FILE *out);

/* {"fovea": version, "command": argv, "environment": .., "results": results}; takes the reference of results. */
json_t *table_document(const table_frame *frame, json_t *results);
/* Writes one JSON document, indented, with a newline. 0 or -1. */
int table_print_document(const table_frame *frame, json_t *results, FILE *out);

/* Columns that a UTF-8 text takes on a terminal, every code point counted as one. */
size_t table_width(const char *text);
#endif
