/* Family static, near the diagonal: windows, sinks, chunks, prefixes, documents. Here p = i + lk - lq is the query's
   position, and W keys always count the query's own. */
#include "core/error.h"
#include "variants/build.h"
#include "variants/value.h"

static const fovea_parameter window[] = {
    {"window", "int", "4096", 1, FV_TOKENS_MAX, "tokens",
     "keys of a causal window, the query's own included; in force when neither left nor right is given", 0},
    {"left", "int", "", 0, FV_TOKENS_MAX, "tokens", "keys before the query; unlimited when only right is given", 0},
    {"right", "int", "", 0, FV_TOKENS_MAX, "tokens", "keys after the query; unlimited when only left is given", 0},
};

static fovea_status check_window(const fovea_recipe *recipe, fovea_error *err)
{
    fovea_status status = fv_recipe_exclude(recipe, "window", "left", err);
    return status ? status : fv_recipe_exclude(recipe, "window", "right", err);
}

static fovea_status build_window(fv_builder *b)
{
    int left = fovea_recipe_is_set(b->recipe, "left"), right = fovea_recipe_is_set(b->recipe, "right");
    b->build->fixes_causality = !left && !right;
    if (left && right)
        return fv_builder_pattern(b, "window(left={left},right={right})");
    if (left)
        return fv_builder_pattern(b, "window(left={left})");
    if (right)
        return fv_builder_pattern(b, "window(right={right})");
    return fv_builder_pattern(b, "causal & window(left={window-1})");
}

static const fovea_parameter streaming[] = {
    {"sinks", "int", "4", 0, FV_TOKENS_MAX, "tokens", "first keys, seen by every query", 0},
    {"window", "int", "1020", 1, FV_TOKENS_MAX, "tokens", "last keys, the query's own included", 0},
};

static const fovea_parameter trishape[] = {
    {"sinks", "int", "128", 0, FV_TOKENS_MAX, "tokens", "first keys, seen by every query", 0},
    {"window", "int", "4096", 1, FV_TOKENS_MAX, "tokens", "last keys, the query's own included", 0},
    {"last", "int", "100", 0, FV_TOKENS_MAX, "rows", "last query rows, which see every key j <= p", 0},
};

static const fovea_parameter chunked[] = {
    {"chunk", "int", "8192", 1, FV_TOKENS_MAX, "tokens", "length of a chunk", 0},
};

static const fovea_parameter prefix[] = {
    {"prefix", "int", "", 0, FV_TOKENS_MAX, "tokens", "first keys, seen by every query, also by earlier ones", 1},
};

static const fovea_parameter document[] = {
    {"lengths", "list", "", 0, FV_TOKENS_MAX, "tokens", "lengths of the consecutive documents; they sum to lk", 1},
};

static fovea_status build_document(fv_builder *b)
{
    const char *lengths = fovea_recipe_get(b->recipe, "lengths");
    int64_t sum = 0;
    for (size_t i = 0, n = fv_list_count(lengths); i < n; i++)
        if (__builtin_add_overflow(sum, fv_list_at(lengths, i), &sum))
            sum = INT64_MAX;
    if (sum == b->shape->lk)
        return FOVEA_OK;
    return fv_error_set(b->err, FOVEA_ERROR_SHAPE, "document: lengths=%.200s sum to %lld; they must sum to lk=%lld", lengths,
                        (long long)sum, (long long)b->shape->lk);
}

static const fovea_parameter blockwindow[] = {
    {"block", "int", "64", 1, FV_BLOCK_MAX, "tokens", "length of a block", 0},
    {"blocks", "int", "8", 1, FV_BLOCK_MAX, "blocks", "key blocks that a query sees, its own included", 0},
};

