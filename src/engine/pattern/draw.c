/* Primitives with key blocks drawn at random: random and BigBird.

   The generator is a function of (seed, head, query block) alone: any row can be asked in any order, by any thread,
   and a pattern is the same on every machine. With mix() the output function of SplitMix64 (Steele, Lea, Flood 2014)
   and G = 0x9e3779b97f4a7c15, all arithmetic modulo 2^64:

     key    = mix(mix(mix(seed + G) + head + G) + block + G)
     u(n)   = mix(key + (n + 1) G)                        the n-th number of SplitMix64 started at key
     below(n, m) = floor(u(n) m / 2^64)                   in 0..m-1

   r of m candidates by Floyd's method (Bentley, Floyd 1987), which needs no rejection: for n = 0..r-1 let
   j = m - r + n and x = below(n, j + 1); take x, or j when x is taken already. */
#include "pattern/internal.h"

#include <string.h>

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static const uint64_t golden = 0x9e3779b97f4a7c15u;

static uint64_t draw_key(uint64_t seed, int64_t head, int64_t block)
{
    return mix(mix(mix(seed + golden) + (uint64_t)head + golden) + (uint64_t)block + golden);
}

static int64_t draw_below(uint64_t key, int64_t n, int64_t m)
{
    uint64_t u = mix(key + ((uint64_t)n + 1) * golden);
    return (int64_t)(((unsigned __int128)u * (uint64_t)m) >> 64);
}

/* Key blocks barred from the draw, rising. */
typedef struct barred {
    unsigned count;
    int64_t block[8];
} barred;

static void bar(barred *set, int64_t block)
{
    unsigned at = set->count;
    while (at > 0 && set->block[at - 1] >= block)
        at--;
    if (at < set->count && set->block[at] == block)
        return;
    memmove(set->block + at + 1, set->block + at, (set->count - at) * sizeof *set->block);
    set->block[at] = block;
    set->count++;
}

/* The n-th block that is not barred. */
static int64_t candidate(const barred *set, int64_t n)
{
    for (unsigned k = 0; k < set->count && n >= set->block[k]; k++)
        n++;
    return n;
}

static int bit(const uint64_t *bits, int64_t n)
{
    return bits[n / 64] >> (n % 64) & 1;
}

static void set_bit(uint64_t *bits, int64_t n)
{
    bits[n / 64] |= (uint64_t)1 << (n % 64);
}

/* Sets the bits of r drawn blocks (all candidates when there are no more than r). */
static void draw(uint64_t *bits, uint64_t key, int64_t blocks, int64_t r, const barred *set)
{
    int64_t m = blocks - set->count;
    r = fv_min(r, m);
    for (int64_t n = 0; n < r; n++) {
        int64_t j = m - r + n, x = candidate(set, draw_below(key, n, j + 1));
        set_bit(bits, bit(bits, x) ? candidate(set, j) : x);
    }
}

/* ------------------------------------------------------------------ random, bigbird */

typedef struct draws {
    int64_t block, blocks, count; /* tokens of a block, key blocks, blocks drawn */
    int64_t first;                /* position of query row 0 */
    uint64_t seed;
} draws;

static fovea_status draws_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    const fv_shape *shape = &binding->shape;
    draws *d = fv_arena_get(binding->arena, sizeof *d);
    if (!d)
        return fv_no_memory(err);
    d->block = fv_clip(shape, fv_number(leaf, 0));
    d->blocks = fv_ceil_div(shape->lk, d->block);
    d->count = fv_number(leaf, 1);
    d->first = shape->lk - shape->lq;
    d->seed = leaf->value[2].given ? (uint64_t)fv_number(leaf, 2) : binding->env->seed;
    if (d->count > d->blocks && shape->lk > 0)
        return fv_error_set(
            err, FOVEA_ERROR_VALUE,
            "%s: %s=%lld must be an integer from 0 to %lld, the number of key blocks",
            leaf->rule->text.name, leaf->rule->argument[1].name, (long long)d->count,
            (long long)d->blocks);
    size_t words = (size_t)(d->blocks / 64 + 1);
    binding->bits = binding->bits > words ? binding->bits : words;
    leaf->state = d;
    return FOVEA_OK;
}

