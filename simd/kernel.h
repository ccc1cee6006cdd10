/* The instruction-set boundary: what a kernel may assume, and the one table of them.

   Three families.
   - "lanes": queries ride in the vector lanes. A tile of LANES query rows is transposed once; scores are stored
     s[key][LANES], the output accumulator ot[dv][LANES]. LANES is the row's `lanes`. Keys and values come as row pointers,
     so that strides, pages and index lists are all the same to a kernel.
   - "rows": the head dimension rides in the lanes, for few query rows per key/value head. Scores are s[row][key].

   - "small": keys ride in the lanes, for few keys; the scores of a row lie side by side.

   Scores are in units of log2 (q carries scale * log2 e) wherever exp2 follows.
   FVK_HIDDEN, -infinity, marks a score that no softmax may count.
   `rows` arguments: bit n of rows[j] says that lane (or row) n sees key j; NULL means that all do. A hidden pair
   contributes nothing even when key or value hold NaN.
   Nothing beyond the d or dv elements of a row, or the nk rows, is read. */
#ifndef FV_SIMD_KERNEL_H
#define FV_SIMD_KERNEL_H
#include <stddef.h>
#include <stdint.h>

#define FVK_HIDDEN (-__builtin_inff())
#define FVK_LOWEST (-3.4e38f) /* where a finite bias in units of log2 saturates; its lse is -FLT_MAX */
#define FVK_LOG2E 1.44269504088896340736
#define FVK_LN2 0.693147180559945309417

enum { FVK_MAX_LANES = 32, FVK_MAX_ROWS = 8 };

/* qt[t][LANES] = scale * q[lane][t], t < d; lanes >= n are 0. q by dtype. */
typedef void fvk_pack_fn(const void *const *q, int n, int d, float scale, float *qt);
/* Rows of which `width` floats at `shift` bytes beyond each pointer are prefetched to L2, one row with each key; any address may be. row
   NULL: none. in_order: rows that lie side by side line by line, in the order of memory. */
typedef struct fvk_far {
    const void *const *row;
    ptrdiff_t shift;
    int width, in_order;
} fvk_far;
/* s[j][lane] = sum_t qt[t][lane] k[j][t], hidden pairs FVK_HIDDEN; mx[lane] = max(mx[lane], s), in
   which a NaN may be lost (it stays in s). next_k: at least the row's `mr` key rows, prefetched to
   L1 behind the last of k, as are those of k; NULL: none is; far: what
   to prefetch meanwhile, or NULL. */
typedef void fvk_qk_fn(const float *qt, int d, const void *const *k, int nk, const uint32_t *rows, float *s, float *mx,
                       const void *const *next_k, const fvk_far *far);
/* The same on bf16 keys and qt made by pack_pair: qt[t / 2][lane][t % 2], bf16, 0 for lanes >= n and behind an odd d. Scores are
   multiplied by scale. */
typedef void fvk_qk_pair_fn(const void *qt, int d, const void *const *k, int nk, const uint32_t *rows, float scale, float *s,
                            float *mx, const void *const *next_k, const void *const *far, ptrdiff_t shift, int width);
typedef void fvk_pack_pair_fn(const void *const *q, int n, int d, void *qt);
/* Hides pairs of a block of finished scores and takes its maximum: mx as above. */
typedef void fvk_hide_fn(float *s, int nk, const uint32_t *rows, float *mx);
/* s -> exp2(s - m'), m' = max(m, mx); l = l exp2(m - m') + sum; alpha = exp2(m - m'), 0 while m' is FVK_HIDDEN; m = m'. */
typedef void fvk_softmax_fn(float *s, int nk, float *m, const float *mx, float *l, float *alpha);
/* ot[c][lane] = alpha[lane] ot[c][lane] + sum_j p[j][lane] v[j][c]; alpha NULL means that ot is overwritten. far: as for qk, but
   only with rows NULL, and not beyond dv elements. */
