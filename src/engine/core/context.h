/* The context: the host's services and the cap on instruction sets. Read-only after creation. */
#ifndef FV_CORE_CONTEXT_H
#define FV_CORE_CONTEXT_H
#include "core/memory.h"
#include "core/threads.h"
#include "core/tuning.h"
#include <fovea/fovea.h>

struct fovea_context {
    fv_memory memory;
    fv_threads threads;
    void (*log)(void *user, int level, const char *line);
    void *log_user;
    int (*load)(void *user, const char *path, fovea_array *array, char *why, size_t n);
    void (*unload)(void *user, fovea_array *array);
    void *load_user;
    unsigned isas; /* bit set over fvk_isa that plans may use */
    uint64_t seed;
    fv_tuning tuning;
};
#endif
