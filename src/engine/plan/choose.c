/* Chooses kernels: for each operation the strongest row of the table among the instruction sets allowed. All kernels of
   the lanes family share one tile width, that of the strongest softmax; a second choice has the width of its narrow tiles. */
#include "plan/plan.h"

#include <stdatomic.h>
#include <time.h>

/* GFLOP/s of a peak kernel: best of four slices of some 40 microseconds, of which making its data takes three. */
static double rate(const fvk_row *row)
{
    fvk_peak_fn *peak = (fvk_peak_fn *)row->fn;
    double best = 0;
    for (int i = 0; i < 4; i++) {
        struct timespec a, b;
        double flops, ns;
        clock_gettime(CLOCK_MONOTONIC, &a);
        flops = peak(1 << 23);
        clock_gettime(CLOCK_MONOTONIC, &b);
        ns = 1e9 * (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec);
        best = flops / ns > best ? flops / ns : best;
    }
    return best;
}

/* The bf16 dot does two products per element of an fma, but CPUs differ fourfold in how many dots they start per cycle, and
   no feature bit tells. Measured once per process (about 0.4 ms); the outcomes are a factor of two away from 1 on both
   sides, so that noise does not decide. Percent of the fma rate. */
atomic_int fv_plan_pair_percent[FVK_ISAS];

static int pair_percent(fvk_isa isa, unsigned isas)
{
    atomic_int *known = &fv_plan_pair_percent[isa];
    int percent = atomic_load_explicit(known, memory_order_relaxed);
    if (!percent) {
        const fvk_row *dot = fvk_find(FVK_PEAK, FVK_BF16, isas, 0), *fma = fvk_find(FVK_PEAK, FVK_F32, isas, 0);
        percent = dot && fma ? (int)(100 * rate(dot) / rate(fma)) + 1 : 1;
        atomic_store_explicit(known, percent, memory_order_relaxed);
    }
    return percent;
}

double fv_plan_fma_rate(unsigned isas)
{
    static _Atomic double known[FVK_ISAS];
    const fvk_row *row = fvk_find(FVK_PEAK, FVK_F32, isas, 0);
    double found = atomic_load_explicit(&known[row->isa], memory_order_relaxed);
    if (found == 0) {
        found = rate(row);
        atomic_store_explicit(&known[row->isa], found, memory_order_relaxed);
    }
    return found;
}

/* The strongest rows of every operation and type, as fvk_find would give them one by one: one walk over the table, for a plan
   asks some forty times. */
typedef struct choice {
    const fvk_row *row[FVK_OPS][FVK_DTYPES];
    int missing;
} choice;

static void choose_rows(unsigned isas, int lanes, choice *c)
{
    for (unsigned i = 0; i < fvk_table_rows; i++) {
        const fvk_row *row = &fvk_table[i], **best = &c->row[row->op][row->dtype];
        if ((isas >> row->isa & 1) && (!row->lanes || row->lanes == lanes) && (!*best || row->isa >= (*best)->isa))
            *best = row;
    }
}

static void (*find(choice *c, fvk_op op, fvk_dtype dtype))(void)
{
    const fvk_row *row = c->row[op][dtype];
    if (!row) {
        c->missing = 1;
        return NULL;
    }
    return row->fn;
}

/* What a tile of the lanes driver goes through. */
static void find_tile(choice *all, fvk_dtype type, fv_kernels *k)
{
    k->pack = (fvk_pack_fn *)find(all, FVK_PACK, type);
    k->pack_f32 = (fvk_pack_fn *)find(all, FVK_PACK, FVK_F32);
    k->qk = (fvk_qk_fn *)find(all, FVK_QK, FVK_F32);
    k->hide = (fvk_hide_fn *)find(all, FVK_HIDE, FVK_F32);
    k->softmax = (fvk_softmax_fn *)find(all, FVK_SOFTMAX, FVK_F32);
    k->pv = (fvk_pv_fn *)find(all, FVK_PV, FVK_F32);
    k->columns = all->row[FVK_PV][FVK_F32] ? all->row[FVK_PV][FVK_F32]->mr : 1;
    k->store = (fvk_store_fn *)find(all, FVK_STORE, FVK_F32);
    k->finish = (fvk_finish_fn *)find(all, FVK_FINISH, FVK_F32);
    k->edit = (fvk_edit_fn *)find(all, FVK_EDIT, FVK_F32);
    k->bias = (fvk_bias_fn *)find(all, FVK_BIAS, FVK_F32);
}

/* The native bf16 dot: `pair` for scores, and what goes with it. */
static void find_pair(choice *all, const fovea_plan *plan, const fvk_row *pair, fv_kernels *k)
{
    const fvk_dtype type = pair->dtype;
    k->qk_pair = (fvk_qk_pair_fn *)pair->fn;
    k->pack_pair = (fvk_pack_pair_fn *)find(all, FVK_PACK_PAIR, type);
    if (pair->isa == FVK_AMX) {
        k->softmax_parts = (fvk_softmax_parts_fn *)find(all, FVK_SOFTMAX_PARTS, type);
        k->values_tile = (fvk_values_tile_fn *)find(all, FVK_VALUES_TILE, type);
        k->pv_tile = (fvk_pv_tile_fn *)find(all, FVK_PV_TILE, type);
        k->parts = plan->problem.precision == FOVEA_PRECISION_FAST ? 1 : 3;
    } else if (plan->problem.precision == FOVEA_PRECISION_FAST) {
        k->softmax_pair = (fvk_softmax_pair_fn *)find(all, FVK_SOFTMAX_PAIR, type);
        k->values_pair = (fvk_values_pair_fn *)find(all, FVK_VALUES_PAIR, type);
        k->pv_pair = (fvk_pv_pair_fn *)find(all, FVK_PV_PAIR, type);
    }
}