typedef void fvk_pv_fn(const float *p, int nk, const void *const *v, int dv, const uint32_t *rows, const float *alpha,
                       float *ot, const fvk_far *far);
/* softmax and pv on bf16 pairs of neighbouring keys, for blocks that every lane sees. softmax_pair leaves
   p[j / 2][lane][j % 2], bf16, where s began, 0 behind an odd nk; l sums what p was before it was rounded. values_pair: a
   word of v[j][c] and v[j + 1][c], j even, the second 0 behind an odd nk, to vt[c / 8][j / 2][c % 8]; words of columns from
   dv to the next multiple of 8 are 0. */
typedef fvk_softmax_fn fvk_softmax_pair_fn;
typedef void fvk_values_pair_fn(const void *const *v, int nk, int dv, uint32_t *vt);
typedef void fvk_pv_pair_fn(const void *p, int nk, const uint32_t *vt, int dv, const float *alpha, float *ot);
/* The same for instruction sets that multiply tiles. softmax_parts: s is left alone; the bf16 parts whose sum a probability
   is, to 8 bits when parts is 1 and exactly when it is 3, go to p[j / 32][part][j % 32 / 2][lane][j % 2], 0 behind nk up to a
   multiple of 32; with one part p may be s. values_tile: vt[j / 32][c][j % 32], 0 behind nk and dv up to multiples of 32 and
   16, and where a value is not finite, for a tile has no masks; returns 1 when all values are finite. pv_tile: as pv. */
typedef void fvk_softmax_parts_fn(const float *s, int nk, float *m, const float *mx, float *l, float *alpha, int parts,
                                  void *p);
typedef int fvk_values_tile_fn(const void *const *v, int nk, int dv, void *vt);
typedef void fvk_pv_tile_fn(const void *p, int parts, int nk, const void *vt, int dv, const float *alpha, float *ot);
/* o[lane][c] = r[lane] ot[c][lane], lane < n. */
typedef void fvk_store_fn(const float *ot, int dv, const float *r, float *const *o, int n);
/* Weights of a tile, none negative but FVK_DROPPED, which becomes 0; rows[j]: the lanes that keep key j. */
typedef void fvk_kept_fn(float *p, int nk, uint32_t *rows);
/* End of the softmax of a tile: r[lane] = what ot is multiplied by, lse[lane] in nats (may be NULL). sink: logit per lane
   in log2 units (FVK_HIDDEN for none), or NULL. A lane without keys (l = 0) gets r = 0 and lse = -inf. */
typedef void fvk_finish_fn(const float *m, const float *l, const float *sink, float *r, float *lse);
/* Score edits in natural units: s = x unit with x = cap tanh(s / cap) when cap > 0, then
   - slope[lane] |pos[lane] - kpos[j]| when slope is not NULL. */
typedef struct fvk_edit {
    float cap;          /* 0: none */
    const float *slope; /* per lane or row; NULL: none */
    const float *pos;   /* query positions per lane or row */
    const float *kpos;  /* nk key positions */
    float unit;         /* multiplied in at the end: log2 e or 1 */
} fvk_edit;
typedef void fvk_edit_fn(float *s, int nk, const fvk_edit *edit);
/* s[j][lane] += b[j][lane] log2 e, not below FVK_LOWEST; a pair whose b is -infinity leaves rows[j] instead, and its score is of
   no account. Returns the lanes that see all nk keys. */
typedef uint32_t fvk_bias_fn(float *s, int nk, const float *b, uint32_t *rows);
/* out[j][ld] = float(row[j][t]), t < d. */
typedef void fvk_widen_fn(const void *const *row, int n, int d, float *out, ptrdiff_t ld);

/* Small family: few keys, in the vector lanes; n query rows. The scores of all keys but the last `tail` stand in panels of LANES
   keys, s[panel][row][LANES], as qk makes them when the keys are packed in place of queries; FVK_HIDDEN behind the last key.
   A tail, for the few keys that would need a vector of their own, lies apart as end[key][row]. Row i sees the keys below
   see[i] (NULL: all nk) whose bias is not -infinity; the scores of the keys from see[i] on are FVK_HIDDEN. */
