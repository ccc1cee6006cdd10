/* Made-up q, k, v with a known structure, for when there is no model at hand. Real tensors are better: say on the
   output that the data is synthetic.

   Every number is a function of (seed, tensor, batch, head, token, element) alone, so a tensor does not depend on the
   order in which it is filled, and a longer one begins like a shorter one wherever the structure does not depend on
   the length. */
#ifndef FV_LAB_EVAL_SYNTHETIC_H
#define FV_LAB_EVAL_SYNTHETIC_H
#include <stdint.h>

typedef enum synthetic_kind {
    /* q, k, v independent N(0, 1). Scores are N(0, 1) after the usual scale: attention is nearly uniform, the worst
       case for every method that drops keys. */
    SYNTHETIC_GAUSSIAN,
    /* Each query aims at one key of its past, drawn evenly: q = g / 2 + c k_target, with c such that the target's
       score is about ln(lk) + 4. For d >= 64 it holds most of the row's mass, the rest is a nearly uniform floor.
       Flatters every method that looks at scores, and ruins those that look at positions only. */
    SYNTHETIC_NEEDLE,
    /* What many language models show: the first four keys draw a constant large score (and have small values), near
       keys draw a score that falls with the logarithm of the distance, from ln(lk) + 3 at the query itself to about 0
       some hundred tokens away; small noise on top. */
    SYNTHETIC_SINKS_AND_LOCAL,
    /* Keys come in runs of 16 tokens; a run belongs to one of about sqrt(lk) / 2 clusters, whose keys share a direction
       and whose values share a mean. A query aims at one cluster: its keys hold most of the mass, spread over runs far
       apart. Rewards methods that choose blocks. */
    SYNTHETIC_CLUSTERED,
    /* q and k lie near a subspace of dimension d / 8 (2 .. 64), one per key/value head, plus 5 % noise: scores are
       N(0, 2^2), moderately peaked, and a few directions suffice to rank the keys. */
    SYNTHETIC_LOW_RANK,
    SYNTHETIC_KINDS
} synthetic_kind;

typedef struct synthetic_shape {
    int64_t batch, hq, hkv, lq, lk, d, dv;
    double scale; /* of the scores; the structures are built for it */
} synthetic_shape;

/* "gaussian", "needle", "sinks-and-local", "clustered", "low-rank"; NULL past the last. */
const char *synthetic_name(unsigned kind);
/* Kind of a name, or -1. */
int synthetic_find(const char *name);

/* q [b, hq, lq, d], k [b, hkv, lk, d], v [b, hkv, lk, dv], contiguous. Returns 0, or -1 when memory for a basis of
   64 d numbers (low-rank only) is missing. */
int synthetic_fill(synthetic_kind kind, uint64_t seed, const synthetic_shape *shape, float *q, float *k, float *v);

/* One sink logit per query head, N(0, 1). */
void synthetic_sinks(uint64_t seed, int64_t hq, float *sinks);

/* Key that query row `row` of (batch, head) aims at in the needle kind; at or before its position when it has a
   past. */
int64_t synthetic_needle_target(uint64_t seed, const synthetic_shape *shape, int64_t batch, int64_t head, int64_t row);
/* Cluster of key `key` in the clustered kind, and of the query row; of synthetic_clusters(lk). */
int64_t synthetic_clusters(int64_t lk);
int64_t synthetic_key_cluster(uint64_t seed, const synthetic_shape *shape, int64_t batch, int64_t kv_head, int64_t key);
int64_t synthetic_query_cluster(uint64_t seed, const synthetic_shape *shape, int64_t batch, int64_t head, int64_t row);
#endif
