/* Family static, far from the diagonal: strides, summaries, dilated segments, global tokens, blocks, trees. */
#include "core/error.h"
#include "variants/build.h"
#include "variants/value.h"

#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------ Sparse Transformer */

static const fovea_parameter strided[] = {
    {"stride", "int", "128", 1, FV_TOKENS_MAX, "tokens", "l: length of the local window and step of the strided keys",
     0},
    {"part", "word", "both", 0, 0, "", "both, or one of the factorised heads: local, stride", 0},
};
static const fv_trait strided_traits[] = {{.name = "part", .words = "both local stride"}, {.name = NULL}};

static fovea_status build_strided(fv_builder *b)
{
    const char *part = fovea_recipe_get(b->recipe, "part");
    if (strcmp(part, "local") == 0)
        return fv_builder_pattern(b, "causal & window(left={stride-1})");
    if (strcmp(part, "stride") == 0)
        return fv_builder_pattern(b, "causal & stride({stride})");
    return fv_builder_pattern(b, "causal & (window(left={stride-1}) | stride({stride}))");
}

static const fovea_parameter fixed[] = {
    {"stride", "int", "128", 1, FV_TOKENS_MAX, "tokens", "l: length of a chunk", 0},
    {"summary", "int", "32", 0, FV_TOKENS_MAX, "tokens",
     "c: last keys of every chunk, seen by all later queries; at most stride", 0},
};

static fovea_status check_fixed(const fovea_recipe *recipe, fovea_error *err)
{
    int64_t stride = fv_recipe_integer(recipe, "stride"), summary = fv_recipe_integer(recipe, "summary");
    if (summary <= stride)
        return FOVEA_OK;
    return fv_error_set(err, FOVEA_ERROR_VALUE, "sparse-fixed: summary=%lld is out of range: allowed 0 to stride=%lld",
                        (long long)summary, (long long)stride);
}

/* ------------------------------------------------------------------ LogSparse, LongNet */

static const fovea_parameter logsparse[] = {
    {"sub", "int", "0", 0, FV_TOKENS_MAX, "tokens", "length after which the pattern restarts; 0 is the whole length",
     0},
};

static const fovea_parameter longnet[] = {
    {"segments", "list", "2048+4096", 1, FV_TOKENS_MAX, "tokens", "segment length w of each branch", 0},
    {"dilations", "list", "1+2", 1, FV_TOKENS_MAX, "tokens", "dilation r of each branch; as many as segments", 0},
};
static const fv_trait longnet_traits[] = {
    {.name = "segments", .min_count = 1, .max_count = FV_BUILD_PATTERNS},
    {.name = "dilations", .min_count = 1, .max_count = FV_BUILD_PATTERNS},
    {.name = NULL},
};

static fovea_status check_longnet(const fovea_recipe *recipe, fovea_error *err)
{
    size_t segments = fv_list_count(fovea_recipe_get(recipe, "segments"));
    size_t dilations = fv_list_count(fovea_recipe_get(recipe, "dilations"));
    if (segments == dilations)
        return FOVEA_OK;
    return fv_error_set(err, FOVEA_ERROR_VALUE,
                        "longnet: dilations=%.80s has %zu numbers: allowed %zu, as many as "
                        "segments=",
                        fovea_recipe_get(recipe, "dilations"), dilations, segments);
}

/* One pattern per branch: the plan merges them by lse, so a key of two branches counts twice, as published. */
static fovea_status build_longnet(fv_builder *b)
{
    const char *segments = fovea_recipe_get(b->recipe, "segments"),
               *dilations = fovea_recipe_get(b->recipe, "dilations");
    for (size_t i = 0, n = fv_list_count(segments); i < n; i++) {
        char text[64];
        fovea_status status;
        snprintf(text, sizeof text, "longnet(%lld,%lld)", (long long)fv_list_at(segments, i),
                 (long long)fv_list_at(dilations, i));
        status = fv_builder_pattern(b, text);
        if (status)
            return status;
    }
    return FOVEA_OK;
}

/* ------------------------------------------------------------------ Longformer, BigBird */

