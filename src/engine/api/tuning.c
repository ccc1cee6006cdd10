/* Tuning: the table of keys, and a context's values. */
#include "core/tuning.h"

#include "core/context.h"
#include "core/cpu.h"
#include "core/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const fovea_tuning_key *fovea_tuning_key_at(unsigned index)
{
    return index < FV_TUNINGS ? &fv_tuning_key[index] : NULL;
}

double fovea_context_tuning(const fovea_context *context, const char *key)
{
    int at = context && key ? fv_tuning_find(key) : -1;
    return at < 0 ? NAN : context->tuning.value[at];
}

const char *fovea_context_tuning_source(const fovea_context *context)
{
    return context ? context->tuning.source : "";
}

const char *fovea_context_tuning_note(const fovea_context *context, fovea_status *status)
{
    if (status)
        *status = context ? context->tuning.status : FOVEA_OK;
    return context ? context->tuning.note : "";
}

fovea_status fovea_context_tune(fovea_context *context, const char *key, const char *value, fovea_error *err)
{
    fovea_status status;
    if (!context || !key || !value)
        return fv_error_set(err, FOVEA_ERROR_NULL, "%s is NULL", !context ? "context" : !key ? "key" : "value");
    status = fv_tuning_set(&context->tuning, key, value, "tuning", err);
    if (!status)
        snprintf(context->tuning.source, sizeof context->tuning.source, "the program");
    return status;
}

size_t fovea_context_tuning_text(const fovea_context *context, const char *date, char *text, size_t size)
{
    if (!context || !date)
        return 0;
    return fv_tuning_write(&context->tuning, fovea_context_isa(context), date, text, size);
}

size_t fovea_tuning_path(char *path, size_t size)
{
    char found[FV_TUNING_SOURCE];
    int asked, n;
    fv_tuning_path(NULL, found, &asked);
    n = snprintf(path, size, "%s", found);
    return n > 0 ? (size_t)n : 0;
}

const char *fovea_cpu_name(void)
{
    return fv_cpu_name();
}
