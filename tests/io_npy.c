/* Reading and writing .npy: forms that numpy writes, damaged and hostile files, choice by suffix.
   The expected bytes were written down by hand from the format's description and compared with numpy once. */
#include "io/tensor.h"
#include "io_folder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(npy, .init = folder_open, .fini = folder_close);

enum { ROOM = 4096 };

/* A file of version major.0 with the dict as given; returns its length. */
static size_t build(unsigned char *file, int major, const char *dict, const void *data, size_t bytes)
{
    size_t length = strlen(dict), n = 6;
    memcpy(file, "\x93NUMPY", 6);
    file[n++] = (unsigned char)major;
    file[n++] = 0;
    file[n++] = (unsigned char)(length & 0xff);
    file[n++] = (unsigned char)(length >> 8);
    if (major > 1) {
        file[n++] = 0;
        file[n++] = 0;
    }
    memcpy(file + n, dict, length);
    n += length;
    if (bytes)
        memcpy(file + n, data, bytes);
    return n + bytes;
}

static const float six[6] = {0.5f, -1, 2, 3, 4, 1e30f};
static const char plain[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";

/* Puts a file with that dict and `bytes` zero bytes of data, and reads it. */
static int read_dict(const char *dict, size_t bytes, tensor *t, char *why)
{
    static const unsigned char zeros[ROOM];
    unsigned char file[2 * ROOM];
    const char *path = folder_path("t.npy");
    folder_put(path, file, build(file, 1, dict, zeros, bytes));
    return npy_read(path, t, why);
}

static void expect_refused(const char *dict, size_t bytes, const char *expected)
{
    char why[IO_TEXT] = "";
    tensor t;
    int code = read_dict(dict, bytes, &t, why);
    cr_assert(code == IO_INVALID, "%s is accepted", dict);
    expect_line(why, folder_path("t.npy"), expected);
    expect_empty(&t);
}

static void expect_bytes_refused(const void *file, size_t bytes, const char *expected)
{
    char why[IO_TEXT] = "";
    const char *path = folder_path("t.npy");
    tensor t;
    folder_put(path, file, bytes);
    cr_assert(npy_read(path, &t, why) == IO_INVALID, "a file without '%s'", expected);
    expect_line(why, path, expected);
    expect_empty(&t);
}

static void expect_six(const tensor *t)
{
    cr_assert(t->type == TENSOR_F32 && t->rank == 2 && t->dim[0] == 2 && t->dim[1] == 3 && t->bytes == sizeof six);
    cr_assert(!memcmp(t->data, six, sizeof six));
}

Test(npy, versions_1_2_3)
{
    for (int major = 1; major <= 3; major++) {
        unsigned char file[ROOM];
        char why[IO_TEXT];
        const char *path = folder_path("v.npy");
        tensor t;
        folder_put(path, file, build(file, major, plain, six, sizeof six));
        cr_assert(npy_read(path, &t, why) == IO_OK, "version %d: %s", major, why);
        expect_six(&t);
        expect_sound(&t);
        tensor_free(&t);
        expect_empty(&t);
    }
}

Test(npy, other_versions_and_magic)
{
    unsigned char file[ROOM];
    size_t n = build(file, 1, plain, six, sizeof six);
    file[6] = 4;
    expect_bytes_refused(file, n, "version 4.0 is not known; allowed: 1.0, 2.0, 3.0");
    file[6] = 0;
    expect_bytes_refused(file, n, "version 0.0");
    file[6] = 1;
    file[7] = 1;
    expect_bytes_refused(file, n, "version 1.1");
    file[7] = 0;
    file[0] = 'P';
    expect_bytes_refused(file, n, "is not a .npy file: it starts with the bytes 50 4e");
    expect_bytes_refused(file, 0, "has 0 bytes");
}

Test(npy, header_longer_than_file)
{
    unsigned char file[ROOM];
    size_t n = build(file, 1, plain, NULL, 0);
    file[9] = 0xff;
    expect_bytes_refused(file, n, "but only 60 are there");
    n = build(file, 2, plain, NULL, 0);
    file[11] = 0xff;
    expect_bytes_refused(file, n, "its header takes 4278190140 bytes, but only 60 are there");
}

Test(npy, forms_of_the_dict)
{
    static const char *const dicts[] = {
        "{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
        "{\"shape\": (2, 3,), \"descr\": \"=f4\", \"fortran_order\": False}   \n",
        " \t{ 'fortran_order' :\n False , 'shape' : ( 2 , 3 , ) , 'descr' : '<f4' , } \r\n",
    };
    for (size_t i = 0; i < sizeof dicts / sizeof *dicts; i++) {
        char why[IO_TEXT];
        tensor t;
        cr_assert(read_dict(dicts[i], 24, &t, why) == IO_OK, "%s: %s", dicts[i], why);
        cr_assert(t.type == TENSOR_F32 && t.rank == 2 && t.dim[0] == 2 && t.dim[1] == 3);
        tensor_free(&t);
    }
}

Test(npy, broken_dicts)
{
    static const struct {
        const char *dict, *expected;
    } rows[] = {
        {"", "'{' is expected"},
        {"{}", "lacks the key 'descr'"},
        {"{'descr': '<f4', 'shape': (2, 3)}", "lacks the key 'fortran_order'"},
        {"{'descr': '<f4', 'fortran_order': False}", "lacks the key 'shape'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), 'shape': (6,)}", "key 'shape' twice"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), 'extra': 1}", "unknown key 'extra'; allowed: descr"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)", "byte 54: ',' or '}' is expected"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)} x", "byte 56: nothing more is expected"},
        {"{'descr': '<f4', 'fortran_order': False,, 'shape': (6,)}", "byte 40: a quoted text is expected"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (6,)}", "byte 16: ',' or '}' is expected"},
        {"{'descr' '<f4', 'fortran_order': False, 'shape': (6,)}", "':' is expected"},
        {"{'descr: <f4}", "a closing quote is expected"},
        {"{'descr\": '<f4', 'fortran_order': False, 'shape': (6,)}", "unknown key 'descr\": '"},
        {"{'de\\x73cr': '<f4', 'fortran_order': False, 'shape': (6,)}", "a short quoted text"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (6,)}", "True or False is expected"},
        {"{'descr': '<f4', 'fortran_order': Falsehood, 'shape': (6,)}", "',' or '}' is expected"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_refused(rows[i].dict, 24, rows[i].expected);
}