typedef struct fvk_small {
    float *s, *end;
    ptrdiff_t panel, lde; /* floats from one panel, and from one key of the tail, to the next */
    int n, nk, tail;
    const float *const *bias; /* n rows of nk in nats, or NULL */
    const int *see;
    float *m, *l; /* these, and rows of end: n rounded up to a multiple of LANES */
} fvk_small;
/* A key of the tail: s[i] = sum_t k[t] q[i][t], i < n; s as a row of end. */
typedef void fvk_small_tail_fn(const float *k, int d, const void *const *q, int n, float *s);
/* s -> exp2(s + bias log2 e - m) with m the largest of a row, FVK_HIDDEN when it sees nothing; l the row's sum. Vectors in
   which none of a few neighbouring rows sees a key may be left as they are. */
typedef void fvk_small_softmax_fn(const fvk_small *a);
/* o[i][c] = r[i] sum_j s[i][j] v[j][c]; a hidden pair contributes nothing even when the value is NaN. */
typedef void fvk_small_pv_fn(const fvk_small *a, const void *const *v, int dv, const float *r, float *const *o);

/* Memory that a kernel of the rows family asks for while it computes: the rows `bytes` further on in the order of reading, and
   behind its own rows the `count` of `next`, any addresses. NULL: its own only, at no distance. */
typedef struct fvk_ahead {
    const void *const *next;
    int count, bytes;
} fvk_ahead;
/* Rows family, n <= FVK_MAX_ROWS. s[r * lds + j] = sum_t q[r * ldq + t] k[j][t]. */
typedef void fvk_dot_fn(const float *q, ptrdiff_t ldq, int n, int d, const void *const *k, int nk, float *s, ptrdiff_t lds,
                        const fvk_ahead *ahead);
/* o[r * ldo + c] = alpha[r] o + sum_j p[r * ldp + j] v[j][c]; alpha NULL overwrites. */
typedef void fvk_axpy_fn(const float *p, ptrdiff_t ldp, int n, int nk, const void *const *v, int dv, const uint32_t *rows,
                         const float *alpha, float *o, ptrdiff_t ldo, const fvk_ahead *ahead);
/* One row: s -> exp2(s - m'), with m, l, alpha as in fvk_softmax_fn. */
typedef void fvk_row_softmax_fn(float *s, int64_t n, float *m, float *l, float *alpha);
/* One row of edits: slope and pos point to one value. */
typedef fvk_edit_fn fvk_row_edit_fn;

/* Passes over one row of scores, for the normalisers. */
#define FVK_DROPPED (-1.0f) /* in place of a weight: the pair is not kept */
/* y[j] = exp(x[j] - shift), j < n, to 1 ulp of the difference's exponential, x <= shift + 80, and FVK_DROPPED where x[j] is
   below lo; returns the sum of the former, added in double. y may be x. */
typedef double fvk_exp_fn(const float *x, int64_t n, float shift, float lo, float *y);
/* How many of n numbers exceed t; NaN does not. */
typedef int64_t fvk_count_fn(const float *x, int64_t n, float t);
/* Smallest and largest of n >= 1 numbers; returns 1, or 0 when some are NaN or infinite. NaN is passed over. */
typedef int fvk_range_fn(const float *x, int64_t n, float *least, float *most);
/* Numbers neither below lo nor above hi (so NaN passes) side by side to y, their places to at; returns how many. y
   and at have room for that many and FVK_SIFT_ROOM more, where anything may be written; y may be x. */
enum { FVK_SIFT_ROOM = 16 };
typedef int64_t fvk_sift_fn(const float *x, int64_t n, float lo, float hi, float *y, int32_t *at);
/* Sum, in double, of the w[j] whose x[j] exceeds t; *count: how many there are. */
typedef double fvk_mass_fn(const float *x, const float *w, int64_t n, float t, int64_t *count);
/* y[j] = c x[j], to 1 ulp (half an ulp and a little where there is an fma), no x infinite. y may be x. */
typedef void fvk_scale_fn(const float *x, int64_t n, double c, float *y);
/* y[j] = e[j] where x[j] is not below lo, else FVK_DROPPED; returns the sum, in double, of the former, and their number. y may
   be e or x. */
