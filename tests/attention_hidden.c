/* What a row does not see cannot reach it: NaN and infinity in hidden keys, values and other queries change no bit; NaN
   in what it does see arrives. For every instruction set of this CPU. */
#include "attention_case.h"

#include <math.h>
#include <string.h>

static const char *const specs[] = {
    "dense",
    "window:window=30",
    "streaming:sinks=2,window=20",
    "pattern:causal & (window(left=20) | stride(7))",
    "sparse-strided:stride=12",
    "longnet:segments=32+64,dilations=1+2",
    "topk:k=5",
    "topp:p=0.8",
    "threshold:prob=0.01",
    "localv:k=9",
    "sparsemax",
    "entmax15",
    "relu",
    "sigmoid",
    "offbyone",
};

enum { SPECS = sizeof specs / sizeof specs[0], HQ = 4, HKV = 2, LK = 70, D = 20, DV = 12 };

static attention_case *causal_case(int64_t lq, fovea_dtype dtype)
{
    attention_case *c = case_new(1, HQ, HKV, lq, LK, D, DV, dtype, 40);
    c->problem.causal = 1;
    return c;
}

/* Key j of every head, and its value, become `poison`. */
static void poison_key(attention_case *c, int64_t j, float poison)
{
    for (int64_t h = 0; h < HKV; h++) {
        for (int64_t t = 0; t < D; t++)
            c->k[(h * LK + j) * D + t] = poison;
        for (int64_t t = 0; t < DV; t++)
            c->v[(h * LK + j) * DV + t] = poison;
    }
}

static void same_row(const attention_case *clean, const attention_case *poisoned, const char *spec, int64_t h,
                     int64_t row)
{
    int64_t at = h * clean->problem.lq + row;
    cr_assert(memcmp(case_output(clean, 0, h, row), case_output(poisoned, 0, h, row), DV * sizeof(float)) == 0 &&
                  memcmp(&clean->lse[at], &poisoned->lse[at], sizeof(float)) == 0 &&
                  memcmp(&clean->row_max[at], &poisoned->row_max[at], sizeof(float)) == 0,
              "%s, %s: row %lld of head %lld knows what it cannot see: o[0] %g, was %g", clean->name, spec,
              (long long)row, (long long)h, (double)case_output(poisoned, 0, h, row)[0],
              (double)case_output(clean, 0, h, row)[0]);
}

ParameterizedTestParameters(hidden, later_keys)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, hidden, later_keys)
{
    static const float poisons[] = {NAN, INFINITY, -INFINITY};
    attention_run run = with_isa(isa);
    for (int n = 0; n < SPECS; n++)
        for (int64_t lq = 3; lq <= LK; lq += LK - 3) {
            fovea_dtype dtype = (fovea_dtype)((n + lq) % 3);
            attention_case *clean = causal_case(lq, dtype), *poisoned = causal_case(lq, dtype);
            int64_t cut = lq == LK ? 41 : LK - 1; /* keys from here on are poisoned */
            for (int64_t j = cut; j < LK; j++)
                poison_key(poisoned, j, poisons[(n + j) % 3]);
            case_store(poisoned);
            case_run(clean, specs[n], run);
            case_run(poisoned, specs[n], run);
            for (int64_t h = 0; h < HQ; h++)
                for (int64_t row = 0; row + LK - lq < cut; row++)
                    same_row(clean, poisoned, specs[n], h, row);
            case_free(clean);
            case_free(poisoned);
        }
}

ParameterizedTestParameters(hidden, keys_under_an_infinite_bias)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, hidden, keys_under_an_infinite_bias)
{
    attention_run run = with_isa(isa);
    for (int n = 0; n < SPECS; n++)
        for (int64_t lq = 3; lq <= 40; lq += 37) {
            attention_case *pair[2];
            for (int i = 0; i < 2; i++) {
                draw d = {6};
                pair[i] = causal_case(lq, FOVEA_F32);
                pair[i]->problem.softcap = n % 2 ? 3 : 0;
                case_add_bias(pair[i], &d, 0, 0, 0);
                for (int64_t row = 0; row < lq; row++)
                    for (int64_t j = 5; j < LK; j += 11)
                        pair[i]->bias[row * LK + j] = -INFINITY;
            }
            for (int64_t j = 5; j < LK; j += 11)
                poison_key(pair[1], j, NAN);
            case_store(pair[1]);
            case_run(pair[0], specs[n], run);
            case_run(pair[1], specs[n], run);
            case_same(pair[0], pair[1], specs[n]);
            case_free(pair[0]);
            case_free(pair[1]);
        }
}