static void expect_shape_refused(const char *shape, size_t bytes, const char *expected)
{
    char dict[400];
    snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': %s}", shape);
    expect_refused(dict, bytes, expected);
}

Test(npy, broken_shapes)
{
    expect_shape_refused("(-1,)", 4, "negative dimension; allowed: 0 or more");
    expect_shape_refused("(2, -3)", 24, "negative dimension");
    expect_shape_refused("(99999999999999999999,)", 4, "more than 9223372036854775807");
    expect_shape_refused("(9223372036854775808,)", 4, "more than 9223372036854775807");
    expect_shape_refused("(9223372036854775807,)", 4, "shape [9223372036854775807] overflows");
    expect_shape_refused("(4294967296, 4294967296)", 4, "shape [4294967296, 4294967296] overflows");
    expect_shape_refused("(4294967296, 0, 4294967296)", 0, "overflows");                     /* strides would */
    expect_shape_refused("(2305843009213693951,)", 4, "[2305843009213693951] is too large"); /* with the header */
    expect_shape_refused("(1, 1, 1, 1, 1, 1, 1, 1, 1)", 4, "more than 8 dimensions");
    expect_shape_refused("(1)", 4, "',' after the only dimension");
    expect_shape_refused("1", 4, "the start of a shape");
    expect_shape_refused("[1]", 4, "the start of a shape");
    expect_shape_refused("(,)", 4, "non-negative integer or ')'");
    expect_shape_refused("(1,,)", 4, "non-negative integer or ')'");
    expect_shape_refused("(1 2)", 8, "',' or ')'");
    expect_shape_refused("(1.0,)", 4, "',' or ')'");
    expect_shape_refused("(01,)", 4, "non-negative integer");
    expect_shape_refused("(+1,)", 4, "non-negative integer");
    expect_shape_refused("(True,)", 4, "non-negative integer");
    expect_shape_refused("(1", 4, "',' or ')'");
}

