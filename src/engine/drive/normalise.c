/* Normalisers of whole rows of scores: what replaces the online softmax in the pruned variants.

   Promises
   - Sums and thresholds are in double. Exponentials of a row are floats of 1 ulp, by the kernel that the caller names;
     those that decide a threshold or a support are in double.
   - Nothing is allocated. Selection by count is a bisection, by mass a quickselect over the caller's scratch; of equal
     scores the lower key wins.
   - Softmax rules: a NaN or +infinity among the scores makes the whole row NaN (every key kept), as softmax would.
     relu and sigmoid have no row state, so there a NaN stays with its key.
   - A row whose scores are all -infinity has no mass: p = 0, nothing kept, lse = -infinity.

   Definitions, s one row of n visible scores, Z = sum_j exp(s_j), sink adds exp(sink) to the denominators:
   topk      k largest, softmax over them [Zhao 2019, 1912.11637; Gupta 2021, 2106.06899]
   topp      fewest keys in descending order whose sum of exp(s) reaches p Z, softmax over them [Lin 2025, 2502.02770]
   threshold s >= max - rel, or exp(s)/Z >= prob; renormalised or not
   localv    softmax over all, weights kept for the k largest [Wang 2020, 2012.09852]
   sparsemax, entmax [Martins 2016, 1602.02068; Peters 2019, 1905.05702]
   relu      max(s, 0) / n^power [Wortsman 2023, 2309.08586]
   sigmoid   1 / (1 + exp(-s - bias)) [Ramapuram 2024, 2409.04431] */
#include "drive/normalise.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ whole rows */

/* Largest score, and the smallest in *least (may be NULL); NaN when the row holds NaN or +infinity. */
static double row_max(const float *s, int64_t n, const fv_row_kernels *kernel, float *least)
{
    float low, high;
    int finite = kernel->range(s, n, &low, &high);
    if (least)
        *least = low;
    for (int64_t j = 0; !finite && j < n; j++)
        if (!(s[j] < INFINITY))
            return NAN;
    return high;
}

/* Writes the answer of a row that has no finite maximum and returns 1; else returns 0. */
static int degenerate(double max, int64_t n, float *p, uint8_t *keep, float *lse)
{
    if (isfinite(max))
        return 0;
    for (int64_t j = 0; j < n; j++)
        p[j] = isnan(max) ? NAN : 0;
    memset(keep, isnan(max) ? 1 : 0, (size_t)n);
    if (lse)
        *lse = (float)max;
    return 1;
}

/* Sum of n floats in double; independent chains of additions. */
static double sum_of(const float *x, int64_t n)
{
    double part[4] = {0, 0, 0, 0}, rest = 0;
    int64_t j = 0;
    for (; j + 4 <= n; j += 4)
        for (int i = 0; i < 4; i++)
            part[i] += x[j + i];
    for (; j < n; j++)
        rest += x[j];
    return rest + (part[0] + part[1]) + (part[2] + part[3]);
}

/* Mass of the whole row without the sink, in units of exp(max). p is scratch. */
static double row_mass(const float *s, int64_t n, double max, const fv_row_kernels *kernel, float *p)
{
    kernel->exps(s, n, (float)max, p);
    return sum_of(p, n);
}

/* Softmax weights for the keys whose keep is set; the denominator is over these (renorm) or over all keys, and over the
   sink. top is the largest score that counts. scratch: n + 1 floats. */
static void softmax(const float *s, int64_t n, double top, float sink, const fv_row_kernels *kernel, int renorm,
                    const uint8_t *keep, float *p, float *scratch, float *lse)
{
    double max = sink > top ? sink : top, scale, sum = isinf(sink) ? 0 : exp(sink - max);
    int64_t m = 0;
    if (!renorm)
        sum += row_mass(s, n, max, kernel, p);
    for (int64_t j = 0; j < n; j++) { /* the kept ones side by side */
        scratch[m] = s[j];
        m += keep[j];
    }
    kernel->exps(scratch, m, (float)max, scratch);
    if (renorm)
        sum += sum_of(scratch, m);
    scale = 1 / sum;
    scratch[m] = 0;
    m = 0;
    for (int64_t j = 0; j < n; j++) {
        p[j] = keep[j] ? (float)(scratch[m] * scale) : 0;
        m += keep[j];
    }
    if (lse)
        *lse = (float)(max + log(sum));
}

