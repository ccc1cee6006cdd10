/* Normalisers of whole tiles, in the lanes. What each computes is said in normalise.c; which keys it keeps is the same to the key.

   All lanes are searched together, each between bounds of its own, by passes that count or add up what lies above one threshold
   per lane. Every sixteenth key tells where to look, two or three passes over the tile narrow the bounds, what is left between
   them is copied side by side, and the search ends there. A lane whose search does not end is left for the row form: that depends
   on its own scores only. Sums that enter a result are added in the order of keys. */
#include "drive/columns.h"
#include "drive/select.h"

#include <float.h>
#include <math.h>

enum { LANES = FVK_MAX_LANES, STEP = 16, SAMPLED = 1024, PASSES = 24, LOOKS = 11, STEPS = 100, NARROW = 48 };

typedef struct search {
    fv_columns *c;
    const float *x;             /* the numbers */
    int weighs;                 /* 1: they are added up, and not below 0; 0: they are counted */
    double target[LANES];       /* the cut is the largest bound above which there is at least this */
    float lo[LANES], hi[LANES]; /* there is at least the target above lo, less above hi */
    double sum_lo[LANES], sum_hi[LANES];  /* sum, or number, above lo and above hi */
    float many_lo[LANES], many_hi[LANES]; /* number */
    float floor[LANES];         /* what is summed: where to look first while lo is below; else how far below hi to look */
    uint32_t open;              /* lanes whose bounds are not final */
} search;

static int has(uint32_t lanes, int i)
{
    return (int)(lanes >> i & 1);
}

/* A float between the bounds, or lo when there is none. */
static float between(search *q, int i)
{
    const float hi = q->hi[i], lo = q->weighs && q->lo[i] < q->floor[i] && q->floor[i] < hi ? q->floor[i] : q->lo[i];
    float t;
    if (lo == -INFINITY) {
        t = hi - q->floor[i];
        q->floor[i] *= 2;
        t = t > -FLT_MAX ? t : -FLT_MAX;
    } else
        t = q->weighs && lo > 0 && hi > 2 * lo ? sqrtf(lo) * sqrtf(hi) : 0.5f * lo + 0.5f * hi;
    if (t > q->lo[i] && t < hi)
        return t;
    return fv_float_after(q->lo[i]) < hi ? fv_float_middle(q->lo[i], hi) : q->lo[i];
}

/* Bounds of the open lanes after a pass at t over n numbers; base: as many and as much more lies above hi. */
static void narrow(search *q, const float *x, int64_t n, int64_t step, const float *t, const double *base, const float *many)
{
    double sum[LANES] = {0};
    float count[LANES];
    q->c->kernel->sums(x, q->weighs ? x : NULL, n, step, t, sum, count);
    for (int i = 0; i < q->c->lanes; i++) {
        const float all = count[i] + (many ? many[i] : 0);
        const double value = (q->weighs ? sum[i] : (double)count[i]) + (base ? base[i] : 0);
        if (!has(q->open, i) || !(t[i] > q->lo[i] && t[i] < q->hi[i]))
            continue;
        if (value < q->target[i]) {
            q->hi[i] = t[i];
            q->sum_hi[i] = value;
            q->many_hi[i] = all;
        } else {
            q->lo[i] = t[i];
            q->sum_lo[i] = value;
            q->many_lo[i] = all;
        }
    }
}

static void guess(search *q, float *t)
{
    for (int i = 0; i < q->c->lanes; i++)
        t[i] = between(q, i);
}

/* Where every STEP-th key has the cut of `sampled`. */
static void look(const search *q, const double *sampled, float *t)
{
    search p = *q;
    for (int i = 0; i < q->c->lanes; i++)
        p.target[i] = sampled[i];
    for (int n = 0; n < LOOKS; n++) {
        guess(&p, t);
        narrow(&p, q->x, q->c->n, STEP, t, NULL, NULL);
    }
    for (int i = 0; i < q->c->lanes; i++)
        t[i] = p.hi[i] < q->hi[i] ? p.hi[i] : between(&p, i);
}

