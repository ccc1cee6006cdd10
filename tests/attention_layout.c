/* Where tensors lie does not matter: strides, pages and row pointers give the bits of contiguous tensors; lists of rows
   and varlen batches give what whole runs and separate problems give. For every instruction set of this CPU. */
#include "attention_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, HQ = 4, HKV = 2, LK = 75, D = 20, DV = 12 };

static int keep_window_or_stride(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j <= p && (j >= p - 20 || (p - j) % 7 == 0);
}

static const attention_rule dense = {"dense", NULL, 0, 1};
static const attention_rule mixed = {"pattern:causal & (window(left=20) | stride(7))", keep_window_or_stride, 1, 2};
static const char *const specs[] = {"dense", "pattern:causal & (window(left=20) | stride(7))", "topk:k=9"};

enum { SPECS = sizeof specs / sizeof specs[0] };

static size_t element(fovea_dtype dtype)
{
    return dtype == FOVEA_F32 ? 4 : 2;
}

/* A copy of a contiguous [batch, heads, length, dim] tensor under other strides; all other bytes are 0xff (NaN). */
static void *spread(const void *from, size_t size, int64_t batch, int64_t heads, int64_t length, int64_t dim,
                    fovea_strides to)
{
    int64_t elements = (batch - 1) * to.batch + (heads - 1) * to.head + (length - 1) * to.token + dim;
    char *x = malloc((size_t)elements * size);
    cr_assert(x);
    memset(x, 0xff, (size_t)elements * size);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < length; i++)
                memcpy(x + (size_t)(b * to.batch + h * to.head + i * to.token) * size,
                       (const char *)from + (size_t)(((b * heads + h) * length + i) * dim) * size, (size_t)dim * size);
    return x;
}

/* Runs both and demands the same bits. */
static void same_bits(attention_case *a, attention_case *b, attention_run run, const char *what)
{
    for (int n = 0; n < SPECS; n++) {
        case_run(a, specs[n], run);
        case_run(b, specs[n], run);
        case_same(a, b, what);
        cr_assert(a->kept == b->kept);
    }
}

/* ------------------------------------------------------------------ strides */

/* The strides of [b, l, h, d] with `pad` elements behind each row. */
static fovea_strides token_major(int64_t heads, int64_t length, int64_t dim, int64_t pad)
{
    return (fovea_strides){length * heads * (dim + pad), dim + pad, heads * (dim + pad)};
}

static void one_stride(attention_run run, int64_t lq, fovea_dtype dtype, int64_t pad)
{
    attention_case *a = case_new(B, HQ, HKV, lq, LK, D, DV, dtype, 50),
                   *b = case_new(B, HQ, HKV, lq, LK, D, DV, dtype, 50);
    fovea_problem *p = &b->problem;
    fovea_strides o = token_major(HQ, lq, DV, pad);
    void *q, *k, *v;
    p->q = token_major(HQ, lq, D, pad);
    p->k = token_major(HKV, LK, D, pad);
    p->v = token_major(HKV, LK, DV, pad);
    b->arguments.q = q = spread(b->q_data, element(dtype), B, HQ, lq, D, p->q);
    b->arguments.k = k = spread(b->k_data, element(dtype), B, HKV, LK, D, p->k);
    b->arguments.v = v = spread(b->v_data, element(dtype), B, HKV, LK, DV, p->v);
    case_set_output(b, o, (size_t)(B * o.batch));
    a->problem.causal = p->causal = 1;
    same_bits(a, b, run, "[b, l, h, d]");
    for (int64_t at = 0; at < B * o.batch; at++) /* the space behind each row keeps its canary */
        if (at % (DV + pad) >= DV) {
            uint32_t bits;
            memcpy(&bits, &b->o[at], sizeof bits);
            cr_assert(bits == 0xffffffff, "wrote between the rows of o, at %lld", (long long)at);
        }
    free(q);
    free(k);
    free(v);
    case_free(a);
    case_free(b);
}

ParameterizedTestParameters(layout, tokens_before_heads)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, layout, tokens_before_heads)
{
    attention_run run = with_isa(isa);
    for (int type = 0; type < 3; type++)
        for (int64_t lq = 1; lq <= LK; lq += LK - 1)
            for (int64_t pad = 0; pad <= 5; pad += 5)
                one_stride(run, lq, (fovea_dtype)type, pad);
}

