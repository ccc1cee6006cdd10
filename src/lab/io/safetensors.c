/* .safetensors: named tensors. Format: the README of huggingface/safetensors.

     8 bytes  length n of the header, little endian
     n bytes  JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {...}}
     data     offsets count from here; together the tensors cover it without overlap or hole

   Opening a file checks every entry, so that no tensor of a damaged file is served. Element types that this program
   does not read may stand beside the wanted tensor; asking for them is an error.
   The writer keeps the given order in the header and lays the data out by falling element size, which aligns each
   tensor. */
#include "io/atomic.h"
#include "io/bytes.h"
#include "io/fail.h"
#include "io/shape.h"
#include "io/tensor.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PREFIX = 8,
    HEADER_LIMIT = 100 << 20, /* the format's own bound, 100 MiB */
    DEPTH_LIMIT = 8,          /* a valid header is 3 deep */
    VALUE_LIMIT = 1 << 20,    /* over 100,000 tensors; bounds the parser's memory to some 200 MiB */
    NAMES_SHOWN = 6
};
static const char metadata_key[] = "__metadata__";
static const char allowed_types[] = "allowed: F32, F16, BF16, U8, BOOL, I32, I64";

/* Sizes of all types are checked when known; readable ones have a tensor_type. */
static const struct element {
    const char *name;
    size_t bytes;
    int readable;
    tensor_type type;
} elements[] = {
    {"F32", 4, 1, TENSOR_F32}, {"F16", 2, 1, TENSOR_F16}, {"BF16", 2, 1, TENSOR_BF16},
    {"U8", 1, 1, TENSOR_U8},   {"BOOL", 1, 1, TENSOR_U8}, {"I32", 4, 1, TENSOR_I32},
    {"I64", 8, 1, TENSOR_I64}, {"F64", 8, 0, 0},          {"U64", 8, 0, 0},
    {"U32", 4, 0, 0},          {"U16", 2, 0, 0},          {"I16", 2, 0, 0},
    {"I8", 1, 0, 0},           {"F8_E5M2", 1, 0, 0},      {"F8_E4M3", 1, 0, 0},
    {"C64", 8, 0, 0},
};

typedef struct entry {
    const char *name, *dtype;      /* owned by the JSON */
    const struct element *element; /* NULL when dtype is not in the table */
    int rank;
    int64_t dim[SHAPE_RANK];
    size_t begin, end; /* from the start of the data */
} entry;

typedef struct archive {
    bytes file;
    json_t *header;
    entry *entries; /* in header order */
    size_t count;
    size_t data; /* offset of the data in the file */
    char *why;
} archive;

/* ------------------------------------------------------------------ the header's text */

/* A cheap pass before the JSON parser, which spends about 100 bytes on each value and recurses on each level. */
static int header_is_bounded(const archive *a, const char *text, size_t n)
{
    size_t depth = 0, values = 1;
    int quoted = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = 1;
        } else if (c == '{' || c == '[') {
            depth++;
            values++;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        } else if (c == ',') {
            values++;
        }
        if (depth > DEPTH_LIMIT || values > VALUE_LIMIT)
            break;
    }
    if (depth > DEPTH_LIMIT)
        return io_fail(a->why, IO_INVALID, a->file.path, "header is nested deeper than %d levels", DEPTH_LIMIT);
    if (values > VALUE_LIMIT)
        return io_fail(a->why, IO_INVALID, a->file.path, "header has more than %d values", VALUE_LIMIT);
    return IO_OK;
}

static int parse_header(archive *a, size_t n)
{
    const char *text = (const char *)a->file.data + PREFIX;
    json_error_t error;
    if (text[0] != '{')
        return io_fail(a->why, IO_INVALID, a->file.path, "header starts with byte %02x; allowed: '{'",
                       (unsigned char)text[0]);
    int code = header_is_bounded(a, text, n);
    if (code != IO_OK)
        return code;
    errno = 0;
    a->header = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (a->header)
        return IO_OK;
    if (errno == ENOMEM || !error.text[0]) /* jansson says nothing when it runs out of memory */
        return io_fail(a->why, IO_RESOURCE, a->file.path, "no memory for its header of %zu bytes", n);
    return io_fail(a->why, IO_INVALID, a->file.path, "header is not valid JSON at its byte %d: %s", error.position,
                   error.text);
}