/* ------------------------------------------------------------------ selection */

static void swap(float *a, float *b)
{
    float t = *a;
    *a = *b;
    *b = t;
}

/* A place in [lo, hi), drawn; the same calls give the same places. */
static int64_t drawn(uint64_t *state, int64_t lo, int64_t hi)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); /* Knuth's MMIX generator */
    return lo + (int64_t)((*state >> 33) % (uint64_t)(hi - lo));
}

/* Splits v[lo..hi) into scores above, equal to and below a pivot (descending); v[*eq..*lt) are the equal ones. The
   pivot is the median of three drawn scores: fixed places would make rows with a regular shape (rising and falling,
   say) quadratic. */
static void split(float *v, int64_t lo, int64_t hi, uint64_t *state, int64_t *eq, int64_t *lt)
{
    float a = v[drawn(state, lo, hi)], b = v[drawn(state, lo, hi)], c = v[drawn(state, lo, hi)];
    float pivot = a > b ? (b > c ? b : (a > c ? c : a)) : (a > c ? a : (b > c ? c : b));
    int64_t i = lo;
    while (i < hi) {
        if (v[i] > pivot)
            swap(&v[i++], &v[lo++]);
        else if (v[i] < pivot)
            swap(&v[i], &v[--hi]);
        else
            i++;
    }
    *eq = lo;
    *lt = hi;
}

/* A set of largest scores: those above `score`, and the first `ties` keys equal to it. */
typedef struct cut {
    float score;
    int64_t ties;
} cut;

static void keep_cut(const float *s, int64_t n, cut c, uint8_t *keep)
{
    for (int64_t j = 0; j < n; j++) {
        int equal = s[j] == c.score;
        keep[j] = (s[j] > c.score) | (equal & (c.ties > 0));
        c.ties -= equal;
    }
}

/* Floats in the order of their values as integers, and back: bisection over them is exact and needs at most 32 steps. */
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

/* The k largest of n, 1 <= k <= n, no NaN: the smallest float that fewer than k scores exceed. Counting is a vector pass
   without branches, and a row fits in L1: five times as fast as a quickselect for rows of a thousand keys. */
static cut cut_count(const float *s, int64_t n, int64_t k, float least, double max, const fv_row_kernels *kernel)
{
    int64_t lo = order_of(least), hi = order_of((float)max), above = 0;
    while (lo < hi) { /* lo..hi holds the answer; `above` scores exceed hi */
        int64_t middle = lo + (hi - lo) / 2, count = kernel->count(s, n, at_order((int32_t)middle));
        if (count < k) {
            hi = middle;
            above = count;
        } else
            lo = middle + 1;
    }
    return (cut){at_order((int32_t)hi), k - above};
}

/* The fewest largest scores whose sum of exp(s - max) reaches `need`; all of them when rounding lets the sum of all
   fall short. v: n floats of scratch. */
static cut cut_mass(const float *s, int64_t n, double max, double need, float *v)
{
    int64_t lo = 0, hi = n;
    uint64_t state = 1;
    memcpy(v, s, (size_t)n * sizeof *v);
    while (lo < hi) {
        int64_t eq, lt;
        double above = 0, each, count;
        split(v, lo, hi, &state, &eq, &lt);
        for (int64_t i = lo; i < eq; i++)
            above += exp(v[i] - max);
        if (eq > lo && above >= need) {
            hi = eq;
            continue;
        }
        need -= above;
        each = exp(v[eq] - max);
        count = each > 0 ? ceil(need / each) : INFINITY;
        if (count <= (double)(lt - eq))
            return (cut){v[eq], count < 1 ? 1 : (int64_t)count};
        need -= each * (double)(lt - eq);
        lo = lt;
    }
    return (cut){-INFINITY, n};
}

static int64_t clip_count(double k, int64_t n)
{
    return k >= (double)n ? n : (int64_t)k;
}

/* ------------------------------------------------------------------ pruned softmax */

/* arg[0] k >= 1 */
static void apply_topk(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    float least;
    double max = row_max(s, n, kernel, &least);
    if (degenerate(max, n, p, keep, lse))
        return;
    keep_cut(s, n, cut_count(s, n, clip_count(arg[0], n), least, max, kernel), keep);
    softmax(s, n, max, sink, kernel, 1, keep, p, scratch, lse);
}