const fv_row fv_rows_windows[] = {
    {
        .variant =
            {
                .name = "window",
                .family = "static",
                .phase = "both",
                .paper = "Jiang et al. 2023 (Mistral 7B), arXiv 2310.06825",
                .summary = "sliding window: window=W causal with W keys, or left=/right= on each side, causal only if "
                           "asked",
                .formula = "window=W: p - W < j <= p; left=a,right=b: p - a <= j <= p + b",
                .cost = "W keys (or a + b + 1), 2 (d + dv) flops each",
                .codes = "transformers' past - W < j (Mistral, Gemma, gpt-oss): window=W; "
                         "FlashAttention window_size=(l,0): window=l+1; attention-gym sliding window W: window=W+1",
                FV_PARAMETERS(window),
            },
        .flags = FV_ROW_FIXES_CAUSALITY,
        .check = check_window,
        .build = build_window,
    },
    {
        .variant =
            {
                .name = "streaming",
                .family = "static",
                .phase = "both",
                .paper = "Xiao et al. 2023 (StreamingLLM), arXiv 2309.17453",
                .training_free = 1,
                .summary = "attention sinks and a causal window, at original positions",
                .formula = "j <= p and (j < sinks or j > p - window)",
                .cost = "sinks + window keys, 2 (d + dv) flops each",
                .codes = "streaming-llm with a cache of s sinks and R recent tokens: the next token sees itself too: "
                         "streaming:sinks=s,window=R+1; it re-applies rope at cache positions, which is outside the "
                         "operator",
                FV_PARAMETERS(streaming),
            },
        .pattern = "causal & (window(left={window-1}) | sinks({sinks}))",
        .flags = FV_ROW_FIXES_CAUSALITY,
    },
    {
        .variant =
            {
                .name = "trishape",
                .family = "static",
                .phase = "prefill",
                .paper = "Li et al. 2024 (SCBench), arXiv 2412.10319",
                .training_free = 1,
                .summary = "sinks and a causal window, and the last query rows see everything before them",
                .formula = "j <= p and (j < sinks or j > p - window or i >= lq - last)",
                .cost = "sinks + window keys, p + 1 in the last rows, 2 (d + dv) flops each",
                .codes = "",
                FV_PARAMETERS(trishape),
            },
        .pattern = "causal & (window(left={window-1}) | sinks({sinks}) | lastrows({last}))",
        .flags = FV_ROW_FIXES_CAUSALITY,
    },
    {
        .variant =
            {
                .name = "chunked",
                .family = "static",
                .phase = "both",
                .paper = "Meta 2025 (Llama 4, model code)",
                .summary = "causal inside consecutive chunks; the first query of a chunk sees only itself",
                .formula = "j <= p and floor(j / chunk) = floor(p / chunk)",
                .cost = "1 to chunk keys, chunk / 2 on average, 2 (d + dv) flops each",
                .codes = "",
                FV_PARAMETERS(chunked),
            },
        .pattern = "causal & chunk({chunk})",
        .flags = FV_ROW_FIXES_CAUSALITY,
    },
    {
        .variant =
            {
                .name = "prefix",
                .family = "static",
                .phase = "prefill",
                .paper = "Raffel et al. 2019 (T5, prefix LM), arXiv 1910.10683",
                .summary = "causal, and a prefix that every query sees whole",
                .formula = "j <= p or j < prefix",
                .cost = "max(prefix, p + 1) keys, 2 (d + dv) flops each",
                .codes = "",
                FV_PARAMETERS(prefix),
            },
        .pattern = "causal | sinks({prefix})",
        .flags = FV_ROW_FIXES_CAUSALITY,
    },
    {
        .variant =
            {
                .name = "document",
                .family = "static",
                .phase = "both",
                .paper = "Krell et al. 2021 (sequence packing), arXiv 2107.02027",
                .training_free = 1,
                .summary = "packed documents, each attending to itself only, causal inside if asked",
                .formula = "j and p in the same document (causal: j <= p)",
                .cost = "the length of the query's document in keys, 2 (d + dv) flops each",
                .codes = "FlashAttention cu_seqlens: lengths are the differences",
                FV_PARAMETERS(document),
            },
        .pattern = "document({lengths})",
        .build = build_document,
    },
    {
        .variant =
            {
                .name = "blockwindow",
                .family = "static",
                .phase = "both",
                .paper = "-",
                .summary = "causal window counted in whole key blocks",
                .formula = "j <= p and floor(p / block) - blocks < floor(j / block)",
                .cost = "block (blocks - 1) + 1 to block blocks keys, 2 (d + dv) flops each",
                .codes = "a window of W tokens lies inside blocks=ceil((W-1)/block)+1",
                FV_PARAMETERS(blockwindow),
            },
        .pattern = "causal & blockwindow(block={block},blocks={blocks})",
        .flags = FV_ROW_FIXES_CAUSALITY,
    },
    {.variant = {.name = NULL}},
};