static int load_header(archive *a)
{
    bytes *b = &a->file;
    uint64_t n = 0;
    int code = bytes_need(b, PREFIX, a->why);
    if (code != IO_OK)
        return code;
    if (b->count < PREFIX)
        return io_fail(a->why, IO_INVALID, b->path, "has %zu bytes; a .safetensors file has at least 10", b->count);
    for (int i = 0; i < PREFIX; i++)
        n |= (uint64_t)b->data[i] << 8 * i;
    if (n < 2 || n > HEADER_LIMIT)
        return io_fail(a->why, IO_INVALID, b->path, "header length is %llu; allowed: 2 to %d", (unsigned long long)n,
                       HEADER_LIMIT);
    a->data = PREFIX + (size_t)n;
    code = bytes_need(b, a->data, a->why);
    if (code != IO_OK)
        return code;
    if (b->count < a->data)
        return io_fail(a->why, IO_INVALID, b->path, "its header takes %llu bytes, but only %zu are there",
                       (unsigned long long)n, b->count - PREFIX);
    return parse_header(a, (size_t)n);
}

/* ------------------------------------------------------------------ entries */

static int refuse_entry(const archive *a, const entry *e, const char *problem)
{
    return io_fail(a->why, IO_INVALID, a->file.path, "tensor '%.60s': %s", e->name, problem);
}

static int read_shape(const archive *a, entry *e, const json_t *shape)
{
    if (!json_is_array(shape))
        return refuse_entry(a, e, "shape is missing or no array of integers");
    if (json_array_size(shape) > SHAPE_RANK)
        return refuse_entry(a, e, "shape has more than 8 dimensions; allowed: 0 to 8");
    e->rank = (int)json_array_size(shape);
    for (int i = 0; i < e->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim))
            return refuse_entry(a, e, "shape has a dimension that is no integer");
        e->dim[i] = json_integer_value(dim);
        if (e->dim[i] < 0)
            return refuse_entry(a, e, "shape has a negative dimension; allowed: 0 or more");
    }
    return IO_OK;
}

static int read_offsets(const archive *a, entry *e, const json_t *offsets)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return refuse_entry(a, e, "data_offsets is missing or not [begin, end]");
    json_int_t first = json_integer_value(begin), last = json_integer_value(end);
    if (first < 0 || last < first)
        return io_fail(a->why, IO_INVALID, a->file.path,
                       "tensor '%.60s': data_offsets are [%lld, %lld]; allowed: 0 <= begin <= end", e->name,
                       (long long)first, (long long)last);
    e->begin = (size_t)first;
    e->end = (size_t)last;
    return IO_OK;
}

static int check_size(const archive *a, const entry *e)
{
    char text[SHAPE_TEXT];
    size_t needed;
    if (shape_bytes(e->dim, e->rank, e->element ? e->element->bytes : 1, &needed))
        return io_fail(a->why, IO_INVALID, a->file.path, "tensor '%.60s': shape %s of %.20s overflows", e->name,
                       shape_text(e->dim, e->rank, text), e->dtype);
    if (e->element && needed != e->end - e->begin)
        return io_fail(a->why, IO_INVALID, a->file.path,
                       "tensor '%.60s': data_offsets [%zu, %zu] span %zu bytes, shape %s of %s needs %zu", e->name,
                       e->begin, e->end, e->end - e->begin, shape_text(e->dim, e->rank, text), e->dtype, needed);
    return IO_OK;
}

