/* Selection of the largest scores of a row, by number or by mass. */
#ifndef FV_DRIVE_SELECT_H
#define FV_DRIVE_SELECT_H
#include "drive/normalise.h"

/* A set of largest scores: those above `score`, and the first `ties` keys equal to it. What it keeps is among `candidates`
   numbers in part a of the scratch, at the places in part `at`; candidates = n: those of the whole row. */
typedef struct fv_cut {
    float score;
    int64_t ties, candidates;
    int64_t kept, reach; /* how many it keeps, how many are not below `score` */
} fv_cut;

/* The k largest, 1 <= k < n. row->max and least are set, there is no NaN and max is finite. */
fv_cut fv_cut_count(fv_scores *row, int64_t k);

/* The same for few of many scores, of any row, in a single pass; sets row->max. 0 when that fails, for any reason. */
int fv_cut_few(fv_scores *row, int64_t k, fv_cut *cut);

/* The fewest largest scores whose exp(s - max) add up to need; all when rounding lets the sum of all fall short. e: the n
   exponentials, floats; all: their sum. */
fv_cut fv_cut_mass(fv_scores *row, const float *e, double all, double need);

/* The scores that a cut keeps to row->p and their places to row->at; returns their number. */
int64_t fv_cut_list(fv_scores *row, fv_cut cut);

/* All exponentials exp(s - max) of the row to row->s, FVK_DROPPED where the cut does not keep the key. e: these, or NULL.
   Returns the number kept, *sum: the sum of their exponentials. */
int64_t fv_cut_spread(fv_scores *row, fv_cut cut, const float *e, double *sum);

/* The scratch of a row: arrays of n + FVK_SIFT_ROOM. Selection leaves e alone. */
typedef struct fv_select_scratch {
    float *a, *b, *c, *e;
    int32_t *at;
} fv_select_scratch;
fv_select_scratch fv_select_parts(const fv_scores *row);

/* About one score in 16, 256 to 1024, spread over the row: x[place] to y, room for 1024. Returns their number, 0 for rows too
   short to profit. The places depend on n only. */
int64_t fv_select_sample(const float *x, int64_t n, float *y);

/* The next larger float of another value, and one between lo and the float behind it, hi. */
float fv_float_after(float x);
float fv_float_middle(float lo, float hi);
/* Least float that is not below x, and the largest that is not above. */
float fv_float_above(double x);
float fv_float_below(double x);

/* Sparse maps, see normalise.c: one step towards the tau of a row whose count, sum and squares above tau are given. least and
   last: -1 at the start. Returns 1 when tau was the solution. */
int fv_simplex_step(const double sum[3], int square, double *tau, double *least, double *last);
/* That towards a tau that is never above the solution, wherever it starts. */
double fv_simplex_safe(const double sum[3], int square);
/* Smallest float with a weight, to the last bit as the kernels decide. */
float fv_simplex_edge(const fvk_ramp *ramp);

/* places[i] = of[places[i]], i < m */
void fv_select_compose(int32_t *places, int64_t m, const int32_t *of);
#endif
