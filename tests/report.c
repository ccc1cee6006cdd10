/* Tables of results (src/lab/report/table): the five formats of one table, byte by byte, and the awkward values: commas
   and quotes, numbers that are not finite, bars, wide characters. */
#include "report/table.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const table_column columns[] = {
    {"name", "variant", 0},
    {"best_ns", "best", TABLE_RIGHT},
    {"note", NULL, TABLE_HIDE_PEOPLE},
    {"paper", NULL, TABLE_HIDE_TEXT | TABLE_HIDE_CSV},
    {"list", NULL, TABLE_HIDE_JSON},
};

static table *sample(void)
{
    table *t = table_create(columns, sizeof columns / sizeof *columns);
    table_row(t);
    table_text(t, "name", "a,\"b\"");
    table_real(t, "best_ns", 0.1, "0.1 s");
    table_text(t, "note", "two\nlines");
    table_text(t, "paper", "x|y");
    table_value(t, "list", json_pack("[i,i]", 1, 2), "1+2");
    table_row(t);
    table_text(t, "name", "\xc3\xa9t\xc3\xa9"); /* three columns wide, five bytes */
    table_real(t, "best_ns", NAN, NULL);
    table_integer(t, "note", 9007199254740993, NULL);
    return t;
}

/* The whole text of one format; free() it. */
static char *printed(const table *t, table_format format, int color)
{
    static char first[] = "fovea", second[] = "list";
    char *argv[] = {first, second}, *text = NULL;
    size_t n = 0;
    json_t *environment = json_pack("{s:s}", "isa", "avx2");
    table_frame frame = {.argc = 2, .argv = argv, .environment = environment, .color = color};
    FILE *out = open_memstream(&text, &n);
    cr_assert_eq(table_print(t, format, &frame, out), 0);
    fclose(out);
    json_decref(environment);
    return text;
}

static void expect(table_format format, int color, const char *wanted)
{
    table *t = sample();
    char *text = printed(t, format, color);
    cr_assert_str_eq(text, wanted);
    free(text);
    table_free(t);
}

Test(table, text_is_aligned)
{
    expect(TABLE_TEXT, 0,
           "variant   best  list\n"
           "a,\"b\"    0.1 s  1+2\n"
           "\xc3\xa9t\xc3\xa9          -  \n");
}

Test(table, text_has_a_bold_heading_in_colour)
{
    table *t = sample();
    char *text = printed(t, TABLE_TEXT, 1);
    cr_assert_eq(strncmp(text, "\033[1mvariant", 11), 0);
    free(text);
    table_free(t);
}

Test(table, markdown_escapes_bars)
{
    expect(TABLE_MD, 0,
           "| variant | best | paper | list |\n"
           "|---|---:|---|---|\n"
           "| a,\"b\" | 0.1 s | x\\|y | 1+2 |\n"
           "| \xc3\xa9t\xc3\xa9 | - |  |  |\n");
}

Test(table, csv_quotes_and_keeps_every_digit)
{
    expect(TABLE_CSV, 0,
           "name,best_ns,note,list\n"
           "\"a,\"\"b\"\"\",0.1,\"two\nlines\",1+2\n"
           "\xc3\xa9t\xc3\xa9,,9007199254740993,\n");
}

Test(table, json_carries_the_frame)
{
    table *t = sample();
    char *text = printed(t, TABLE_JSON, 0);
    json_t *document = json_loads(text, 0, NULL), *results = json_object_get(document, "results");
    cr_assert_not_null(document);
    cr_assert(json_is_string(json_object_get(document, "fovea")));
    cr_assert_eq(json_array_size(json_object_get(document, "command")), 2);
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(document, "environment"), "isa")), "avx2");
    cr_assert_eq(json_array_size(results), 2);
    const json_t *row = json_array_get(results, 1);
    cr_assert(json_is_null(json_object_get(row, "best_ns")));
    cr_assert(json_is_null(json_object_get(row, "paper")));
    cr_assert_null(json_object_get(row, "list"));
    cr_assert_eq(json_real_value(json_object_get(json_array_get(results, 0), "best_ns")), 0.1);
    json_decref(document);
    free(text);
    table_free(t);
}

Test(table, each_line_of_jsonl_stands_alone)
{
    table *t = sample();
    char *text = printed(t, TABLE_JSONL, 0);
    char *second = strchr(text, '\n') + 1;
    json_t *row = json_loads(second, 0, NULL);
    cr_assert_eq(json_integer_value(json_object_get(row, "note")), 9007199254740993);
    cr_assert(json_is_object(json_object_get(row, "environment")));
    cr_assert_null(strchr(strchr(second, '\n') + 1, '\n'));
    json_decref(row);
    free(text);
    table_free(t);
}

Test(table, many_rows_and_remarks)
{
    table *t = table_create(columns, sizeof columns / sizeof *columns);
    for (int n = 0; n < 100; n++) {
        table_row(t);
        table_integer(t, "best_ns", n, NULL);
    }
    table_remark(t, "one");
    table_remark(t, "two");
    char *text = printed(t, TABLE_TEXT, 0);
    cr_assert_eq(table_rows(t), 100);
    cr_assert_not_null(strstr(text, "           99  \n\none\ntwo\n"));
    free(text);
    text = printed(t, TABLE_CSV, 0);
    cr_assert_null(strstr(text, "one"));
    free(text);
    table_free(t);
}

Test(table, names_of_formats)
{
    table_format format = TABLE_TEXT;
    cr_assert(table_format_find("jsonl", &format) && format == TABLE_JSONL);
    cr_assert_not(table_format_find("xml", &format));
}
