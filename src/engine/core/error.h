/* Fills a fovea_error: one line that names the argument, its value and what is allowed. */
#ifndef FV_CORE_ERROR_H
#define FV_CORE_ERROR_H
#include <fovea/fovea.h>

/* Returns `status`; err may be NULL. */
fovea_status fv_error_set(fovea_error *err, fovea_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#endif
