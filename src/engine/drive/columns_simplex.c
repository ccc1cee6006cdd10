/* Sparse maps of whole tiles, in the lanes: sparsemax and entmax15. What each computes, and why a step of Newton's is safe, is said in
   normalise.c; which keys it keeps is the same to the key. All lanes are solved together, each with a tau of its own. A sample of
   the keys gives the first; where supports are small what can be in them is copied side by side and the steps are over that, else steps
   in float come close. The last step is over all keys, in double. */
#include "drive/columns.h"
#include "drive/select.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* MOVES: most steps of the exact search; ROUGH: of those in float; CLOSE: keys that a last step may move in or out. Keys from which
   on a sample is taken: SPARSE, of one in SPARSE_STEP; SAMPLED, of one in STEP. */
enum { LANES = FVK_MAX_LANES, STEP = 16, SAMPLED = 1024, MOVES = 100, ROUGH = 12, CLOSE = 8, SAMPLE_MOVES = 6, SPARSE = 256,
       SPARSE_STEP = 4 };

typedef struct slope {
    fv_columns *c;
    int square;
    double origin[LANES], tau[LANES], least[LANES], last[LANES];
    uint32_t open;
} slope;

/* Over every step-th of n keys; rough: sums are added in float. */
typedef struct stretch {
    const float *x;
    int64_t n, step;
    int rough;
} stretch;

static void moments(const slope *q, stretch over, double *const sum[3])
{
    const fvk_columns a = {.x = over.x, .n = over.n, .step = over.step, .rough = over.rough,
                           .kind = q->square ? FVK_WEIGH_SQUARE : FVK_WEIGH_RAMP,
                           .origin = q->origin, .tau = q->tau, .slope = q->square ? 0.5 : 1};
    q->c->kernel->moments(&a, sum);
}

/* One step of Newton's for every open lane, over keys whose number is `share` times larger: see normalise.c. */
static void move(slope *q, stretch over, double share)
{
    double count[LANES], first[LANES], second[LANES], *const sum[3] = {count, first, second};
    moments(q, over, sum);
    for (uint32_t rest = q->open; rest; rest &= rest - 1) {
        const int i = __builtin_ctz(rest);
        const double m[3] = {count[i] * share, first[i] * share, second[i] * share};
        if (fv_simplex_step(m, q->square, &q->tau[i], &q->least[i], &q->last[i]))
            q->open &= ~(1u << i);
    }
}

/* What a lane knows of its search is forgotten, but for tau. */
static void forget(slope *q, uint32_t open)
{
    for (int i = 0; i < LANES; i++)
        q->least[i] = q->last[i] = -1;
    q->open = open;
}

/* Those of some lanes whose solution lies below tau are moved to where it does not. Returns these. */
static uint32_t lower(slope *q, const float *x, int64_t n, uint32_t lanes)
{
    double count[LANES], first[LANES], second[LANES], *const sum[3] = {count, first, second};
    uint32_t moved = 0;
    moments(q, (stretch){x, n, 1, 0}, sum);
    for (int i = 0; i < q->c->lanes; i++) {
        const double m[3] = {count[i], first[i], second[i]};
        if (!fv_columns_has(lanes, i) || (q->square ? second[i] : first[i]) >= 1)
            continue;
        q->tau[i] = fmax(q->tau[i] + fv_simplex_safe(m, q->square), -1);
        moved |= 1u << i;
    }
    return moved;
}

/* The numbers that can be in the support of the lanes asked for, side by side. Returns how many rows. */
static int collect_support(const slope *q, uint32_t *lanes)
{
    fv_columns *c = q->c;
    float lo[LANES];
    int32_t count[LANES];
    for (int i = 0; i < LANES; i++) {
        lo[i] = fv_columns_has(*lanes, i) ? fv_float_below(q->origin[i] + q->tau[i] / (q->square ? 0.5 : 1)) : INFINITY;
        lo[i] = -fv_float_after(-lo[i]); /* what is equal belongs to it */
    }
    return fv_columns_collect(c, c->s, lo, c->top, lanes, count);
}

/* Where all lanes of a tile are likely to have a small support, the numbers that can be in it are collected and the steps are over
   these. Returns the lanes that were solved so. Which these are decides about speed only: any tau is a start, and a last step over
   all numbers gives the same bits. */