/* Rows a power of two bytes apart, which groups of tiles read from copies: keys for several of their blocks and tasks, the
   same for all heads' first rows, with edges, windows that begin anywhere, and gaps; values alone; pages. */
static const char *const crowded_specs[] = {
    "dense",
    "dense:causal",
    "window:window=150,causal",
    "pattern:window(left=260,right=70)",
    "pattern:causal & !window(left=90,right=0)",
    "pattern:window(left=330,right=700)", /* an edge waits until its copies are gone */
    "pattern:stride(2)",
    "blockwindow:block=160,blocks=2",
    "streaming:sinks=40,window=300",
    "dense:causal,softcap=5",
};

static void crowded(attention_run run, const char *spec, int64_t dim, int64_t heads, int64_t lq, int values_only)
{
    enum { KEYS = 601, BATCH = 2 };
    attention_case *a = case_new(BATCH, heads, heads, lq, KEYS, dim, dim, FOVEA_F32, 51),
                   *b = case_new(BATCH, heads, heads, lq, KEYS, dim, dim, FOVEA_F32, 51);
    fovea_problem *p = &b->problem;
    const fovea_strides strides = token_major(heads, KEYS, dim, 0);
    void *k = NULL, *v;
    if (!values_only) {
        p->k = strides;
        b->arguments.k = k = spread(b->k_data, 4, BATCH, heads, KEYS, dim, strides);
    }
    p->v = strides;
    b->arguments.v = v = spread(b->v_data, 4, BATCH, heads, KEYS, dim, strides);
    case_run(a, spec, run);
    case_run(b, spec, run);
    case_same(a, b, spec);
    free(k);
    free(v);
    case_free(a);
    case_free(b);
}

ParameterizedTestParameters(layout, crowded_rows)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, layout, crowded_rows)
{
    attention_run run = with_isa(isa);
    for (size_t n = 0; n < sizeof crowded_specs / sizeof crowded_specs[0]; n++)
        for (unsigned threads = 1; threads <= 33; threads += 32) { /* 33: groups of fewer rows than a block has keys */
            run.threads = threads;
            crowded(run, crowded_specs[n], 16, 8, 601, 0);
            crowded(run, crowded_specs[n], 20, 32, 70, 1); /* a piece of a line is left over */
        }
}

ParameterizedTestParameters(layout, one_key_tensor_for_all_batches)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, layout, one_key_tensor_for_all_batches)
{
    attention_run run = with_isa(isa);
    for (int64_t lq = 1; lq <= 40; lq += 39) {
        attention_case *a = case_new(B, HQ, HKV, lq, LK, D, DV, FOVEA_F32, 51);
        attention_case *b = case_new(B, HQ, HKV, lq, LK, D, DV, FOVEA_F32, 51);
        memcpy(a->k + HKV * LK * D, a->k, HKV * LK * D * sizeof(float));
        memcpy(a->v + HKV * LK * DV, a->v, HKV * LK * DV * sizeof(float));
        case_store(a);
        b->problem.k.batch = b->problem.v.batch = 0;
        same_bits(a, b, run, "batch stride 0");
        case_free(a);
        case_free(b);
    }
}

ParameterizedTestParameters(layout, bias_strides)
{
    return every_isa();
}

/* A bias that is the same for all heads and rows, by strides of 0 and written out. */
ParameterizedTest(unsigned *isa, layout, bias_strides)
{
    attention_run run = with_isa(isa);
    for (int64_t lq = 1; lq <= 40; lq += 39) {
        attention_case *a = case_new(B, HQ, HKV, lq, LK, D, DV, FOVEA_F32, 52);
        attention_case *b = case_new(B, HQ, HKV, lq, LK, D, DV, FOVEA_F32, 52);
        draw d = {8};
        case_add_bias(a, &d, 1, 1, 0);
        for (int64_t row = 1; row < B * HQ * lq; row++)
            memcpy(a->bias + row * LK, a->bias, LK * sizeof(float));
        b->problem.has_bias = 1;
        b->problem.bias_batch = b->problem.bias_head = b->problem.bias_row = 0;
        b->arguments.bias = a->bias;
        same_bits(a, b, run, "bias of one row");
        case_free(a);
        case_free(b);
    }
}