static int read_descr(const char *descr, size_t bytes, tensor *t, char *why)
{
    char dict[200];
    snprintf(dict, sizeof dict, "{'descr': %s, 'fortran_order': False, 'shape': (3,)}", descr);
    return read_dict(dict, bytes, t, why);
}

Test(npy, types)
{
    static const struct {
        const char *descr;
        tensor_type type;
        size_t bytes;
    } rows[] = {
        {"'<f4'", TENSOR_F32, 12}, {"'=f4'", TENSOR_F32, 12}, {"'<f2'", TENSOR_F16, 6},    {"'|u1'", TENSOR_U8, 3},
        {"'<u1'", TENSOR_U8, 3},   {"'|i1'", TENSOR_U8, 3},   {"'|b1'", TENSOR_U8, 3},     {"'=b1'", TENSOR_U8, 3},
        {"'<i4'", TENSOR_I32, 12}, {"'<i8'", TENSOR_I64, 24}, {"\"=i8\"", TENSOR_I64, 24},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[IO_TEXT];
        tensor t;
        cr_assert(read_descr(rows[i].descr, rows[i].bytes, &t, why) == IO_OK, "%s: %s", rows[i].descr, why);
        cr_assert(t.type == rows[i].type && t.bytes == rows[i].bytes && t.rank == 1 && t.dim[0] == 3);
        expect_sound(&t);
        tensor_free(&t);
    }
}