typedef double fvk_veil_fn(const float *x, const float *e, int64_t n, float lo, float *y, int64_t *count);
/* r[j] = max((x[j] - shift) slope - tau, 0) in double, NaN for NaN, slope > 0. sum: how many r exceed 0, their sum and, with `square`,
   the sum of their squares, else 0. */
typedef struct fvk_ramp {
    double shift, slope, tau;
} fvk_ramp;
typedef void fvk_moments_fn(const float *x, int64_t n, const fvk_ramp *ramp, int square, double sum[3]);
/* y[j] = r[j], or its square, rounded to float; y may be x. */
typedef void fvk_ramp_fn(const float *x, int64_t n, const fvk_ramp *ramp, int square, float *y);

/* Columns: scores of whole rows in the lanes of a tile, x[j][LANES], j < n; FVK_HIDDEN where a lane does not see the key. Bounds,
   sums and so on are arrays of LANES. */
typedef enum fvk_weigh { FVK_WEIGH_ALL, FVK_WEIGH_GIVEN, FVK_WEIGH_EXP, FVK_WEIGH_RAMP, FVK_WEIGH_SQUARE, FVK_WEIGH_SIGMOID } fvk_weigh;
typedef struct fvk_columns {
    const float *x;
    int64_t n, step; /* step: column_moments takes every step-th key */
    int rough;       /* column_moments: 1 for floats */
    fvk_weigh kind;
    const float *w;                /* GIVEN: weights, as x */
    const float *shift;            /* EXP and SIGMOID */
    const double *origin, *tau;    /* RAMP and SQUARE: as fvk_ramp, whose slope is a power of two here */
    double slope;
    const float *cut;
    float *y;       /* may be x or w */
    uint32_t *rows; /* n */
    float *count;
    double *sum;
} fvk_columns;
/* y = weight where x is not below the cut, else 0: one given, exp(x - shift) as fvk_exp_fn has it, the r of fvk_ramp or its
   square, in floats: to an ulp of (x - origin) slope and of tau; SIGMOID: 1 / (1 + exp(shift - x)). rows[j]: lanes that are not
   below; count: how many keys those are, n < 2^24. sum: of GIVEN and EXP, of y in the order of keys, up to 16 that follow each other
   in float; else of no account. ALL: as EXP, but nothing is below, and cut, rows and count have no part in it. */
typedef void fvk_column_weigh_fn(const fvk_columns *a);
/* Sums of r of every step-th key as in fvk_moments_fn; squares with SQUARE. rough: r, as above, and its sums are floats. */
typedef void fvk_column_moments_fn(const fvk_columns *a, double *const sum[3]);
/* Of every step-th key: how many x exceed t, below 2^24, and the sum of their w, in which up to 16 numbers that follow each other
   are added in float; w NULL: no sums. */
typedef void fvk_column_sums_fn(const float *x, const float *w, int64_t n, int64_t step, const float *t, double *sum, float *count);
/* A search for the largest bound of each lane above which there is at least its target: as many x, or with `weighs` x that add
   up to as much, none of them below 0. side 0: bounds above which there is; side 1: above which there is not; sum and many: what
   lies above them, many the number. Every step is one look at every stride-th key, to whose count and sum `above` and `base`,
   where given, are added. A lane takes part while it is open, has more than `most` numbers between bounds that are not
   neighbours, and has not (unless it weighs) the target itself above side 0; so its bounds follow from its own numbers. At the
   first step it looks at `first`, if that is given and between its bounds; at the second, if `dense` is given, a little to the
   other side of the target, which is where it would be if so much lay in a unit of x there. floor: with `weighs`, not above the
   solution, else how far below side 1 to look first where side 0 is -infinity. Returns the lanes that would have gone on after `steps` steps. */
