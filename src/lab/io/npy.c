/* .npy: one array. Format: numpy's NEP 1 and the docstring of numpy.lib.format.

     6 bytes  93 'N' 'U' 'M' 'P' 'Y'
     2 bytes  version: 1.0, 2.0 or 3.0
     2 or 4   length of the header, little endian (2 in version 1.0)
     header   a Python dict literal, {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, then blanks
     data     to the end of the file

   The reader takes what Python would take of that literal (any order of keys, blanks, a trailing comma, either quote)
   and nothing else. Data must be exactly as long as the shape says. '|i1' and '|b1' are handed on as bytes: masks.
   The writer's bytes are those of numpy.save. */
#include "io/atomic.h"
#include "io/bytes.h"
#include "io/fail.h"
#include "io/shape.h"
#include "io/tensor.h"

#include <stdio.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors in files are little endian and are used as they lie"
#endif

enum { QUOTED = 64 }; /* longest quoted text that can be right is fortran_order */

/* The first row of a type is the one written. */
static const struct {
    const char *name; /* without byte order */
    tensor_type type;
} descriptions[] = {
    {"f4", TENSOR_F32}, {"f2", TENSOR_F16}, {"u1", TENSOR_U8},  {"i1", TENSOR_U8},
    {"b1", TENSOR_U8},  {"i4", TENSOR_I32}, {"i8", TENSOR_I64},
};
enum { DESCRIPTIONS = sizeof descriptions / sizeof *descriptions };
static const char allowed_types[] = "allowed: '<f4', '<f2', '|u1', '|i1', '|b1', '<i4', '<i8'";

enum { KEY_DESCR, KEY_FORTRAN, KEY_SHAPE, KEYS };
static const char *const keys[KEYS] = {"descr", "fortran_order", "shape"};

typedef struct header {
    const char *path;
    char *why;
    const char *start, *at, *end; /* of the dict's text */
    int seen[KEYS];
    int fortran;
    tensor t; /* type, rank, dim */
} header;

/* ------------------------------------------------------------------ the dict */

static int refuse(const header *h, const char *expected)
{
    return io_fail(h->why, IO_INVALID, h->path, "header cannot be read at its byte %zu: %s is expected",
                   (size_t)(h->at - h->start), expected);
}

static void skip_blanks(header *h)
{
    while (h->at < h->end && *h->at && strchr(" \t\r\n", *h->at))
        h->at++;
}

/* Takes c if it comes next. */
static int take(header *h, char c)
{
    skip_blanks(h);
    if (h->at == h->end || *h->at != c)
        return 0;
    h->at++;
    return 1;
}

static int take_word(header *h, const char *word)
{
    size_t n = strlen(word);
    skip_blanks(h);
    if ((size_t)(h->end - h->at) < n || memcmp(h->at, word, n))
        return 0;
    h->at += n;
    return 1;
}

static int read_quoted(header *h, char text[QUOTED])
{
    size_t n = 0;
    skip_blanks(h);
    if (h->at == h->end || (*h->at != '\'' && *h->at != '"'))
        return refuse(h, "a quoted text");
    char quote = *h->at++;
    for (; h->at < h->end && *h->at != quote; h->at++) {
        if (n == QUOTED - 1 || *h->at < ' ' || *h->at > '~' || *h->at == '\\')
            return refuse(h, "a short quoted text of plain ASCII characters");
        text[n++] = *h->at;
    }
    if (h->at == h->end)
        return refuse(h, "a closing quote");
    h->at++;
    text[n] = '\0';
    return IO_OK;
}

static int read_descr(header *h)
{
    char text[QUOTED];
    skip_blanks(h);
    if (h->at < h->end && (*h->at == '[' || *h->at == '('))
        return io_fail(h->why, IO_INVALID, h->path, "descr is a structured type; %s", allowed_types);
    int code = read_quoted(h, text);
    if (code != IO_OK)
        return code;
    if (text[0] == '>')
        return io_fail(h->why, IO_INVALID, h->path, "descr '%s' is big-endian; %s", text, allowed_types);
    if (!strcmp(text, "<f8") || !strcmp(text, "=f8"))
        return io_fail(h->why, IO_INVALID, h->path,
                       "descr '%s': float64 is not accepted; convert to float32 or float16", text);
    for (int i = 0; i < DESCRIPTIONS; i++) {
        int order =
            text[0] == '<' || text[0] == '=' || (text[0] == '|' && tensor_type_bytes(descriptions[i].type) == 1);
        if (order && !strcmp(text + 1, descriptions[i].name)) {
            h->t.type = descriptions[i].type;
            return IO_OK;
        }
    }
    return io_fail(h->why, IO_INVALID, h->path, "descr '%s' is not a known type; %s", text, allowed_types);
}