/* ------------------------------------------------------------------ pages, row pointers */

enum { PAGES = 2 * B * LK }; /* more than any table below needs */

/* Moves the rows of a [B, HKV, LK, dim] tensor into pages [page, HKV, size, dim]; the others are NaN. */
static void *paged(const void *from, size_t bytes, int64_t dim, int64_t size, const int32_t *table,
                   int64_t table_stride)
{
    size_t page = (size_t)(HKV * size * dim) * bytes;
    char *pool = malloc(PAGES * page);
    cr_assert(pool);
    memset(pool, 0xff, PAGES * page);
    for (int64_t b = 0; b < B; b++)
        for (int64_t h = 0; h < HKV; h++)
            for (int64_t j = 0; j < LK; j++)
                memcpy(pool + (size_t)table[b * table_stride + j / size] * page +
                           (size_t)((h * size + j % size) * dim) * bytes,
                       (const char *)from + (size_t)(((b * HKV + h) * LK + j) * dim) * bytes, (size_t)dim * bytes);
    return pool;
}

static void one_page_size(attention_run run, int64_t lq, fovea_dtype dtype, int64_t size)
{
    attention_case *a = case_new(B, HQ, HKV, lq, LK, D, DV, dtype, 53),
                   *b = case_new(B, HQ, HKV, lq, LK, D, DV, dtype, 53);
    fovea_problem *p = &b->problem;
    int64_t each = (LK + size - 1) / size, stride = each + 2;
    static int32_t table[PAGES + 4 * B];
    void *k, *v;
    for (int64_t n = 0; n < B * stride;
         n++) /* 77 and 300 have no common divisor; what no sequence uses is out of range */
        table[n] = n % stride < each ? (int32_t)((77 * (n + 1)) % PAGES) : -9;
    p->page_size = size;
    p->page_table_stride = stride;
    p->page_count = PAGES;
    p->k = (fovea_strides){HKV * size * D, size * D, D};
    p->v = (fovea_strides){HKV * size * DV, size * DV, DV};
    b->arguments.k = k = paged(b->k_data, element(dtype), D, size, table, stride);
    b->arguments.v = v = paged(b->v_data, element(dtype), DV, size, table, stride);
    b->arguments.pages = table;
    a->problem.causal = p->causal = 1;
    same_bits(a, b, run, "pages");
    free(k);
    free(v);
    case_free(a);
    case_free(b);
}

ParameterizedTestParameters(layout, pages)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, layout, pages)
{
    static const int64_t sizes[] = {1, 16, 100};
    attention_run run = with_isa(isa);
    for (int n = 0; n < 3; n++)
        for (int64_t lq = 1; lq <= 40; lq += 39)
            one_page_size(run, lq, (fovea_dtype)n, sizes[n]);
}

ParameterizedTestParameters(layout, row_pointers)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, layout, row_pointers)
{
    static const void *k[B * HKV * LK], *v[B * HKV * LK];
    attention_run run = with_isa(isa);
    for (int type = 0; type < 3; type++)
        for (int64_t lq = 1; lq <= 40; lq += 39) {
            attention_case *a = case_new(B, HQ, HKV, lq, LK, D, DV, (fovea_dtype)type, 54);
            attention_case *b = case_new(B, HQ, HKV, lq, LK, D, DV, (fovea_dtype)type, 54);
            for (int64_t n = 0; n < B * HKV * LK; n++) {
                k[n] = (char *)b->k_data + (size_t)(n * D) * element((fovea_dtype)type);
                v[n] = (char *)b->v_data + (size_t)(n * DV) * element((fovea_dtype)type);
            }
            b->arguments.k = b->arguments.v = NULL;
            b->arguments.k_rows = k;
            b->arguments.v_rows = v;
            same_bits(a, b, run, "row pointers");
            case_free(a);
            case_free(b);
        }
}

/* ------------------------------------------------------------------ a list of rows */

ParameterizedTestParameters(layout, listed_rows)
{
    return every_isa();
}

