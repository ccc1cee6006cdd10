/* The registry: the families' tables joined in the order in which people read them. */
#include "variants/row.h"
#include "variants/text.h"

#include <string.h>

static const fv_row *const families[] = {
    fv_rows_exact, fv_rows_windows, fv_rows_sparse, fv_rows_grids, fv_rows_free, fv_rows_pruned,
};

static const fovea_parameter common[] = {
    {"causal", "flag", "0", 0, 1, "", "a query sees the keys j <= p only", 0},
    {"scale", "real", "", FV_REAL_TINY, FV_REAL_MAX, "", "factor of the scores; 1/sqrt(d) when not given", 0},
    {"softcap", "real", "", FV_REAL_TINY, FV_REAL_MAX, "", "soft cap c: s becomes c tanh(s/c); none when not given", 0},
    {"alibi", "flag", "0", 0, 1, "", "adds -slope(h) |p - j| to the scores", 0},
    {"sink", "real", "", -FV_REAL_MAX, FV_REAL_MAX, "", "one logit for all heads that joins the denominator", 0},
};

const fovea_parameter *fovea_common_parameter_at(unsigned index)
{
    return index < FV_SIZE(common) ? &common[index] : NULL;
}

const fv_row *fv_row_at(unsigned index)
{
    for (size_t f = 0; f < FV_SIZE(families); f++)
        for (const fv_row *row = families[f]; row->variant.name; row++)
            if (index-- == 0)
                return row;
    return NULL;
}

const fv_row *fv_row_find(const char *name)
{
    const fv_row *row;
    for (unsigned i = 0; (row = fv_row_at(i)) != NULL; i++)
        if (strcmp(row->variant.name, name) == 0)
            return row;
    return NULL;
}

const fv_row *fv_row_nearest(const char *name)
{
    const fv_row *best = fv_row_at(0), *row;
    for (unsigned i = 1; (row = fv_row_at(i)) != NULL; i++)
        if (fv_distance(name, row->variant.name) < fv_distance(name, best->variant.name))
            best = row;
    return best;
}

static int hidden(const fv_row *row, const char *name)
{
    for (unsigned i = 0; i < row->variant.parameter_count; i++)
        if (strcmp(row->variant.parameters[i].name, name) == 0)
            return 1;
    return 0;
}

const fovea_parameter *fv_row_parameter_at(const fv_row *row, unsigned index)
{
    if (index < row->variant.parameter_count)
        return &row->variant.parameters[index];
    index -= row->variant.parameter_count;
    for (size_t i = 0; i < FV_SIZE(common); i++)
        if (!hidden(row, common[i].name) && index-- == 0)
            return &common[i];
    return NULL;
}

int fv_row_parameter_find(const fv_row *row, const char *name)
{
    const unsigned own = row->variant.parameter_count;
    unsigned index = own;
    for (unsigned i = 0; i < own; i++)
        if (strcmp(row->variant.parameters[i].name, name) == 0)
            return (int)i;
    for (size_t i = 0; i < FV_SIZE(common); i++) {
        if (strcmp(common[i].name, name) == 0) /* of the row's own it is none */
            return (int)index;
        index += !hidden(row, common[i].name);
    }
    return -1;
}

const fv_trait *fv_row_trait(const fv_row *row, const char *name)
{
    static const fv_trait nothing = {0};
    for (const fv_trait *trait = row->traits; trait && trait->name; trait++)
        if (strcmp(trait->name, name) == 0)
            return trait;
    return &nothing;
}

const fovea_variant *fovea_variant_at(unsigned index)
{
    const fv_row *row = fv_row_at(index);
    return row ? &row->variant : NULL;
}

const fovea_variant *fovea_variant_find(const char *name)
{
    const fv_row *row = name ? fv_row_find(name) : NULL;
    return row ? &row->variant : NULL;
}