static int read_dimension(header *h, int64_t *value)
{
    const char *first = h->at;
    if (h->at < h->end && *h->at == '-')
        return io_fail(h->why, IO_INVALID, h->path, "shape has a negative dimension; allowed: 0 or more");
    *value = 0;
    for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++) {
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *h->at - '0', value))
            return io_fail(h->why, IO_INVALID, h->path, "shape has a dimension of more than %lld",
                           (long long)INT64_MAX);
    }
    if (h->at == first || (*first == '0' && h->at - first > 1))
        return refuse(h, "a non-negative integer or ')'");
    return IO_OK;
}

static int read_shape(header *h)
{
    if (!take(h, '('))
        return refuse(h, "'(', the start of a shape,");
    int commas = 0;
    while (!take(h, ')')) {
        if (h->t.rank > commas)
            return refuse(h, "',' or ')'");
        if (h->t.rank == SHAPE_RANK)
            return io_fail(h->why, IO_INVALID, h->path, "shape has more than %d dimensions; allowed: 0 to %d",
                           SHAPE_RANK, SHAPE_RANK);
        int code = read_dimension(h, &h->t.dim[h->t.rank]);
        if (code != IO_OK)
            return code;
        h->t.rank++;
        commas += take(h, ',');
    }
    if (h->t.rank == 1 && !commas) /* Python's (3) is a number */
        return refuse(h, "',' after the only dimension");
    return IO_OK;
}

static int read_value(header *h, int key)
{
    if (key == KEY_DESCR)
        return read_descr(h);
    if (key == KEY_SHAPE)
        return read_shape(h);
    h->fortran = take_word(h, "True");
    return h->fortran || take_word(h, "False") ? IO_OK : refuse(h, "True or False");
}

static int read_entry(header *h)
{
    char text[QUOTED];
    int code = read_quoted(h, text);
    if (code != IO_OK)
        return code;
    int key = 0;
    while (key < KEYS && strcmp(text, keys[key]))
        key++;
    if (key == KEYS)
        return io_fail(h->why, IO_INVALID, h->path,
                       "header has the unknown key '%s'; allowed: descr, fortran_order, shape", text);
    if (h->seen[key]++)
        return io_fail(h->why, IO_INVALID, h->path, "header has the key '%s' twice", text);
    return take(h, ':') ? read_value(h, key) : refuse(h, "':'");
}

static int read_dict(header *h)
{
    if (!take(h, '{'))
        return refuse(h, "'{'");
    while (!take(h, '}')) {
        int code = read_entry(h);
        if (code != IO_OK)
            return code;
        if (!take(h, ',')) {
            if (!take(h, '}'))
                return refuse(h, "',' or '}'");
            break;
        }
    }
    skip_blanks(h);
    if (h->at != h->end)
        return refuse(h, "nothing more");
    for (int key = 0; key < KEYS; key++)
        if (!h->seen[key])
            return io_fail(h->why, IO_INVALID, h->path, "header lacks the key '%s'", keys[key]);
    if (h->fortran && h->t.rank >= 2)
        return io_fail(h->why, IO_INVALID, h->path,
                       "fortran_order is True; allowed: False (C order; see numpy.ascontiguousarray)");
    return IO_OK;
}

/* ------------------------------------------------------------------ the file */

/* Magic, version and length; *at and *end are where the dict's text lies. */
static int find_header(bytes *b, size_t *at, size_t *end, char *why)
{
    int code = bytes_need(b, 8, why);
    if (code != IO_OK)
        return code;
    if (b->count < 8)
        return io_fail(why, IO_INVALID, b->path, "has %zu bytes; a .npy file has at least 10", b->count);
    if (memcmp(b->data, "\x93NUMPY", 6))
        return io_fail(why, IO_INVALID, b->path,
                       "is not a .npy file: it starts with the bytes %02x %02x %02x %02x %02x %02x instead of "
                       "93 4e 55 4d 50 59",
                       b->data[0], b->data[1], b->data[2], b->data[3], b->data[4], b->data[5]);
    unsigned major = b->data[6], minor = b->data[7];
    if (major < 1 || major > 3 || minor)
        return io_fail(why, IO_INVALID, b->path, ".npy version %u.%u is not known; allowed: 1.0, 2.0, 3.0", major,
                       minor);
    *at = major == 1 ? 10 : 12;
    code = bytes_need(b, *at, why);
    if (code != IO_OK)
        return code;
    if (b->count < *at)
        return io_fail(why, IO_INVALID, b->path, "ends after %zu bytes, inside the length of its header", b->count);
    size_t length = b->data[8] | (size_t)b->data[9] << 8;
    if (major > 1)
        length |= (size_t)b->data[10] << 16 | (size_t)b->data[11] << 24;
    *end = *at + length;
    code = bytes_need(b, *end, why);
    if (code == IO_OK && b->count < *end)
        code = io_fail(why, IO_INVALID, b->path, "its header takes %zu bytes, but only %zu are there", length,
                       b->count - *at);
    return code;
}