/* arg[0] p, 0 < p <= 1 */
static void apply_topp(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    double max = row_max(s, n, kernel, NULL), mass = 0;
    if (degenerate(max, n, p, keep, lse))
        return;
    memset(keep, 1, (size_t)n);
    if (arg[0] < 1) {
        mass = row_mass(s, n, max, kernel, p);
        keep_cut(s, n, cut_mass(s, n, max, arg[0] * mass, scratch), keep);
    }
    softmax(s, n, max, sink, kernel, 1, keep, p, scratch, lse);
}

/* arg[0] rel >= 0, arg[1] 1 to renormalise over the kept keys */
static void apply_threshold_rel(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    double max = row_max(s, n, kernel, NULL);
    if (degenerate(max, n, p, keep, lse))
        return;
    for (int64_t j = 0; j < n; j++)
        keep[j] = s[j] >= max - arg[0];
    softmax(s, n, max, sink, kernel, arg[1] != 0, keep, p, scratch, lse);
}

/* arg[0] prob, 0 <= prob <= 1, of the softmax without the sink; arg[1] 1 to renormalise over the kept keys. A threshold
   that no key reaches leaves a row without keys, which as everywhere gives 0 and, renormalised, lse = -infinity. */
static void apply_threshold_prob(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    double max = row_max(s, n, kernel, NULL), mass = 0;
    int64_t kept = 0;
    if (degenerate(max, n, p, keep, lse))
        return;
    mass = row_mass(s, n, max, kernel, p);
    for (int64_t j = 0; j < n; j++) {
        keep[j] = p[j] >= arg[0] * mass;
        kept += keep[j];
    }
    if (kept == 0 && arg[1] != 0) {
        memset(p, 0, (size_t)n * sizeof *p);
        if (lse)
            *lse = -INFINITY;
        return;
    }
    softmax(s, n, max, sink, kernel, arg[1] != 0, keep, p, scratch, lse);
}

/* arg[0] k >= 1 */
static void apply_localv(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    float least;
    double max = row_max(s, n, kernel, &least);
    if (degenerate(max, n, p, keep, lse))
        return;
    keep_cut(s, n, cut_count(s, n, clip_count(arg[0], n), least, max, kernel), keep);
    softmax(s, n, max, sink, kernel, 0, keep, p, scratch, lse);
}

/* ------------------------------------------------------------------ sparse maps onto the simplex */

static void sift(float *v, int64_t root, int64_t n)
{
    for (;;) {
        int64_t child = 2 * root + 1;
        if (child >= n)
            return;
        if (child + 1 < n && v[child + 1] < v[child])
            child++;
        if (v[root] <= v[child])
            return;
        swap(&v[root], &v[child]);
        root = child;
    }
}

/* Heap sort, largest first: in place, no allocation, n log n at worst. */
static void sort_descending(float *v, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;)
        sift(v, i, n);
    for (int64_t i = n - 1; i > 0; i--) {
        swap(&v[0], &v[i]);
        sift(v, 0, i);
    }
}

/* Copies the scores within `reach` of the maximum, the only ones that can be in the support; returns their number. */
static int64_t candidates(const float *s, int64_t n, double max, double reach, float *v)
{
    int64_t m = 0;
    for (int64_t j = 0; j < n; j++)
        if (s[j] >= max - reach)
            v[m++] = s[j];
    return m;
}

/* p_j = max((s_j - max) * slope - tau, 0)^power, scaled so that it sums to 1 to rounding. */
static void simplex(const float *s, int64_t n, double max, double slope, double tau, double power, float *p,
                    uint8_t *keep)
{
    double sum = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t j = 0; j < n; j++) {
            double x = (s[j] - max) * slope - tau;
            double y = x > 0 ? (power == 1 ? x : power == 2 ? x * x : pow(x, power)) : 0;
            if (pass == 0) {
                sum += y;
            } else {
                p[j] = (float)(y / sum);
                keep[j] = y > 0; /* a weight may be too small for a float and still be in the support */
            }
        }
    }
}

/* tau = (sum over the support of x - 1) / its size, x = s - max. The support is found from above: keys not above the tau of
   the present set leave it, until none does (Michelot 1986). Each round only raises tau, and a few suffice. */
