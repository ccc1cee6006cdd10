/* What commands make from the common options: the engine's context, the environment of results, printed tables. */
#include "cli/cli.h"
#include "io/pages.h"
#include "io/tensor.h"
#include "report/environment.h"
#include <stdlib.h>
#include <string.h>

/* The array behind file:PATH in a SPEC. The handle is the tensor that owns the data. */
static int load_array(void *user, const char *path, fovea_array *array, char *why, size_t n)
{
    static const char types[] = {[TENSOR_F32] = 'f', [TENSOR_F16] = 0,   [TENSOR_BF16] = 0,
                                 [TENSOR_U8] = 'b',  [TENSOR_I32] = 'i', [TENSOR_I64] = 'l'};
    char text[IO_TEXT];
    (void)user;
    tensor *t = calloc(1, sizeof *t);
    if (t == NULL) {
        snprintf(why, n, "%s: no memory to load it", path);
        return 1;
    }
    if (npy_read(path, t, text) != IO_OK) {
        snprintf(why, n, "%s", text);
        free(t);
        return 1;
    }
    if (types[t->type] == 0) {
        snprintf(why, n, "%s: holds %s; an array of a SPEC is u1, b1, i4, i8 or f4", path,
                 tensor_type_name(t->type));
        tensor_free(t);
        free(t);
        return 1;
    }
    array->data = t->data;
    array->rank = t->rank;
    array->type = types[t->type];
    array->handle = t;
    memcpy(array->dim, t->dim, sizeof array->dim);
    return 0;
}

static void unload_array(void *user, fovea_array *array)
{
    (void)user;
    tensor_free(array->handle);
    free(array->handle);
    array->handle = NULL;
}

static void log_line(void *user, int level, const char *line)
{
    const cli *c = user;
    if (level == 0)
        cli_fail(c, 0, "%s", line);
    else if (level == 1)
        cli_note(c, "warning: %s", line);
}

/* The engine's own blocks, among them the one that read bandwidth is measured on, lie like the tensors. */
static void *allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    return pages_get_aligned(bytes, alignment);
}

static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

int cli_context(const cli *c, fovea_context **context)
{
    return cli_context_with(c, (unsigned)cli_integer(c, "--threads"), NULL, context);
}

int cli_context_with(const cli *c, unsigned threads, const char *tuning, fovea_context **context)
{
    fovea_error err = {0};
    fovea_context_options options = {
        .struct_size = sizeof options,
        .threads = threads,
        .allocate = allocate,
        .release = release,
        .log = log_line,
        .log_user = (void *)c,
        .load = load_array,
        .unload = unload_array,
        .isa = cli_text(c, "--isa"),
        .seed = (uint64_t)cli_integer(c, "--seed"),
        .tuning = tuning,
    };
    *context = NULL;
    return fovea_context_create(&options, context, &err) == FOVEA_OK ? EXIT_DONE
                                                                     : cli_fail_error(c, &err);
}

json_t *cli_environment(const cli *c, const fovea_context *context)
{
    return environment_json(fovea_context_isa(context), fovea_context_threads(context),
                            cli_integer(c, "--seed"));
}

int cli_print(const cli *c, const fovea_context *context, const table *t, json_t *extra)
{
    table_format format = TABLE_TEXT;
    table_format_find(cli_text(c, "--format"), &format);
    table_frame frame = {.argc = cli_argc(c),
                         .argv = cli_argv(c),
                         .environment = cli_environment(c, context),
                         .color = cli_color(c, stdout)};
    int failed = frame.environment == NULL;
    if (!failed && extra != NULL)
        failed = json_object_update(frame.environment, extra);
    if (!failed)
        failed = table_print(t, format, &frame, stdout);
    json_decref(frame.environment);
    json_decref(extra);
    return failed ? cli_fail(c, EXIT_RESOURCE, "no memory to print the results") : EXIT_DONE;
}
