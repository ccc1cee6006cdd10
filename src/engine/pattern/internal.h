/* Inside of the pattern room: the tree, the rows of the table of primitives, and run lists in class coordinates.

   A pattern lives in one arena: nodes, argument values and bound states are taken from it and freed together. After
   compiling nothing is written any more, so one pattern may be asked from many threads, each with its own scratch. */
#ifndef FV_PATTERN_INTERNAL_H
#define FV_PATTERN_INTERNAL_H
#include "core/error.h"
#include "pattern/pattern.h"

enum {
    FV_DEPTH = 64,    /* nested parentheses */
    FV_LEAVES = 1024, /* primitives in one expression */
    FV_ARGS = 6,      /* arguments of a primitive */
    FV_AXES = 3,      /* axes of a grid */
    FV_TERMS = 8,     /* terms that distributing '&' over '|' may yield */
    FV_LANES = 64
};

/* ------------------------------------------------------------------ arena (arena.c) */

typedef struct fv_chunk fv_chunk;
typedef struct fv_arena {
    fv_memory memory;
    fv_chunk *chunk;
} fv_arena;

void *fv_arena_get(fv_arena *arena,
                   size_t bytes); /* zeroed, aligned to 16; NULL when there is no memory */
void fv_arena_free(fv_arena *arena);
fovea_status fv_no_memory(fovea_error *err);

/* ------------------------------------------------------------------ tree */

typedef enum fv_kind {
    FV_INT = 1, /* one number */
    FV_SIZES,   /* n1+n2+...: one or more numbers */
    FV_SET,     /* a,b,... or a+b+...: any number of numbers; takes every positional argument */
    FV_FLAGS,   /* as FV_SIZES, and the bare name means 1 */
    FV_FILE     /* file:PATH */
} fv_kind;

typedef struct fv_argument {
    const char *name; /* NULL ends the list */
    fv_kind kind;
    int64_t min, max; /* of each number, both allowed */
    int required;
    int64_t standard; /* when it is neither given nor required */
} fv_argument;

/* A primitive's argument as given: count numbers, or a path. count is 0 when it was not given. */
typedef struct fv_value {
    int given;
    size_t count;
    int64_t *number;
    const char *path;
} fv_value;

struct fv_rule;
typedef struct fv_leaf {
    const struct fv_rule *rule;
    fv_value value[FV_ARGS];
    void *state; /* what bind() worked out for the shape; its type is the primitive's own */
} fv_leaf;

typedef enum fv_op { FV_LEAF, FV_NOT, FV_AND, FV_OR } fv_op;

typedef struct fv_node {
    fv_op op;
    unsigned count; /* children: 0 for a leaf, 1 for '!', 2 or more else */
    struct fv_node **child;
    fv_leaf *leaf;
} fv_node;

fv_node *fv_node_leaf(fv_arena *arena, fv_leaf *leaf);
fv_node *fv_node_not(fv_arena *arena, fv_node *child);
/* Joins two nodes; operands that are such nodes themselves are spliced in. All NULL when there is no memory. */
fv_node *fv_node_join(fv_arena *arena, fv_op op, fv_node *a, fv_node *b);

/* ------------------------------------------------------------------ a row asked for */

/* One lane of one class. Keys of the class are key_class + step * t; `lo` and `hi` limit the t that are wanted, and a
   primitive may skip what lies outside (the list helpers cut it off anyway). */
typedef struct fv_view {
    int64_t lq, lk;
    int64_t row, head, p;
    int64_t step, key_class;
    int64_t own; /* t of key p; outside 0..nt-1 when there is no such key */
    int64_t lo, hi;
    uint64_t *bits; /* one bit per block, for primitives that ask for it */
} fv_view;

/* Runs in order, disjoint and not touching. */
typedef struct fv_list {
    fv_run *run;
    size_t count;
} fv_list;

static inline int64_t fv_floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b < 0);
}

static inline int64_t fv_floor_mod(int64_t a, int64_t b)
{
    int64_t r = a % b;
    return r < 0 ? r + b : r;
}

static inline int64_t fv_ceil_div(int64_t a, int64_t b) /* a >= 0 */
{
    return a / b + (a % b != 0);
}

static inline int64_t fv_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t fv_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t fv_gcd(int64_t a, int64_t b);

