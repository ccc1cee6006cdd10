/* Error lines and the text of each status. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

fovea_status fv_error_set(fovea_error *err, fovea_status status, const char *format, ...)
{
    if (err) {
        va_list list;
        err->status = status;
        va_start(list, format);
        vsnprintf(err->text, sizeof err->text, format, list);
        va_end(list);
    }
    return status;
}
