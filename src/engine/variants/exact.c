/* Family exact: attention without omission, the baseline of every comparison. */
#include "variants/row.h"

const fv_row fv_rows_exact[] = {
    {
        .variant =
            {
                .name = "dense",
                .family = "exact",
                .phase = "both",
                .paper = "Vaswani et al. 2017, arXiv 1706.03762",
                .training_free = 1,
                .summary = "every key; with causal, every key up to the query's own position",
                .formula = "keep all j (causal: j <= p); o = softmax(scale q.k) v",
                .cost = "lk keys (causal: p + 1), 2 (d + dv) flops each",
                .codes = "",
            },
        .pattern = "all",
    },
    {.variant = {.name = NULL}},
};
