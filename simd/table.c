/* The table of kernels, from kernels.def. */
#include "kernel.h"

#define KERNEL(op, dtype, isa, lanes, mr, tolerance, note) void fvk_##op##_##dtype##__##isa(void);
#define NARROW(op, dtype, isa, lanes, mr, tolerance, note) void fvk_##op##_##dtype##__##isa##_narrow(void);
#include "kernels.def"
#undef KERNEL
#undef NARROW

enum {
    op_pack = FVK_PACK, op_qk = FVK_QK, op_pack_pair = FVK_PACK_PAIR, op_qk_pair = FVK_QK_PAIR, op_hide = FVK_HIDE,
    op_softmax = FVK_SOFTMAX, op_pv = FVK_PV, op_softmax_pair = FVK_SOFTMAX_PAIR, op_values_pair = FVK_VALUES_PAIR,
    op_pv_pair = FVK_PV_PAIR, op_softmax_parts = FVK_SOFTMAX_PARTS,
    op_values_tile = FVK_VALUES_TILE, op_pv_tile = FVK_PV_TILE, op_store = FVK_STORE, op_finish = FVK_FINISH, op_edit = FVK_EDIT, op_bias = FVK_BIAS,
    op_widen = FVK_WIDEN, op_small_tail = FVK_SMALL_TAIL,
    op_small_softmax = FVK_SMALL_SOFTMAX, op_small_pv = FVK_SMALL_PV, op_dot = FVK_DOT, op_axpy = FVK_AXPY, op_row_softmax = FVK_ROW_SOFTMAX,
    op_row_edit = FVK_ROW_EDIT, op_exp = FVK_EXP, op_count = FVK_COUNT, op_range = FVK_RANGE,
    op_sift = FVK_SIFT, op_mass = FVK_MASS, op_scale = FVK_SCALE, op_veil = FVK_VEIL, op_kept = FVK_KEPT,
    op_moments = FVK_MOMENTS, op_ramp = FVK_RAMP,
    op_column_weigh = FVK_COLUMN_WEIGH, op_column_moments = FVK_COLUMN_MOMENTS, op_column_sums = FVK_COLUMN_SUMS, op_column_search = FVK_COLUMN_SEARCH,
    op_column_collect = FVK_COLUMN_COLLECT, op_column_add = FVK_COLUMN_ADD, op_peak = FVK_PEAK, op_read = FVK_READ,
    dtype_f32 = FVK_F32, dtype_bf16 = FVK_BF16, dtype_f16 = FVK_F16,
    isa_scalar = FVK_SCALAR, isa_generic = FVK_GENERIC, isa_avx2 = FVK_AVX2, isa_avx512 = FVK_AVX512,
    isa_avx512_bf16 = FVK_AVX512_BF16, isa_amx = FVK_AMX, isa_neon = FVK_NEON
};

#define KERNEL(op, dtype, isa, lanes, mr, tolerance, note)                                                             \
    {"fvk_" #op "_" #dtype "__" #isa, #op, #dtype, #isa, (fvk_op)op_##op, (fvk_dtype)dtype_##dtype,                    \
     (fvk_isa)isa_##isa, lanes, mr, #mr "x" #lanes, tolerance, note,                                                  \
     fvk_##op##_##dtype##__##isa},
#define NARROW(op, dtype, isa, lanes, mr, tolerance, note)                                                             \
    {"fvk_" #op "_" #dtype "__" #isa "_narrow", #op, #dtype, #isa, (fvk_op)op_##op, (fvk_dtype)dtype_##dtype,          \
     (fvk_isa)isa_##isa, lanes, mr, #mr "x" #lanes, tolerance, note,                                                  \
     fvk_##op##_##dtype##__##isa##_narrow},
const fvk_row fvk_table[] = {
#include "kernels.def"
};
#undef KERNEL
#undef NARROW

const unsigned fvk_table_rows = sizeof fvk_table / sizeof fvk_table[0];

const char *const fvk_isa_names[FVK_ISAS] = {"scalar", "generic", "avx2", "avx512", "avx512_bf16", "amx", "neon"};

const fvk_row *fvk_find(fvk_op op, fvk_dtype dtype, unsigned isas, int lanes)
{
    const fvk_row *best = NULL;
    for (unsigned i = 0; i < fvk_table_rows; i++) {
        const fvk_row *row = &fvk_table[i];
        if (row->op == op && row->dtype == dtype && (isas >> row->isa & 1) && (!lanes || row->lanes == lanes) &&
            (!best || row->isa >= best->isa))
            best = row;
    }
    return best;
}