static int read_entry(const archive *a, entry *e, const char *name, json_t *value)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    const char *key;
    json_t *member;
    e->name = name;
    if (!json_is_object(value))
        return refuse_entry(a, e, "is not an object with dtype, shape and data_offsets");
    json_object_foreach(value, key, member)
    {
        if (strcmp(key, keys[0]) && strcmp(key, keys[1]) && strcmp(key, keys[2]))
            return io_fail(a->why, IO_INVALID, a->file.path,
                           "tensor '%.60s' has the unknown key '%.40s'; allowed: dtype, shape, data_offsets", name,
                           key);
    }
    e->dtype = json_string_value(json_object_get(value, "dtype"));
    if (!e->dtype)
        return refuse_entry(a, e, "dtype is missing or no text");
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (!strcmp(e->dtype, elements[i].name))
            e->element = &elements[i];
    int code = read_shape(a, e, json_object_get(value, "shape"));
    if (code == IO_OK)
        code = read_offsets(a, e, json_object_get(value, "data_offsets"));
    return code == IO_OK ? check_size(a, e) : code;
}

static int check_metadata(const archive *a, json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return io_fail(a->why, IO_INVALID, a->file.path, "__metadata__ is not an object");
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return io_fail(a->why, IO_INVALID, a->file.path, "__metadata__ has a value for '%.60s' that is no text",
                           key);
    }
    return IO_OK;
}

static int read_entries(archive *a)
{
    const char *name;
    json_t *value;
    a->entries = calloc(json_object_size(a->header) + 1, sizeof *a->entries);
    if (!a->entries)
        return io_fail(a->why, IO_RESOURCE, a->file.path, "no memory for %zu entries", json_object_size(a->header));
    json_object_foreach(a->header, name, value)
    {
        int code =
            strcmp(name, metadata_key) ? read_entry(a, &a->entries[a->count++], name, value) : check_metadata(a, value);
        if (code != IO_OK)
            return code;
    }
    return IO_OK;
}

