/* Family static, written out by hand: pattern:EXPR. Its one parameter is all that follows the colon. */
#include "variants/row.h"

static const fovea_parameter pattern[] = {
    {"expr", "pattern", "", 0, 0, "", "expression of primitives with |, & and !; written pattern:EXPR", 1},
};

const fv_row fv_rows_free[] = {
    {
        .variant =
            {
                .name = "pattern",
                .family = "static",
                .phase = "both",
                .paper = "-",
                .training_free = 1,
                .summary = "any expression of pattern primitives: pattern:causal & (window(left=255) | stride(64))",
                .formula = "keep the pairs of EXPR; `fovea list patterns` shows the primitives",
                .cost = "the keys kept, 2 (d + dv) flops each",
                .codes = "",
                FV_PARAMETERS(pattern),
            },
        .pattern = "{expr}",
    },
    {.variant = {.name = NULL}},
};
