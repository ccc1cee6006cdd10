/* One case of the kernel check: numbers drawn from (seed, kernel, case number), arguments in guarded memory, the
   call, and the comparison with what the oracle wants. lanes.c and rows.c hold one function per operation. */
#ifndef FV_CHECK_CASE_H
#define FV_CHECK_CASE_H
#include "check/guard.h"
#include "check/reference.h"
#include <stddef.h>
#include <stdint.h>

enum { FV_CASE_DIM = 300, FV_CASE_KEYS = 300, FV_CASE_TEXT = 200 };

/* How the numbers of an operand are distributed. */
typedef enum fv_values {
    FV_UNIFORM,  /* (-1, 1) */
    FV_SPREAD,   /* either sign, magnitudes over 12 (16 bit) or 40 binary orders */
    FV_EQUAL,    /* one number everywhere */
    FV_TINY,     /* about the subnormal range of the type */
    FV_INTEGERS, /* -4 .. 4: sums cancel, and scores repeat */
    FV_VALUES
} fv_values;

typedef struct fv_case fv_case;

/* What is kept between cases: big arrays, one each per check. */
typedef struct fv_case_memory {
    fv_guard *guard;
    double *q, *k, *v, *p, *o; /* operands in double, FV_CASE_KEYS * FV_CASE_DIM or FV_CASE_DIM * FVK_MAX_LANES each */
    fv_want *want;             /* FV_CASE_DIM * FV_CASE_DIM */
} fv_case_memory;

struct fv_case {
    const fv_case_memory *memory;
    const fvk_row *row;
    void (*fn)(void);
    void (*call)(fv_case *); /* how fn is called with the arguments below */
    uint64_t key, counter;   /* random numbers are a hash of the two */
    unsigned number;
    fv_values values;
    int clean; /* no NaN, no infinity */

    /* Arguments as in simd/kernel.h; those that an operation lacks stay 0. */
    int n, d, dv, nk;
    ptrdiff_t ldq, lds, ldp, ldo;
    float scale, shift;
    const void *const *q_rows, *const *k_rows, *const *v_rows, *const *next_rows;
    int in_order; /* how rows are asked for */
    float *const *o_rows;
    uint32_t *rows;
    void *qt;
    float *q, *s, *mx, *m, *l, *alpha, *p, *o, *r, *lse, *sink, *block;
    fvk_edit edit;
    fvk_small small;
    fvk_columns columns;
    fvk_search search;
    uint64_t work;
    double result;

    int failed;              /* 1: a comparison failed */
    double worst;            /* largest error over its allowance */
    char text[FV_CASE_TEXT]; /* the failure */
};

typedef void fv_case_fn(fv_case *c);
extern fv_case_fn *const fv_case_of[FVK_OPS];

/* Draws. Ends are included. */
uint64_t fv_draw(fv_case *c);
int fv_draw_int(fv_case *c, int lo, int hi);
int fv_draw_once_in(fv_case *c, int n); /* 1 with probability 1 / n */
double fv_draw_real(fv_case *c, double lo, double hi);
double fv_draw_value(fv_case *c, fvk_dtype dtype); /* by c->values; not rounded to dtype */
double fv_draw_poison(fv_case *c);                 /* NaN or an infinity */
int fv_draw_dim(fv_case *c);                       /* 1 .. FV_CASE_DIM, favouring tails of every vector width */
int fv_draw_keys(fv_case *c);                      /* 1 .. FV_CASE_KEYS, mostly few */

/* Guarded buffers. floats: filled with a number that no result has. */
float *fv_case_floats(fv_case *c, const char *name, size_t n);
/* A guarded array of `count` pointers to guarded rows of n elements of dtype, drawn; shadow[j * n + t]: the same,
   rounded, in double. NULL shadow: left out. */
const void *const *fv_case_rows(fv_case *c, const char *name, int count, int n, fvk_dtype dtype, double *shadow);
/* Changes one element of such a row. */
void fv_case_put(fv_case *c, const void *const *rows, int j, int n, int t, fvk_dtype dtype, double value,
                 double *shadow);
/* c->rows: for nk keys and `lanes` lanes; NULL, random, keys no lane sees, lanes that see no key, nothing visible,
   edges of a band.
   Then poisons elements of rows[j]: all of them where no lane sees the key, a few where some do not, rarely where
   all do. */
void fv_case_hide(fv_case *c, int lanes);
void fv_case_poison(fv_case *c, int lanes, const void *const *rows, int n, fvk_dtype dtype, double *shadow);
int fv_case_sees(const fv_case *c, int j, int lane);

/* Calls c->call under the guard; 0 when that failed. */
int fv_case_run(fv_case *c);
/* Compares name[i] or name[i][j] (j < 0: the former). Only the first failure of a case is kept. */
void fv_case_expect(fv_case *c, const char *name, int i, int j, float got, fv_want want);
/* Bits of the number that fv_case_floats fills with are still there. */
void fv_case_untouched(fv_case *c, const char *name, int i, int j, float got);
void fv_case_fail(fv_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
#endif
