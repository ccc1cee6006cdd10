/* Normalisers of whole tiles, in the lanes. What each computes is said in normalise.c; which keys it keeps is the same to the key.

   All lanes are searched together, each between bounds of its own, by passes that count or add up what lies above one threshold
   per lane (a kernel, column_search). Some passes over the tile narrow the bounds, what is left between them is copied side by
   side, and the search ends there. From some hundred keys on their mean, as of a normal distribution, tells where to look first. A
   lane whose search does not end is left for the row form: that depends on its own scores only. Sums that enter a result are added
   in the order of keys. */
#include "drive/columns.h"
#include "drive/select.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* STEP: one key in so many is a sample. Keys from which on: LISTED, what lies between the bounds is copied (half as many where a
   search cannot end at a number that is met); FORESEEN, the distribution of scores tells where to look; SAMPLED, a sample knows few
   of many. NARROW to WIDE: numbers that a list should be made of at most, one key in SHARE, for a pass over more keys takes longer.
   FEW: most that a bound of the sample's leaves room for, and one key in SPARSELY at most. KNOWN: numbers of which the mean is
   taken. */
enum { LANES = FVK_MAX_LANES, STEP = 8, LISTED = 512, SAMPLED = 1024, NARROW = 16, WIDE = 128, SHARE = 48, FEW = 80, SPARSELY = 24,
       LOOKS = 6, FORESEEN = 256, KNOWN = 256, PASSES = 60, STEPS = 120 };

/* LO: there is at least the target above; HI: there is less. */
enum { LO, HI, BOUNDS };

typedef struct search {
    fv_columns *c;
    const float *x;        /* the numbers */
    int weighs;            /* 1: they are added up, and not below 0; 0: they are counted */
    double target[LANES];  /* the cut is the largest bound above which there is at least this */
    float bound[BOUNDS][LANES];
    double sum[BOUNDS][LANES]; /* above the bound: the sum, or the number where they are counted */
    float many[BOUNDS][LANES]; /* and the number */
    float floor[LANES];    /* see fvk_search */
    uint32_t open;         /* lanes whose bounds are not final */
    const float *first, *dense; /* where to look, see fvk_search, or NULL */
} search;

/* Steps of the search over n numbers, of every stride-th; the rest: see fvk_search. */
static uint32_t narrow(search *q, fvk_search a)
{
    a.weighs = q->weighs;
    a.target = q->target;
    a.floor = q->floor;
    a.open = q->open;
    for (int k = 0; k < BOUNDS; k++) {
        a.bound[k] = q->bound[k];
        a.many[k] = q->many[k];
        a.sum[k] = q->sum[k];
    }
    return q->c->kernel->search(&a);
}

/* The open lanes that have more than `most` numbers between their bounds and have not what they want above LO. */
static uint32_t many(const search *q, float most)
{
    uint32_t lanes = 0;
    for (int i = 0; i < q->c->lanes; i++) {
        const int done = !q->weighs & (q->sum[LO][i] == q->target[i]);
        lanes |= (uint32_t)((q->many[LO][i] - q->many[HI][i] > most) & !done) << i;
    }
    return lanes & q->open;
}

/* Above which number a share of a normal distribution lies: within 0.0005 [Abramowitz and Stegun, 26.2.23]. */
static double probit(double share)
{
    const double tail = share < 0.5 ? share : 1 - share, t = sqrt(-2 * log(tail > 1e-12 ? tail : 1e-12));
    const double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    return share < 0.5 ? z : -z;
}

/* Mean of the scores of each lane, about. */
static void means(const fv_columns *c, double *mean)
{
    float hidden[LANES], count[LANES];
    for (int i = 0; i < LANES; i++)
        hidden[i] = FVK_HIDDEN;
    c->kernel->sums(c->s, c->s, c->n, c->n > KNOWN ? c->n / KNOWN : 1, hidden, mean, count);
    for (int i = 0; i < c->lanes; i++)
        mean[i] /= (double)count[i];
}

/* Where the cut would be if scores were normal: their mean is known, and how far their largest lies from it. Whatever they are in
   truth decides about speed only. */