/* Two passes: at the sample's bound, and a little to the other side of the cut. */
static void approach(search *q, double *sampled)
{
    double sum[LANES] = {0};
    float t[LANES], count[LANES];
    look(q, sampled, t);
    narrow(q, q->x, q->c->n, 1, t, NULL, NULL);
    q->c->kernel->sums(q->x, q->weighs ? q->x : NULL, q->c->n, STEP, t, sum, count);
    for (int i = 0; i < q->c->lanes; i++) {
        const double here = q->weighs ? sum[i] : (double)count[i], one = q->weighs ? (double)t[i] : 1;
        if (q->hi[i] == t[i])
            sampled[i] = here + 1.4 * (q->target[i] - q->sum_hi[i]) / STEP + one;
        else
            sampled[i] = here - 1.4 * (q->sum_lo[i] - q->target[i]) / STEP - one;
    }
    look(q, sampled, t);
    narrow(q, q->x, q->c->n, 1, t, NULL, NULL);
}

/* The open lanes that have more than `most` numbers between bounds which may still move. */
static uint32_t wide(const search *q, float most)
{
    uint32_t lanes = 0;
    for (int i = 0; i < q->c->lanes; i++)
        if (has(q->open, i) && q->many_lo[i] - q->many_hi[i] > most && !(!q->weighs && q->sum_lo[i] == q->target[i]) &&
            fv_float_after(q->lo[i]) < q->hi[i])
            lanes |= 1u << i;
    return lanes;
}

/* Of two numbers of a lane: 1 when the first stands behind the second, by score and then by key. */
static int behind(const fv_columns *c, int lane, int32_t a, int32_t b)
{
    const float x = c->s[(size_t)a * (size_t)c->lanes + (size_t)lane], y = c->s[(size_t)b * (size_t)c->lanes + (size_t)lane];
    return x < y || (x == y && a > b);
}

/* Equal numbers at the cut, side by side: those that are too many, from behind, are hidden. */
static void drop(search *q, int i, int count, float *x)
{
    fv_columns *c = q->c;
    const double more = q->target[i] - q->sum_hi[i];
    const int64_t equal = (int64_t)(q->many_lo[i] - q->many_hi[i]);
    int64_t keep = (int64_t)(q->weighs ? ceil(more / (double)q->hi[i]) : more);
    keep = keep < 1 ? 1 : keep > equal ? equal : keep;
    q->many_lo[i] = q->many_hi[i] + (float)keep;
    for (int64_t left = equal - keep; left > 0; left--) {
        int worst = -1;
        for (int k = 0; k < count; k++) {
            const float y = c->y[(size_t)k * (size_t)c->lanes + (size_t)i];
            const int32_t *at = c->at + i;
            if (y > q->lo[i] && y <= q->hi[i] &&
                (worst < 0 || behind(c, i, at[(size_t)k * (size_t)c->lanes], at[(size_t)worst * (size_t)c->lanes])))
                worst = k;
        }
        if (worst < 0)
            return;
        x[(size_t)c->at[(size_t)worst * (size_t)c->lanes + (size_t)i] * (size_t)c->lanes + (size_t)i] = FVK_HIDDEN;
        c->y[(size_t)worst * (size_t)c->lanes + (size_t)i] = FVK_HIDDEN;
    }
}

/* The end of the search, among the numbers between the bounds, side by side. x: of q, which loses surplus ties. */
static void settle(search *q, float *x)
{
    fv_columns *c = q->c;
    double base[LANES];
    float t[LANES], many[LANES];
    int32_t count[LANES];
    int rows = 0;
    c->kernel->collect(q->x, c->n, q->lo, q->hi, FV_COLUMNS_ROOM, c->y, c->at, count);
    for (int i = 0; i < c->lanes; i++) {
        base[i] = q->sum_hi[i];
        many[i] = q->many_hi[i];
        if (count[i] > FV_COLUMNS_ROOM) {
            q->open &= ~(1u << i);
            c->live &= ~(1u << i);
        } else if (has(q->open, i) && count[i] > rows)
            rows = count[i];
    }
    for (int i = 0; i < c->lanes; i++)
        for (int k = count[i]; k < rows; k++)
            c->y[(size_t)k * (size_t)c->lanes + (size_t)i] = FVK_HIDDEN;
    for (int step = 0; step < STEPS && wide(q, 1); step++) {
        guess(q, t);
        narrow(q, c->y, rows, 1, t, base, many);
    }
    c->live &= ~wide(q, 1);
    for (int i = 0; i < c->lanes; i++)
        if (has(q->open & c->live, i) && q->many_lo[i] - q->many_hi[i] > 1 && (q->weighs || q->sum_lo[i] != q->target[i]))
            drop(q, i, count[i], x);
}