static const fovea_parameter longformer[] = {
    {"window", "int", "256", 0, FV_TOKENS_MAX, "tokens", "keys on each side of the query", 0},
    {"global", "list", "", 0, FV_TOKENS_MAX, "", "positions that see every key and that every query sees", 0},
};
static const fv_trait longformer_traits[] = {{.name = "global", .empty = 1}, {.name = NULL}};

static fovea_status build_longformer(fv_builder *b)
{
    if (*fovea_recipe_get(b->recipe, "global"))
        return fv_builder_pattern(b, "window(left={window},right={window}) | global({global,})");
    return fv_builder_pattern(b, "window(left={window},right={window})");
}

static const fovea_parameter bigbird[] = {
    {"block", "int", "64", 1, FV_BLOCK_MAX, "tokens", "length of a block", 0},
    {"random", "int", "3", 0, FV_BLOCK_MAX, "blocks", "random key blocks per query block and head", 0},
    {"seed", "int", "0", 0, FV_SEED_MAX, "", "seed of the random blocks; not given: that of the surroundings (--seed)",
     0},
};

static fovea_status build_bigbird(fv_builder *b)
{
    if (b->shape->lq != b->shape->lk)
        return fv_error_set(b->err, FOVEA_ERROR_SHAPE, "bigbird: lq=%lld and lk=%lld differ: they must be equal",
                            (long long)b->shape->lq, (long long)b->shape->lk);
    if (fovea_recipe_is_set(b->recipe, "seed"))
        return fv_builder_pattern(b, "bigbird(block={block},random={random},seed={seed})");
    return fv_builder_pattern(b, "bigbird(block={block},random={random})"); /* the surroundings' seed */
}

/* ------------------------------------------------------------------ blocks, trees */

static const fovea_parameter blocks[] = {
    {"mask", "file", "", 0, 0, "", "byte mask [1 or hq, ceil(lq/bq), ceil(lk/bk)] of a .npy file", 1},
    {"bq", "int", "128", 1, FV_BLOCK_MAX, "rows", "query rows of a block", 0},
    {"bk", "int", "128", 1, FV_BLOCK_MAX, "tokens", "keys of a block", 0},
};

static const fovea_parameter tree[] = {
    {"parents", "file", "", 0, 0, "", "int32 [T] of a .npy file: parent of each draft token, -1 for a root's", 1},
};

