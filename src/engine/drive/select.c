/* Selection by bounds. A sample of the row brackets the cut, one pass over the row copies what lies within the bracket side
   by side, and a bisection among these finds the cut exactly. So a row is read a few times, in vectors, whatever its
   distribution; a sample that misleads costs passes and never exactness.

   Scratch: parts of n + FVK_SIFT_ROOM. */
#include "drive/select.h"

#include <math.h>
#include <string.h>

enum { PIECE = 4, SAMPLED = 1024, LEAST = 256, MOST = 1024, SMALL = 16, HALVINGS = 12 };

static size_t part_floats(int64_t n)
{
    return ((size_t)n + FVK_SIFT_ROOM + 15) & ~(size_t)15;
}

size_t fv_normalise_scratch(int64_t n)
{
    return 5 * part_floats(n) * sizeof(float);
}

fv_select_scratch fv_select_parts(const fv_scores *row)
{
    size_t part = part_floats(row->n);
    float *base = row->scratch;
    return (fv_select_scratch){base, base + part, base + 2 * part, base + 3 * part, (int32_t *)(base + 4 * part)};
}

int64_t fv_select_sample(const float *x, int64_t n, float *y)
{
    int64_t m = n / 16, pieces, step;
    if (n < SAMPLED)
        return 0;
    m = m < LEAST ? LEAST : m > MOST ? MOST : m;
    pieces = m / PIECE;
    step = ((n - PIECE) << 16) / (pieces - 1);
    for (int64_t i = 0; i < pieces; i++)
        memcpy(y + i * PIECE, x + (i * step >> 16), PIECE * sizeof *y);
    return pieces * PIECE;
}

void fv_select_compose(int32_t *places, int64_t m, const int32_t *of)
{
    for (int64_t i = 0; i < m; i++)
        places[i] = of[places[i]];
}

/* Floats in the order of their values as integers, and back. */
static int32_t order_of(float x)
{
    int32_t bits;
    memcpy(&bits, &x, 4);
    return bits < 0 ? INT32_MIN - bits : bits; /* -0 and 0 coincide */
}

static float at_order(int32_t order)
{
    int32_t bits = order < 0 ? INT32_MIN - order : order;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

float fv_float_after(float x)
{
    return at_order(order_of(x) + 1);
}

float fv_float_middle(float lo, float hi)
{
    return at_order((int32_t)(order_of(lo) + ((int64_t)order_of(hi) - order_of(lo)) / 2));
}

/* A float t with lo <= t < hi. Halving the distance is quick where scores are dense, halving the number of floats between
   needs 32 steps at most. */
static float middle(float lo, float hi, int step)
{
    float t = 0.5f * lo + 0.5f * hi;
    if (step < HALVINGS && t >= lo && t < hi)
        return t;
    return fv_float_middle(lo, hi);
}

/* Descending; e, of the same length or NULL, goes along. */
static void sort_small(float *v, float *e, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        float x = v[i], y = e ? e[i] : 0;
        int64_t j = i;
        for (; j > 0 && v[j - 1] < x; j--) {
            v[j] = v[j - 1];
            if (e)
                e[j] = e[j - 1];
        }
        v[j] = x;
        if (e)
            e[j] = y;
    }
}

/* The k largest of n, 1 <= k <= n, no NaN: the smallest float that fewer than k scores exceed; it lies in lo..hi. With some
   slack: a float below which lie all but k to k + slack scores. What is inside the bracket moves to `w` whenever that
   shortens the passes. w and at: room for n / 4 + FVK_SIFT_ROOM. */
static fv_cut bisect_count(const float *v, int64_t n, int64_t k, int64_t slack, float lo, float hi,
                           const fv_row_kernels *kernel, float *w, int32_t *at)
{
    int64_t before = 0, above = 0, reach = n; /* dropped as too large; exceeding hi; not below lo */
    for (int step = 0; order_of(lo) < order_of(hi); step++) {
        float t, small[SMALL];
        int64_t count, ties = 1;
        if (n <= SMALL) {
            memcpy(small, v, (size_t)n * sizeof *v);
            sort_small(small, NULL, n);
            k -= before;
            while (ties < k && small[k - 1 - ties] == small[k - 1])
                ties++;
            for (reach = k; reach < n && small[reach] == small[k - 1];)
                reach++;
            return (fv_cut){small[k - 1], ties, 0, before + k, before + reach};
        }
        t = middle(lo, hi, step);
        count = before + kernel->count(v, n, t);
        if (count < k) {
            hi = t;
            above = count;
        } else {
            lo = at_order(order_of(t) + 1);
            reach = count;
            if (reach <= k + slack && slack)
                return (fv_cut){lo, reach, 0, reach, reach};
        }
        if (reach - above <= n / 4) {
            n = kernel->sift(v, n, lo, hi, w, at);
            v = w;
            before = above;
        }
    }
    return (fv_cut){hi, k - above, 0, k, reach};
}