/* Against the oracle's rows of the whole problem. All rows, a few, the last, none. */
ParameterizedTest(unsigned *isa, layout, listed_rows)
{
    enum { LQ = 60 };
    int64_t all[LQ], few[] = {0, 1, 7, 30, 31, 58}, last[] = {LQ - 1}, many[LQ / 2];
    const int64_t *lists[] = {all, few, last, many, few};
    const int64_t counts[] = {LQ, 6, 1, LQ / 2, 0};
    attention_run run = with_isa(isa);
    for (int64_t i = 0; i < LQ; i++)
        all[i] = many[i / 2] = i;
    for (int n = 0; n < 5; n++) {
        attention_case *c = case_new(B, HQ, HKV, LQ, LK, D, DV, (fovea_dtype)(n % 3), 55);
        draw d = {3};
        c->problem.causal = 1;
        case_add_bias(c, &d, 1, 1, 1);
        case_set_rows(c, counts[n], lists[n]);
        case_verify(c, &dense, run);
        case_verify(c, &mixed, run);
        case_set_output(c, (fovea_strides){HQ * LQ * DV, LQ * DV, DV}, B * HQ * LQ * DV); /* as for all rows */
        case_verify(c, &dense, run);
        for (int64_t row = counts[n]; row < LQ; row++)
            cr_assert(isnan(c->o[row * DV]), "wrote row %lld of %lld", (long long)row, (long long)counts[n]);
        case_free(c);
    }
}

/* ------------------------------------------------------------------ varlen */

enum { SEQUENCES = 6 };

/* Sequence s of a varlen batch as a problem of its own: the same tokens, the outputs copied. */
static attention_case *sequence(const attention_case *c, int64_t s)
{
    const fovea_problem *p = &c->problem;
    int64_t q0 = p->cu_q[s], k0 = p->cu_k[s], lq = p->cu_q[s + 1] - q0, lk = p->cu_k[s + 1] - k0;
    attention_case *one = case_new(1, HQ, HKV, lq, lk, D, DV, p->dtype, 0);
    one->problem.causal = p->causal;
    one->problem.alibi = p->alibi;
    for (int64_t h = 0; h < HQ; h++) {
        memcpy(one->q + h * lq * D, c->q + (h * p->lq + q0) * D, (size_t)(lq * D) * sizeof(float));
        memcpy(one->o + h * lq * DV, c->o + (h * p->lq + q0) * DV, (size_t)(lq * DV) * sizeof(float));
        memcpy(one->lse + h * lq, c->lse + h * p->lq + q0, (size_t)lq * sizeof(float));
        memcpy(one->row_max + h * lq, c->row_max + h * p->lq + q0, (size_t)lq * sizeof(float));
    }
    for (int64_t h = 0; h < HKV; h++) {
        memcpy(one->k + h * lk * D, c->k + (h * p->lk + k0) * D, (size_t)(lk * D) * sizeof(float));
        memcpy(one->v + h * lk * DV, c->v + (h * p->lk + k0) * DV, (size_t)(lk * DV) * sizeof(float));
    }
    one->arguments.mask = NULL; /* masks of a batch are checked apart */
    one->arguments.kept = NULL;
    snprintf(one->name, sizeof one->name, "sequence %lld of %.150s", (long long)s, c->name);
    return one;
}

/* queries and keys of unequal number, one query, no queries, no keys, more queries than keys */
static const int64_t cu_q[SEQUENCES + 1] = {0, 40, 41, 41, 50, 70, 73},
                                      cu_k[SEQUENCES + 1] = {0, 60, 93, 100, 100, 140, 142};

static attention_case *varlen_case(fovea_dtype dtype)
{
    attention_case *c = case_new(1, HQ, HKV, cu_q[SEQUENCES], cu_k[SEQUENCES], D, DV, dtype, 56);
    c->problem.causal = 1;
    c->problem.nseq = SEQUENCES;
    c->problem.cu_q = cu_q;
    c->problem.cu_k = cu_k;
    c->arguments.mask = NULL;
    return c;
}

static void varlen(attention_run run, fovea_dtype dtype, const attention_rule *rule, int alibi)
{
    attention_case *c = varlen_case(dtype);
    c->problem.alibi = alibi;
    case_run(c, rule->spec, run);
    for (int64_t s = 0; s < SEQUENCES; s++) {
        attention_case *one = sequence(c, s);
        case_check(one, rule);
        case_free(one);
    }
    case_free(c);
}