static void draws_extent(const fv_leaf *leaf, const fv_view *view, int64_t *lo, int64_t *hi)
{
    const draws *d = leaf->state;
    *lo = d->first + view->row / d->block * d->block;
    *hi = *lo + d->block;
}

/* The set bits as runs of keys. */
static void bit_runs(const draws *d, const fv_view *view, fv_list *list)
{
    for (int64_t word = 0; word <= (d->blocks - 1) / 64; word++) {
        for (uint64_t left = view->bits[word]; left; left &= left - 1) {
            int64_t first = (word * 64 + __builtin_ctzll(left)) * d->block;
            fv_list_add(list, view, first, fv_min(first + d->block, view->lk));
        }
    }
}

static int64_t random_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    (void)shape;
    (void)step;
    return ((const draws *)leaf->state)->count;
}

static void random_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const draws *d = leaf->state;
    const barred none = {0, {0}};
    int64_t own = view->row / d->block;
    memset(view->bits, 0, (size_t)(d->blocks / 64 + 1) * sizeof *view->bits);
    draw(view->bits, draw_key(d->seed, view->head, own), d->blocks, d->count, &none);
    bit_runs(d, view, list);
}

const fv_rule fv_rule_random = {
    .text = {"random", "random(block=b,count=r,seed=s)",
             "r distinct key blocks per head and block of query rows i / b"},
    .argument = {{"block", FV_INT, 1, INT64_MAX, 1, 0},
                 {"count", FV_INT, 0, INT64_MAX, 1, 0},
                 {"seed", FV_INT, 0, INT64_MAX, 0, 0}},
    .uses = FV_USES_ROW | FV_USES_HEAD,
    .bind = draws_bind,
    .bound = random_bound,
    .runs = random_runs,
    .extent = draws_extent,
};

/* BigBird (Zaheer et al. 2020, arXiv 2007.14062): the first and the last block row see all; the others see block 0,
   the last block, three neighbours and `random` drawn ones, which are none of these; row 1 does not draw the last
   block but one, nor that row block 1. A row with fewer candidates than `random` takes them all. */
static fovea_status bigbird_bind(fv_leaf *leaf, fv_binding *binding, fovea_error *err)
{
    if (binding->shape.lq != binding->shape.lk)
        return fv_error_set(err, FOVEA_ERROR_SHAPE, "bigbird: lq=%lld must equal lk=%lld",
                            (long long)binding->shape.lq, (long long)binding->shape.lk);
    return draws_bind(leaf, binding, err);
}

static int64_t bigbird_bound(const fv_leaf *leaf, const fv_shape *shape, int64_t step)
{
    return random_bound(leaf, shape, step) + 3;
}

static void bigbird_runs(const fv_leaf *leaf, const fv_view *view, fv_list *list)
{
    const draws *d = leaf->state;
    int64_t own = view->row / d->block, last = d->blocks - 1;
    barred set = {0, {0}};

    if (own == 0 || own == last) {
        fv_list_add_all(list, view);
        return;
    }
    bar(&set, 0);
    bar(&set, own - 1);
    bar(&set, own);
    bar(&set, own + 1);
    bar(&set, last);
    barred seen = set;
    if (own == 1)
        bar(&set, last - 1);
    if (own == last - 1)
        bar(&set, 1);
    memset(view->bits, 0, (size_t)(d->blocks / 64 + 1) * sizeof *view->bits);
    draw(view->bits, draw_key(d->seed, view->head, own), d->blocks, d->count, &set);
    for (unsigned k = 0; k < seen.count; k++)
        set_bit(view->bits, seen.block[k]);
    bit_runs(d, view, list);
}

const fv_rule fv_rule_bigbird = {
    .text = {"bigbird", "bigbird(block=64,random=3,seed=s)",
             "first and last block rows all; else first, last, three neighbour and r random key "
             "blocks"},
    .argument = {{"block", FV_INT, 1, INT64_MAX, 0, 64},
                 {"random", FV_INT, 0, INT64_MAX, 0, 3},
                 {"seed", FV_INT, 0, INT64_MAX, 0, 0}},
    .uses = FV_USES_ROW | FV_USES_HEAD,
    .bind = bigbird_bind,
    .bound = bigbird_bound,
    .runs = bigbird_runs,
    .extent = draws_extent,
};