/* First t whose key is at least `key`. */
static inline int64_t fv_view_t(const fv_view *view, int64_t key)
{
    key -= view->key_class;
    if (key <= 0)
        return 0;
    return view->step == 1 ? key : fv_ceil_div(key, view->step);
}

/* The wanted keys lie in [fv_view_first, fv_view_end). */
static inline int64_t fv_view_first(const fv_view *view)
{
    return view->key_class + view->step * view->lo;
}

static inline int64_t fv_view_end(const fv_view *view)
{
    return view->key_class + view->step * (view->hi - 1) + 1;
}

/* Appends lo <= t < hi, which may overlap or touch the last run but not start before it. */
static inline void fv_list_add_t(fv_list *list, const fv_view *view, int64_t lo, int64_t hi)
{
    fv_run *last = list->run + list->count;
    lo = fv_max(lo, view->lo);
    hi = fv_min(hi, view->hi);
    if (lo >= hi)
        return;
    if (list->count && last[-1].hi >= lo) {
        last[-1].hi = fv_max(last[-1].hi, hi);
        return;
    }
    last->lo = lo;
    last->hi = hi;
    list->count++;
}

/* The same for the keys lo <= j < hi. */
static inline void fv_list_add(fv_list *list, const fv_view *view, int64_t lo, int64_t hi)
{
    fv_list_add_t(list, view, fv_view_t(view, lo), fv_view_t(view, hi));
}

static inline void fv_list_add_all(fv_list *list, const fv_view *view)
{
    fv_list_add_t(list, view, view->lo, view->hi);
}

/* For rules that find keys from the query backwards: prepends in thought, that is, keeps the list in falling order
   until fv_list_reverse. The run may overlap or touch the last one but not end after it. */
void fv_list_add_down(fv_list *list, const fv_view *view, int64_t lo, int64_t hi);
void fv_list_reverse(fv_list *list);

/* Keys lo <= j < hi with (p - j) mod s = 0. In a class whose step is a multiple of s that is one run. */
void fv_list_add_strided(fv_list *list, const fv_view *view, int64_t s, int64_t lo, int64_t hi);
/* How many runs that can be, for an interval of `span` keys. */
int64_t fv_strided_bound(int64_t s, int64_t step, int64_t span);
/* 1 when the rule "(p - j) mod s = 0" holds for all keys of a class of this step. */
static inline int fv_strided_whole(int64_t s, int64_t step)
{
    return step % s == 0;
}

/* ------------------------------------------------------------------ primitives */

typedef struct fv_binding {
    const fv_pattern_env *env;
    fv_shape shape;
    fv_arena *arena;
    size_t bits; /* words of fv_view.bits that a primitive needs; raised by bind() */
} fv_binding;

enum { FV_USES_ROW = 1, FV_USES_HEAD = 2 };

/* Limits on the keys of any one row: p - j <= back, j - p <= ahead, and `keys` from the first to the last. */
typedef struct fv_reach {
    int64_t back, ahead, keys;
} fv_reach;

/* One row of the table: everything the parser, the help and the evaluator know about a primitive. */
typedef struct fv_rule {
    fovea_primitive text;
    fv_argument argument[FV_ARGS + 1];
    unsigned uses; /* what the runs depend on */

    /* Relations between arguments that hold whatever the shape; may be NULL. */
    fovea_status (*check)(const fv_leaf *leaf, fovea_error *err);
    /* Makes leaf->state; NULL when the rule needs none. */
    fovea_status (*bind)(fv_leaf *leaf, fv_binding *binding, fovea_error *err);
    /* Step whose classes turn the primitive into few runs: a row sees only keys with j = p modulo step. NULL: 1. */
    int64_t (*step)(const fv_leaf *leaf);
    /* Most runs a row can have in a class of this step; NULL: 1. */
    int64_t (*bound)(const fv_leaf *leaf, const fv_shape *shape, int64_t step);
    /* Lowers what it can of an unlimited reach; NULL: nothing. */
    void (*reach)(const fv_leaf *leaf, fv_reach *reach);
    int band; /* the keys are those within reach, and all of them: -ahead <= p - j <= back */
    void (*runs)(const fv_leaf *leaf, const fv_view *view, fv_list *list);
    /* Positions *lo <= p < *hi (of the same head and class) around view->p that see the same keys. NULL: for a rule
       that uses the row just this one, else all. */
    void (*extent)(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi);
} fv_rule;