/* Empty tensors come before the one that starts where they lie. */
static int by_place(const void *left, const void *right)
{
    const entry *a = *(const entry *const *)left, *b = *(const entry *const *)right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

/* Each tensor begins where the one before ends, and the last one ends with the file. */
static int check_coverage(archive *a)
{
    const entry **order = malloc((a->count + 1) * sizeof *order);
    size_t place = 0, end;
    if (!order)
        return io_fail(a->why, IO_RESOURCE, a->file.path, "no memory for %zu entries", a->count);
    for (size_t i = 0; i < a->count; i++)
        order[i] = &a->entries[i];
    qsort(order, a->count, sizeof *order, by_place);
    int code = IO_OK;
    for (size_t i = 0; i < a->count && code == IO_OK; i++) {
        if (order[i]->begin != place)
            code = io_fail(a->why, IO_INVALID, a->file.path, "tensor '%.60s' begins at byte %zu of the data and %s %zu",
                           order[i]->name, order[i]->begin,
                           order[i]->begin < place ? "overlaps the one that ends at" : "leaves a hole from", place);
        place = order[i]->end;
    }
    free(order);
    if (code != IO_OK)
        return code;
    if (__builtin_add_overflow(a->data, place, &end) || end >= PTRDIFF_MAX)
        return io_fail(a->why, IO_INVALID, a->file.path, "data_offsets reach %zu, which is too large", place);
    code = bytes_need(&a->file, end + 1, a->why); /* one more shows what is left over */
    if (code != IO_OK)
        return code;
    if (a->file.count < end)
        return io_fail(a->why, IO_INVALID, a->file.path,
                       "data is truncated: %zu bytes are there, data_offsets need %zu", a->file.count - a->data, place);
    if (a->file.count > end)
        return io_fail(a->why, IO_INVALID, a->file.path, "data is followed by other bytes: data_offsets end at %zu",
                       place);
    return IO_OK;
}

/* ------------------------------------------------------------------ reading */

static void archive_close(archive *a)
{
    bytes_close(&a->file);
    json_decref(a->header);
    free(a->entries);
    a->header = NULL;
    a->entries = NULL;
}

static int archive_open(archive *a, const char *path, char *why)
{
    *a = (archive){.why = why};
    int code = bytes_open(&a->file, path, why);
    if (code == IO_OK)
        code = load_header(a);
    if (code == IO_OK)
        code = read_entries(a);
    if (code == IO_OK)
        code = check_coverage(a);
    if (code != IO_OK)
        archive_close(a);
    return code;
}

static int refuse_name(const archive *a, const char *name)
{
    char list[NAMES_SHOWN * 48 + 32];
    size_t used = 0, shown = a->count < NAMES_SHOWN ? a->count : NAMES_SHOWN;
    for (size_t i = 0; i < shown; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s'%.40s'", i ? ", " : "", a->entries[i].name);
    if (shown < a->count)
        snprintf(list + used, sizeof list - used, " and %zu more", a->count - shown);
    if (!a->count)
        return io_fail(a->why, IO_INVALID, a->file.path, "has no tensors");
    if (!name)
        return io_fail(a->why, IO_INVALID, a->file.path, "which of its tensors is meant? It has %s", list);
    return io_fail(a->why, IO_INVALID, a->file.path, "has no tensor '%.60s'; it has %s", name, list);
}

/* name NULL: the only tensor. */
static const entry *find_entry(const archive *a, const char *name)
{
    if (!name)
        return a->count == 1 ? a->entries : NULL;
    for (size_t i = 0; i < a->count; i++)
        if (!strcmp(a->entries[i].name, name))
            return &a->entries[i];
    return NULL;
}

static int give_tensor(archive *a, const char *name, tensor *t)
{
    const entry *e = find_entry(a, name);
    if (!e)
        return refuse_name(a, name);
    if (!e->element || !e->element->readable)
        return io_fail(a->why, IO_INVALID, a->file.path, "tensor '%.60s' is of type %.20s; %s", e->name, e->dtype,
                       allowed_types);
    tensor found = {.type = e->element->type, .rank = e->rank, .bytes = e->end - e->begin};
    memcpy(found.dim, e->dim, sizeof found.dim);
    int code = bytes_give(&a->file, a->data + e->begin, &found, a->why);
    *t = found;
    return code;
}

int safetensors_read(const char *path, const char *name, tensor *t, char *why)
{
    archive a;
    *t = (tensor){0};
    int code = archive_open(&a, path, why);
    if (code != IO_OK)
        return code;
    code = give_tensor(&a, name, t);
    archive_close(&a);
    return code;
}

int safetensors_names(const char *path, char ***names, size_t *count, char *why)
{
    archive a;
    *names = NULL;
    *count = 0;
    int code = archive_open(&a, path, why);
    if (code != IO_OK)
        return code;
    char **list = calloc(a.count + 1, sizeof *list);
    size_t n = 0;
    while (list && n < a.count && (list[n] = strdup(a.entries[n].name)))
        n++;
    if (list && n == a.count) {
        *names = list;
        *count = n;
    } else {
        code = io_fail(why, IO_RESOURCE, path, "no memory for %zu names", a.count);
        safetensors_names_free(list, n);
    }
    archive_close(&a);
    return code;
}

void safetensors_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

int safetensors_metadata(const char *path, const char *key, char **value, char *why)
{
    archive a;
    *value = NULL;
    int code = archive_open(&a, path, why);
    if (code != IO_OK)
        return code;
    const char *text = json_string_value(json_object_get(json_object_get(a.header, metadata_key), key));
    if (text && !(*value = strdup(text)))
        code = io_fail(why, IO_RESOURCE, path, "no memory for the value of '%.60s'", key);
    archive_close(&a);
    return code;
}

/* ------------------------------------------------------------------ writing */

typedef struct layout {
    const char *path;
    char *why;
    const char *const *names;
    const tensor *const *tensors;
    size_t count;
} layout;

/* Offset of a tensor's data: all of larger elements and the earlier ones of the same size come before it. */
static size_t place_of(const layout *l, size_t index)
{
    size_t size = tensor_type_bytes(l->tensors[index]->type), place = 0;
    for (size_t i = 0; i < l->count; i++) {
        size_t other = tensor_type_bytes(l->tensors[i]->type);
        if (other > size || (other == size && i < index))
            place += l->tensors[i]->bytes;
    }
    return place;
}

static int check_tensors(const layout *l)
{
    size_t total = 0;
    for (size_t i = 0; i < l->count; i++) {
        int code = shape_check(l->tensors[i], l->path, l->why);
        if (code != IO_OK)
            return code;
        if (__builtin_add_overflow(total, l->tensors[i]->bytes, &total) || total > PTRDIFF_MAX)
            return io_fail(l->why, IO_INVALID, l->path, "the tensors are too large together");
    }
    return IO_OK;
}

static int add_entry(const layout *l, size_t index, json_t *header)
{
    const tensor *t = l->tensors[index];
    const char *name = l->names[index];
    json_t *shape = json_array();
    size_t begin = place_of(l, index);
    if (!strcmp(name, metadata_key) || json_object_get(header, name)) {
        json_decref(shape);
        return io_fail(l->why, IO_INVALID, l->path, "tensor name '%.60s' is %s; allowed: distinct names", name,
                       strcmp(name, metadata_key) ? "given twice" : "reserved");
    }
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer(t->dim[i]));
    json_t *value = json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor_type_name(t->type), "shape", shape,
                              "data_offsets", (json_int_t)begin, (json_int_t)(begin + t->bytes));
    if (!value || (int)json_array_size(shape) != t->rank) {
        json_decref(value);
        return io_fail(l->why, IO_RESOURCE, l->path, "no memory for the header");
    }
    errno = 0;
    if (!json_object_set_new(header, name, value))
        return IO_OK;
    if (errno == ENOMEM)
        return io_fail(l->why, IO_RESOURCE, l->path, "no memory for the header");
    return io_fail(l->why, IO_INVALID, l->path, "tensor name '%.60s' is not valid UTF-8", name);
}