/* The same among at most SMALL scores, `before` more lie above them. */
static fv_cut small_mass(const float *v, const float *e, int64_t n, double need, int64_t before)
{
    float score[SMALL], mass[SMALL];
    int64_t i = 0, ties = 1, reach;
    memcpy(score, v, (size_t)n * sizeof *v);
    memcpy(mass, e, (size_t)n * sizeof *e);
    sort_small(score, mass, n);
    for (double sum = (double)mass[0]; sum < need && i + 1 < n;) {
        i++;
        ties = score[i] == score[i - 1] ? ties + 1 : 1;
        sum += (double)mass[i];
    }
    for (reach = i + 1; reach < n && score[reach] == score[i];)
        reach++;
    return (fv_cut){score[i], ties, 0, before + i + 1, before + reach};
}

/* The fewest largest scores whose e add up to `need`: the smallest float above which they fall short of it. e belongs to v;
   w, we and at: room for n / 4 + FVK_SIFT_ROOM. */
static fv_cut bisect_mass(const float *v, const float *e, int64_t n, double need, float lo, float hi, float max,
                    const fv_row_kernels *kernel, float *w, float *we, int32_t *at)
{
    int64_t above_keys = 0, before_keys = 0, reach = n, equal;
    double before = 0, above = 0, ties;
    float each;
    for (int step = 0; order_of(lo) < order_of(hi); step++) {
        int64_t count;
        double sum;
        float t;
        if (n <= SMALL)
            return small_mass(v, e, n, need - before, before_keys);
        t = middle(lo, hi, step);
        sum = before + kernel->mass(v, e, n, t, &count);
        count += before_keys;
        if (sum < need) {
            hi = t;
            above = sum;
            above_keys = count;
        } else {
            lo = at_order(order_of(t) + 1);
            reach = count;
        }
        if (reach - above_keys <= n / 4) {
            n = kernel->sift(v, n, lo, hi, w, at);
            for (int64_t i = 0; i < n; i++)
                we[i] = e[at[i]];
            v = w;
            e = we;
            before = above;
            before_keys = above_keys;
        }
    }
    kernel->exps(&hi, 1, max, -INFINITY, &each);
    ties = each > 0 ? ceil((need - above) / (double)each) : INFINITY;
    equal = reach - above_keys;
    equal = ties < 1 ? 1 : ties < (double)equal ? (int64_t)ties : equal;
    return (fv_cut){hi, equal, 0, above_keys + equal, reach};
}

/* Of m scores not below cut.score, drops the ties that are too many; returns how many are left. */
static int64_t drop_ties(float *p, int32_t *at, int64_t m, fv_cut cut)
{
    int64_t equal = 0, kept = 0;
    for (int64_t i = 0; i < m; i++)
        equal += p[i] == cut.score;
    if (equal <= cut.ties)
        return m;
    for (int64_t i = 0; i < m; i++) {
        int tie = p[i] == cut.score;
        if (tie && cut.ties == 0)
            continue;
        cut.ties -= tie;
        p[kept] = p[i];
        at[kept++] = at[i];
    }
    return kept;
}

int64_t fv_cut_list(fv_scores *row, fv_cut cut)
{
    const fv_select_scratch x = fv_select_parts(row);
    int64_t kept;
    if (cut.candidates < row->n / 2) {
        kept = row->kernel->sift(x.a, cut.candidates, cut.score, INFINITY, row->p, row->at);
        fv_select_compose(row->at, kept, x.at);
    } else
        kept = row->kernel->sift(row->s, row->n, cut.score, INFINITY, row->p, row->at);
    return kept == cut.kept ? kept : drop_ties(row->p, row->at, kept, cut);
}

int64_t fv_cut_spread(fv_scores *row, fv_cut cut, const float *e, double *sum)
{
    const fv_row_kernels *kernel = row->kernel;
    int64_t kept = cut.reach, surplus;
    float *p = row->p;
    if (e)
        *sum = kernel->veil(row->s, e, row->n, cut.score, p, &kept);
    else
        *sum = kernel->exps(row->s, row->n, row->max, cut.score, p);
    surplus = kept - cut.kept;
    for (int64_t j = row->n - 1; surplus > 0; j--)
        if (row->s[j] == cut.score) {
            *sum -= (double)p[j];
            p[j] = FVK_DROPPED;
            kept--;
            surplus--;
        }
    memcpy(row->s, p, (size_t)row->n * sizeof *p);
    return kept;
}

/* A bracket lo..hi of the k-th largest from the m sampled scores in part a: ranks three standard deviations to both sides. */
static void bracket(const fv_scores *row, int64_t k, int64_t m, float *lo, float *hi)
{
    const fv_select_scratch x = fv_select_parts(row);
    double rank = (double)k * (double)m / (double)row->n, far = 3 * sqrt(rank * (1 - rank / (double)m)) + 3;
    *lo = row->least;
    *hi = row->max;
    if (rank + far < (double)m)
        *lo = bisect_count(x.a, m, (int64_t)(rank + far), (int64_t)(rank + far) / 8 + 1, row->least, row->max, row->kernel, x.b, x.at).score;
    if (rank - far >= 1 && 8 * k > row->n)
        *hi = bisect_count(x.a, m, (int64_t)(rank - far), 0, row->least, row->max, row->kernel, x.b, x.at).score;
}