static void foresee(search *q, float *first, float *dense)
{
    const fv_columns *c = q->c;
    const double peak = probit(c->n > 1 ? 0.6 / (double)c->n : 0.3);
    double mean[LANES], share = -1, z = 0, height = 0;
    means(c, mean);
    for (int i = 0; i < c->lanes; i++) {
        const double wide = ((double)c->top[i] - mean[i]) / peak;
        if (share != q->target[i] / (double)c->seen[i]) {
            share = q->target[i] / (double)c->seen[i];
            z = probit(share);
            height = 0.4 * exp(-z * z / 2);
        }
        first[i] = (float)(mean[i] + z * wide);
        dense[i] = (float)((double)c->seen[i] * height / wide);
        q->floor[i] = wide > 0 ? (float)(wide / 4) : 1;
    }
    q->first = first;
    q->dense = dense;
}

/* The same of a sum of exponentials: all of it tells how wide the distribution is, exp(mean + wide^2 / 2) being the mean of an
   exponential, and the largest share of it comes from around mean + wide^2. */
static void foresee_mass(search *q, const double *all, float *first, float *dense)
{
    const fv_columns *c = q->c;
    const double z = probit(c->arg[0]), height = 0.4 * exp(-z * z / 2);
    double mean[LANES];
    means(c, mean);
    for (int i = 0; i < c->lanes; i++) {
        const float under = c->top[i] - (float)mean[i], square = 2 * fmaxf(logf((float)all[i] / c->seen[i]) + under, 0);
        const float wide = sqrtf(square);
        first[i] = expf(square + (float)z * wide - under);
        dense[i] = (float)(all[i] * height) / (wide * first[i]);
    }
    q->first = first;
    q->dense = dense;
}

/* A bound below which a sample has its cut, close to it. sampled: what the cut has above it in the sample, all: what there is. */
static void look(const search *q, const double *sampled, const double *all, float *t)
{
    search p = *q;
    for (int i = 0; i < q->c->lanes; i++) {
        p.target[i] = sampled[i];
        p.sum[LO][i] = all[i];
        p.sum[HI][i] = 0;
        p.many[LO][i] = (float)q->c->n;
        p.many[HI][i] = 0;
        p.bound[LO][i] = -INFINITY;
        p.bound[HI][i] = q->c->top[i];
    }
    narrow(&p, (fvk_search){.x = q->x, .n = q->c->n, .stride = STEP, .steps = LOOKS, .most = 1});
    memcpy(t, p.bound[LO], sizeof p.bound[LO]);
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
    const double more = q->target[i] - q->sum[HI][i];
    const int64_t equal = (int64_t)(q->many[LO][i] - q->many[HI][i]);
    int64_t keep = (int64_t)(q->weighs ? ceil(more / (double)q->bound[HI][i]) : more);
    keep = keep < 1 ? 1 : keep > equal ? equal : keep;
    q->many[LO][i] = q->many[HI][i] + (float)keep;
    for (int64_t left = equal - keep; left > 0; left--) {
        int worst = -1;
        for (int k = 0; k < count; k++) {
            const float y = c->y[(size_t)k * (size_t)c->lanes + (size_t)i];
            const int32_t *at = c->at + i;
            if (y > q->bound[LO][i] && y <= q->bound[HI][i] &&
                (worst < 0 || behind(c, i, at[(size_t)k * (size_t)c->lanes], at[(size_t)worst * (size_t)c->lanes])))
                worst = k;
        }
        if (worst < 0)
            return;
        x[(size_t)c->at[(size_t)worst * (size_t)c->lanes + (size_t)i] * (size_t)c->lanes + (size_t)i] = FVK_HIDDEN;
        c->y[(size_t)worst * (size_t)c->lanes + (size_t)i] = FVK_HIDDEN;
    }
}