typedef struct fvk_search {
    const float *x, *floor, *above, *first, *dense;
    const double *target, *base;
    int64_t n, stride;
    int weighs, steps;
    float most;
    uint32_t open;
    float *bound[2], *many[2];
    double *sum[2];
} fvk_search;
typedef uint32_t fvk_column_search_fn(const fvk_search *a);
/* Of the numbers above lo and not above hi: count, and the first `room` of them to y[i][lane], their places to at. */
typedef void fvk_column_collect_fn(const float *x, int64_t n, const float *lo, const float *hi, int room, float *y, int32_t *at,
                                   int32_t *count);
/* o[lane][c] += p[j][lane] v[j][c] for the `lanes` that rows[j] names, j ascending, one fma each. */
typedef void fvk_column_add_fn(const float *p, int nk, const uint32_t *rows, uint32_t lanes, const void *const *v, int dv,
                               float *const *o);

/* Measuring: runs about n flops and returns the flops done (peak); reads whole KiB and returns a checksum (read). */
typedef double fvk_peak_fn(uint64_t n);
typedef double fvk_read_fn(const void *block, size_t bytes);

typedef enum fvk_op {
    FVK_PACK, FVK_QK, FVK_PACK_PAIR, FVK_QK_PAIR, FVK_HIDE, FVK_SOFTMAX, FVK_PV, FVK_SOFTMAX_PAIR,
    FVK_VALUES_PAIR, FVK_PV_PAIR, FVK_SOFTMAX_PARTS, FVK_VALUES_TILE, FVK_PV_TILE, FVK_STORE, FVK_FINISH, FVK_EDIT, FVK_BIAS, FVK_WIDEN,
    FVK_SMALL_TAIL, FVK_SMALL_SOFTMAX, FVK_SMALL_PV, FVK_DOT, FVK_AXPY, FVK_ROW_SOFTMAX, FVK_ROW_EDIT, FVK_EXP, FVK_COUNT,
    FVK_RANGE, FVK_SIFT, FVK_MASS, FVK_SCALE, FVK_VEIL, FVK_MOMENTS, FVK_RAMP, FVK_KEPT, FVK_COLUMN_WEIGH, FVK_COLUMN_MOMENTS,
    FVK_COLUMN_SUMS, FVK_COLUMN_SEARCH, FVK_COLUMN_COLLECT, FVK_COLUMN_ADD, FVK_PEAK, FVK_READ, FVK_OPS
} fvk_op;
typedef enum fvk_dtype { FVK_F32, FVK_BF16, FVK_F16, FVK_DTYPES } fvk_dtype;
/* Weakest first; the order is the dispatcher's order of preference. */
typedef enum fvk_isa {
    FVK_SCALAR, FVK_GENERIC, FVK_AVX2, FVK_AVX512, FVK_AVX512_BF16, FVK_AMX, FVK_NEON, FVK_ISAS
} fvk_isa;

typedef struct fvk_row {
    const char *name, *op_name, *dtype_name, *isa_name;
    fvk_op op;
    fvk_dtype dtype;
    fvk_isa isa;
    int lanes; /* lanes family: LANES; rows family: 0 */
    int mr;    /* keys (pv: value columns; small_softmax: lanes of a vector) per micro-tile; rows family: 0 */
    const char *tile; /* mr x lanes, as text */
    const char *tolerance, *note;
    void (*fn)(void);
} fvk_row;

extern const fvk_row fvk_table[];
extern const unsigned fvk_table_rows;
extern const char *const fvk_isa_names[FVK_ISAS];

/* Strongest row of op and dtype among the instruction sets in the bit set `isas`; with lanes > 0 only rows of that tile
   width, else the widest of that set. NULL when there is none. */
const fvk_row *fvk_find(fvk_op op, fvk_dtype dtype, unsigned isas, int lanes);
#endif
