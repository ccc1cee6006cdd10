/* Synthetic q, k, v; the kinds are described in synthetic.h.

   The generator is counter based. A number's key is the seed and six small integers, folded one after the other by the
   finaliser of SplitMix64 (Steele, Lea, Flood, 2014): x = mix(x + golden * (integer + 1)). 53 bits of the result make a
   uniform in [0, 1); two uniforms make a normal by Box and Muller. */
#include "eval/synthetic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Which sequence of numbers: one for each use, so that uses are independent. */
enum stream {
    STREAM_Q = 1,
    STREAM_K,
    STREAM_V,
    STREAM_TARGET,
    STREAM_PHASE,
    STREAM_RUN,
    STREAM_AIM,
    STREAM_CENTRE,
    STREAM_MEAN,
    STREAM_BASIS,
    STREAM_QCODE,
    STREAM_KCODE,
    STREAM_SINK
};

typedef struct place {
    uint64_t seed;
    enum stream stream;
    int64_t batch, head, token;
} place;

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t fold(uint64_t x, uint64_t integer)
{
    return mix(x + 0x9e3779b97f4a7c15u * (integer + 1));
}

/* Everything but the element, so that a row pays for it once. */
static uint64_t row_key(place at)
{
    uint64_t x = fold(at.seed, at.stream);
    x = fold(x, (uint64_t)at.batch);
    x = fold(x, (uint64_t)at.head);
    return fold(x, (uint64_t)at.token);
}

static double uniform(uint64_t key, int64_t element)
{
    return (double)(fold(key, (uint64_t)element) >> 11) * 0x1p-53;
}

static double normal(uint64_t key, int64_t element)
{
    const double radius = uniform(key, 2 * element), angle = uniform(key, 2 * element + 1);
    return sqrt(-2 * log(1 - radius)) * cos(6.283185307179586 * angle);
}

static int64_t below(place at, int64_t n)
{
    return (int64_t)(row_key(at) % (uint64_t)n);
}

static void normal_row(place at, int64_t n, double factor, float *out)
{
    const uint64_t key = row_key(at);
    for (int64_t t = 0; t < n; t++)
        out[t] = (float)(factor * normal(key, t));
}

static double square(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t t = 0; t < n; t++)
        sum += (double)x[t] * x[t];
    return sum;
}

/* ------------------------------------------------------------------ needle */

int64_t synthetic_needle_target(uint64_t seed, const synthetic_shape *shape, int64_t batch,
                                int64_t head, int64_t row)
{
    const place at = {seed, STREAM_TARGET, batch, head, row};
    int64_t past = row + shape->lk - shape->lq + 1; /* keys up to the query's own */
    if (past < 1 || past > shape->lk)
        past = shape->lk;
    return below(at, past);
}

static void needle_query(uint64_t seed, const synthetic_shape *shape, int64_t b, int64_t h,
                         int64_t i, const float *keys, float *q)
{
    const place at = {seed, STREAM_Q, b, h, i};
    normal_row(at, shape->d, 0.5, q);
    if (shape->lk == 0)
        return;
    const float *key = keys + synthetic_needle_target(seed, shape, b, h, i) * shape->d;
    const double length = square(key, shape->d);
    if (length == 0)
        return;
    const double c = (log((double)shape->lk) + 4) / (shape->scale * length);
    for (int64_t t = 0; t < shape->d; t++)
        q[t] = (float)(q[t] + c * key[t]);
}

/* ------------------------------------------------------------------ sinks and local

   Element 0 marks the sinks. Elements 1 .. 2F are F pairs (cos w x, sin w x) of a token's position x, with w from 1
   down to 1/128: the product of two tokens is the sum of cos(w distance), which falls by about 1/F each time the
   distance passes one more 1/w. The rest is noise. */

enum { SINK_KEYS = 4, PAIRS_MAX = 16 };

static int64_t position_pairs(int64_t d)
{
    const int64_t pairs = d >= 5 ? (d - 1) / 4 : (d - 1) / 2;
    return pairs > PAIRS_MAX ? PAIRS_MAX : pairs;
}

/* amplitude: of every cosine and sine; mark: element 0. */
static void positioned_row(place at, const synthetic_shape *shape, int64_t position, double mark,
                           double amplitude, float *out)
{
    const int64_t pairs = position_pairs(shape->d);
    normal_row(at, shape->d, 0.7, out);
    out[0] = (float)mark;
    for (int64_t f = 0; f < pairs; f++) {
        const double w = pairs > 1 ? pow(128, -(double)f / (double)(pairs - 1)) : 1.0 / 16;
        out[1 + 2 * f] = (float)(amplitude * cos(w * (double)position));
        out[2 + 2 * f] = (float)(amplitude * sin(w * (double)position));
    }
}