Test(npy, refused_types)
{
    static const struct {
        const char *descr, *expected;
    } rows[] = {
        {"'>f4'", "descr '>f4' is big-endian; allowed: '<f4', '<f2'"},
        {"'<f8'", "float64 is not accepted; convert to float32 or float16"},
        {"'=f8'", "float64 is not accepted"},
        {"'>f8'", "big-endian"},
        {"'|f4'", "descr '|f4' is not a known type; allowed: '<f4'"},
        {"'f4'", "descr 'f4' is not a known type"},
        {"'<u4'", "descr '<u4' is not a known type"},
        {"'|O'", "descr '|O' is not a known type"},
        {"'<f4 '", "not a known type"},
        {"''", "descr '' is not a known type"},
        {"[('a', '<f4')]", "descr is a structured type"},
        {"4", "a quoted text is expected"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[IO_TEXT] = "";
        tensor t;
        cr_assert(read_descr(rows[i].descr, 24, &t, why) == IO_INVALID, "%s is accepted", rows[i].descr);
        expect_line(why, folder_path("t.npy"), rows[i].expected);
        expect_empty(&t);
    }
}

Test(npy, fortran_order)
{
    char why[IO_TEXT];
    tensor t;
    expect_refused("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", 24, "fortran_order is True");
    cr_assert(read_dict("{'descr': '<f4', 'fortran_order': True, 'shape': (6,)}", 24, &t, why) == IO_OK, "%s", why);
    tensor_free(&t);
    cr_assert(read_dict("{'descr': '<f4', 'fortran_order': True, 'shape': ()}", 4, &t, why) == IO_OK, "%s", why);
    tensor_free(&t);
}

Test(npy, ranks_0_and_8_and_empty)
{
    char why[IO_TEXT];
    tensor t;
    cr_assert(read_dict("{'descr': '<i8', 'fortran_order': False, 'shape': ()}", 8, &t, why) == IO_OK, "%s", why);
    cr_assert(t.rank == 0 && t.bytes == 8);
    expect_sound(&t);
    tensor_free(&t);
    cr_assert(read_dict("{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2, 1, 2, 1, 2, 1, 3)}", 48, &t, why) ==
                  IO_OK,
              "%s", why);
    cr_assert(t.rank == 8 && t.dim[1] == 2 && t.dim[7] == 3);
    tensor_free(&t);
    cr_assert(read_dict("{'descr': '<f4', 'fortran_order': False, 'shape': (5, 0)}", 0, &t, why) == IO_OK, "%s", why);
    cr_assert(t.rank == 2 && t.bytes == 0 && t.data != NULL);
    tensor_free(&t);
}

Test(npy, data_too_short_or_too_long)
{
    expect_refused(plain, 23, "data is truncated: 23 bytes are there, shape [2, 3] of F32 needs 24");
    expect_refused(plain, 0, "data is truncated: 0 bytes are there");
    expect_refused(plain, 25, "data is followed by other bytes: shape [2, 3] of F32 needs exactly 24");
}

Test(npy, data_off_its_alignment_is_copied)
{
    static const char *const blanks[] = {"", " ", "  ", "   "};
    for (size_t i = 0; i < 4; i++) {
        unsigned char file[ROOM];
        char dict[200], why[IO_TEXT];
        const char *path = folder_path("t.npy");
        tensor t;
        snprintf(dict, sizeof dict, "%s%s", plain, blanks[i]);
        folder_put(path, file, build(file, 1, dict, six, sizeof six));
        cr_assert(npy_read(path, &t, why) == IO_OK, "%s", why);
        expect_sound(&t);
        expect_six(&t);
        tensor_free(&t);
    }
}

Test(npy, large_files_are_mapped)
{
    enum { COUNT = 50000 };
    float *values = malloc(COUNT * sizeof *values);
    char why[IO_TEXT];
    cr_assert(values != NULL);
    for (int i = 0; i < COUNT; i++)
        values[i] = (float)i * 0.25f;
    tensor in = {.type = TENSOR_F32, .rank = 1, .dim = {COUNT}, .data = values, .bytes = COUNT * sizeof *values}, t;
    const char *path = folder_path("large.npy");
    cr_assert(npy_write(path, &in, why) == IO_OK, "%s", why);
    cr_assert(npy_read(path, &t, why) == IO_OK, "%s", why);
    cr_assert(t.mapped && t.bytes == in.bytes && !memcmp(t.data, values, in.bytes));
    expect_sound(&t);

    /* The mapping survives the file's replacement by a file made from it. */
    cr_assert(npy_write(path, &t, why) == IO_OK, "%s", why);
    cr_assert(!memcmp(t.data, values, in.bytes));
    tensor_free(&t);

    /* One blank more in the header: off alignment, so a copy. */
    size_t bytes;
    unsigned char *file = folder_get(path, &bytes), *longer = malloc(bytes + 1);
    cr_assert(longer && file[8] == 118 && file[127] == '\n');
    memcpy(longer, file, 127);
    longer[8]++;
    longer[127] = ' ';
    memcpy(longer + 128, file + 127, bytes - 127);
    folder_put(path, longer, bytes + 1);
    cr_assert(npy_read(path, &t, why) == IO_OK, "%s", why);
    cr_assert(!t.mapped && !memcmp(t.data, values, in.bytes));
    expect_sound(&t);
    tensor_free(&t);

    /* Truncation of a mapped file. */
    folder_put(path, longer, bytes - 99);
    cr_assert(npy_read(path, &t, why) == IO_INVALID);
    expect_line(why, path, "data is truncated: 199900 bytes are there, shape [50000] of F32 needs 200000");
    free(file);
    free(longer);
    free(values);
}

Test(npy, fifo)
{
    unsigned char file[ROOM];
    char why[IO_TEXT];
    size_t n = build(file, 1, plain, six, sizeof six);
    tensor t;
    folder_feed(folder_path("a.npy"), file, n, 0);
    cr_assert(npy_read(folder_path("a.npy"), &t, why) == IO_OK, "%s", why);
    expect_six(&t);
    tensor_free(&t);

    folder_feed(folder_path("b.npy"), file, n - 1, 0);
    cr_assert(npy_read(folder_path("b.npy"), &t, why) == IO_INVALID);
    expect_line(why, folder_path("b.npy"), "truncated: 23 bytes");

    folder_feed(folder_path("c.npy"), file, n, 1); /* never ends: must be refused, not read */
    cr_assert(npy_read(folder_path("c.npy"), &t, why) == IO_INVALID);
    expect_line(why, folder_path("c.npy"), "followed by other bytes");

    /* A shape of 4 EiB on a stream that ends soon takes no memory. */
    n = build(file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976,)}", six, sizeof six);
    folder_feed(folder_path("d.npy"), file, n, 0);
    cr_assert(npy_read(folder_path("d.npy"), &t, why) == IO_INVALID);
    expect_line(why, folder_path("d.npy"), "truncated: 24 bytes");
}