static int check_length(bytes *b, size_t at, const tensor *t, char *why)
{
    char text[SHAPE_TEXT];
    size_t end;
    if (__builtin_add_overflow(at, t->bytes, &end) || end >= PTRDIFF_MAX)
        return io_fail(why, IO_INVALID, b->path, "shape %s is too large", shape_text(t->dim, t->rank, text));
    int code = bytes_need(b, end + 1, why); /* one more shows what is left over */
    if (code != IO_OK)
        return code;
    if (b->count < end)
        return io_fail(why, IO_INVALID, b->path, "data is truncated: %zu bytes are there, shape %s of %s needs %zu",
                       b->count - at, shape_text(t->dim, t->rank, text), tensor_type_name(t->type), t->bytes);
    if (b->count > end)
        return io_fail(why, IO_INVALID, b->path, "data is followed by other bytes: shape %s of %s needs exactly %zu",
                       shape_text(t->dim, t->rank, text), tensor_type_name(t->type), t->bytes);
    return IO_OK;
}

static int read_open_file(bytes *b, tensor *t, char *why)
{
    char text[SHAPE_TEXT];
    size_t at = 0, end = 0;
    int code = find_header(b, &at, &end, why);
    if (code != IO_OK)
        return code;
    const char *start = (const char *)b->data + at;
    header h = {.path = b->path, .why = why, .start = start, .at = start, .end = (const char *)b->data + end};
    code = read_dict(&h);
    if (code != IO_OK)
        return code;
    if (shape_bytes(h.t.dim, h.t.rank, tensor_type_bytes(h.t.type), &h.t.bytes))
        return io_fail(why, IO_INVALID, b->path, "shape %s overflows: its product times %zu bytes does not fit",
                       shape_text(h.t.dim, h.t.rank, text), tensor_type_bytes(h.t.type));
    code = check_length(b, end, &h.t, why);
    if (code != IO_OK)
        return code;
    code = bytes_give(b, end, &h.t, why);
    *t = h.t;
    return code;
}

int npy_read(const char *path, tensor *t, char *why)
{
    bytes b;
    *t = (tensor){0};
    int code = bytes_open(&b, path, why);
    if (code == IO_OK)
        code = read_open_file(&b, t, why);
    bytes_close(&b);
    return code;
}

/* ------------------------------------------------------------------ writing */

enum {
    PREFIX = 10,        /* magic, version 1.0, two bytes of length */
    ALIGNMENT = 64,     /* of the data, in the file */
    GROWTH_DIGITS = 21, /* numpy leaves room for the first dimension to grow to this many digits */
    HEADER_ROOM = 512   /* 8 dimensions of 19 digits, the words and the padding stay below 400 */
};

/* Fills head with everything before the data; returns its length, a multiple of 64. */
static size_t make_header(const tensor *t, char head[HEADER_ROOM])
{
    int row = 0;
    while (descriptions[row].type != t->type)
        row++;
    size_t n = PREFIX;
    n += (size_t)snprintf(head + n, HEADER_ROOM - n, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                          tensor_type_bytes(t->type) == 1 ? '|' : '<', descriptions[row].name);
    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(head + n, HEADER_ROOM - n, "%s%lld", i ? ", " : "", (long long)t->dim[i]);
    n += (size_t)snprintf(head + n, HEADER_ROOM - n, "%s), }", t->rank == 1 ? "," : "");
    size_t spare = 0;
    if (t->rank)
        spare = (size_t)(GROWTH_DIGITS - snprintf(NULL, 0, "%lld", (long long)t->dim[0]));
    size_t text = n + spare + 1;                        /* with the line break */
    size_t total = text + ALIGNMENT - text % ALIGNMENT; /* at least one blank: numpy's sum never pads by 0 */
    memset(head + n, ' ', total - 1 - n);
    head[total - 1] = '\n';
    size_t length = total - PREFIX;
    memcpy(head, "\x93NUMPY\x01\x00", 8);
    head[8] = (char)(length & 0xff);
    head[9] = (char)(length >> 8);
    return total;
}

int npy_write(const char *path, const tensor *t, char *why)
{
    char head[HEADER_ROOM];
    atomic_file f;
    if (t->type == TENSOR_BF16)
        return io_fail(why, IO_INVALID, path, "type BF16 cannot be written as .npy; allowed: F32, F16, U8, I32, I64");
    int code = shape_check(t, path, why);
    if (code == IO_OK)
        code = atomic_open(&f, path, why);
    if (code != IO_OK)
        return code;
    code = atomic_write(&f, head, make_header(t, head), why);
    if (code == IO_OK)
        code = atomic_write(&f, t->data, t->bytes, why);
    return code == IO_OK ? atomic_commit(&f, why) : code;
}
