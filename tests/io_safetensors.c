/* Reading and writing .safetensors: hand-made headers, damaged and hostile files. */
#include "io/tensor.h"
#include "io_folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(safetensors, .init = folder_open, .fini = folder_close);

enum { ROOM = 8192 };

static size_t build(unsigned char *file, const char *header, const void *data, size_t bytes)
{
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)((uint64_t)n >> 8 * i);
    memcpy(file + 8, header, n);
    if (bytes)
        memcpy(file + 8 + n, data, bytes);
    return 8 + n + bytes;
}

/* q: two floats, k: four halves, v: three bytes; header of 184 bytes, so that q is aligned. */
static const char three[] = "{\"q\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                            "\"k\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[8,16]},"
                            "\"v\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[16,19]},"
                            "\"__metadata__\":{\"made\":\"by hand\"}}";
static const unsigned char data[19] = {0, 0, 128, 63, 0, 0, 0, 192, 0, 60, 1, 60, 2, 60, 3, 60, 7, 8, 9};

static const char *put(const char *header, const void *bytes, size_t count)
{
    unsigned char file[ROOM];
    const char *path = folder_path("t.safetensors");
    folder_put(path, file, build(file, header, bytes, count));
    return path;
}

/* No tensor of the file is served, whatever its name. */
static void expect_refused(const char *header, size_t bytes, const char *expected)
{
    static const unsigned char zeros[256];
    char why[IO_TEXT] = "", **names, *value;
    size_t count;
    const char *path = put(header, zeros, bytes);
    tensor t;
    cr_assert(safetensors_read(path, "a", &t, why) == IO_INVALID, "%s is accepted", header);
    expect_line(why, path, expected);
    expect_empty(&t);
    cr_assert(safetensors_names(path, &names, &count, why) == IO_INVALID && !names && !count);
    cr_assert(safetensors_metadata(path, "made", &value, why) == IO_INVALID && !value);
}

Test(safetensors, three_tensors)
{
    char why[IO_TEXT];
    const char *path = put(three, data, sizeof data);
    tensor t;
    cr_assert(safetensors_read(path, "q", &t, why) == IO_OK, "%s", why);
    cr_assert(t.type == TENSOR_F32 && t.rank == 2 && t.dim[0] == 1 && t.dim[1] == 2);
    cr_assert(((const float *)t.data)[0] == 1 && ((const float *)t.data)[1] == -2);
    expect_sound(&t);
    tensor_free(&t);
    cr_assert(tensor_read(path, "k", &t, why) == IO_OK, "%s", why);
    cr_assert(t.type == TENSOR_F16 && t.rank == 1 && t.bytes == 8 && !memcmp(t.data, data + 8, 8));
    tensor_free(&t);
    cr_assert(safetensors_read(path, "v", &t, why) == IO_OK, "%s", why);
    cr_assert(t.type == TENSOR_U8 && t.bytes == 3 && !memcmp(t.data, data + 16, 3));
    tensor_free(&t);
    expect_empty(&t);
}

Test(safetensors, names_and_metadata)
{
    char why[IO_TEXT], **names, *value;
    size_t count;
    const char *path = put(three, data, sizeof data);
    cr_assert(safetensors_names(path, &names, &count, why) == IO_OK, "%s", why);
    cr_assert(count == 3 && !strcmp(names[0], "q") && !strcmp(names[1], "k") && !strcmp(names[2], "v"));
    safetensors_names_free(names, count);
    cr_assert(safetensors_metadata(path, "made", &value, why) == IO_OK, "%s", why);
    cr_assert(value && !strcmp(value, "by hand"));
    free(value);
    cr_assert(safetensors_metadata(path, "absent", &value, why) == IO_OK && !value);
    path = put("{}", NULL, 0);
    cr_assert(safetensors_metadata(path, "made", &value, why) == IO_OK && !value);
    cr_assert(safetensors_names(path, &names, &count, why) == IO_OK && !count, "%s", why);
    safetensors_names_free(names, count);
}