static void apply_sparsemax(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    double max = row_max(s, n, kernel, NULL), tau = -1;
    int64_t m, before;
    (void)arg, (void)sink, (void)kernel, (void)lse;
    if (degenerate(max, n, p, keep, NULL))
        return;
    m = candidates(s, n, max, 1, scratch);
    do {
        double sum = 0;
        for (int64_t j = 0; j < m; j++)
            sum += scratch[j] - max;
        tau = (sum - 1) / (double)m;
        before = m;
        m = 0;
        for (int64_t j = 0; j < before; j++) {
            scratch[m] = scratch[j];
            m += scratch[j] - max > tau;
        }
    } while (m < before);
    simplex(s, n, max, 1, tau, 1, p, keep);
}

/* With x = (s - max) / 2 in descending order: mean and sum of squares about it of the first k give tau_k; the support
   is the largest K with tau_K <= x_(K). The deviations are updated (Welford), never taken as a difference of squares.
   */
static void apply_entmax15(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    double max = row_max(s, n, kernel, NULL), mean = 0, squares = 0, tau = -1;
    int64_t m;
    (void)kernel, (void)arg, (void)sink, (void)lse;
    if (degenerate(max, n, p, keep, NULL))
        return;
    m = candidates(s, n, max, 2, scratch);
    sort_descending(scratch, m);
    for (int64_t k = 1; k <= m; k++) {
        double x = (scratch[k - 1] - max) / 2, step = x - mean, delta, t;
        mean += step / (double)k;
        squares += step * (x - mean);
        delta = (1 - squares) / (double)k;
        t = mean - sqrt(delta > 0 ? delta : 0);
        if (t > x)
            break;
        tau = t;
    }
    simplex(s, n, max, 0.5, tau, 2, p, keep);
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
static void apply_entmax(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    double max = row_max(s, n, kernel, NULL), slope = arg[0] - 1, power = 1 / slope, lo, hi = 0;
    int64_t m;
    (void)kernel, (void)sink, (void)lse;
    if (degenerate(max, n, p, keep, NULL))
        return;
    m = candidates(s, n, max, 1 / slope, scratch);
    lo = -slope * log((double)m);
    for (int i = 0; i < 64; i++) { /* hi always has a sum of at least 1 */
        double middle = lo + (hi - lo) / 2;
        if (middle <= lo || middle >= hi)
            break;
        if (entmax_sum(scratch, m, max, slope, exp(middle), power) >= 1)
            hi = middle;
        else
            lo = middle;
    }
    simplex(s, n, max, slope, -exp(hi), power, p, keep);
}

/* ------------------------------------------------------------------ key by key */

/* arg[0] power of n. A NaN must not be taken for "not positive". */
static void apply_relu(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    double divisor = pow((double)n, arg[0]);
    (void)kernel, (void)sink, (void)scratch, (void)lse;
    for (int64_t j = 0; j < n; j++)
        p[j] = s[j] <= 0 ? 0 : (float)(s[j] / divisor);
    memset(keep, 1, (size_t)n);
}

/* arg[0] bias, used when arg[1] is 0; else the bias is -ln n */
static void apply_sigmoid(const float *s, int64_t n, const double *arg, float sink, const fv_row_kernels *kernel, float *p,
    uint8_t *keep, float *scratch, float *lse)
{
    double bias = arg[1] != 0 ? -log((double)n) : arg[0];
    (void)kernel, (void)sink, (void)scratch, (void)lse;
    for (int64_t j = 0; j < n; j++)
        p[j] = (float)(1 / (1 + exp(-(s[j] + bias))));
    memset(keep, 1, (size_t)n);
}

/* ------------------------------------------------------------------ table */

static const fv_normaliser rows[] = {
    {"topk", "k", 1, apply_topk},
    {"topp", "p", 1, apply_topp},
    {"threshold-rel", "rel, renorm", 1, apply_threshold_rel},
    {"threshold-prob", "prob, renorm", 1, apply_threshold_prob},
    {"localv", "k", 1, apply_localv},
    {"sparsemax", "", 0, apply_sparsemax},
    {"entmax15", "", 0, apply_entmax15},
    {"entmax", "alpha", 0, apply_entmax},
    {"relu", "power", 0, apply_relu},
    {"sigmoid", "bias, auto", 0, apply_sigmoid},
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