int fv_columns_collect(fv_columns *c, const float *x, const float *lo, const float *hi, uint32_t *lanes, int32_t *count)
{
    int rows = 0;
    c->kernel->collect(x, c->n, lo, hi, FV_COLUMNS_ROOM, c->y, c->at, count);
    for (int i = 0; i < c->lanes; i++)
        if (count[i] > FV_COLUMNS_ROOM)
            *lanes &= ~(1u << i);
        else if (fv_columns_has(*lanes, i) && count[i] > rows)
            rows = count[i];
    for (int i = 0; i < c->lanes; i++)
        for (int k = count[i]; k < rows; k++)
            c->y[(size_t)k * (size_t)c->lanes + (size_t)i] = FVK_HIDDEN;
    return rows;
}

/* The end of the search, among `rows` numbers between the bounds, side by side. x: of q, which loses surplus ties. */
static void settle(search *q, int rows, const int32_t *count, float *x)
{
    double base[LANES];
    float above[LANES];
    memcpy(base, q->sum[HI], sizeof base);
    memcpy(above, q->many[HI], sizeof above);
    q->c->live &= ~narrow(q, (fvk_search){.x = q->c->y, .n = rows, .stride = 1, .steps = STEPS, .most = 1, .base = base, .above = above});
    for (uint32_t rest = many(q, 1) & q->c->live; rest; rest &= rest - 1) {
        const int i = __builtin_ctz(rest);
        drop(q, i, count[i], x);
    }
}

/* How many numbers of n a list should be made of at most. */
static float narrow_to(int64_t n)
{
    const int64_t most = n / SHARE;
    return (float)(most < NARROW ? NARROW : most > WIDE ? WIDE : most);
}

/* Finds the cut of every open lane: lo. What has none leaves `live`. x: of q, which loses surplus ties. */
static void find(search *q, float *x)
{
    fv_columns *c = q->c;
    float t[LANES];
    int32_t count[LANES];
    uint32_t left;
    int rows;
    const int listed = q->weighs ? LISTED / 2 : LISTED;
    const fvk_search a = {.x = q->x, .n = c->n, .stride = 1, .steps = PASSES, .most = c->n < listed ? 1 : narrow_to(c->n),
                          .first = q->first, .dense = q->dense};
    narrow(q, a);
    q->open &= many(q, 1);
    for (int i = 0; i < c->lanes; i++)
        t[i] = fv_columns_has(q->open, i) ? q->bound[LO][i] : INFINITY;
    if (!q->open)
        return;
    left = q->open;
    rows = fv_columns_collect(c, q->x, t, q->bound[HI], &q->open, count);
    c->live &= ~(left & ~q->open);
    settle(q, rows, count, x);
}

/* What is kept lies not below the cut. */
static void cuts(const search *q, float *cut)
{
    for (int i = 0; i < q->c->lanes; i++) {
        cut[i] = fv_float_after(q->bound[LO][i]);
        q->c->kept[i] = (int64_t)q->many[LO][i];
    }
}

/* ------------------------------------------------------------------ softmax over what is kept */