static uint32_t solve_few(slope *q, uint32_t few)
{
    fv_columns *c = q->c;
    uint32_t good = few;
    int rows = collect_support(q, &good);
    if (lower(q, c->y, rows, good))
        rows = collect_support(q, &good);
    forget(q, good);
    for (int n = 0; q->open && n < MOVES; n++)
        move(q, (stretch){c->y, rows, 1, 0}, 1);
    return good;
}

/* Whether the last step moved few keys in or out, so that it is likely to be the last. */
static int near_end(const slope *q, const double *last)
{
    for (int i = 0; i < q->c->lanes; i++)
        if (fv_columns_has(q->open, i) && (q->last[i] < 0 || fabs(q->last[i] - last[i]) > CLOSE))
            return 0;
    return 1;
}

/* Steps in float over all keys, until they move few keys; before[]: how many were above the tau before. */
static void approach_rough(slope *q, uint32_t open, double *before)
{
    fv_columns *c = q->c;
    forget(q, open);
    for (int n = 0; n < ROUGH && q->open; n++) {
        memcpy(before, q->last, sizeof q->last);
        move(q, (stretch){c->s, c->n, 1, 1}, 1);
        if (near_end(q, before))
            break;
    }
    memcpy(before, q->last, sizeof q->last);
}

static void edges(const slope *q, float *cut)
{
    for (int i = 0; i < LANES; i++)
        cut[i] = fv_columns_has(q->c->live, i) ? fv_simplex_edge(&(fvk_ramp){q->origin[i], q->square ? 0.5 : 1, q->tau[i]}) : FLT_MAX;
}

/* A tau for every lane from a sample, not above the solution if the sample is right. Returns the lanes whose support is likely
   to be small. */
static uint32_t sample(slope *q, int64_t step)
{
    const fv_columns *c = q->c;
    const stretch some = {c->s, c->n, step, 1};
    const double most = fmin(FV_COLUMNS_ROOM, (double)c->n / 24);
    double count[LANES], first[LANES], second[LANES], *const sum[3] = {count, first, second};
    uint32_t few = 0;
    forget(q, c->live);
    for (int n = 0; q->open && n < SAMPLE_MOVES; n++)
        move(q, some, (double)step / 1.3);
    moments(q, some, sum);
    for (int i = 0; i < c->lanes; i++)
        few |= (uint32_t)(fv_columns_has(c->live, i) & (count[i] * (double)step <= most)) << i;
    return few;
}

static void simplex(fv_columns *c, int square)
{
    slope q = {.c = c, .square = square};
    fvk_columns a = {.x = c->s, .n = c->n, .step = 1, .kind = square ? FVK_WEIGH_SQUARE : FVK_WEIGH_RAMP, .origin = q.origin,
                     .tau = q.tau, .slope = square ? 0.5 : 1, .y = c->e, .rows = c->rows};
    double sum[LANES], last[LANES];
    float cut[LANES], count[LANES];
    uint32_t good = 0;
    for (int i = 0; i < LANES; i++) {
        q.origin[i] = i < c->lanes ? (double)c->top[i] : 0;
        q.tau[i] = -1;
    }
    if (c->n >= SPARSE && sample(&q, c->n < SAMPLED ? SPARSE_STEP : STEP) == c->live)
        good = solve_few(&q, c->live);
    approach_rough(&q, c->live & ~good, last);
    forget(&q, c->live & ~good);
    a.cut = cut;
    a.count = count;
    a.sum = sum;
    for (int n = 0;; n++) {
        uint32_t open = q.open;
        if (n)
            memcpy(last, q.last, sizeof last);
        if (open && n < MOVES)
            move(&q, (stretch){c->s, c->n, 1, 0}, 1);
        if (q.open && !near_end(&q, last))
            continue;
        edges(&q, cut);
        c->kernel->weigh(&a);
        for (int i = 0; i < c->lanes; i++)
            if (fv_columns_has(q.open, i) && (double)count[i] == q.last[i])
                q.open &= ~(1u << i); /* a last step would find the same keys */
        if (!q.open || n >= MOVES)
            break;
    }
    fv_columns_keep(c, count);
    for (int i = 0; i < c->lanes; i++)
        c->factor[i] = 1;
}

void fv_columns_sparsemax(fv_columns *c)
{
    simplex(c, 0);
}

void fv_columns_entmax15(fv_columns *c)
{
    simplex(c, 1);
}
