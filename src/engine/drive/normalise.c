/* Normalisers of whole rows of scores: what replaces the online softmax in the pruned variants.

   Promises
   - Sums and thresholds are in double. Exponentials of a row are floats of 1 ulp, by the kernel that the caller names.
   - Nothing is allocated. Of equal scores the lower key wins.
   - Passes over a whole row are kernels; what is done number by number is done to candidates that a kernel has sifted.
   - Softmax rules: a NaN or +infinity among the scores makes the whole row NaN (every key kept), as softmax would.
     relu and sigmoid have no row state, so there a NaN stays with its key.
   - A row whose scores are all -infinity has no mass: nothing kept, lse = -infinity.

   Definitions, s one row of n visible scores, Z = sum_j exp(s_j), sink adds exp(sink) to the denominators:
   topk      k largest, softmax over them [Zhao 2019, 1912.11637; Gupta 2021, 2106.06899]
   topp      fewest keys in descending order whose sum of exp(s) reaches p Z, softmax over them [Lin 2025, 2502.02770]
   threshold s >= max - rel, or exp(s)/Z >= prob; renormalised or not
   localv    softmax over all, weights kept for the k largest [Wang 2020, 2012.09852]
   sparsemax, entmax [Martins 2016, 1602.02068; Peters 2019, 1905.05702]
   relu      max(s, 0) / n^power [Wortsman 2023, 2309.08586]
   sigmoid   1 / (1 + exp(-s - bias)) [Ramapuram 2024, 2409.04431] */
#include "drive/columns.h"
#include "drive/select.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ whole rows */

/* Sets max and least; returns 1 when the row is neither without mass nor spoilt by a NaN or +infinity. */
int fv_scores_range(fv_scores *r)
{
    int finite = r->kernel->range(r->s, r->n, &r->least, &r->max);
    for (int64_t j = 0; !finite && j < r->n; j++)
        if (isnan(r->s[j]))
            r->max = NAN;
    return isfinite(r->max) != 0;
}

/* The answer of a row that has no finite maximum. */
static int64_t degenerate(fv_scores *r)
{
    if (r->max == -INFINITY) {
        r->lse = -INFINITY;
        return 0;
    }
    r->lse = NAN;
    for (int64_t j = 0; j < r->n; j++)
        r->p[j] = NAN;
    return r->n;
}

float fv_float_above(double x)
{
    float y = (float)x;
    return (double)y < x ? nextafterf(y, INFINITY) : y;
}

float fv_float_below(double x)
{
    float y = (float)x;
    return (double)y > x ? nextafterf(y, -INFINITY) : y;
}

/* Where exponentials of the result are 1, so that the sink's cannot overflow. */
static double shift_of(const fv_scores *r)
{
    return r->sink > r->max ? (double)r->sink : (double)r->max;
}

/* The denominator: `mass` of keys in units of exp(shift), and the sink. Sets lse. */
static double denominator(fv_scores *r, double mass)
{
    double shift = shift_of(r), sum = mass + (isinf(r->sink) ? 0 : exp((double)r->sink - shift));
    r->lse = (float)(shift + log(sum));
    return sum;
}

/* Softmax weights in place of the m scores in p. The sum is over these, or over all keys when theirs is given in units of
   exp(max) (all >= 0). */
static int64_t softmax(fv_scores *r, int64_t m, double all)
{
    double shift = shift_of(r), kept = r->kernel->exps(r->p, m, (float)shift, -INFINITY, r->p);
    double sum = denominator(r, all < 0 ? kept : all * exp((double)r->max - shift));
    r->kernel->scale(r->p, m, 1 / sum, r->p);
    return m;
}

/* Softmax over all keys. */
static int64_t keep_all(fv_scores *r)
{
    double sum;
    if (!r->may_spread) {
        memcpy(r->p, r->s, (size_t)r->n * sizeof *r->p);
        return softmax(r, r->n, -1);
    }
    sum = r->kernel->exps(r->s, r->n, r->max, -INFINITY, r->s) * exp((double)r->max - shift_of(r));
    r->factor = (float)(exp((double)r->max - shift_of(r)) / denominator(r, sum));
    r->spread = 1;
    return r->n;
}

static int64_t clip_count(double k, int64_t n)
{
    return k >= (double)n ? n : (int64_t)k;
}

/* Exponentials of the row to e, in units of exp(max); returns their sum. */
static double row_mass(const fv_scores *r, float *e)
{
    return r->kernel->exps(r->s, r->n, r->max, -INFINITY, e);
}

