/* Patterns: which keys a query may read, known before the data.

   An expression of primitives (`causal & (window(left=255) | sinks(4))`) is compiled for one sequence shape into an
   immutable tree. For a row it yields sorted disjoint runs of keys; for a tile of rows it yields spans, each with the set
   of rows (lanes) that see it. Nothing of size lq x lk is stored, and work is proportional to what is kept.

   Classes. A pattern is split into disjoint parts. A part has a step: its rows and keys are grouped by position modulo
   step, and a row of class c sees keys of class c only, so that strided keys are read by stride and neighbouring lanes
   share them. Within class c, run coordinates are t with key = c + step * t. A part with step 1 has the single class 0. */
#ifndef FV_PATTERN_PATTERN_H
#define FV_PATTERN_PATTERN_H
#include "core/memory.h"
#include <fovea/fovea.h>
#include <stddef.h>
#include <stdint.h>

/* One sequence: lengths and number of query heads. */
typedef struct fv_shape {
    int64_t lq, lk, hq;
} fv_shape;

/* What compiling needs from its surroundings. load and unload as in fovea_context_options; load may be NULL. */
typedef struct fv_pattern_env {
    const fv_memory *memory;
    int (*load)(void *user, const char *path, fovea_array *array, char *why, size_t n);
    void (*unload)(void *user, fovea_array *array);
    void *load_user;
    uint64_t seed; /* default of every seed= */
} fv_pattern_env;

typedef struct fv_pattern fv_pattern;

typedef struct fv_run {
    int64_t lo, hi; /* lo <= t < hi */
} fv_run;

typedef struct fv_lane {
    int64_t row;  /* query row i, 0..lq-1 */
    int64_t head; /* query head, 0..hq-1 */
} fv_lane;

typedef struct fv_span {
    int64_t lo, hi;  /* class coordinates */
    uint64_t lanes;  /* bit n: lane n sees these keys */
} fv_span;

/* Compiles `text`. shape NULL checks syntax, names and ranges only (files are not loaded) and stores NULL in *pattern. */
fovea_status fv_pattern_compile(const fv_pattern_env *env, const char *text, const fv_shape *shape, fv_pattern **pattern,
                                fovea_error *err);
void fv_pattern_free(fv_pattern *pattern); /* NULL is fine */

/* Parts are disjoint and their union is the pattern; at least one. */
unsigned fv_pattern_parts(const fv_pattern *pattern);
int64_t fv_pattern_step(const fv_pattern *pattern, unsigned part);
/* In place of a part: the whole pattern in one piece, step 1, whatever rows a tile holds. */
#define FV_PATTERN_WHOLE (~0u)

/* 1 when every row of the part sees the keys -ahead <= p - j <= back and no others; the step is then 1. */
int fv_pattern_band(const fv_pattern *pattern, unsigned part, int64_t *back, int64_t *ahead);

/* Whole pattern, step 1: runs of row (head, row), sorted, disjoint, not touching, inside [0, lk). `out` and `scratch` come
   from fv_pattern_row_scratch bytes aligned to 16; *out points into the scratch. Returns their number. */
size_t fv_pattern_row_scratch(const fv_pattern *pattern);
size_t fv_pattern_row(const fv_pattern *pattern, fv_lane lane, void *scratch, const fv_run **out);

/* Spans of a tile of 1..64 lanes of one part; all lanes have the same class key_class = p mod step, with p = row + lk - lq
   reduced to 0..step-1 (p may be negative when lq > lk). Spans come sorted, disjoint, none empty, none without lanes, and
   neighbours differ in their lanes or do not touch. *out points into the scratch (fv_pattern_tile_scratch bytes, aligned to
   16). Returns their number. */
size_t fv_pattern_tile_scratch(const fv_pattern *pattern, unsigned part, unsigned lanes);
size_t fv_pattern_tile(const fv_pattern *pattern, unsigned part, const fv_lane *lanes, unsigned n, int64_t key_class,
                       void *scratch, const fv_span **out);

/* Primitives for lists and help; NULL past the last one. */
const fovea_primitive *fv_pattern_primitive_at(unsigned index);
#endif