Test(safetensors, missing_tensor)
{
    char why[IO_TEXT];
    const char *path = put(three, data, sizeof data);
    tensor t;
    cr_assert(safetensors_read(path, "w", &t, why) == IO_INVALID);
    expect_line(why, path, "has no tensor 'w'; it has 'q', 'k', 'v'");
    expect_empty(&t);
    cr_assert(safetensors_read(path, "__metadata__", &t, why) == IO_INVALID, "metadata is no tensor");
    cr_assert(safetensors_read(path, NULL, &t, why) == IO_INVALID);
    expect_line(why, path, "which of its tensors is meant? It has 'q', 'k', 'v'");
    path = put("{\"only\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", data, 2);
    cr_assert(safetensors_read(path, NULL, &t, why) == IO_OK, "%s", why);
    cr_assert(t.bytes == 2);
    tensor_free(&t);
}

Test(safetensors, missing_tensor_among_many)
{
    char header[ROOM / 2] = "{", why[IO_TEXT];
    size_t n = 1;
    for (int i = 0; i < 9; i++)
        n += (size_t)snprintf(header + n, sizeof header - n,
                              "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}", i ? "," : "", i, i,
                              i + 1);
    snprintf(header + n, sizeof header - n, "}");
    const char *path = put(header, data, 9);
    tensor t;
    cr_assert(safetensors_read(path, "t9", &t, why) == IO_INVALID);
    expect_line(why, path, "it has 't0', 't1', 't2', 't3', 't4', 't5' and 3 more");
    cr_assert(safetensors_read(path, "t8", &t, why) == IO_OK, "%s", why);
    tensor_free(&t);
}

Test(safetensors, types)
{
    static const struct {
        const char *name;
        tensor_type type;
        int size;
    } rows[] = {{"F32", TENSOR_F32, 4}, {"F16", TENSOR_F16, 2}, {"BF16", TENSOR_BF16, 2}, {"U8", TENSOR_U8, 1},
                {"BOOL", TENSOR_U8, 1}, {"I32", TENSOR_I32, 4}, {"I64", TENSOR_I64, 8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[200], why[IO_TEXT];
        tensor t;
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%d]}}",
                 rows[i].name, 2 * rows[i].size);
        cr_assert(safetensors_read(put(header, data, 2 * (size_t)rows[i].size), "a", &t, why) == IO_OK, "%s", why);
        cr_assert(t.type == rows[i].type && t.bytes == 2 * (size_t)rows[i].size);
        expect_sound(&t);
        tensor_free(&t);
    }
}

/* Types that are not read do not stand in the way of those that are. */
Test(safetensors, other_types_beside)
{
    static const char *const others[] = {"F64", "F9", "f32"};
    for (size_t i = 0; i < 3; i++) {
        char header[300], why[IO_TEXT], expected[100];
        tensor t;
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,8]},"
                 "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[8,9]}}",
                 others[i]);
        snprintf(expected, sizeof expected, "tensor 'a' is of type %s; allowed: F32, F16, BF16", others[i]);
        const char *path = put(header, data, 9);
        cr_assert(safetensors_read(path, "a", &t, why) == IO_INVALID, "%s is accepted", others[i]);
        expect_line(why, path, expected);
        expect_empty(&t);
        cr_assert(safetensors_read(path, "b", &t, why) == IO_OK, "%s", why);
        cr_assert(*(const unsigned char *)t.data == data[8]);
        tensor_free(&t);
    }
}