/* Softmax over what a cut keeps. Rows that keep much are spread where the caller wants them so: a list of many
   places takes longer. e: exponentials, or NULL. */
static int64_t softmax_cut(fv_scores *r, fv_cut cut, const float *e, double all)
{
    double sum, unit = exp((double)r->max - shift_of(r));
    int64_t kept;
    if (!r->may_spread || 3 * cut.kept < r->n)
        return softmax(r, fv_cut_list(r, cut), all);
    kept = fv_cut_spread(r, cut, e, &sum);
    r->factor = (float)(unit / denominator(r, (all < 0 ? sum : all) * unit));
    r->spread = 1;
    return kept;
}

/* ------------------------------------------------------------------ pruned softmax */

/* arg[0] k >= 1 */
static int64_t apply_topk(fv_scores *r)
{
    int64_t k = clip_count(r->arg[0], r->n);
    fv_cut cut;
    if (k < r->n && fv_cut_few(r, k, &cut))
        return softmax(r, fv_cut_list(r, cut), -1);
    if (!fv_scores_range(r))
        return degenerate(r);
    return k < r->n ? softmax_cut(r, fv_cut_count(r, k), NULL, -1) : keep_all(r);
}

/* arg[0] k >= 1 */
static int64_t apply_localv(fv_scores *r)
{
    int64_t k = clip_count(r->arg[0], r->n);
    float *e = fv_select_parts(r).e;
    double all = row_mass(r, e);
    return k < r->n ? softmax_cut(r, fv_cut_count(r, k), e, all) : keep_all(r);
}

/* arg[0] p, 0 < p <= 1 */
static int64_t apply_topp(fv_scores *r)
{
    float *e = fv_select_parts(r).e;
    double all;
    fv_cut cut;
    if (r->arg[0] >= 1)
        return keep_all(r);
    all = row_mass(r, e);
    cut = fv_cut_mass(r, e, all, r->arg[0] * all);
    return softmax_cut(r, cut, e, -1);
}

/* arg[0] rel >= 0, arg[1] 1 to renormalise over the kept keys */
static int64_t apply_threshold_rel(fv_scores *r)
{
    fv_cut cut = {fv_float_above((double)r->max - r->arg[0]), r->n, r->n, 0, 0};
    float *e = r->arg[1] != 0 ? NULL : fv_select_parts(r).e;
    double all = e ? row_mass(r, e) : -1;
    cut.kept = cut.reach = r->kernel->count(r->s, r->n, nextafterf(cut.score, -INFINITY));
    return softmax_cut(r, cut, e, all);
}

/* arg[0] prob, 0 <= prob <= 1, of the softmax without the sink; arg[1] 1 to renormalise over the kept keys. A threshold
   that no key reaches leaves a row without keys, which as everywhere gives 0 and, renormalised, lse = -infinity. */
static int64_t apply_threshold_prob(fv_scores *r)
{
    fv_select_scratch x = fv_select_parts(r);
    double all = row_mass(r, x.e);
    int64_t m = r->kernel->sift(x.e, r->n, fv_float_above(r->arg[0] * all), INFINITY, x.a, r->at);
    for (int64_t i = 0; i < m; i++)
        r->p[i] = r->s[r->at[i]];
    if (m == 0 && r->arg[1] != 0) {
        r->lse = -INFINITY;
        return 0;
    }
    return softmax(r, m, r->arg[1] != 0 ? -1 : all);
}

/* ------------------------------------------------------------------ sparse maps onto the simplex */

/* p_j = max((s_j - max) slope - tau, 0)^(1 / slope); where it is needed, tau makes the p add up to 1. tau lies between -1
   and -(1/n)^slope, so that only scores within 1 / slope of the maximum can get a weight. */

/* The sum over the row is convex and falls with tau. A step of Newton's therefore lands where it is at least 1, on the safe
   side of the solution, wherever it starts. sum: of the moments kernel, for a sample divided by its share of the row. */
double fv_simplex_safe(const double sum[3], int square)
{
    return square ? (sum[2] - 1) / (2 * sum[1]) : (sum[1] - 1) / sum[0];
}

/* The step that solves for tau exactly if no key joins or leaves the support; NaN when there is none. */
static double exact_step(const double sum[3], int square)
{
    if (!square)
        return (sum[1] - 1) / sum[0];
    return (sum[2] - 1) / (sum[1] + sqrt(sum[1] * sum[1] - sum[0] * (sum[2] - 1)));
}

