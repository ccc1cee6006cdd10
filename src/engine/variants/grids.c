/* Family static, on grids: tokens laid out row-major on 2-D or 3-D grids, sizes slowest axis first (size=32+32). */
#include "core/error.h"
#include "variants/build.h"
#include "variants/value.h"

#define AXIS_MAX 2147483647.0 /* 2^31 - 1; the sizes' product must be lk */
enum { AXES_MAX = 3 };

static const fovea_parameter axial[] = {
    {"size", "list", "", 1, AXIS_MAX, "tokens", "lengths of the axes, slowest first; their product is lk", 1},
    {"axis", "int", "", 0, AXES_MAX - 1, "", "the axis along which attention runs, 0 is the slowest", 1},
};
static const fv_trait axial_traits[] = {{.name = "size", .min_count = 1, .max_count = AXES_MAX}, {.name = NULL}};

static fovea_status check_axial(const fovea_recipe *recipe, fovea_error *err)
{
    int64_t axis = fv_recipe_integer(recipe, "axis");
    size_t axes = fv_list_count(fovea_recipe_get(recipe, "size"));
    if ((size_t)axis < axes)
        return FOVEA_OK;
    return fv_error_set(err, FOVEA_ERROR_VALUE,
                        "axial: axis=%lld is out of range: allowed 0 to %zu, the axes of size=%s", (long long)axis,
                        axes - 1, fovea_recipe_get(recipe, "size"));
}

static const fovea_parameter crisscross[] = {
    {"size", "list", "", 1, AXIS_MAX, "tokens", "height and width; their product is lk", 1},
};
static const fv_trait crisscross_traits[] = {{.name = "size", .min_count = 2, .max_count = 2}, {.name = NULL}};

/* One number for all axes, or one per axis. */
static fovea_status check_axes(const fovea_recipe *recipe, const char *key, fovea_error *err)
{
    size_t axes = fv_list_count(fovea_recipe_get(recipe, "size")), count = fv_list_count(fovea_recipe_get(recipe, key));
    if (count == 1 || count == axes)
        return FOVEA_OK;
    return fv_error_set(err, FOVEA_ERROR_VALUE,
                        "%s: %s=%s has %zu numbers: allowed one, or one for each of the %zu axes",
                        fovea_recipe_variant(recipe)->name, key, fovea_recipe_get(recipe, key), count, axes);
}

static const fovea_parameter swin[] = {
    {"size", "list", "", 1, AXIS_MAX, "tokens", "lengths of the axes, slowest first; their product is lk", 1},
    {"window", "list", "7", 1, AXIS_MAX, "tokens", "length of a window on each axis; divides the axis", 0},
    {"shift", "list", "0", 0, AXIS_MAX, "tokens", "cyclic shift of the windows on each axis", 0},
};
static const fv_trait swin_traits[] = {
    {.name = "size", .min_count = 1, .max_count = AXES_MAX},
    {.name = "window", .min_count = 1, .max_count = AXES_MAX},
    {.name = "shift", .min_count = 1, .max_count = AXES_MAX},
    {.name = NULL},
};

static fovea_status check_swin(const fovea_recipe *recipe, fovea_error *err)
{
    fovea_status status = check_axes(recipe, "window", err);
    return status ? status : check_axes(recipe, "shift", err);
}

static const fovea_parameter natten[] = {
    {"size", "list", "", 1, AXIS_MAX, "tokens", "lengths of the axes, slowest first; their product is lk", 1},
    {"kernel", "list", "7", 1, AXIS_MAX, "tokens", "neighbours on each axis, the query included", 0},
    {"stride", "list", "1", 1, AXIS_MAX, "tokens", "queries that share a neighbourhood on each axis; at most kernel",
     0},
    {"dilation", "list", "1", 1, AXIS_MAX, "tokens", "distance of neighbours on each axis", 0},
    {"causal", "list", "0", 0, 1, "", "1 on axes where a query sees no later coordinate", 0},
};
static const fv_trait natten_traits[] = {
    {.name = "size", .min_count = 1, .max_count = AXES_MAX},
    {.name = "kernel", .min_count = 1, .max_count = AXES_MAX},
    {.name = "stride", .min_count = 1, .max_count = AXES_MAX},
    {.name = "dilation", .min_count = 1, .max_count = AXES_MAX},
    {.name = "causal", .bare = 1, .min_count = 1, .max_count = AXES_MAX},
    {.name = NULL},
};

