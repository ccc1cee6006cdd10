/* Patterns in closed form: how many keys each row keeps, identities between expressions, random blocks by their
   properties, and how few spans a tile has. */
#include "pattern/pattern.h"
#include "pattern_scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ closed forms */

static fv_pattern *compiled(const char *text, int64_t lq, int64_t lk, int64_t hq, uint64_t seed)
{
    fv_pattern_env env = {&fv_memory_standard, NULL, NULL, NULL, seed};
    fv_shape shape = {lq, lk, hq};
    fovea_error err = {0};
    fv_pattern *p;
    cr_assert(!fv_pattern_compile(&env, text, &shape, &p, &err), "%s: %s", text, err.text);
    return p;
}

/* Kept keys of a row. */
static int64_t kept(const char *text, fv_shape shape, int64_t row)
{
    fv_pattern *p = compiled(text, shape.lq, shape.lk, shape.hq, 0);
    size_t bytes = fv_pattern_row_scratch(p);
    void *scratch = scratch_get(bytes);
    const fv_run *run;
    int64_t keys = 0;
    size_t n = fv_pattern_row(p, (fv_lane){row, 0}, scratch, &run);
    for (size_t k = 0; k < n; k++)
        keys += run[k].hi - run[k].lo;
    cr_assert(scratch_put(scratch, bytes), "%s: row scratch is too small", text);
    fv_pattern_free(p);
    return keys;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

Test(pattern_forms, closed_forms)
{
    fv_shape shape = {100, 100, 1};
    for (int64_t i = 0; i < 100; i++) {
        int64_t seen = i + 1;
        cr_assert_eq(kept("causal", shape, i), seen);
        cr_assert_eq(kept("causal & window(left=9)", shape, i), smaller(10, seen));
        cr_assert_eq(kept("causal & (window(left=9) | sinks(4))", shape, i), smaller(14, seen));
        cr_assert_eq(kept("causal & chunk(8)", shape, i), i % 8 + 1);
        cr_assert_eq(kept("causal & stride(8)", shape, i), i / 8 + 1);
        cr_assert_eq(kept("causal & (chunk(16) | summary(16,4))", shape, i), i % 16 + 1 + i / 16 * 4);
        cr_assert_eq(kept("window(left=5,right=5)", shape, i), smaller(i, 5) + smaller(99 - i, 5) + 1);
        cr_assert_eq(kept("axial(size=10+10,axis=0) | axial(size=10+10,axis=1)", shape, i), 19);
        cr_assert_eq(kept("swin(size=10+10,window=5)", shape, i), 25);
        cr_assert_eq(kept("logsparse(2)", shape, i), seen, "sub=2 is causal");
        cr_assert_eq(kept("causal & longnet(100,1)", shape, i), seen);
        cr_assert_eq(kept("lastrows(10) | self", shape, i), i >= 90 ? 100 : 1);
    }
    cr_assert_eq(kept("all", (fv_shape){1, INT64_C(1) << 40, 1}, 0), INT64_C(1) << 40, "nothing is proportional to lk");
    cr_assert_eq(kept("window(left=9) & stride(2)", (fv_shape){1, INT64_C(1) << 30, 1}, 0), 5);
    fv_pattern *p = compiled("causal & window(left=99) & stride(2)", 1, INT64_C(1) << 30, 1, 0);
    cr_assert_leq(fv_pattern_row_scratch(p), 4000, "scratch is what the window leaves");
    fv_pattern_free(p);
    cr_assert_eq(kept("sinks(1m)", (fv_shape){1, 2 << 20, 1}, 0), 1 << 20);
    cr_assert_eq(kept("sinks(4k)", (fv_shape){1, 5000, 1}, 0), 4096);
}

Test(pattern_forms, natten_identities)
{
    char text[128];
    for (int64_t n = 1; n <= 11; n++)
        for (int64_t k = 1; k <= n; k++)
            for (int64_t t = 1; t <= k; t++)
                for (int64_t i = 0; i < n; i++) {
                    fv_shape shape = {n, n, 1};
                    sprintf(text, "neighborhood(size=%d,kernel=%d,stride=%d)", (int)n, (int)k, (int)t);
                    cr_assert_eq(kept(text, shape, i), k, "%s row %d", text, (int)i);
                    sprintf(text, "neighborhood(size=%d,kernel=%d,causal) & !(causal & window(left=%d))", (int)n,
                            (int)k, (int)k - 1);
                    cr_assert_eq(kept(text, shape, i), 0, "causal, stride 1: the last K keys");
                    sprintf(text, "neighborhood(size=%d,kernel=%d,causal)", (int)n, (int)k);
                    cr_assert_eq(kept(text, shape, i), smaller(k, i + 1));
                    if (n % k)
                        continue;
                    sprintf(text, "neighborhood(size=%d,kernel=%d,stride=%d) & !chunk(%d)", (int)n, (int)k, (int)k,
                            (int)k);
                    cr_assert_eq(kept(text, shape, i), 0, "stride = kernel gives blocks");
                }
    cr_assert_eq(kept("neighborhood(size=9+8,kernel=9+8)", (fv_shape){72, 72, 1}, 30), 72, "K = n is dense");
    cr_assert_eq(kept("neighborhood(size=9+8,kernel=3+2,dilation=3+4)", (fv_shape){72, 72, 1}, 30), 6);
}

/* ------------------------------------------------------------------ random blocks */

/* Key blocks of a row as a set of bits. */
static uint64_t blocks_of(const fv_pattern *p, int64_t head, int64_t row, int64_t block)
{
    void *scratch = malloc(fv_pattern_row_scratch(p));
    const fv_run *run;
    uint64_t set = 0;
    size_t n = fv_pattern_row(p, (fv_lane){row, head}, scratch, &run);
    for (size_t k = 0; k < n; k++)
        for (int64_t j = run[k].lo; j < run[k].hi; j += block) {
            cr_assert(j % block == 0);
            set |= (uint64_t)1 << (j / block);
        }
    free(scratch);
    return set;
}

Test(pattern_forms, random_blocks)
{
    fv_pattern *a = compiled("random(block=8,count=5,seed=7)", 400, 395, 3, 0);
    fv_pattern *b = compiled("random(block=8,count=5)", 400, 395, 3, 7);
    fv_pattern *c = compiled("random(block=8,count=5,seed=8)", 400, 395, 3, 7);
    unsigned heads_differ = 0, seeds_differ = 0, rows_differ = 0, uses[50] = {0};

    for (int64_t h = 0; h < 3; h++)
        for (int64_t q = 0; q < 50; q++) {
            uint64_t set = blocks_of(a, h, q * 8, 8);
            cr_assert_eq(__builtin_popcountll(set), 5, "distinct blocks");
            cr_assert_eq(set >> 50, 0);
            cr_assert_eq(set, blocks_of(a, h, q * 8 + 7, 8), "a block of rows shares its draw");
            cr_assert_eq(set, blocks_of(b, h, q * 8, 8), "the default seed is the environment's");
            seeds_differ += set != blocks_of(c, h, q * 8, 8);
            heads_differ += set != blocks_of(a, (h + 1) % 3, q * 8, 8);
            rows_differ += q > 0 && set != blocks_of(a, h, q * 8 - 8, 8);
            for (int k = 0; k < 50; k++)
                uses[k] += set >> k & 1;
        }
    cr_assert(seeds_differ > 140 && heads_differ > 140 && rows_differ > 140);
    for (int k = 0; k < 50; k++) /* 150 draws with chance 1/10: mean 15, deviation 3.7 */
        cr_assert(uses[k] >= 1 && uses[k] <= 35, "block %d drawn %u times of 15 expected", k, uses[k]);
    fv_pattern_free(a);
    fv_pattern_free(b);
    fv_pattern_free(c);
    cr_assert_eq(kept("random(block=8,count=50)", (fv_shape){400, 395, 1}, 9), 395, "all blocks may be asked for");
    cr_assert_eq(kept("random(block=8,count=0)", (fv_shape){400, 395, 1}, 9), 0);
}

Test(pattern_forms, bigbird_blocks)
{
    enum { NB = 30, B = 4 };
    int64_t l = NB * B - 2; /* the last block is short */
    fv_pattern *p = compiled("bigbird(block=4,random=3,seed=1)", l, l, 4, 0);
    unsigned differ = 0;

    for (int64_t h = 0; h < 4; h++)
        for (int64_t q = 0; q < NB; q++) {
            uint64_t set = blocks_of(p, h, q * B, B), fixed = (uint64_t)1 | (uint64_t)1 << (NB - 1);
            if (q == 0 || q == NB - 1) {
                cr_assert_eq(set, ((uint64_t)1 << NB) - 1);
                continue;
            }
            fixed |= (uint64_t)7 << (q - 1);
            cr_assert_eq(set & fixed, fixed);
            cr_assert_eq(__builtin_popcountll(set & ~fixed), 3, "random blocks are never of the window, first or last");
            if (q == 1)
                cr_assert(!(set >> (NB - 2) & 1));
            if (q == NB - 2)
                cr_assert(!(set >> 1 & 1));
            differ += set != blocks_of(p, (h + 1) % 4, q * B, B);
        }
    cr_assert(differ > 100);
    fv_pattern_free(p);
    for (int64_t i = 0; i < 28; i++) /* 7 blocks, 5 + 3 wanted: all candidates */
        cr_assert_geq(kept("bigbird(block=4,random=3)", (fv_shape){28, 28, 1}, i), i >= 4 && i < 24 ? 24 : 28);
}

/* Work that repeats is not done again, and lanes that see the same are one span. */
Test(pattern_forms, few_spans)
{
    const fv_span *span;
    fv_lane lane[64];
    for (int k = 0; k < 64; k++)
        lane[k] = (fv_lane){128 + k, k % 2};
    fv_pattern *p = compiled("all", 1024, 1024, 2, 0);
    void *scratch = malloc(1 << 20);
    cr_assert_eq(fv_pattern_tile(p, 0, lane, 64, 0, scratch, &span), 1);
    cr_assert(span[0].lo == 0 && span[0].hi == 1024 && span[0].lanes == UINT64_MAX);
    fv_pattern_free(p);
    p = compiled("causal", 1024, 1024, 2, 0);
    cr_assert_eq(fv_pattern_tile(p, 0, lane, 64, 0, scratch, &span), 64);
    cr_assert(span[0].lo == 0 && span[0].hi == 129 && span[0].lanes == UINT64_MAX);
    cr_assert(span[63].lo == 191 && span[63].hi == 192 && span[63].lanes == (uint64_t)1 << 63);
    fv_pattern_free(p);
    p = compiled("causal & stride(16)", 1024, 1024, 2, 0);
    for (int k = 0; k < 64; k++)
        lane[k] = (fv_lane){5 + 16 * k, 0};
    cr_assert(fv_pattern_parts(p) == 1 && fv_pattern_step(p, 0) == 16);
    cr_assert_eq(fv_pattern_tile(p, 0, lane, 64, 5, scratch, &span), 64);
    cr_assert(span[0].lo == 0 && span[0].hi == 1 && span[63].lo == 63);
    fv_pattern_free(p);
    free(scratch);
}