/* Both sides of a product carry its square root. */
static double sink_side(const synthetic_shape *shape)
{
    return sqrt((log((double)shape->lk + 1) + 2) / shape->scale);
}

static double local_side(const synthetic_shape *shape)
{
    const int64_t pairs = position_pairs(shape->d);
    return pairs ? sqrt((log((double)shape->lk + 1) + 3) / (shape->scale * (double)pairs)) : 0;
}

/* ------------------------------------------------------------------ clustered */

enum { RUN = 16 };

int64_t synthetic_clusters(int64_t lk)
{
    const int64_t clusters = (int64_t)(sqrt((double)lk) / 2 + 0.5);
    return clusters < 2 ? 2 : clusters;
}

int64_t synthetic_key_cluster(uint64_t seed, const synthetic_shape *shape, int64_t batch,
                              int64_t kv_head, int64_t key)
{
    const place at = {seed, STREAM_RUN, batch, kv_head, key / RUN};
    return below(at, synthetic_clusters(shape->lk));
}

int64_t synthetic_query_cluster(uint64_t seed, const synthetic_shape *shape, int64_t batch,
                                int64_t head, int64_t row)
{
    /* Of a key of the past, so that the cluster is never empty, for a causal query neither. */
    const int64_t key = synthetic_needle_target(seed, shape, batch, head, row);
    return synthetic_key_cluster(seed, shape, batch, head / (shape->hq / shape->hkv), key);
}

/* out = noise * N(0,1) + length * unit direction (a centre), both of n elements. */
static void around_centre(place noise, place centre, int64_t n, double spread, double length,
                          float *out)
{
    const uint64_t key = row_key(centre);
    double sum = 0;
    for (int64_t t = 0; t < n; t++) {
        const double x = normal(key, t);
        sum += x * x;
    }
    const double factor = sum > 0 ? length / sqrt(sum) : 0;
    normal_row(noise, n, spread, out);
    for (int64_t t = 0; t < n; t++)
        out[t] = (float)(out[t] + factor * normal(key, t));
}

/* Length of the centres such that a query and a key of one cluster score ln(clusters) + 3 on average. */
static double cluster_side(const synthetic_shape *shape)
{
    return sqrt((log((double)synthetic_clusters(shape->lk)) + 3) / shape->scale);
}

/* ------------------------------------------------------------------ low rank */

static int64_t rank_of(int64_t d)
{
    const int64_t rank = d / 8;
    return d < 2 ? 1 : rank < 2 ? 2 : rank > 64 ? 64 : rank;
}

/* out = factor * B code + noise. B [rank, d] is N(0,1), the kv head's own; B B^T is about d times the identity. */
static void low_rank_row(place code, const float *basis, place noise, int64_t d, double factor,
                         float *out)
{
    const int64_t rank = rank_of(d);
    const uint64_t key = row_key(code);
    normal_row(noise, d, 0.05 * factor * sqrt((double)rank), out);
    for (int64_t r = 0; r < rank; r++) {
        const double weight = factor * normal(key, r);
        for (int64_t t = 0; t < d; t++)
            out[t] += (float)(weight * basis[r * d + t]);
    }
}

/* q.k is about factor^2 d <code, code'>, of standard deviation factor^2 d sqrt(rank): make it 2 after the scale. */
static double low_rank_factor(const synthetic_shape *shape)
{
    return sqrt(2 / (shape->scale * (double)shape->d * sqrt((double)rank_of(shape->d))));
}

/* ------------------------------------------------------------------ rows of each tensor */

/* What one key/value head's rows are made from. */
typedef struct head_source {
    synthetic_kind kind;
    uint64_t seed;
    const synthetic_shape *shape;
    int64_t batch, kv_head;
    const float *basis; /* low rank: [rank, d] */
    const float *keys;  /* [lk, d], read by queries */
} head_source;

static place place_of(const head_source *from, enum stream stream, int64_t head, int64_t token)
{
    const place at = {from->seed, stream, from->batch, head, token};
    return at;
}

static void key_row(const head_source *from, int64_t j, float *k)
{
    const synthetic_shape *shape = from->shape;
    const int64_t h = from->kv_head;
    const place at = place_of(from, STREAM_K, h, j);
    switch (from->kind) {
    case SYNTHETIC_SINKS_AND_LOCAL:
        positioned_row(at, shape, j, j < SINK_KEYS ? sink_side(shape) : 0, local_side(shape), k);
        break;
    case SYNTHETIC_CLUSTERED: {
        const int64_t cluster = synthetic_key_cluster(from->seed, shape, from->batch, h, j);
        around_centre(at, place_of(from, STREAM_CENTRE, h, cluster), shape->d, 0.5,
                      cluster_side(shape), k);
        break;
    }
    case SYNTHETIC_LOW_RANK:
        low_rank_row(place_of(from, STREAM_KCODE, h, j), from->basis, at, shape->d,
                     low_rank_factor(shape), k);
        break;
    default:
        normal_row(at, shape->d, 1, k);
    }
}