static fovea_status check_natten(const fovea_recipe *recipe, fovea_error *err)
{
    static const char *const keys[] = {"kernel", "stride", "dilation", "causal"};
    for (size_t i = 0; i < FV_SIZE(keys); i++) {
        fovea_status status = check_axes(recipe, keys[i], err);
        if (status)
            return status;
    }
    return FOVEA_OK;
}

const fv_row fv_rows_grids[] = {
    {
        .variant =
            {
                .name = "axial",
                .family = "static",
                .phase = "prefill",
                .paper = "Ho et al. 2019 (axial attention), arXiv 1912.12180",
                .summary = "attention along one axis of a grid",
                .formula = "j and p have equal coordinates on every axis but `axis`",
                .cost = "the axis' length in keys, 2 (d + dv) flops each; read by stride, no copy",
                .codes = "",
                FV_PARAMETERS(axial),
            },
        .pattern = "axial(size={size},axis={axis})",
        .traits = axial_traits,
        .check = check_axial,
    },
    {
        .variant =
            {
                .name = "crisscross",
                .family = "static",
                .phase = "prefill",
                .paper = "Huang et al. 2018 (CCNet), arXiv 1811.11721",
                .summary = "the query's row and column of an image in one softmax, itself counted once",
                .formula = "j in the row or in the column of p",
                .cost = "height + width - 1 keys, 2 (d + dv) flops each",
                .codes = "CCNet does not divide by sqrt(d): crisscross:scale=1",
                FV_PARAMETERS(crisscross),
            },
        .pattern = "axial(size={size},axis=0) | axial(size={size},axis=1)",
        .traits = crisscross_traits,
    },
    {
        .variant =
            {
                .name = "swin",
                .family = "static",
                .phase = "prefill",
                .paper = "Liu et al. 2021 (Swin Transformer), arXiv 2103.14030",
                .summary = "windows of a grid, shifted cyclically, without attention across the wrapped border",
                .formula = "on every axis, y at (y - shift) mod H: same window of p and j, and same region of the "
                           "wrapped ones",
                .cost = "window^axes keys (fewer at a wrapped border), 2 (d + dv) flops each",
                .codes = "Swin adds -100 where regions differ, here such keys are absent; shift is window_size // 2 "
                         "on odd blocks",
                FV_PARAMETERS(swin),
            },
        .pattern = "swin(size={size},window={window},shift={shift})",
        .traits = swin_traits,
        .check = check_swin,
    },
    {
        .variant =
            {
                .name = "natten",
                .family = "static",
                .phase = "prefill",
                .paper = "Hassani et al. 2022 (neighborhood attention), arXiv 2204.07143",
                .summary = "the box of the kernel nearest neighbours on each axis, moved inwards at the border; "
                           "causal= is per axis",
                .formula = "per axis: start = max(c - K/2, 0), moved so that K neighbours fit; c = the query, or its "
                           "stride "
                           "group's leader; dilation groups coordinates by residue",
                .cost = "kernel^axes keys, 2 (d + dv) flops each",
                .codes =
                    "NATTEN's rule, even K included (K/2 to the left); attention-gym's keeps K + 1 keys for even K",
                FV_PARAMETERS(natten),
            },
        .pattern = "neighborhood(size={size},kernel={kernel},stride={stride},dilation={dilation},causal={causal})",
        .traits = natten_traits,
        .check = check_natten,
    },
    {.variant = {.name = NULL}},
};