int fv_simplex_step(const double sum[3], int square, double *tau, double *least, double *last)
{
    double safe = *tau + fv_simplex_safe(sum, square), exact = *tau + exact_step(sum, square), move;
    if (sum[0] == *last) /* the same keys as in the step before, which solved for them */
        return 1;
    *least = safe > *least ? safe : *least;
    *last = exact >= *least ? sum[0] : -1;
    exact = exact >= *least ? exact : *least;
    move = exact - *tau;
    *tau = exact;
    /* keys that left with the last step lie within it of the edge */
    return move == 0 || (square && sum[0] * move * move < 0x1p-52 * sum[1]);
}

/* Finds ramp->tau for m scores, the share of a row that they are, from where it is. Returns 1; or, when they are only what tau
   left of a row, 0 if the solution lies below, with a safe tau. What cannot be in the support leaves the scores: copies go
   to w and at, both with room for m + FVK_SIFT_ROOM. */
static int solve(const float *v, int64_t m, int part, int square, double share, const fv_row_kernels *kernel, float *w,
                 int32_t *at, fvk_ramp *ramp)
{
    double least = -1, last = -1;
    for (int step = 0; step < 100; step++) {
        double sum[3], safe;
        int64_t left;
        kernel->moments(v, m, ramp, square, sum);
        left = (int64_t)sum[0];
        for (int i = 0; i < 3; i++)
            sum[i] /= share;
        safe = ramp->tau + fv_simplex_safe(sum, square);
        if (part && step == 0 && safe < ramp->tau && ramp->tau > -1) {
            ramp->tau = safe > -1 ? safe : -1;
            return 0;
        }
        if (fv_simplex_step(sum, square, &ramp->tau, &least, &last))
            return 1;
        if (left < m / 2 && m > 64) {
            m = kernel->sift(v, m, fv_float_below(ramp->shift + least / ramp->slope), INFINITY, w, at);
            v = w;
        }
    }
    return 1;
}

/* A tau to start from, where the sum over the row is likely to be a little more than 1: that of a sample. Never below -1.
   *much: 1 when half of the row or more is likely to be in the support. */
static double guess(const fv_scores *r, int square, fvk_ramp ramp, int *much)
{
    fv_select_scratch x = fv_select_parts(r);
    int64_t m = fv_select_sample(r->s, r->n, x.a);
    *much = 0;
    if (m) {
        solve(x.a, m, 0, square, 1.3 * (double)m / (double)r->n, r->kernel, x.b, x.at, &ramp);
        *much = 2 * r->kernel->count(x.a, m, fv_float_below(ramp.shift + ramp.tau / ramp.slope)) > m;
    }
    return ramp.tau;
}

float fv_simplex_edge(const fvk_ramp *ramp)
{
    float x = fv_float_below(ramp->shift + ramp->tau / ramp->slope), under;
    while (!(((double)x - ramp->shift) * ramp->slope - ramp->tau > 0))
        x = nextafterf(x, INFINITY);
    for (under = nextafterf(x, -INFINITY); ((double)under - ramp->shift) * ramp->slope - ramp->tau > 0;
         under = nextafterf(x, -INFINITY))
        x = under;
    return x;
}

static int64_t simplex(fv_scores *r, double slope, int square)
{
    fv_select_scratch x = fv_select_parts(r);
    fvk_ramp ramp = {(double)r->max, slope, -1};
    int64_t m = r->n, kept;
    int much;
    ramp.tau = guess(r, square, ramp, &much);
    if (much)
        solve(r->s, m, 0, square, 1, r->kernel, x.b, r->at, &ramp);
    for (int attempt = 0; !much; attempt++) {
        m = r->kernel->sift(r->s, r->n, fv_float_below(ramp.shift + ramp.tau / slope), INFINITY, x.a, x.at);
        if (solve(x.a, m, 1, square, 1, r->kernel, x.b, r->at, &ramp))
            break;
        ramp.tau = attempt < 2 ? ramp.tau : -1;
    }
    if (m < r->n / 2) {
        kept = r->kernel->sift(x.a, m, fv_simplex_edge(&ramp), INFINITY, r->p, r->at);
        fv_select_compose(r->at, kept, x.at);
    } else
        kept = r->kernel->sift(r->s, r->n, fv_simplex_edge(&ramp), INFINITY, r->p, r->at);
    if (r->may_spread && 3 * kept > r->n) {
        r->kernel->ramp(r->s, r->n, &ramp, square, r->p);
        r->kernel->veil(r->s, r->p, r->n, fv_simplex_edge(&ramp), r->s, &kept);
        r->factor = 1;
        r->spread = 1;
        return kept;
    }
    r->kernel->ramp(r->p, kept, &ramp, square, r->p);
    return kept;
}