/* Weights of e, relative to exp(top): factor and lse of a softmax with the sum `all`. */
static void divide(fv_columns *c, const double *all)
{
    for (int i = 0; i < c->lanes; i++) {
        const double shift = (double)(c->sink[i] > c->top[i] ? c->sink[i] : c->top[i]), unit = exp((double)c->top[i] - shift);
        double sum = all[i] * unit;
        if (!fv_columns_has(c->live, i))
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

void fv_columns_keep(fv_columns *c, const float *count)
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
    fv_columns_keep(c, count);
}

/* Kept numbers of one lane, of `count` side by side, to weights; returns their sum. */
static double emit(search *q, int i, int count)
{
    fv_columns *c = q->c;
    const size_t lanes = (size_t)c->lanes;
    float value[FV_COLUMNS_ROOM + 1];
    int32_t key[FV_COLUMNS_ROOM + 1];
    double sum;
    int m = 0;
    value[0] = 0;
    for (int k = 0; k < count; k++) {
        value[m] = c->y[(size_t)k * lanes + (size_t)i];
        key[m] = c->at[(size_t)k * lanes + (size_t)i];
        m += value[m] > q->bound[LO][i];
    }
    sum = c->row->exps(value, m, c->top[i], -INFINITY, value);
    for (int k = 0; k < m; k++) {
        c->e[(size_t)key[k] * lanes + (size_t)i] = value[k];
        c->rows[key[k]] |= 1u << i;
        for (size_t b = 0; b < c->value_bytes; b += 64) /* a random place, wanted soon */
            __builtin_prefetch((const char *)c->value[key[k]] + b, 0, 2);
    }
    c->kept[i] = m;
    return sum;
}

/* Few of many keys: what lies above a bound of the sample's is likely to hold them, and is collected at once. Lanes where it does
   not, or is too much, are searched for in the ordinary way; the weights come from a list of the keys kept in any case. */
static void topk_few(search *q, double k, const double *total)
{
    fv_columns *c = q->c;
    const double rank = k / STEP, far = 3 * sqrt(rank) + 3;
    const uint32_t live = c->live, some = q->open;
    double sum[LANES] = {0}, rough[LANES], few[LANES];
    uint32_t good = live;
    float t[LANES];
    int32_t count[LANES];
    int rows;
    for (int i = 0; i < LANES; i++) {
        rough[i] = rank + far;
        few[i] = i < c->lanes ? (double)c->seen[i] / STEP : 0;
    }
    look(q, rough, few, t);
    for (int i = 0; i < c->lanes; i++)
        t[i] = fv_columns_has(some, i) ? t[i] : q->bound[LO][i];
    memset(c->rows, 0, (size_t)c->n * sizeof *c->rows);
    c->e = c->s; /* a lane's scores are no longer needed when it gets its weights */
    c->clean = 0;
    rows = fv_columns_collect(c, c->s, t, c->top, &good, count);
    for (int i = 0; i < c->lanes; i++)
        if (fv_columns_has(good, i) && count[i] >= q->target[i]) {
            q->bound[LO][i] = t[i];
            q->sum[LO][i] = q->many[LO][i] = (float)count[i];
        } else
            good &= ~(1u << i);
    q->open = good & some;
    settle(q, rows, count, c->s);
    for (int i = 0; i < c->lanes; i++)
        if (fv_columns_has(good & c->live, i))
            sum[i] = emit(q, i, count[i]);
    q->open = live & ~good;
    if (q->open) {
        good = q->open;
        find(q, c->s);
        good &= c->live;
        for (int i = 0; i < c->lanes; i++)
            t[i] = fv_columns_has(good, i) ? q->bound[LO][i] : INFINITY;
        fv_columns_collect(c, c->s, t, c->top, &good, count);
        for (int i = 0; i < c->lanes; i++)
            if (fv_columns_has(good, i))
                sum[i] = emit(q, i, count[i]);
    }
    divide(c, total ? total : sum);
}

/* The k = arg[0] largest; total: the sum of all exponentials, which stand in e, for weights that are not renormalised. */
static void topk(fv_columns *c, const double *total)
{
    search q = {.c = c, .x = c->s, .open = c->live};
    double sum[LANES];
    float cut[LANES], count[LANES], first[LANES], dense[LANES];
    for (int i = 0; i < LANES; i++) {
        const double seen = i < c->lanes ? (double)c->seen[i] : 0, k = c->arg[0] < seen ? c->arg[0] : seen;
        q.target[i] = k;
        q.bound[LO][i] = -INFINITY;
        q.bound[HI][i] = c->top[i];
        q.sum[LO][i] = seen;
        q.many[LO][i] = (float)seen;
        q.floor[i] = 1;
        if (k >= seen)
            q.open &= ~(1u << i);
    }
    if (c->n >= SAMPLED && c->arg[0] <= FEW && SPARSELY * c->arg[0] <= (double)c->n) {
        topk_few(&q, c->arg[0], total);
        return;
    }
    if (c->n >= FORESEEN)
        foresee(&q, first, dense);
    find(&q, c->s);
    cuts(&q, cut);
    weigh(c, total ? FVK_WEIGH_GIVEN : FVK_WEIGH_EXP, c->s, cut, sum, count);
    divide(c, total ? total : sum);
}

void fv_columns_topk(fv_columns *c)
{
    topk(c, NULL);
}

/* arg[0] k */
void fv_columns_localv(fv_columns *c)
{
    double all[LANES];
    weigh_all(c, all);
    topk(c, all);
}

/* arg[0] p */
void fv_columns_topp(fv_columns *c)
{
    search q = {.c = c, .x = c->e, .weighs = 1, .open = c->live};
    double all[LANES];
    float cut[LANES], count[LANES], first[LANES], dense[LANES];
    if (c->arg[0] >= 1) {
        weigh_all(c, all);
    } else {
        fill(cut, 0); /* the exponential of hidden keys; the weights of all keys ask for no cut */
        weigh(c, FVK_WEIGH_ALL, c->s, cut, all, count);
        for (int i = 0; i < c->lanes; i++) {
            const double tail = all[i] - c->arg[0] * all[i];
            q.target[i] = c->arg[0] * all[i];
            q.bound[HI][i] = 1;
            q.sum[LO][i] = all[i];
            q.many[LO][i] = c->seen[i];
            q.floor[i] = (float)(tail / (double)c->n);
        }
        if (c->n >= FORESEEN)
            foresee_mass(&q, all, first, dense);
        find(&q, c->e);
        cuts(&q, cut);
        weigh(c, FVK_WEIGH_GIVEN, c->e, cut, all, count);
        fv_columns_keep(c, count);
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
    fv_columns_keep(c, count);
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
    fv_columns_keep(c, count);
    divide(c, sum);
}

/* arg[0] prob, of the softmax without the sink; arg[1] 1 to renormalise over the kept keys, of which there may be none. */
void fv_columns_threshold_prob(fv_columns *c)
{
    double all[LANES], sum[LANES];
    float cut[LANES], count[LANES];
    weigh_all(c, all);
    for (int i = 0; i < c->lanes; i++)
        cut[i] = fv_float_above(c->arg[0] * all[i]);
    if (c->arg[0] > 0) { /* else all keys, also those whose exponential is 0 as that of a hidden one */
        weigh(c, FVK_WEIGH_GIVEN, c->e, cut, sum, count);
        fv_columns_keep(c, count);
    } else
        memcpy(sum, all, sizeof sum);
    divide(c, c->arg[1] != 0 ? sum : all);
    for (int i = 0; i < c->lanes; i++)
        if (fv_columns_has(c->live, i) && !c->kept[i]) {
            c->factor[i] = 0;
            c->lse[i] = c->arg[1] != 0 ? -INFINITY : c->lse[i];
        }
}

/* ------------------------------------------------------------------ key by key */

/* Weights of all visible keys, each of its own score only. */
static void weigh_alone(fv_columns *c, fvk_weigh kind, const float *shift)
{
    static const double none[LANES];
    double sum[LANES];
    float cut[LANES], count[LANES];
    const fvk_columns a = {.x = c->s, .n = c->n, .step = 1, .kind = kind, .shift = shift, .origin = none, .tau = none, .slope = 1,
                           .cut = cut, .y = c->e, .rows = c->rows, .count = count, .sum = sum};
    fill(cut, -FLT_MAX);
    c->kernel->weigh(&a);
    fv_columns_keep(c, count);
}

/* arg[0] power of the number of visible keys */
void fv_columns_relu(fv_columns *c)
{
    weigh_alone(c, FVK_WEIGH_RAMP, NULL);
    for (int i = 0; i < c->lanes; i++)
        c->factor[i] = (float)pow((double)c->seen[i], -c->arg[0]);
}

/* arg[0] bias, used when arg[1] is 0; else the bias is -ln of the number of visible keys */
void fv_columns_sigmoid(fv_columns *c)
{
    float shift[LANES] = {0};
    for (int i = 0; i < c->lanes; i++) {
        shift[i] = (float)(c->arg[1] == 0 ? -c->arg[0] : c->seen[i] > 0 ? log((double)c->seen[i]) : 0);
        c->factor[i] = 1;
    }
    weigh_alone(c, FVK_WEIGH_SIGMOID, shift);
}