const fv_row fv_rows_sparse[] = {
    {
        .variant =
            {
                .name = "sparse-strided",
                .family = "static",
                .phase = "both",
                .paper = "Child et al. 2019 (Sparse Transformer), arXiv 1904.10509",
                .summary = "a causal window of l keys and every l-th key before it",
                .formula = "j <= p and (p - j < l or (p - j) mod l = 0)",
                .cost = "l + p / l keys, 2 (d + dv) flops each; least at l = sqrt(lk)",
                .codes = "OpenAI sparse_attention: local_attn_ctx is stride; the paper's window t = max(0, i - l) "
                         "holds l + 1",
                FV_PARAMETERS(strided),
            },
        .flags = FV_ROW_FIXES_CAUSALITY,
        .traits = strided_traits,
        .build = build_strided,
    },
    {
        .variant =
            {
                .name = "sparse-fixed",
                .family = "static",
                .phase = "both",
                .paper = "Child et al. 2019 (Sparse Transformer), arXiv 1904.10509",
                .summary = "causal inside chunks of l keys, and the last c keys of every earlier chunk, the same for "
                           "all heads",
                .formula = "j <= p and (floor(j / l) = floor(p / l) or j mod l >= l - c)",
                .cost = "l / 2 + c p / l keys on average, 2 (d + dv) flops each",
                .codes = "OpenAI sparse_attention, fixed, num_verts 1: summary=vertsize*blocksize",
                FV_PARAMETERS(fixed),
            },
        .pattern = "causal & (chunk({stride}) | summary({stride},{summary}))",
        .flags = FV_ROW_FIXES_CAUSALITY,
        .check = check_fixed,
    },
    {
        .variant =
            {
                .name = "logsparse",
                .family = "static",
                .phase = "both",
                .paper = "Li et al. 2019 (LogSparse Transformer), arXiv 1907.00235",
                .summary = "a short causal window and keys at distances of powers of two, restarted every sub tokens",
                .formula = "n = ceil(log2 sub); rows below 2 n floor(lk / sub) are causal; others: n local keys "
                           "ending at p, p - "
                           "sub, ..., and 2^k before each group's first key",
                .cost = "about 2 n lk / sub keys, 2 (d + dv) flops each",
                .codes = "",
                FV_PARAMETERS(logsparse),
            },
        .pattern = "logsparse({sub})",
        .flags = FV_ROW_FIXES_CAUSALITY,
    },
    {
        .variant =
            {
                .name = "longnet",
                .family = "static",
                .phase = "both",
                .paper = "Ding et al. 2023 (LongNet), arXiv 2307.02486",
                .summary = "dilated attention inside segments, several branches merged by lse; a key of two branches "
                           "counts twice",
                .formula = "branch (w, r), head h: p and j in { t : (t mod w) mod r = h mod r }, floor(j / w) = "
                           "floor(p / w)",
                .cost = "sum of w / r^2 keys on average, 2 (d + dv) flops each",
                .codes = "torchscale takes offset floor(h r / H): the same up to a permutation of heads with one ratio",
                FV_PARAMETERS(longnet),
            },
        .traits = longnet_traits,
        .check = check_longnet,
        .build = build_longnet,
    },
    {
        .variant =
            {
                .name = "longformer",
                .family = "static",
                .phase = "prefill",
                .paper = "Beltagy et al. 2020 (Longformer), arXiv 2004.05150",
                .summary = "a window on both sides and global tokens, rows and columns, with shared projections",
                .formula = "|p - j| <= window or j in global or p in global",
                .cost = "2 window + 1 + |global| keys, lk in global rows, 2 (d + dv) flops each",
                .codes = "transformers' attention_window A counts both sides: longformer:window=A/2; the published "
                         "model gives "
                         "global rows projections of their own",
                FV_PARAMETERS(longformer),
            },
        .traits = longformer_traits,
        .build = build_longformer,
    },
    {
        .variant =
            {
                .name = "bigbird",
                .family = "static",
                .phase = "prefill",
                .paper = "Zaheer et al. 2020 (BigBird), arXiv 2007.14062",
                .summary = "blocks: three neighbours, first, last and random ones; first and last rows see all. For "
                           "encoders: "
                           "causal only cuts it",
                .formula = "block row i: blocks i-1, i, i+1, 0, nb-1 and random ones, united; rows 0 and nb-1: all",
                .cost = "(5 + random) block keys, 2 (d + dv) flops each",
                .codes = "google-research/bigbird draws from numpy and may count a block twice; here a counter-based "
                         "generator "
                         "and a union",
                FV_PARAMETERS(bigbird),
            },
        .build = build_bigbird,
    },
    {
        .variant =
            {
                .name = "blocks",
                .family = "static",
                .phase = "prefill",
                .paper = "Dao et al. 2022 (block-sparse FlashAttention), arXiv 2205.14135",
                .training_free = 1,
                .summary = "a block mask of one's own; rows that lose all keys give 0",
                .formula = "mask[h][floor(i / bq)][floor(j / bk)] is not 0",
                .cost = "bk keys per block kept, 2 (d + dv) flops each",
                .codes = "MInference 64 x 64, Block-Sparse-Attention and FlexAttention 128 x 128, SpargeAttn 128 x 64",
                FV_PARAMETERS(blocks),
            },
        .pattern = "blocks({mask},bq={bq},bk={bk})",
    },
    {
        .variant =
            {
                .name = "tree",
                .family = "static",
                .phase = "decode",
                .paper = "Miao et al. 2023 (SpecInfer), arXiv 2305.09781",
                .training_free = 1,
                .summary = "draft tokens of speculative decoding: each sees what precedes the tree, its ancestors and "
                           "itself",
                .formula = "last T queries: j < lk - T, or j an ancestor of p, or j = p; earlier queries: j <= p",
                .cost = "lk - T + depth keys, 2 (d + dv) flops each",
                .codes = "Medusa sorts its nodes by depth; rope positions follow the depth, outside the operator",
                FV_PARAMETERS(tree),
            },
        .pattern = "tree({parents})",
        .flags = FV_ROW_FIXES_CAUSALITY,
    },
    {.variant = {.name = NULL}},
};