int fv_cut_few(fv_scores *row, int64_t k, fv_cut *cut)
{
    const fv_row_kernels *kernel = row->kernel;
    const fv_select_scratch x = fv_select_parts(row);
    const int64_t n = row->n, m = fv_select_sample(row->s, n, x.a);
    int64_t inside;
    float lo, hi;
    if (!m || k > n / 8 || !kernel->range(x.a, m, &row->least, &row->max))
        return 0;
    bracket(row, k, m, &lo, &hi);
    inside = kernel->sift(row->s, n, lo, INFINITY, x.a, x.at);
    /* a NaN or an infinity passes the sift */
    if (inside < k || !kernel->range(x.a, inside, &row->least, &row->max))
        return 0;
    *cut = bisect_count(x.a, inside, k, 0, lo, row->max, kernel, x.b, row->at);
    cut->candidates = inside;
    cut->kept = k;
    return 1;
}

fv_cut fv_cut_count(fv_scores *row, int64_t k)
{
    const fv_row_kernels *kernel = row->kernel;
    const fv_select_scratch x = fv_select_parts(row);
    const int64_t n = row->n, m = fv_select_sample(row->s, n, x.a);
    int64_t above = 0, inside;
    float lo, hi;
    fv_cut cut;
    if (m) {
        bracket(row, k, m, &lo, &hi);
        above = hi < row->max ? kernel->count(row->s, n, hi) : 0;
        inside = kernel->sift(row->s, n, lo, hi < row->max ? hi : INFINITY, x.a, x.at);
        if (above < k && above + inside >= k) {
            cut = bisect_count(x.a, inside, k - above, 0, lo, hi, kernel, x.b, row->at);
            cut.candidates = above ? n : inside;
            cut.kept = k;
            cut.reach += above;
            return cut;
        }
    }
    cut = bisect_count(row->s, n, k, 0, row->least, row->max, kernel, x.b, row->at);
    cut.candidates = n;
    cut.kept = k;
    return cut;
}

/* A bracket lo..hi of the score at which the exponentials below add up to `tail`, from the m sampled scores in part a and
   their exponentials in part b: small exponentials are many, so that a sample knows their sum better than that of the large
   ones. Within a factor of `sure`. hi is INFINITY when few scores lie above lo. */
static void bracket_mass(const fv_scores *row, double tail, double sure, int64_t m, float *lo, float *hi)
{
    const fv_select_scratch x = fv_select_parts(row);
    const fv_row_kernels *kernel = row->kernel;
    const float least = row->least, max = row->max;
    double sum = 0, under = tail * (double)m / (double)row->n;
    for (int64_t i = 0; i < m; i++)
        sum += (double)x.b[i];
    *lo = max;
    *hi = INFINITY;
    if (sum > under / sure)
        *lo = bisect_mass(x.a, x.b, m, sum - under / sure, least, max, max, kernel, row->p, row->p + m, x.at).score;
    if (sum > under * sure && kernel->count(x.a, m, *lo) > m / 4)
        *hi = bisect_mass(x.a, x.b, m, sum - under * sure, least, max, max, kernel, row->p, row->p + m, x.at).score;
}

fv_cut fv_cut_mass(fv_scores *row, const float *e, double all, double need)
{
    const fv_row_kernels *kernel = row->kernel;
    const int64_t n = row->n;
    const fv_select_scratch x = fv_select_parts(row);
    const int64_t m = fv_select_sample(row->s, n, x.a);
    int64_t inside, more;
    double mass, above;
    float lo, hi;
    fv_cut cut;
    for (int attempt = 0; m && attempt < 2; attempt++) {
        if (attempt)
            fv_select_sample(row->s, n, x.a);
        fv_select_sample(e, n, x.b);
        bracket_mass(row, all - need, attempt ? 2 : 1.12, m, &lo, &hi);
        inside = kernel->sift(row->s, n, lo, hi, x.a, x.at);
        more = 0;
        above = hi < INFINITY ? kernel->mass(row->s, e, n, hi, &more) : 0;
        mass = above;
        for (int64_t i = 0; i < inside; i++) {
            row->p[i] = e[x.at[i]];
            mass += (double)row->p[i];
        }
        if (above < need && mass >= need && inside) {
            cut = bisect_mass(x.a, row->p, inside, need - above, lo, hi < row->max ? hi : row->max, row->max, kernel, x.b, x.c,
                              row->at);
            cut.candidates = more ? n : inside;
            cut.kept += more;
            cut.reach += more;
            return cut;
        }
    }
    cut = bisect_mass(row->s, e, n, need, row->least, row->max, row->max, kernel, x.b, x.c, row->at);
    cut.candidates = n;
    return cut;
}