/* *text, to be freed, is the header padded with blanks to 8 bytes. */
static int make_header(const layout *l, char **text, size_t *length)
{
    json_t *header = json_object();
    int code = IO_OK;
    for (size_t i = 0; header && i < l->count && code == IO_OK; i++)
        code = add_entry(l, i, header);
    if (code == IO_OK) {
        size_t used = header ? json_dumpb(header, NULL, 0, JSON_COMPACT) : 0;
        *length = (used + 7) / 8 * 8;
        *text = used ? malloc(*length) : NULL;
        if (!*text) {
            code = io_fail(l->why, IO_RESOURCE, l->path, "no memory for the header");
        } else if (*length > HEADER_LIMIT) {
            code = io_fail(l->why, IO_INVALID, l->path, "header takes %zu bytes; allowed: %d", *length, HEADER_LIMIT);
        } else {
            json_dumpb(header, *text, used, JSON_COMPACT);
            memset(*text + used, ' ', *length - used);
        }
    }
    json_decref(header);
    return code;
}

static int write_data(const layout *l, atomic_file *f)
{
    static const size_t sizes[] = {8, 4, 2, 1};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t i = 0; i < l->count; i++) {
            const tensor *t = l->tensors[i];
            if (tensor_type_bytes(t->type) != sizes[s])
                continue;
            int code = atomic_write(f, t->data, t->bytes, l->why);
            if (code != IO_OK)
                return code;
        }
    }
    return IO_OK;
}

static int write_file(const layout *l, const char *text, size_t length)
{
    unsigned char prefix[PREFIX];
    atomic_file f;
    for (int i = 0; i < PREFIX; i++)
        prefix[i] = (unsigned char)((uint64_t)length >> 8 * i);
    int code = atomic_open(&f, l->path, l->why);
    if (code != IO_OK)
        return code;
    code = atomic_write(&f, prefix, sizeof prefix, l->why);
    if (code == IO_OK)
        code = atomic_write(&f, text, length, l->why);
    if (code == IO_OK)
        code = write_data(l, &f);
    return code == IO_OK ? atomic_commit(&f, l->why) : code;
}

int safetensors_write(const char *path, const char *const *names, const tensor *const *tensors, size_t count, char *why)
{
    layout l = {path, why, names, tensors, count};
    char *text = NULL;
    size_t length = 0;
    int code = check_tensors(&l);
    if (code == IO_OK)
        code = make_header(&l, &text, &length);
    if (code == IO_OK)
        code = write_file(&l, text, length);
    free(text);
    return code;
}