/* The narrow tiles of the instruction set that the wide ones are of, with the bf16 dot where these have it. Other families have no
   kernels of their width. */
static void choose_narrow(fovea_plan *plan, const fvk_row *wide)
{
    fv_kernels *k = &plan->narrow.kernel;
    const fvk_dtype type = (fvk_dtype)plan->problem.dtype;
    const fvk_row *row = NULL, *pair;
    choice all = {0};
    for (unsigned i = 0; i < fvk_table_rows && !row; i++)
        if (fvk_table[i].op == wide->op && fvk_table[i].isa == wide->isa && fvk_table[i].lanes < wide->lanes)
            row = &fvk_table[i];
    k->lanes = 0;
    if (!row)
        return;
    choose_rows(plan->context->isas, row->lanes, &all);
    find_tile(&all, type, k);
    pair = plan->work.kernel.qk_pair ? all.row[FVK_QK_PAIR][type] : NULL;
    if (pair)
        find_pair(&all, plan, pair, k);
    k->lanes = all.missing ? 0 : row->lanes;
    plan->narrow_kernel = pair ? pair : all.row[FVK_QK][FVK_F32];
}

int fv_plan_choose(fovea_plan *plan)
{
    const unsigned isas = plan->context->isas;
    const fvk_dtype type = (fvk_dtype)plan->problem.dtype; /* the two enumerations agree */
    fv_kernels *k = &plan->work.kernel;
    const fvk_row *base = fvk_find(FVK_SOFTMAX, FVK_F32, isas, 0), *pair;
    const int bf16 = (int)plan->context->tuning.value[FV_TUNE_BF16];
    choice all = {0};
    if (!base)
        return 0;
    k->lanes = base->lanes;
    choose_rows(isas, k->lanes, &all);
    pair = all.row[FVK_SMALL_SOFTMAX][FVK_F32];
    k->vector = pair ? pair->mr : k->lanes;
    find_tile(&all, type, k);
    k->kept = (fvk_kept_fn *)find(&all, FVK_KEPT, FVK_F32);
    if (type != FVK_F32)
        k->widen = (fvk_widen_fn *)find(&all, FVK_WIDEN, type);
    k->small_tail = (fvk_small_tail_fn *)find(&all, FVK_SMALL_TAIL, FVK_F32);
    k->small_softmax = (fvk_small_softmax_fn *)find(&all, FVK_SMALL_SOFTMAX, FVK_F32);
    k->small_pv = (fvk_small_pv_fn *)find(&all, FVK_SMALL_PV, FVK_F32);
    k->dot = (fvk_dot_fn *)find(&all, FVK_DOT, type);
    k->axpy = (fvk_axpy_fn *)find(&all, FVK_AXPY, type);
    k->row_softmax = (fvk_row_softmax_fn *)find(&all, FVK_ROW_SOFTMAX, FVK_F32);
    k->row_edit = (fvk_row_edit_fn *)find(&all, FVK_ROW_EDIT, FVK_F32);
    k->row.exps = (fvk_exp_fn *)find(&all, FVK_EXP, FVK_F32);
    k->row.range = (fvk_range_fn *)find(&all, FVK_RANGE, FVK_F32);
    k->row.count = (fvk_count_fn *)find(&all, FVK_COUNT, FVK_F32);
    k->row.sift = (fvk_sift_fn *)find(&all, FVK_SIFT, FVK_F32);
    k->row.mass = (fvk_mass_fn *)find(&all, FVK_MASS, FVK_F32);
    k->row.scale = (fvk_scale_fn *)find(&all, FVK_SCALE, FVK_F32);
    k->row.veil = (fvk_veil_fn *)find(&all, FVK_VEIL, FVK_F32);
    k->row.moments = (fvk_moments_fn *)find(&all, FVK_MOMENTS, FVK_F32);
    k->row.ramp = (fvk_ramp_fn *)find(&all, FVK_RAMP, FVK_F32);
    k->column.weigh = (fvk_column_weigh_fn *)find(&all, FVK_COLUMN_WEIGH, FVK_F32);
    k->column.moments = (fvk_column_moments_fn *)find(&all, FVK_COLUMN_MOMENTS, FVK_F32);
    k->column.sums = (fvk_column_sums_fn *)find(&all, FVK_COLUMN_SUMS, FVK_F32);
    k->column.search = (fvk_column_search_fn *)find(&all, FVK_COLUMN_SEARCH, FVK_F32);
    k->column.collect = (fvk_column_collect_fn *)find(&all, FVK_COLUMN_COLLECT, FVK_F32);
    k->column.add = (fvk_column_add_fn *)find(&all, FVK_COLUMN_ADD, FVK_F32);
    plan->narrow.kernel = *k; /* without a word of the bf16 dot */
    pair = all.row[FVK_QK_PAIR][type];
    plan->pair_here = pair != NULL;
    if (pair && bf16 == FV_BF16_AUTO) {
        plan->pair_percent = pair_percent(pair->isa, isas);
        pair = plan->pair_percent > 100 ? pair : NULL;
    } else if (bf16 == FV_BF16_WIDEN)
        pair = NULL;
    if (pair)
        find_pair(&all, plan, pair, k);
    plan->main_kernel = pair ? pair : all.row[FVK_QK][FVK_F32];
    choose_narrow(plan, base);
    return !all.missing;
}
