/* Selection of the largest scores of a row, by number or by mass. */
#ifndef FV_DRIVE_SELECT_H
#define FV_DRIVE_SELECT_H
#include "drive/normalise.h"

/* The k largest, 1 <= k < n, scores to row->p, places to row->at; of equal scores the lower key wins. row->max and least
   are set, there is no NaN and max is finite. Returns k. */
int64_t fv_select_count(fv_scores *row, int64_t k);

/* The fewest largest scores whose exp(s - max) add up to need, in the same way; all when rounding lets the sum of all fall
   short. e: the n exponentials, floats; all: their sum. Returns the number. */
int64_t fv_select_mass(fv_scores *row, const float *e, double all, double need);

/* The scratch of a row: arrays of n + FVK_SIFT_ROOM. Selection leaves e alone. */
typedef struct fv_select_scratch {
    float *a, *b, *c, *e;
    int32_t *at;
} fv_select_scratch;
fv_select_scratch fv_select_parts(const fv_scores *row);

/* About one score in 16, 256 to 1024, spread over the row: x[place] to y, room for 1024. Returns their number, 0 for rows too
   short to profit. The places depend on n only. */
int64_t fv_select_sample(const float *x, int64_t n, float *y);

/* places[i] = of[places[i]], i < m */
void fv_select_compose(int32_t *places, int64_t m, const int32_t *of);
#endif
