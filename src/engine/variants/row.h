/* Rows of the registry. One row is all that a new static variant needs: its texts, its parameters, and a template of
   the pattern. `list`, `explain`, `run`, `compare`, the help, the man page and the tests of bounds read the rows.

   A template is a pattern expression in which {name} stands for the parameter's value as a SPEC writes it (lists as
   a+b, files as file:PATH), {name,} for a list written a,b, and {name-1} or {name+1} for an integer moved by one. A row
   whose pattern is not one template (window, longnet ...) has a build function. */
#ifndef FV_VARIANTS_ROW_H
#define FV_VARIANTS_ROW_H
#include "variants/recipe.h"

/* What a parameter row cannot say in its public form. Lists of traits end with a row whose name is NULL. */
typedef struct fv_trait {
    const char *name;  /* of the parameter */
    const char *words; /* type "word": all its values, others: values besides numbers; separated by one space */
    int bare;          /* may stand without "=1" although it is no flag */
    int empty;         /* a list that may hold nothing */
    unsigned min_count, max_count; /* elements of a list; max 0: as many as there are */
} fv_trait;

/* One building of one recipe; see build.h. */
typedef struct fv_builder fv_builder;

enum {
    FV_ROW_FIXES_CAUSALITY = 1, /* the pattern is causal (or knows better); the causal flag changes nothing */
    FV_ROW_NO_DENOMINATOR = 2,  /* not normalised by a sum of exponentials: no lse, no sink */
    FV_ROW_ZERO_LOGIT = 4       /* one zero logit joins the denominator */
};

typedef struct fv_row {
    fovea_variant variant;
    const char *pattern;            /* template; NULL when build makes the patterns */
    const char *normaliser;         /* name in drive/normalise.h; NULL: softmax */
    const char *arg[FV_BUILD_ARGS]; /* parameters handed to the normaliser */
    unsigned flags;
    const fv_trait *traits; /* NULL: none */
    /* Rules between parameters, when all are known. NULL: none. */
    fovea_status (*check)(const fovea_recipe *recipe, fovea_error *err);
    /* Runs after template and arguments. NULL: nothing more to do. */
    fovea_status (*build)(fv_builder *builder);
} fv_row;

/* Families: tables that end with a row whose variant.name is NULL. */
extern const fv_row fv_rows_exact[], fv_rows_windows[], fv_rows_sparse[], fv_rows_grids[], fv_rows_free[],
    fv_rows_pruned[];

/* Bounds that several rows use. Token counts beyond lk are clipped, so their limit only keeps sums inside int64. */
#define FV_TOKENS_MAX 1099511627776.0       /* 2^40 */
#define FV_BLOCK_MAX 1073741824.0           /* 2^30: block * blocks stays below 2^63 */
#define FV_SEED_MAX 9007199254740991.0      /* 2^53 - 1: exact as a double, and so in JSON */
#define FV_REAL_MAX 3.4028234663852886e38   /* largest float */
#define FV_REAL_TINY 1.1754943508222875e-38 /* smallest normal float: "> 0" as a closed range */

#define FV_SIZE(table) (sizeof(table) / sizeof *(table))
#define FV_PARAMETERS(table) .parameter_count = FV_SIZE(table), .parameters = (table)

/* registry.c */
const fv_row *fv_row_at(unsigned index); /* NULL past the last one */
const fv_row *fv_row_find(const char *name);
const fv_row *fv_row_nearest(const char *name); /* smallest edit distance; never NULL */
/* Parameters of a row: its own, then the common ones that its own do not hide. NULL past the last one. */
const fovea_parameter *fv_row_parameter_at(const fv_row *row, unsigned index);
int fv_row_parameter_find(const fv_row *row, const char *name);    /* index, or -1 */
const fv_trait *fv_row_trait(const fv_row *row, const char *name); /* never NULL; a row of zeros when there is none */
#endif