Test(safetensors, broken_headers)
{
    static const struct {
        const char *header, *expected;
    } rows[] = {
        {"[]", "header starts with byte 5b; allowed: '{'"},
        {" {}", "header starts with byte 20"},
        {"{\"a\":", "is not valid JSON at its byte"},
        {"{} x", "is not valid JSON"},
        {"{\"a\":1}", "tensor 'a': is not an object"},
        {"{\"a\":{}}", "dtype is missing"},
        {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype is missing or no text"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", "shape is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,4]}}", "shape is missing or no array"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", "dimension that is no integer"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "data_offsets is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", "data_offsets is missing or not"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", "data_offsets is missing or not"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", "unknown key 'x'; allowed: dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "duplicate object key"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
         "duplicate object key"},
        {"{\"__metadata__\":[]}", "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"k\":1}}", "__metadata__ has a value for 'k' that is no text"},
        {"{\"__metadata__\":{\"k\":[[[[[[[[[]]]]]]]]]}}", "nested deeper than 8 levels"},
        {"{\"a\\u0000b\":{}}", "is not valid JSON"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_refused(rows[i].header, 4, rows[i].expected);
}

/* The parser's memory is bounded by a count of values. */
Test(safetensors, too_many_values)
{
    enum { VALUES = (1 << 20) + 8, TEXT = 2 * VALUES };
    char why[IO_TEXT], *file = malloc(8 + TEXT);
    const char *path = folder_path("t.safetensors");
    tensor t;
    cr_assert(file != NULL);
    for (int i = 0; i < 8; i++)
        file[i] = (char)((uint64_t)TEXT >> 8 * i);
    for (size_t i = 0; i < TEXT; i += 2)
        memcpy(file + 8 + i, "0,", 2);
    memcpy(file + 8, "{\"a\":[", 6);
    memcpy(file + 8 + TEXT - 4, "0]} ", 4);
    folder_put(path, file, 8 + TEXT);
    cr_assert(safetensors_read(path, "a", &t, why) == IO_INVALID);
    expect_line(why, path, "header has more than 1048576 values");
    free(file);
}

/* Brackets inside texts are no nesting, and a quote behind a backslash does not end one. */
Test(safetensors, brackets_in_texts)
{
    char why[IO_TEXT], *value;
    const char *path = put("{\"__metadata__\":{\"k\":\"[[[[[[[[[\\\"{{{{{{{{{{\\\\\"}}", NULL, 0);
    cr_assert(safetensors_metadata(path, "k", &value, why) == IO_OK, "%s", why);
    cr_assert(value && !strcmp(value, "[[[[[[[[[\"{{{{{{{{{{\\"));
    free(value);
}

static void expect_entry_refused(const char *shape, const char *offsets, size_t bytes, const char *expected)
{
    char header[400];
    snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":%s}}", shape, offsets);
    expect_refused(header, bytes, expected);
}

Test(safetensors, broken_shapes_and_offsets)
{
    expect_entry_refused("[-1]", "[0,4]", 4, "negative dimension");
    expect_entry_refused("[9223372036854775807]", "[0,4]", 4, "shape [9223372036854775807] of F32 overflows");
    expect_entry_refused("[4294967296,4294967296]", "[0,0]", 0, "overflows");
    expect_entry_refused("[4294967296,0,4294967296]", "[0,0]", 0, "overflows");
    expect_entry_refused("[99999999999999999999]", "[0,4]", 4, "is not valid JSON");
    expect_entry_refused("[1,1,1,1,1,1,1,1,1]", "[0,4]", 4, "more than 8 dimensions");
    expect_entry_refused("[1]", "[-4,0]", 4, "data_offsets are [-4, 0]; allowed: 0 <= begin <= end");
    expect_entry_refused("[1]", "[4,0]", 4, "data_offsets are [4, 0]");
    expect_entry_refused("[2]", "[0,4]", 4, "data_offsets [0, 4] span 4 bytes, shape [2] of F32 needs 8");
    expect_entry_refused("[1]", "[4,8]", 8, "tensor 'a' begins at byte 4 of the data and leaves a hole from 0");
    expect_entry_refused("[2]", "[0,8]", 7, "data is truncated: 7 bytes are there, data_offsets need 8");
    expect_entry_refused("[2]", "[0,8]", 9, "data is followed by other bytes: data_offsets end at 8");
    expect_refused("{\"a\":{\"dtype\":\"X\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]}}", 4, "too large");
    expect_refused("{}", 1, "followed by other bytes");
}

Test(safetensors, overlap_and_hole)
{
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                   "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
                   4, "tensor 'b' begins at byte 2 of the data and overlaps the one that ends at 3");
    expect_refused("{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]},"
                   "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
                   4, "tensor 'b' begins at byte 3 of the data and leaves a hole from 2");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                   "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
                   2, "overlaps");
}