static void value_row(const head_source *from, int64_t j, float *v)
{
    const synthetic_shape *shape = from->shape;
    const place at = place_of(from, STREAM_V, from->kv_head, j);
    if (from->kind == SYNTHETIC_CLUSTERED) {
        const int64_t cluster =
            synthetic_key_cluster(from->seed, shape, from->batch, from->kv_head, j);
        const place mean = place_of(from, STREAM_MEAN, from->kv_head, cluster);
        around_centre(at, mean, shape->dv, 0.3, sqrt((double)shape->dv), v);
        return;
    }
    normal_row(at, shape->dv, from->kind == SYNTHETIC_SINKS_AND_LOCAL && j < SINK_KEYS ? 0.05 : 1,
               v);
}

static void query_row(const head_source *from, int64_t h, int64_t i, float *q)
{
    const synthetic_shape *shape = from->shape;
    const place at = place_of(from, STREAM_Q, h, i);
    switch (from->kind) {
    case SYNTHETIC_NEEDLE:
        needle_query(from->seed, shape, from->batch, h, i, from->keys, q);
        break;
    case SYNTHETIC_SINKS_AND_LOCAL:
        positioned_row(at, shape, i + shape->lk - shape->lq, sink_side(shape), local_side(shape),
                       q);
        break;
    case SYNTHETIC_CLUSTERED: {
        const int64_t cluster =
            shape->lk ? synthetic_query_cluster(from->seed, shape, from->batch, h, i) : 0;
        const place centre = place_of(from, STREAM_CENTRE, from->kv_head, cluster);
        around_centre(at, centre, shape->d, 0.5, cluster_side(shape), q);
        break;
    }
    case SYNTHETIC_LOW_RANK:
        low_rank_row(place_of(from, STREAM_QCODE, h, i), from->basis, at, shape->d,
                     low_rank_factor(shape), q);
        break;
    default:
        normal_row(at, shape->d, 1, q);
    }
}

/* All rows of one key/value head and of the query heads that read it. */
static void fill_head(head_source *from, float *basis, float *q, float *k, float *v)
{
    const synthetic_shape *s = from->shape;
    const int64_t group = s->hq / s->hkv, kv = from->batch * s->hkv + from->kv_head;
    if (from->kind == SYNTHETIC_LOW_RANK)
        normal_row(place_of(from, STREAM_BASIS, from->kv_head, 0), rank_of(s->d) * s->d, 1, basis);
    from->basis = basis;
    from->keys = k + kv * s->lk * s->d;
    for (int64_t j = 0; j < s->lk; j++) {
        key_row(from, j, k + (kv * s->lk + j) * s->d);
        value_row(from, j, v + (kv * s->lk + j) * s->dv);
    }
    for (int64_t h = from->kv_head * group; h < (from->kv_head + 1) * group; h++)
        for (int64_t i = 0; i < s->lq; i++)
            query_row(from, h, i, q + ((from->batch * s->hq + h) * s->lq + i) * s->d);
}

int synthetic_fill(synthetic_kind kind, uint64_t seed, const synthetic_shape *shape, float *q,
                   float *k, float *v)
{
    head_source from = {.kind = kind, .seed = seed, .shape = shape};
    float *basis = NULL;
    if (kind == SYNTHETIC_LOW_RANK &&
        !(basis = malloc((size_t)(rank_of(shape->d) * shape->d) * sizeof *basis)))
        return -1;
    for (from.batch = 0; from.batch < shape->batch; from.batch++)
        for (from.kv_head = 0; from.kv_head < shape->hkv; from.kv_head++)
            fill_head(&from, basis, q, k, v);
    free(basis);
    return 0;
}

void synthetic_sinks(uint64_t seed, int64_t hq, float *sinks)
{
    const place at = {seed, STREAM_SINK, 0, 0, 0};
    normal_row(at, hq, 1, sinks);
}

/* ------------------------------------------------------------------ names */

static const char *const names[SYNTHETIC_KINDS] = {
    [SYNTHETIC_GAUSSIAN] = "gaussian",
    [SYNTHETIC_NEEDLE] = "needle",
    [SYNTHETIC_SINKS_AND_LOCAL] = "sinks-and-local",
    [SYNTHETIC_CLUSTERED] = "clustered",
    [SYNTHETIC_LOW_RANK] = "low-rank",
};

const char *synthetic_name(unsigned kind)
{
    return kind < SYNTHETIC_KINDS ? names[kind] : NULL;
}

int synthetic_find(const char *name)
{
    for (int kind = 0; kind < SYNTHETIC_KINDS; kind++)
        if (strcmp(names[kind], name) == 0)
            return kind;
    return -1;
}