ParameterizedTestParameters(layout, varlen_equals_separate_problems)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, layout, varlen_equals_separate_problems)
{
    attention_run run = with_isa(isa);
    for (int type = 0; type < 3; type++) {
        varlen(run, (fovea_dtype)type, &dense, type == 1);
        varlen(run, (fovea_dtype)type, &mixed, 0);
    }
}

ParameterizedTestParameters(layout, varlen_in_other_places)
{
    return every_isa();
}

/* The tokens of a varlen batch as [token, head, dim], and its keys behind row pointers: the same bits. */
ParameterizedTest(unsigned *isa, layout, varlen_in_other_places)
{
    enum { Q = 73, K = 142 };
    static const void *k_rows[HKV * K], *v_rows[HKV * K];
    attention_run run = with_isa(isa);
    for (int type = 0; type < 3; type++) {
        attention_case *a = varlen_case((fovea_dtype)type), *b = varlen_case((fovea_dtype)type);
        size_t size = element((fovea_dtype)type);
        void *q, *k, *v;
        for (int64_t n = 0; n < HKV * K; n++) {
            k_rows[n] = (char *)b->k_data + (size_t)(n * D) * size;
            v_rows[n] = (char *)b->v_data + (size_t)(n * DV) * size;
        }
        b->arguments.k_rows = k_rows;
        b->arguments.v_rows = v_rows;
        same_bits(a, b, run, "row pointers of a varlen batch");
        b->arguments.k_rows = b->arguments.v_rows = NULL;
        b->problem.q = token_major(HQ, Q, D, 0);
        b->problem.k = token_major(HKV, K, D, 0);
        b->problem.v = token_major(HKV, K, DV, 0);
        b->arguments.q = q = spread(b->q_data, size, 1, HQ, Q, D, b->problem.q);
        b->arguments.k = k = spread(b->k_data, size, 1, HKV, K, D, b->problem.k);
        b->arguments.v = v = spread(b->v_data, size, 1, HKV, K, DV, b->problem.v);
        case_set_output(b, token_major(HQ, Q, DV, 0), HQ * Q * DV);
        b->arguments.mask = NULL;
        same_bits(a, b, run, "tokens of a varlen batch before heads");
        free(q);
        free(k);
        free(v);
        case_free(a);
        case_free(b);
    }
}

ParameterizedTestParameters(layout, varlen_masks)
{
    return every_isa();
}

/* Mask rows of a varlen batch are as long as the longest sequence's keys. */
ParameterizedTest(unsigned *isa, layout, varlen_masks)
{
    enum { Q = 15, K = 40, LONGEST = 25, BEYOND = 4096 };
    static const int64_t cu_q[] = {0, 9, 15}, cu_k[] = {0, 15, 40};
    static uint8_t mask[HQ * Q * LONGEST + BEYOND];
    attention_run run = with_isa(isa);
    attention_case *c = case_new(1, HQ, HKV, Q, K, D, DV, FOVEA_F32, 57);
    c->problem.nseq = 2;
    c->problem.cu_q = cu_q;
    c->problem.cu_k = cu_k;
    c->arguments.mask = mask;
    memset(mask, 0xff, sizeof mask);
    case_run(c, mixed.spec, run);
    for (int64_t h = 0; h < HQ; h++)
        for (int64_t i = 0; i < Q; i++)
            for (int64_t j = 0; j < LONGEST; j++) {
                int64_t s = i >= cu_q[1], lq = cu_q[s + 1] - cu_q[s], lk = cu_k[s + 1] - cu_k[s];
                int expected = j < lk && keep_window_or_stride(h, i - cu_q[s] + lk - lq, j);
                if (mask[(h * Q + i) * LONGEST + j] != expected)
                    cr_assert(0, "mask[head %lld, query %lld, key %lld] is %d", (long long)h, (long long)i,
                              (long long)j, mask[(h * Q + i) * LONGEST + j]);
            }
    for (int n = 0; n < BEYOND; n++)
        if (mask[HQ * Q * LONGEST + n] != 0xff)
            cr_assert(0, "wrote behind the mask");
    case_free(c);
}