ParameterizedTestParameters(hidden, other_queries)
{
    return every_isa();
}

/* A query is a lane of a tile: what it holds stays in its lane. */
ParameterizedTest(unsigned *isa, hidden, other_queries)
{
    attention_run run = with_isa(isa);
    for (int n = 0; n < SPECS; n++)
        for (int64_t lq = 3; lq <= 40; lq += 37) {
            fovea_dtype dtype = (fovea_dtype)(n % 3);
            attention_case *clean = causal_case(lq, dtype), *poisoned = causal_case(lq, dtype);
            for (int64_t t = 0; t < D; t++)
                poisoned->q[(1 * lq + 2) * D + t] = NAN; /* head 1, row 2 */
            case_store(poisoned);
            case_run(clean, specs[n], run);
            case_run(poisoned, specs[n], run);
            for (int64_t h = 0; h < HQ; h++)
                for (int64_t row = 0; row < lq; row++)
                    if (h != 1 || row != 2)
                        same_row(clean, poisoned, specs[n], h, row);
            case_free(clean);
            case_free(poisoned);
        }
}

ParameterizedTestParameters(hidden, the_space_between_rows)
{
    return every_isa();
}

/* Rows of 20 elements every 23, the rest NaN. */
ParameterizedTest(unsigned *isa, hidden, the_space_between_rows)
{
    enum { PAD = 3 };
    attention_run run = with_isa(isa);
    for (int64_t lq = 1; lq <= 40; lq += 39) {
        static float k[HKV * LK * (D + PAD)], v[HKV * LK * (DV + PAD)];
        attention_case *tight = causal_case(lq, FOVEA_F32), *padded = causal_case(lq, FOVEA_F32);
        memset(k, 0xff, sizeof k);
        memset(v, 0xff, sizeof v);
        for (int64_t j = 0; j < HKV * LK; j++) {
            memcpy(k + j * (D + PAD), tight->k + j * D, D * sizeof(float));
            memcpy(v + j * (DV + PAD), tight->v + j * DV, DV * sizeof(float));
        }
        padded->problem.k = (fovea_strides){HKV * LK * (D + PAD), LK * (D + PAD), D + PAD};
        padded->problem.v = (fovea_strides){HKV * LK * (DV + PAD), LK * (DV + PAD), DV + PAD};
        padded->arguments.k = k;
        padded->arguments.v = v;
        case_run(tight, "dense", run);
        case_run(padded, "dense", run);
        case_same(tight, padded, "padded rows");
        case_free(tight);
        case_free(padded);
    }
}

/* ------------------------------------------------------------------ what is seen arrives */

static int keep_left29(int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j >= p - 29 && j <= p;
}

ParameterizedTestParameters(hidden, not_a_number_that_is_seen)
{
    return every_isa();
}

/* The oracle is NaN in the rows that see the key (all columns), in one column for the value, and nowhere else. */
ParameterizedTest(unsigned *isa, hidden, not_a_number_that_is_seen)
{
    static const attention_rule window = {"window:window=30", keep_left29, 1, 1};
    attention_run run = with_isa(isa);
    for (int type = 0; type < 3; type++)
        for (int64_t lq = 3; lq <= LK; lq += LK - 3)
            for (int value = 0; value < 2; value++) {
                attention_case *c = causal_case(lq, (fovea_dtype)type);
                if (value)
                    c->v[(1 * LK + 38) * DV + 5] = NAN;
                else
                    c->k[(1 * LK + 38) * D + 5] = NAN;
                case_store(c);
                case_verify(c, &window, run);
                case_free(c);
            }
}
