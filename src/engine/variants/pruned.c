/* Family pruned: the scores of a row decide, among the keys that the pattern allows. The arithmetic is in
   drive/normalise.c; Z = sum of exp(s) over the visible keys of the row. */
#include "variants/build.h"

#include <string.h>

#define PATTERN                                                                                         \
    {                                                                                                   \
        "pattern", "pattern", "all", 0, 0, "", "keys that take part, an expression in double quotes", 0 \
    }
#define RENORM                                                                                                  \
    {                                                                                                           \
        "renorm", "flag", "1", 0, 1, "", "1: the kept weights sum to 1; 0: they stay as in the full softmax", 0 \
    }

static const fovea_parameter topk[] = {
    {"k", "int", "64", 1, FV_TOKENS_MAX, "keys", "keys kept per row; ties go to the lower key", 0},
    PATTERN,
};
static const fovea_parameter topp[] = {
    {"p", "real", "0.95", FV_REAL_TINY, 1, "", "softmax mass to reach, without the sink", 0},
    PATTERN,
};
static const fovea_parameter threshold[] = {
    {"rel", "real", "10", 0, FV_REAL_MAX, "nats", "keeps s >= max - rel; in force when prob is not given", 0},
    {"prob", "real", "", 0, 1, "", "keeps exp(s) / Z >= prob, without the sink", 0},
    RENORM,
    PATTERN,
};
static const fovea_parameter localv[] = {
    {"k", "int", "64", 1, FV_TOKENS_MAX, "keys", "keys whose values are read; ties go to the lower key", 0},
    PATTERN,
};
static const fovea_parameter pattern_only[] = {PATTERN};
static const fovea_parameter entmax[] = {
    {"alpha", "real", "", 1.000001, 16, "", "1.5 is entmax15, 2 is sparsemax; towards 1 it becomes softmax", 1},
    PATTERN,
};
static const fovea_parameter relu[] = {
    {"power", "real", "1", 0, 16, "", "power of the number of visible keys in the divisor", 0},
    PATTERN,
};
static const fovea_parameter sigmoid[] = {
    {"bias", "real", "auto", -FV_REAL_MAX, FV_REAL_MAX, "", "added to every score; auto is -ln n, n visible keys", 0},
    PATTERN,
};
static const fv_trait sigmoid_traits[] = {{.name = "bias", .words = "auto"}, {.name = NULL}};

static fovea_status check_threshold(const fovea_recipe *recipe, fovea_error *err)
{
    return fv_recipe_exclude(recipe, "rel", "prob", err);
}

static fovea_status build_threshold(fv_builder *b)
{
    if (fovea_recipe_is_set(b->recipe, "prob")) {
        b->build->normaliser = "threshold-prob";
        b->build->arg[0] = fv_recipe_real(b->recipe, "prob");
    }
    return FOVEA_OK;
}

static fovea_status build_sigmoid(fv_builder *b)
{
    b->build->arg[1] = strcmp(fovea_recipe_get(b->recipe, "bias"), "auto") == 0;
    return FOVEA_OK;
}