/* Any order in the header; empty tensors lie anywhere between the others; rank 0. */
Test(safetensors, order_and_empty_tensors)
{
    char why[IO_TEXT];
    const char *path = put("{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]},"
                           "\"e\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[1,1]},"
                           "\"z\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[3,3]},"
                           "\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}   ",
                           "\1\2\3", 3);
    tensor t;
    cr_assert(safetensors_read(path, "b", &t, why) == IO_OK, "%s", why);
    cr_assert(!memcmp(t.data, "\2\3", 2));
    tensor_free(&t);
    cr_assert(safetensors_read(path, "a", &t, why) == IO_OK, "%s", why);
    cr_assert(t.rank == 0 && t.bytes == 1 && *(const char *)t.data == 1);
    tensor_free(&t);
    cr_assert(safetensors_read(path, "e", &t, why) == IO_OK, "%s", why);
    cr_assert(t.rank == 2 && t.dim[1] == 5 && t.bytes == 0 && t.data);
    tensor_free(&t);
}

Test(safetensors, data_off_its_alignment_is_copied)
{
    static const char *const blanks[] = {"", " ", "  ", "   ", "    ", "     ", "      ", "       "};
    for (size_t i = 0; i < 8; i++) {
        char header[400], why[IO_TEXT];
        tensor t;
        snprintf(header, sizeof header, "%s%s", three, blanks[i]);
        cr_assert(safetensors_read(put(header, data, sizeof data), "q", &t, why) == IO_OK, "%s", why);
        expect_sound(&t);
        cr_assert(((const float *)t.data)[1] == -2);
        tensor_free(&t);
    }
}