static int64_t apply_sparsemax(fv_scores *r)
{
    return simplex(r, 1, 0);
}

static int64_t apply_entmax15(fv_scores *r)
{
    return simplex(r, 0.5, 1);
}

/* Sum over the candidates of max(x + t, 0)^power, x = (alpha-1)(s - max). */
static double entmax_sum(const float *v, int64_t m, double max, double slope, double t, double power)
{
    double sum = 0;
    for (int64_t j = 0; j < m; j++) {
        double x = (v[j] - max) * slope + t;
        if (x > 0)
            sum += pow(x, power);
    }
    return sum;
}

/* arg[0] alpha > 1. The sum falls from at least 1 at tau = -1 to at most 1 at tau = -(1/n)^(alpha-1). Bisection runs on
   log(-tau): the relative precision of tau then does not suffer when many equal scores push it towards 0. */
static int64_t apply_entmax(fv_scores *r)
{
    const double max = (double)r->max, slope = r->arg[0] - 1, power = 1 / slope;
    fv_select_scratch x = fv_select_parts(r);
    int64_t m = r->kernel->sift(r->s, r->n, fv_float_below(max - 1 / slope), INFINITY, x.a, x.at), kept = 0;
    double lo = -slope * log((double)m), hi = 0, sum, t;
    for (int i = 0; i < 64; i++) { /* hi always has a sum of at least 1 */
        double middle = lo + (hi - lo) / 2;
        if (middle <= lo || middle >= hi)
            break;
        if (entmax_sum(x.a, m, max, slope, exp(middle), power) >= 1)
            hi = middle;
        else
            lo = middle;
    }
    t = exp(hi);
    sum = entmax_sum(x.a, m, max, slope, t, power);
    for (int64_t j = 0; j < m; j++) {
        double y = (x.a[j] - max) * slope + t;
        if (y > 0) { /* a weight may be too small for a float and still be in the support */
            r->p[kept] = (float)(pow(y, power) / sum);
            r->at[kept++] = x.at[j];
        }
    }
    return kept;
}

/* ------------------------------------------------------------------ key by key */

/* arg[0] power of n. */
static int64_t apply_relu(fv_scores *r)
{
    const fvk_ramp ramp = {0, pow((double)r->n, -r->arg[0]), 0};
    fv_scores_range(r);
    r->kernel->ramp(r->s, r->n, &ramp, 0, r->may_spread ? r->s : r->p);
    r->spread = r->may_spread;
    r->factor = 1;
    return r->n;
}

/* arg[0] bias, used when arg[1] is 0; else the bias is -ln n */
static int64_t apply_sigmoid(fv_scores *r)
{
    double bias = r->arg[1] != 0 ? -log((double)r->n) : r->arg[0];
    fv_scores_range(r);
    for (int64_t j = 0; j < r->n; j++)
        r->p[j] = (float)(1 / (1 + exp(-(r->s[j] + bias))));
    return r->n;
}

/* ------------------------------------------------------------------ table */

static const fv_normaliser rows[] = {
    {"topk", "k", 1, 1, apply_topk, fv_columns_topk},
    {"topp", "p", 1, 0, apply_topp, fv_columns_topp},
    {"threshold-rel", "rel, renorm", 1, 0, apply_threshold_rel, fv_columns_threshold_rel},
    {"threshold-prob", "prob, renorm", 1, 0, apply_threshold_prob, fv_columns_threshold_prob},
    {"localv", "k", 1, 0, apply_localv, fv_columns_localv},
    {"sparsemax", "", 0, 0, apply_sparsemax, fv_columns_sparsemax},
    {"entmax15", "", 0, 0, apply_entmax15, fv_columns_entmax15},
    {"entmax", "alpha", 0, 0, apply_entmax, NULL},
    {"relu", "power", 0, 1, apply_relu, fv_columns_relu},
    {"sigmoid", "bias, auto", 0, 1, apply_sigmoid, fv_columns_sigmoid},
};

const fv_normaliser *fv_normaliser_at(unsigned index)
{
    return index < sizeof rows / sizeof *rows ? &rows[index] : NULL;
}

const fv_normaliser *fv_normaliser_find(const char *name)
{
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

int64_t fv_normalise(const fv_normaliser *normaliser, fv_scores *row)
{
    if (normaliser->own_range)
        return normaliser->apply(row);
    return fv_scores_range(row) ? normaliser->apply(row) : degenerate(row);
}