Test(npy, no_such_file_or_a_directory)
{
    char why[IO_TEXT];
    tensor t = {.rank = 3};
    cr_assert(npy_read(folder_path("none.npy"), &t, why) == IO_INVALID);
    expect_line(why, folder_path("none.npy"), "No such file");
    expect_empty(&t);
    cr_assert(npy_read(folder_path(""), &t, why) == IO_INVALID);
    expect_line(why, folder_path(""), "is a directory");
}

Test(npy, every_prefix)
{
    unsigned char file[ROOM];
    char why[IO_TEXT];
    const char *path = folder_path("p.npy");
    tensor t;
    for (int major = 1; major <= 3; major++) {
        size_t n = build(file, major, plain, six, sizeof six);
        for (size_t i = 0; i < n; i++) {
            folder_put(path, file, i);
            cr_assert(npy_read(path, &t, why) == IO_INVALID, "the first %zu of %zu bytes are accepted", i, n);
            expect_line(why, path, "");
            expect_empty(&t);
        }
        folder_put(path, file, n);
        cr_assert(npy_read(path, &t, why) == IO_OK, "%s", why);
        expect_six(&t);
        tensor_free(&t);
    }
}

Test(npy, every_byte_changed)
{
    static const unsigned char flips[] = {0x01, 0x02, 0x10, 0x20, 0x80, 0xff};
    static const char others[] = {'\0', ' ', '(', ')', ',', '-', '0', '9', '\'', '}', '\n', '\x9b'};
    unsigned char file[ROOM];
    char why[IO_TEXT];
    const char *path = folder_path("f.npy");
    size_t n = build(file, 1, plain, six, sizeof six);
    unsigned accepted = 0, refused = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char kept = file[i];
        for (size_t f = 0; f < sizeof flips + sizeof others; f++) {
            tensor t;
            file[i] = f < sizeof flips ? kept ^ flips[f] : (unsigned char)others[f - sizeof flips];
            folder_put(path, file, n);
            if (npy_read(path, &t, why) == IO_OK) {
                expect_sound(&t);
                cr_assert(t.bytes == sizeof six);
                accepted++;
            } else {
                expect_line(why, path, "");
                expect_empty(&t);
                refused++;
            }
            tensor_free(&t);
        }
        file[i] = kept;
    }
    /* 24 data bytes take any value; all of magic, version and length must be right. */
    cr_assert(accepted >= 24 * 18 && refused >= 10 * 15, "%u accepted, %u refused", accepted, refused);
}

/* ------------------------------------------------------------------ writing */

static void expect_written(const tensor *t, const char *dict, size_t header_length)
{
    char why[IO_TEXT];
    const char *path = folder_path("w.npy");
    size_t bytes;
    cr_assert(npy_write(path, t, why) == IO_OK, "%s", why);
    unsigned char *file = folder_get(path, &bytes);
    cr_assert(bytes == 10 + header_length + t->bytes, "%zu bytes", bytes);
    cr_assert(!memcmp(file, "\x93NUMPY\x01\x00", 8) && file[8] + 256u * file[9] == header_length);
    cr_assert(!memcmp(file + 10, dict, strlen(dict)), "%.100s", (char *)file + 10);
    for (size_t i = 10 + strlen(dict); i < 10 + header_length - 1; i++)
        cr_assert(file[i] == ' ');
    cr_assert(file[10 + header_length - 1] == '\n');
    cr_assert(!memcmp(file + 10 + header_length, t->data, t->bytes));
    free(file);

    tensor back;
    cr_assert(npy_read(path, &back, why) == IO_OK, "%s", why);
    cr_assert(back.type == t->type && back.rank == t->rank && !memcmp(back.dim, t->dim, sizeof t->dim));
    tensor_free(&back);
    cr_assert(folder_files() == 1);
}