Test(safetensors, lengths_that_lie)
{
    unsigned char file[ROOM];
    char why[IO_TEXT];
    const char *path = folder_path("t.safetensors");
    size_t n = build(file, three, data, sizeof data);
    tensor t;
    static const struct {
        unsigned char length[8];
        const char *expected;
    } rows[] = {
        {{0, 0, 0, 0, 0, 0, 0, 0}, "header length is 0; allowed: 2 to 104857600"},
        {{1, 0, 0, 0, 0, 0, 0, 0}, "header length is 1"},
        {{0, 0, 0, 0, 0, 0, 0, 128}, "header length is 9223372036854775808"},
        {{255, 255, 255, 255, 255, 255, 255, 255}, "header length is 18446744073709551615"},
        {{1, 0, 64, 6, 0, 0, 0, 0}, "header length is 104857601"},
        {{0, 0, 64, 6, 0, 0, 0, 0}, "its header takes 104857600 bytes, but only"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memcpy(file, rows[i].length, 8);
        folder_put(path, file, n);
        cr_assert(safetensors_read(path, "q", &t, why) == IO_INVALID, "length %zu is accepted", i);
        expect_line(why, path, rows[i].expected);
        expect_empty(&t);
    }
}

Test(safetensors, fifo)
{
    unsigned char file[ROOM];
    char why[IO_TEXT];
    size_t n = build(file, three, data, sizeof data);
    tensor t;
    folder_feed(folder_path("a.safetensors"), file, n, 0);
    cr_assert(safetensors_read(folder_path("a.safetensors"), "k", &t, why) == IO_OK, "%s", why);
    cr_assert(!memcmp(t.data, data + 8, 8));
    tensor_free(&t);
    folder_feed(folder_path("b.safetensors"), file, n, 1); /* never ends */
    cr_assert(safetensors_read(folder_path("b.safetensors"), "k", &t, why) == IO_INVALID);
    expect_line(why, folder_path("b.safetensors"), "followed by other bytes");
}

Test(safetensors, no_such_file_or_a_directory)
{
    char why[IO_TEXT];
    tensor t = {.rank = 3};
    cr_assert(safetensors_read(folder_path("none.safetensors"), "q", &t, why) == IO_INVALID);
    expect_line(why, folder_path("none.safetensors"), "No such file");
    expect_empty(&t);
    cr_assert(safetensors_read(folder_path(""), "q", &t, why) == IO_INVALID);
    expect_line(why, folder_path(""), "is a directory");
}

Test(safetensors, every_prefix)
{
    unsigned char file[ROOM];
    char why[IO_TEXT];
    const char *path = folder_path("p.safetensors");
    size_t n = build(file, three, data, sizeof data);
    tensor t;
    for (size_t i = 0; i < n; i++) {
        folder_put(path, file, i);
        cr_assert(safetensors_read(path, "q", &t, why) == IO_INVALID, "the first %zu of %zu bytes are accepted", i, n);
        expect_line(why, path, "");
        expect_empty(&t);
    }
    folder_put(path, file, n);
    cr_assert(safetensors_read(path, "q", &t, why) == IO_OK, "%s", why);
    tensor_free(&t);
}

Test(safetensors, every_byte_changed)
{
    static const unsigned char flips[] = {0x01, 0x02, 0x10, 0x20, 0x80, 0xff};
    static const char others[] = {'\0', ' ', '[', ']', ',', '-', '0', '9', '"', '}', '\\', '\x9b'};
    static const char *const names[] = {"q", "k", "v"};
    unsigned char file[ROOM];
    char why[IO_TEXT];
    const char *path = folder_path("f.safetensors");
    size_t n = build(file, three, data, sizeof data);
    unsigned accepted = 0, refused = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char kept = file[i];
        for (size_t f = 0; f < sizeof flips + sizeof others; f++) {
            file[i] = f < sizeof flips ? kept ^ flips[f] : (unsigned char)others[f - sizeof flips];
            folder_put(path, file, n);
            for (int name = 0; name < 3; name++) {
                tensor t;
                if (safetensors_read(path, names[name], &t, why) == IO_OK) {
                    expect_sound(&t);
                    accepted++;
                } else {
                    expect_line(why, path, "");
                    expect_empty(&t);
                    refused++;
                }
                tensor_free(&t);
            }
        }
        file[i] = kept;
    }
    /* 19 data bytes take any value; each byte of the length must be right. */
    cr_assert(accepted >= 19 * 18 * 3 && refused >= 8 * 16 * 3, "%u accepted, %u refused", accepted, refused);
}

/* ------------------------------------------------------------------ writing */

static const float floats[2] = {1, -2};
static const unsigned char bytes[3] = {7, 8, 9};
static const tensor vector = {.type = TENSOR_F32, .rank = 2, .dim = {1, 2}, .data = floats, .bytes = 8};
static const tensor triple = {.type = TENSOR_U8, .rank = 1, .dim = {3}, .data = bytes, .bytes = 3};
static const tensor nothing = {.type = TENSOR_BF16, .rank = 2, .dim = {0, 4}, .data = NULL, .bytes = 0};

Test(safetensors, written_bytes)
{
    /* The bytes come first by name and last by place: larger elements go before smaller ones. */
    static const char header[] = "{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]},"
                                 "\"f\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                                 "\"n\":{\"dtype\":\"BF16\",\"shape\":[0,4],\"data_offsets\":[8,8]}}";
    const char *const names[] = {"b", "f", "n"};
    const tensor *const all[] = {&triple, &vector, &nothing};
    char why[IO_TEXT];
    const char *path = folder_path("w.safetensors");
    size_t count, padded = (sizeof header - 1 + 7) / 8 * 8;
    cr_assert(safetensors_write(path, names, all, 3, why) == IO_OK, "%s", why);
    unsigned char *file = folder_get(path, &count);
    cr_assert(count == 8 + padded + 11, "%zu bytes", count);
    cr_assert(file[0] == padded && !file[1] && !file[7]);
    cr_assert(!memcmp(file + 8, header, sizeof header - 1), "%.*s", (int)padded, (char *)file + 8);
    for (size_t i = sizeof header - 1; i < padded; i++)
        cr_assert(file[8 + i] == ' ');
    cr_assert(!memcmp(file + 8 + padded, floats, 8) && !memcmp(file + 16 + padded, bytes, 3));
    free(file);
    cr_assert(folder_files() == 1);
}