extern const fv_rule fv_rule_all, fv_rule_self, fv_rule_causal, fv_rule_window, fv_rule_sinks,
    fv_rule_columns, fv_rule_global, fv_rule_stride, fv_rule_dilated, fv_rule_chunk,
    fv_rule_document, fv_rule_lastrows, fv_rule_summary, fv_rule_blockwindow, fv_rule_logsparse,
    fv_rule_longnet;                                                    /* intervals.c, strides.c */
extern const fv_rule fv_rule_axial, fv_rule_neighborhood, fv_rule_swin; /* grids.c */
extern const fv_rule fv_rule_random, fv_rule_bigbird;                   /* draw.c */
extern const fv_rule fv_rule_blocks, fv_rule_tree;                      /* files.c */

const fv_rule *fv_rule_at(unsigned index); /* NULL past the last one (primitives.c) */

/* Argument n as a number: given or standard. */
static inline int64_t fv_number(const fv_leaf *leaf, unsigned n)
{
    return leaf->value[n].given ? leaf->value[n].number[0] : leaf->rule->argument[n].standard;
}

/* A size no larger than what can matter for the shape, so that sums and products with it do not overflow: every size
   above lq + lk acts like lq + lk + 1. */
static inline int64_t fv_clip(const fv_shape *shape, int64_t size)
{
    return fv_min(size, shape->lq + shape->lk + 1);
}

/* ------------------------------------------------------------------ stages */

/* Text to tree; arguments are checked as far as they can be without a shape (parse.c). */
fovea_status fv_parse(fv_arena *arena, const char *text, fv_node **root, fovea_error *err);

/* Calls bind() of every leaf once (primitives.c). */
fovea_status fv_bind(fv_node *node, fv_binding *binding, fovea_error *err);

/* Runs of a tree in view's class, within view->lo..hi; they stand at stack[0] on return (algebra.c). */
size_t fv_eval(const fv_node *node, fv_view *view, fv_run *stack);

/* What fv_eval needs for a class of this step: runs of the result and of the whole stack (algebra.c). */
typedef struct fv_need {
    size_t result, stack;
    fv_reach reach;
} fv_need;
fv_need fv_node_need(const fv_node *node, const fv_shape *shape, int64_t step);

/* What the runs of a tree depend on. */
typedef struct fv_nature {
    unsigned uses;
    int each_row; /* some primitive differs from row to row, so looking for equal neighbours is in vain */
} fv_nature;

typedef struct fv_part {
    int64_t step;
    const fv_node *node;
    fv_need need;
    fv_nature nature;
    int band; /* step 1, and the keys of a row are -ahead <= p - j <= back: */
    int64_t back, ahead;
} fv_part;

/* 1 when all rules below are bands and intersect in one, of which *reach tells the limits (algebra.c). */
int fv_node_band(const fv_node *node, fv_reach *reach);

fv_nature fv_node_nature(const fv_node *node, int64_t step);
/* Narrows *lo..*hi to the positions that see what view->p sees (algebra.c). */
void fv_node_extent(const fv_node *node, const fv_view *view, int64_t *lo, int64_t *hi);
/* Puts the operands of an '&' that yield few runs first: later ones are asked only for the range that is left. The node
   itself only, not those below it. */
void fv_node_order(fv_node *node, const fv_shape *shape, int64_t step);

struct fv_pattern {
    fv_arena arena;
    fv_shape shape;
    fv_node *root;
    fv_need need; /* of root with step 1 */
    size_t bits;  /* words */
    unsigned parts;
    fv_part part[FV_TERMS];
    fv_part whole; /* FV_PATTERN_WHOLE */
};

const fv_part *fv_pattern_part(const fv_pattern *pattern, unsigned part);

/* Fills parts and part[] from root (split.c). */
fovea_status fv_split(fv_pattern *pattern, fovea_error *err);

/* A view of a lane; lo and hi span the whole class. */
fv_view fv_view_of(const fv_pattern *pattern, fv_lane lane, int64_t step, int64_t key_class);
#endif