/* Finds the cut of every open lane: what is kept lies above cut[i], or not below what is stored there. */
static void find(search *q, double *sampled, float *x, float *cut)
{
    fv_columns *c = q->c;
    float t[LANES];
    if (sampled)
        approach(q, sampled);
    for (int n = 0; n < PASSES && wide(q, sampled ? FV_COLUMNS_ROOM : NARROW); n++) {
        guess(q, t);
        narrow(q, q->x, c->n, 1, t, NULL, NULL);
    }
    settle(q, x);
    for (int i = 0; i < c->lanes; i++) {
        cut[i] = fv_float_after(q->lo[i]);
        c->kept[i] = (int64_t)q->many_lo[i];
    }
}

/* ------------------------------------------------------------------ softmax over what is kept */

/* Weights of e, relative to exp(top): factor and lse of a softmax with the sum `all`. */
static void divide(fv_columns *c, const double *all)
{
    for (int i = 0; i < c->lanes; i++) {
        const double shift = (double)(c->sink[i] > c->top[i] ? c->sink[i] : c->top[i]), unit = exp((double)c->top[i] - shift);
        double sum = all[i] * unit;
        if (!has(c->live, i))
            continue;
        if (c->sink[i] > -INFINITY)
            sum += exp((double)c->sink[i] - shift);
        c->factor[i] = (float)(unit / sum);
        c->lse[i] = (float)(shift + log(sum));
    }
}

static void fill(float *x, float value)
{
    for (int i = 0; i < LANES; i++)
        x[i] = value;
}

/* Weights to e of the keys whose x is not below the cut: their exponentials, or those that stand there already. */
static void weigh(fv_columns *c, fvk_weigh kind, const float *x, const float *cut, double *sum, float *count)
{
    const fvk_columns a = {.x = x, .n = c->n, .step = 1, .kind = kind, .w = c->e, .shift = c->top, .cut = cut, .y = c->e,
                           .rows = c->rows, .count = count, .sum = sum};
    c->kernel->weigh(&a);
}

static void keep_count(fv_columns *c, const float *count)
{
    for (int i = 0; i < c->lanes; i++)
        c->kept[i] = (int64_t)count[i];
}

/* Exponentials of all keys. */
static void weigh_all(fv_columns *c, double *all)
{
    float cut[LANES], count[LANES];
    fill(cut, -FLT_MAX);
    weigh(c, FVK_WEIGH_EXP, c->s, cut, all, count);
    keep_count(c, count);
}

/* arg[0] k */
void fv_columns_topk(fv_columns *c)
{
    search q = {.c = c, .x = c->s, .open = c->live};
    double sampled[LANES], sum[LANES];
    float cut[LANES], count[LANES];
    for (int i = 0; i < LANES; i++) {
        const double seen = i < c->lanes ? (double)c->seen[i] : 0, k = c->arg[0] < seen ? c->arg[0] : seen;
        q.target[i] = k;
        q.lo[i] = -INFINITY;
        q.hi[i] = c->top[i];
        q.sum_lo[i] = seen;
        q.many_lo[i] = (float)seen;
        q.floor[i] = 1;
        sampled[i] = k / STEP;
        if (k >= seen)
            q.open &= ~(1u << i);
    }
    find(&q, c->n >= SAMPLED ? sampled : NULL, c->s, cut);
    weigh(c, FVK_WEIGH_EXP, c->s, cut, sum, count);
    divide(c, sum);
}