Test(safetensors, written_and_read)
{
    const char *const names[] = {"layer.0.q \"quoted\"", "\xc3\xa4", ""};
    const tensor *const all[] = {&vector, &triple, &nothing};
    char why[IO_TEXT], **found;
    const char *path = folder_path("w.safetensors");
    size_t count;
    cr_assert(safetensors_write(path, names, all, 3, why) == IO_OK, "%s", why);
    cr_assert(safetensors_names(path, &found, &count, why) == IO_OK && count == 3, "%s", why);
    for (size_t i = 0; i < 3; i++) {
        tensor t;
        cr_assert(!strcmp(found[i], names[i]));
        cr_assert(safetensors_read(path, names[i], &t, why) == IO_OK, "%s", why);
        cr_assert(t.type == all[i]->type && t.rank == all[i]->rank && !memcmp(t.dim, all[i]->dim, sizeof t.dim));
        cr_assert(t.bytes == all[i]->bytes && (!t.bytes || !memcmp(t.data, all[i]->data, t.bytes)));
        expect_sound(&t);
        tensor_free(&t);
    }
    safetensors_names_free(found, count);
    cr_assert(safetensors_write(path, NULL, NULL, 0, why) == IO_OK, "%s", why);
    cr_assert(safetensors_names(path, &found, &count, why) == IO_OK && !count, "%s", why);
    safetensors_names_free(found, count);
}

Test(safetensors, large_files_are_mapped)
{
    enum { COUNT = 100000 };
    static uint16_t values[COUNT];
    char why[IO_TEXT];
    const char *path = folder_path("large.safetensors");
    const char *const names[] = {"small", "large"};
    tensor large = {.type = TENSOR_BF16, .rank = 2, .dim = {COUNT / 4, 4}, .data = values, .bytes = sizeof values}, t;
    const tensor *const all[] = {&triple, &large};
    for (int i = 0; i < COUNT; i++)
        values[i] = (uint16_t)(i * 7);
    cr_assert(safetensors_write(path, names, all, 2, why) == IO_OK, "%s", why);
    cr_assert(safetensors_read(path, "large", &t, why) == IO_OK, "%s", why);
    cr_assert(t.mapped && !memcmp(t.data, values, sizeof values));
    tensor_free(&t);
    cr_assert(safetensors_read(path, "small", &t, why) == IO_OK, "%s", why);
    cr_assert(!memcmp(t.data, bytes, 3));
    tensor_free(&t);
}

Test(safetensors, tensors_that_cannot_be_written)
{
    static const struct {
        const char *names[2], *expected;
    } rows[] = {
        {{"a", "a"}, "tensor name 'a' is given twice"},
        {{"a", "__metadata__"}, "tensor name '__metadata__' is reserved"},
        {{"a", "\xff"}, "is not valid UTF-8"},
    };
    const tensor *all[] = {&vector, &triple};
    tensor wrong = vector;
    char why[IO_TEXT];
    const char *path = folder_path("w.safetensors");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert(safetensors_write(path, rows[i].names, all, 2, why) == IO_INVALID, "%zu is accepted", i);
        expect_line(why, path, rows[i].expected);
    }
    wrong.bytes = 7;
    all[1] = &wrong;
    cr_assert(safetensors_write(path, rows[0].names, all, 2, why) == IO_INVALID);
    expect_line(why, path, "shape [1, 2] of F32 needs 8 bytes, the tensor has 7");
    cr_assert(folder_files() == 0);
    cr_assert(safetensors_write(folder_path(""), (const char *const[]){"a"}, all, 1, why) == IO_INVALID);
    expect_line(why, folder_path(""), "is a directory");
}