const fv_row fv_rows_pruned[] = {
    {
        .variant =
            {
                .name = "topk",
                .family = "pruned",
                .phase = "both",
                .paper = "Zhao et al. 2019, arXiv 1912.11637; Gupta et al. 2021, arXiv 2106.06899",
                .training_free = 1,
                .summary = "the k largest scores of each row, renormalised",
                .formula = "softmax over the k largest s; of equal scores the lower key",
                .cost = "2 d flops per visible key, 2 dv per kept key, a selection of O(n)",
                .codes = "",
                FV_PARAMETERS(topk),
            },
        .pattern = "{pattern}",
        .normaliser = "topk",
        .arg = {"k"},
    },
    {
        .variant =
            {
                .name = "topp",
                .family = "pruned",
                .phase = "both",
                .paper = "Lin et al. 2025 (Twilight), arXiv 2502.02770",
                .training_free = 1,
                .summary = "the fewest keys whose softmax mass reaches p, renormalised",
                .formula =
                    "descending s until the sum of exp(s) / Z reaches p, the crossing key kept; softmax over them",
                .cost = "2 d flops and an exp per visible key, 2 dv per kept key, a selection of O(n)",
                .codes = "",
                FV_PARAMETERS(topp),
            },
        .pattern = "{pattern}",
        .normaliser = "topp",
        .arg = {"p"},
    },
    {
        .variant =
            {
                .name = "threshold",
                .family = "pruned",
                .phase = "both",
                .paper = "Lee et al. 2024 (InfiniGen), arXiv 2406.19707",
                .training_free = 1,
                .summary = "keys whose score is close to the row's largest (rel=), or whose probability is large "
                           "enough (prob=)",
                .formula = "s >= max s - rel, or exp(s) / Z >= prob; renorm=1: softmax over the kept keys, 0: weights "
                           "as they were",
                .cost = "2 d flops per visible key, an exp and 2 dv per kept key",
                .codes = "min-p sampling with m, as a score rule p >= m max p: threshold:rel=-ln(m)",
                FV_PARAMETERS(threshold),
            },
        .pattern = "{pattern}",
        .normaliser = "threshold-rel",
        .arg = {"rel", "renorm"},
        .check = check_threshold,
        .build = build_threshold,
    },
    {
        .variant =
            {
                .name = "localv",
                .family = "pruned",
                .phase = "both",
                .paper = "Wang et al. 2020 (SpAtten), arXiv 2012.09852",
                .training_free = 1,
                .summary = "all probabilities, but only the values of the k largest; not renormalised",
                .formula = "o = sum over the k largest of softmax(s) v, softmax over all visible keys",
                .cost = "2 d flops and an exp per visible key, 2 dv per kept key, a selection of O(n)",
                .codes = "",
                FV_PARAMETERS(localv),
            },
        .pattern = "{pattern}",
        .normaliser = "localv",
        .arg = {"k"},
    },
    {
        .variant =
            {
                .name = "sparsemax",
                .family = "pruned",
                .phase = "both",
                .paper = "Martins and Astudillo 2016, arXiv 1602.02068",
                .summary = "Euclidean projection of the scores onto the simplex: small ones get weight 0. No lse",
                .formula = "p = max(s - tau, 0), tau so that sum p = 1",
                .cost = "2 d flops per visible key, 2 dv per kept key, a few passes over the scores",
                .codes = "",
                FV_PARAMETERS(pattern_only),
            },
        .pattern = "{pattern}",
        .normaliser = "sparsemax",
        .flags = FV_ROW_NO_DENOMINATOR,
    },
    {
        .variant =
            {
                .name = "entmax15",
                .family = "pruned",
                .phase = "both",
                .paper = "Peters et al. 2019, arXiv 1905.05702",
                .summary = "entmax with alpha 1.5, between softmax and sparsemax, solved exactly. No lse",
                .formula = "p = max(s / 2 - tau, 0)^2, tau so that sum p = 1",
                .cost = "2 d flops per visible key, 2 dv per kept key, a few passes over the scores",
                .codes = "",
                FV_PARAMETERS(pattern_only),
            },
        .pattern = "{pattern}",
        .normaliser = "entmax15",
        .flags = FV_ROW_NO_DENOMINATOR,
    },
    {
        .variant =
            {
                .name = "entmax",
                .family = "pruned",
                .phase = "both",
                .paper = "Peters et al. 2019, arXiv 1905.05702",
                .summary = "entmax for any alpha > 1, by bisection. No lse",
                .formula = "p = max((alpha - 1) s - tau, 0)^(1 / (alpha - 1)), tau so that sum p = 1",
                .cost = "2 d flops per visible key, 2 dv per kept key, about 60 powers per score within 1 / (alpha - "
                        "1) of the "
                        "largest",
                .codes = "deep-spin/entmax bisects tau itself, 50 halvings; here its logarithm, 64",
                FV_PARAMETERS(entmax),
            },
        .pattern = "{pattern}",
        .normaliser = "entmax",
        .arg = {"alpha"},
        .flags = FV_ROW_NO_DENOMINATOR,
    },
    {
        .variant =
            {
                .name = "relu",
                .family = "pruned",
                .phase = "both",
                .paper = "Wortsman et al. 2023, arXiv 2309.08586",
                .summary = "rectified scores divided by a power of the number of visible keys; not normalised, no lse",
                .formula = "p = max(s, 0) / n^power, n visible keys",
                .cost = "2 (d + dv) flops per visible key, no exp",
                .codes = "the paper divides by the sequence length; here n is the row's number of visible keys",
                FV_PARAMETERS(relu),
            },
        .pattern = "{pattern}",
        .normaliser = "relu",
        .arg = {"power"},
        .flags = FV_ROW_NO_DENOMINATOR,
    },
    {
        .variant =
            {
                .name = "sigmoid",
                .family = "pruned",
                .phase = "both",
                .paper = "Ramapuram et al. 2024, arXiv 2409.04431",
                .summary = "sigmoid of each score; not normalised, no lse",
                .formula = "p = 1 / (1 + exp(-(s + bias))), bias -ln n by default, n visible keys",
                .cost = "2 (d + dv) flops and an exp per visible key",
                .codes = "",
                FV_PARAMETERS(sigmoid),
            },
        .pattern = "{pattern}",
        .normaliser = "sigmoid",
        .arg = {"bias"},
        .flags = FV_ROW_NO_DENOMINATOR,
        .traits = sigmoid_traits,
        .build = build_sigmoid,
    },
    {
        .variant =
            {
                .name = "offbyone",
                .family = "pruned",
                .phase = "both",
                .paper = "Miller 2023 (essay: attention is off by one)",
                .summary = "softmax with one zero logit in the denominator, so that a row may attend to nothing",
                .formula = "p = exp(s) / (1 + Z); the same as sink=0",
                .cost = "2 (d + dv) flops and an exp per visible key",
                .codes = "",
                FV_PARAMETERS(pattern_only),
            },
        .pattern = "{pattern}",
        .flags = FV_ROW_ZERO_LOGIT,
    },
    {.variant = {.name = NULL}},
};
