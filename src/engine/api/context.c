/* Contexts, versions, instruction sets. */
#include "core/context.h"

#include "core/cpu.h"
#include "core/error.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(x) #x
#define VERSION(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *fovea_version(void)
{
    return VERSION(FOVEA_VERSION_MAJOR, FOVEA_VERSION_MINOR, FOVEA_VERSION_PATCH);
}

const char *fovea_isa_name(unsigned index)
{
    return index < FVK_ISAS ? fvk_isa_names[index] : NULL;
}

int fovea_isa_available(const char *name)
{
    int isa = name ? fv_cpu_isa(name) : -1;
    return isa < 0 ? -1 : (int)(fv_cpu_isas() >> isa & 1);
}

const char *fovea_isa_best(void)
{
    return fvk_isa_names[fv_cpu_strongest(fv_cpu_isas())];
}

const char *fovea_cpu_features(void)
{
    return fv_cpu_features();
}

static fovea_status choose_isas(const char *cap, const char *from, unsigned *isas, fovea_error *err)
{
    char known[128] = "";
    int isa;
    *isas = fv_cpu_isas();
    if (!cap)
        return FOVEA_OK;
    for (int i = 0; i < FVK_ISAS; i++) {
        strcat(known, i ? ", " : "");
        strcat(known, fvk_isa_names[i]);
    }
    isa = fv_cpu_isa(cap);
    if (isa < 0)
        return fv_error_set(err, FOVEA_ERROR_ISA, "%s \"%.40s\" is not an instruction set; known: %s", from, cap, known);
    if (!(*isas >> isa & 1))
        return fv_error_set(err, FOVEA_ERROR_ISA, "%s \"%s\" is not available here; the best is \"%s\"", from, cap,
                            fovea_isa_best());
    *isas = fv_cpu_cap(*isas, cap);
    return FOVEA_OK;
}

/* Size of the options before `tuning` was added to them. */
enum { FIRST_SIZE = offsetof(fovea_context_options, tuning) };

static fovea_status check_options(const fovea_context_options *o, fovea_error *err)
{
    if (o->struct_size != sizeof *o && o->struct_size != FIRST_SIZE)
        return fv_error_set(err, FOVEA_ERROR_STRUCT, "options.struct_size %zu is not sizeof(fovea_context_options) = %zu",
                            o->struct_size, sizeof *o);
    if (!o->allocate != !o->release)
        return fv_error_set(err, FOVEA_ERROR_NULL, "options.%s is NULL: allocate and release go together",
                            o->allocate ? "release" : "allocate");
    if (!o->load != !o->unload)
        return fv_error_set(err, FOVEA_ERROR_NULL, "options.%s is NULL: load and unload go together",
                            o->load ? "unload" : "load");
    if (o->threads > 1024)
        return fv_error_set(err, FOVEA_ERROR_THREADS, "options.threads %u is outside 1..1024", o->threads);
    return FOVEA_OK;
}

static void load_tuning(fovea_context *c, const char *option)
{
    char line[FV_TUNING_SOURCE + 32];
    int level = fv_tuning_load(&c->tuning, option, fvk_isa_names[fv_cpu_strongest(c->isas)]);
    if (level < 0 || !c->log)
        return;
    if (c->tuning.note[0])
        snprintf(line, sizeof line, "%s", c->tuning.note);
    else
        snprintf(line, sizeof line, "tuning read from %s", c->tuning.source);
    c->log(c->log_user, level, line);
}

fovea_status fovea_context_create(const fovea_context_options *options, fovea_context **context, fovea_error *err)
{
    static const fovea_context_options none = {.struct_size = sizeof none};
    const fovea_context_options *o = options ? options : &none;
    fv_memory memory = fv_memory_standard;
    fovea_context *c;
    unsigned isas;
    fovea_status status;
    if (!context)
        return fv_error_set(err, FOVEA_ERROR_NULL, "context is NULL");
    *context = NULL;
    status = check_options(o, err);
    if (!status)
        status = choose_isas(o->isa ? o->isa : getenv("FOVEA_ISA"), o->isa ? "isa" : "FOVEA_ISA", &isas, err);
    if (status)
        return status;
    if (o->allocate)
        memory = (fv_memory){o->allocate, o->release, o->allocator_user};
    c = fv_memory_zero(&memory, sizeof *c);
    if (!c)
        return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for a context of %zu bytes", sizeof *c);
    c->memory = memory;
    c->log = o->log;
    c->log_user = o->log_user;
    c->load = o->load;
    c->unload = o->unload;
    c->load_user = o->load_user;
    c->isas = isas;
    c->seed = o->seed;
    if (fv_threads_open(&c->threads, o->threads ? o->threads : 1, o->run, o->run_user)) {
        fv_memory_put(&memory, c);
        return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for a pool of %u threads", o->threads);
    }
    load_tuning(c, o->struct_size == FIRST_SIZE ? NULL : o->tuning);
    *context = c;
    return FOVEA_OK;
}

void fovea_context_destroy(fovea_context *context)
{
    fv_memory memory;
    if (!context)
        return;
    memory = context->memory;
    fv_threads_close(&context->threads);
    fv_memory_put(&memory, context);
}

const char *fovea_context_isa(const fovea_context *context)
{
    return fvk_isa_names[fv_cpu_strongest(context->isas)];
}

unsigned fovea_context_threads(const fovea_context *context)
{
    return context->threads.workers;
}