void fv_columns_topp(fv_columns *c)
{
    search q = {.c = c, .x = c->e, .weighs = 1, .open = c->live};
    double all[LANES], sampled[LANES];
    float cut[LANES], count[LANES];
    if (c->arg[0] >= 1) {
        weigh_all(c, all);
    } else {
        for (int i = 0; i < c->lanes; i++)
            cut[i] = c->top[i] - 87; /* below that exponentials are 0 */
        weigh(c, FVK_WEIGH_EXP, c->s, cut, all, count);
        for (int i = 0; i < c->lanes; i++)
            q.many_lo[i] = count[i];
        fill(cut, 0);
        if (c->n >= SAMPLED)
            c->kernel->sums(c->e, c->e, c->n, STEP, cut, sampled, count);
        for (int i = 0; i < c->lanes; i++) {
            const double tail = all[i] - c->arg[0] * all[i];
            q.target[i] = c->arg[0] * all[i];
            q.hi[i] = 1;
            q.sum_lo[i] = all[i];
            q.floor[i] = (float)(tail / (double)c->n);
            sampled[i] -= tail / STEP;
        }
        find(&q, c->n >= SAMPLED ? sampled : NULL, c->e, cut);
        weigh(c, FVK_WEIGH_GIVEN, c->e, cut, all, count);
    }
    divide(c, all);
}

/* Keys of a given score and more. */
static void threshold(fv_columns *c, const float *x, const float *cut, int renormalise)
{
    double all[LANES], sum[LANES];
    float count[LANES];
    weigh_all(c, all);
    weigh(c, FVK_WEIGH_GIVEN, x, cut, sum, count);
    keep_count(c, count);
    divide(c, renormalise ? sum : all);
}

void fv_columns_threshold_rel(fv_columns *c)
{
    double sum[LANES];
    float cut[LANES], count[LANES];
    for (int i = 0; i < c->lanes; i++)
        cut[i] = fv_float_above((double)c->top[i] - c->arg[0]);
    if (c->arg[1] == 0) {
        threshold(c, c->s, cut, 0);
        return;
    }
    weigh(c, FVK_WEIGH_EXP, c->s, cut, sum, count);
    keep_count(c, count);
    divide(c, sum);
}

/* ------------------------------------------------------------------ sparse maps */

enum { MOVES = 100 };

typedef struct slope {
    fv_columns *c;
    int square;
    double origin[LANES], tau[LANES], least[LANES], last[LANES];
    uint32_t open;
} slope;

/* One step of Newton's for every open lane, over every step-th key: see normalise.c. */
static void move(slope *q, int64_t step)
{
    double count[LANES], first[LANES], second[LANES], *const sum[3] = {count, first, second};
    const fvk_columns a = {.x = q->c->s, .n = q->c->n, .step = step, .kind = q->square ? FVK_WEIGH_SQUARE : FVK_WEIGH_RAMP,
                           .origin = q->origin, .tau = q->tau, .slope = q->square ? 0.5 : 1};
    q->c->kernel->moments(&a, sum);
    for (int i = 0; i < q->c->lanes; i++) {
        const double m[3] = {count[i] * (double)step, first[i] * (double)step, second[i] * (double)step};
        if (has(q->open, i) && fv_simplex_step(m, q->square, &q->tau[i], &q->least[i], &q->last[i]))
            q->open &= ~(1u << i);
    }
}

static void simplex(fv_columns *c, int square)
{
    slope q = {.c = c, .square = square};
    fvk_columns a = {.x = c->s, .n = c->n, .step = 1, .kind = square ? FVK_WEIGH_SQUARE : FVK_WEIGH_RAMP, .origin = q.origin,
                     .tau = q.tau, .slope = square ? 0.5 : 1, .y = c->e, .rows = c->rows};
    double sum[LANES];
    float cut[LANES], count[LANES];
    for (int i = 0; i < LANES; i++) {
        q.origin[i] = i < c->lanes ? (double)c->top[i] : 0;
        q.tau[i] = q.least[i] = q.last[i] = -1;
    }
    for (int round = c->n < SAMPLED; round < 2; round++) {
        q.open = c->live;
        for (int n = 0; q.open && n < (round ? MOVES : 8); n++)
            move(&q, round ? 1 : STEP);
        for (int i = 0; i < LANES; i++)
            q.least[i] = q.last[i] = -1;
    }
    fill(cut, FLT_MAX);
    for (int i = 0; i < c->lanes; i++)
        if (has(c->live, i))
            cut[i] = fv_simplex_edge(&(fvk_ramp){q.origin[i], a.slope, q.tau[i]});
    a.cut = cut;
    a.count = count;
    a.sum = sum;
    c->kernel->weigh(&a);
    keep_count(c, count);
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