Test(npy, written_bytes_are_those_of_numpy)
{
    static const int64_t longs[3] = {1, -2, 3};
    tensor t = {.type = TENSOR_F32, .rank = 2, .dim = {2, 3}, .data = six, .bytes = 24};
    expect_written(&t, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 118);
    t = (tensor){.type = TENSOR_I64, .rank = 1, .dim = {3}, .data = longs, .bytes = 24};
    expect_written(&t, "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", 118);
    t = (tensor){.type = TENSOR_U8, .rank = 0, .data = longs, .bytes = 1};
    expect_written(&t, "{'descr': '|u1', 'fortran_order': False, 'shape': (), }", 118);
    t = (tensor){.type = TENSOR_I32, .rank = 3, .dim = {1, 0, 7}, .data = longs, .bytes = 0};
    expect_written(&t, "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 0, 7), }", 118);
    /* The longest dict that a valid tensor has. */
    t = (tensor){.type = TENSOR_F16, .rank = 8, .dim = {0, 1, 1, 1, 1, 1, 1000000, 1000000000000}, .data = longs};
    expect_written(
        &t, "{'descr': '<f2', 'fortran_order': False, 'shape': (0, 1, 1, 1, 1, 1, 1000000, 1000000000000), }", 118);
}

Test(npy, tensors_that_cannot_be_written)
{
    char why[IO_TEXT];
    const char *path = folder_path("w.npy");
    tensor t = {.type = TENSOR_BF16, .rank = 1, .dim = {12}, .data = six, .bytes = 24};
    cr_assert(npy_write(path, &t, why) == IO_INVALID);
    expect_line(why, path, "type BF16 cannot be written as .npy; allowed: F32, F16");
    t.type = TENSOR_F32;
    cr_assert(npy_write(path, &t, why) == IO_INVALID);
    expect_line(why, path, "shape [12] of F32 needs 48 bytes, the tensor has 24");
    t.dim[0] = -6;
    cr_assert(npy_write(path, &t, why) == IO_INVALID);
    expect_line(why, path, "shape [-6] is negative or too large");
    t.rank = 2;
    t.dim[0] = -2;
    t.dim[1] = -3; /* the product is right */
    cr_assert(npy_write(path, &t, why) == IO_INVALID);
    expect_line(why, path, "shape [-2, -3] is negative or too large");
    t.rank = 9;
    cr_assert(npy_write(path, &t, why) == IO_INVALID);
    expect_line(why, path, "rank 9 cannot be written");
    cr_assert(folder_files() == 0);
}

Test(npy, choice_by_suffix)
{
    char why[IO_TEXT];
    tensor in = {.type = TENSOR_F32, .rank = 2, .dim = {2, 3}, .data = six, .bytes = 24}, t;
    const char *path = folder_path("s.npy");
    cr_assert(npy_write(path, &in, why) == IO_OK, "%s", why);
    cr_assert(tensor_read(path, NULL, &t, why) == IO_OK, "%s", why);
    expect_six(&t);
    tensor_free(&t);
    cr_assert(tensor_read(folder_path("s.npz"), NULL, &t, why) == IO_INVALID);
    expect_line(why, folder_path("s.npz"), "suffix '.npz' is not known; allowed: .npy, .safetensors");
    cr_assert(tensor_read(folder_path("npy"), NULL, &t, why) == IO_INVALID);
    expect_line(why, folder_path("npy"), "suffix '' is not known");
}

Test(npy, hostile_text_stays_one_line)
{
    char why[IO_TEXT], path[900];
    tensor t;
    expect_refused("{'descr': '<\n\x1b[2J", 4, "a short quoted text");
    cr_assert(npy_read("no\nsuch\x1b[2J.npy", &t, why) == IO_INVALID);
    expect_line(why, "no?such?[2J.npy", "No such file");
    memset(path, 'x', sizeof path);
    snprintf(path + 890, 10, ".npy");
    cr_assert(npy_read(path, &t, why) == IO_INVALID);
    expect_line(why, "...xxx", "xxx.npy: cannot be opened"); /* the reason survives a long path */
}
