/* From problem and recipe to a schedule: patterns compiled for each distinct pair of lengths, passes, tasks, workspace. */
#include "plan/plan.h"

#include "core/error.h"
#include "core/numbers.h"
#include "plan/forms.h"
#include "variants/recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#ifdef FV_MINI_TILES
enum { CROWDED = 4, LEAST_HEAD = 0, NEAR_TIMES = 0 };
#else
enum { CROWDED = 512 }; /* rows whose distance in bytes is a multiple of it share at most eight sets of an L1 */
/* Bytes of a head whose keys and values are asked for ahead. 61 keys of 4 numbers, 2 KiB, lose 6 % by it, 49 of 32, 12 KiB, gain 14 */
enum { LEAST_HEAD = 8 << 10, NEAR_TIMES = 2 }; /* the tuning's near bytes are half of the second cache */
#endif
/* Bytes of a key and its value from which blocks are short: 64 keys of d = dv = 512 are 256 KiB, as 128 of half the width. */
enum { WIDE_ROWS = 3072, WIDE_KEYS = 64 };
enum { NARROW_TILES = 4 }; /* that share a block, at most: no head has more where they pay */

_Static_assert(2 * (int)FV_TILES_MOST == (int)FV_MAX_TILES, "bounds of the tuning key and of the driver");

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t tuned(const fovea_plan *plan, fv_tune key)
{
    return (int64_t)plan->context->tuning.value[key];
}

static fovea_status no_memory(fovea_error *err, const char *what, size_t bytes)
{
    return fv_error_set(err, FOVEA_ERROR_MEMORY, "no memory for %s of a plan (%zu bytes)", what, bytes);
}

/* Copies the problem and its arrays; fills in the output strides. */
static fovea_status copy_problem(fovea_plan *plan, const fovea_problem *problem, fovea_error *err)
{
    const fv_memory *memory = &plan->context->memory;
    fovea_problem *p = &plan->problem;
    *p = *problem;
    if (p->nseq) {
        size_t bytes = (size_t)(p->nseq + 1) * sizeof(int64_t);
        plan->cu = fv_memory_get(memory, 2 * bytes);
        if (!plan->cu)
            return no_memory(err, "the cumulative lengths", 2 * bytes);
        memcpy(plan->cu, p->cu_q, bytes);
        memcpy(plan->cu + p->nseq + 1, p->cu_k, bytes);
        p->cu_q = plan->cu;
        p->cu_k = plan->cu + p->nseq + 1;
    }
    if (p->nrows >= 0) {
        size_t bytes = (size_t)p->nrows * sizeof(int64_t);
        plan->rows = fv_memory_get(memory, bytes);
        if (!plan->rows)
            return no_memory(err, "the query rows", bytes);
        if (bytes)
            memcpy(plan->rows, p->rows, bytes);
        p->rows = plan->rows;
    }
    plan->work.out_rows = p->nrows >= 0 ? p->nrows : p->lq;
    if (!p->o.batch && !p->o.head && !p->o.token)
        p->o = (fovea_strides){p->hq * plan->work.out_rows * p->dv, plan->work.out_rows * p->dv, p->dv};
    return FOVEA_OK;
}

/* ALiBi: 2^(-8 (h + 1) / n) for n = hq a power of two; else the slopes of the power of two below, then every second one of
   the power above. Press et al. 2021, arXiv 2108.12409, and its reference code. */
static fovea_status make_slopes(fovea_plan *plan, fovea_error *err)
{
    int64_t hq = plan->problem.hq, n = 1;
    plan->slopes = fv_memory_get(&plan->context->memory, (size_t)hq * sizeof(float));
    if (!plan->slopes)
        return no_memory(err, "the slopes", (size_t)hq * sizeof(float));
    while (2 * n <= hq)
        n *= 2;
    for (int64_t h = 0; h < hq; h++)
        plan->slopes[h] = h < n ? (float)exp2(-8.0 * (double)(h + 1) / (double)n)
                                : (float)exp2(-8.0 * (double)(2 * (h - n) + 1) / (double)(2 * n));
    plan->work.slopes = plan->slopes;
    return FOVEA_OK;
}

/* Edits: what the SPEC sets wins over the problem. */
static fovea_status set_edits(fovea_plan *plan, const fv_build *b, fovea_error *err)
{
    fovea_problem *p = &plan->problem;
    fv_work *w = &plan->work;
    double scale = b->scale_set ? b->scale : p->scale != 0 ? p->scale : 1 / sqrt((double)p->d);
    if (b->causal_set)
        p->causal = b->causal;
    w->softcap = (float)(b->softcap_set ? b->softcap : p->softcap);
    w->alibi = b->alibi_set ? b->alibi : p->alibi;
    w->has_bias = p->has_bias;
    w->edits = w->softcap > 0 || w->alibi || w->has_bias;
    w->zero_logit = b->zero_logit;
    w->sink_all = -INFINITY;
    if (b->sink_set) {
        w->sink_all = (float)b->sink;
        p->has_sinks = 0;
    } else if (p->has_sink)
        w->sink_all = (float)p->sink;
    w->sink = w->zero_logit || p->has_sinks || w->sink_all > -INFINITY;
    w->normaliser = b->normaliser ? fv_normaliser_find(b->normaliser) : NULL;
    if (b->normaliser && !w->normaliser)
        return fv_error_set(err, FOVEA_ERROR_VARIANT, "normaliser \"%s\" is not in this build", b->normaliser);
    memcpy(w->arg, b->arg, sizeof w->arg);
    /* log2 e is folded into q only where nothing stands between the dot and the softmax but a bias */
    w->scale = (float)(w->softcap > 0 || w->alibi || w->normaliser ? scale : scale * FVK_LOG2E);
    plan->has_lse = !w->normaliser || w->normaliser->has_lse;
    if (w->sink && w->normaliser && !w->normaliser->has_lse)
        return fv_error_set(err, FOVEA_ERROR_SINK, "a sink logit with %s: this normaliser has no denominator to join",
                            w->normaliser->name);
    return w->alibi ? make_slopes(plan, err) : FOVEA_OK;
}

static fovea_status compile(fovea_plan *plan, fv_lengths *lengths, const fv_pattern_env *env, const fv_build *b,
                            fovea_error *err)
{
    const fv_memory *memory = &plan->context->memory;
    int causal = plan->problem.causal && !b->fixes_causality;
    for (unsigned i = 0; i < b->patterns; i++) {
        size_t bytes = strlen(b->pattern[i]) + 16;
        char *text = fv_memory_get(memory, bytes);
        fovea_status status;
        if (!text)
            return no_memory(err, "a pattern", bytes);
        snprintf(text, bytes, causal ? "causal & (%s)" : "%s", b->pattern[i]);
        status = fv_pattern_compile(env, text, &lengths->shape, &lengths->pattern[i], err);
        fv_memory_put(memory, text);
        if (status)
            return status;
        lengths->patterns = i + 1;
    }
    return FOVEA_OK;
}

/* One pass: which form, how many tasks. */
static void set_pass(fovea_plan *plan, fv_lengths *lengths, fv_pattern *pattern, unsigned part, int64_t step, void *scratch)
{
    fv_pass *pass = &lengths->pass[lengths->passes++];
    *pass = (fv_pass){.pattern = pattern, .part = part, .step = step, .splits = 1};
    pass->classes = step < lengths->rows ? step : lengths->rows;
    fv_forms_choose(plan, lengths, pass, scratch);
}

static fovea_status set_passes(fovea_plan *plan, fv_lengths *lengths, fovea_error *err)
{
    const size_t bytes = fv_forms_scratch(lengths);
    void *scratch = fv_memory_get(&plan->context->memory, bytes);
    fovea_status status = scratch ? FOVEA_OK : no_memory(err, "the spans of a tile", bytes);
    for (unsigned i = 0; i < lengths->patterns && !status; i++) {
        fv_pattern *pattern = lengths->pattern[i];
        unsigned parts = fv_pattern_parts(pattern);
        if (lengths->passes + parts > FV_MAX_PASSES)
            status = fv_error_set(err, FOVEA_ERROR_SHAPE, "the variant needs more than %d passes", FV_MAX_PASSES);
        /* a list of rows, or a whole row of scores, has no classes */
        else if (plan->work.normaliser || plan->work.rows)
            set_pass(plan, lengths, pattern, FV_PATTERN_WHOLE, 1, scratch);
        else
            for (unsigned part = 0; part < parts; part++)
                set_pass(plan, lengths, pattern, part, fv_pattern_step(pattern, part), scratch);
    }
    fv_memory_put(&plan->context->memory, scratch);
    if (!status) {
        lengths->pass[0].first = 1;
        lengths->pass[lengths->passes - 1].last = 1;
    }
    return status;
}

/* The entry for a pair of lengths, compiled on first sight. */
static fovea_status find_lengths(fovea_plan *plan, const fovea_recipe *recipe, int64_t lq, int64_t lk, fv_lengths **found,
                                 fovea_error *err)
{
    const fovea_context *c = plan->context;
    const fv_pattern_env env = {&c->memory, c->load, c->unload, c->load_user, c->seed};
    fv_lengths *lengths;
    fv_build build;
    fovea_status status;
    for (int64_t i = plan->shapes - 1; i >= 0; i--)
        if (plan->lengths[i].shape.lq == lq && plan->lengths[i].shape.lk == lk) {
            *found = &plan->lengths[i];
            return FOVEA_OK;
        }
    *found = lengths = &plan->lengths[plan->shapes];
    memset(lengths, 0, sizeof *lengths);
    lengths->shape = (fv_shape){lq, lk, plan->problem.hq};
    lengths->rows = plan->work.rows ? plan->problem.nrows : lq;
    status = fv_recipe_build(recipe, &env, &lengths->shape, &build, err);
    if (status)
        return status;
    if (plan->shapes++ == 0)
        status = set_edits(plan, &build, err);
    if (!status)
        status = compile(plan, lengths, &env, &build, err);
    fv_build_free(&c->memory, &build);
    return status ? status : set_passes(plan, lengths, err);
}

/* Which f32 rows are copied for tiles that share them: those that crowd in a few sets of the caches. qk walks along the rows,
   so keys that lie side by side are well where they are: copying them costs 2 to 4 % with 8 tiles and fewer. The same
   holds for values where pv takes most of a line at a time: 4 % with 4 tiles (d = 384, 512), 1.5 with 8, a gain from 16. */
static void set_copies(fovea_plan *plan)
{
    const fovea_problem *p = &plan->problem;
    fv_work *w = &plan->work;
    w->copy_keys = p->k.token * (int64_t)sizeof(float) % CROWDED == 0 && p->k.token != p->d;
    w->copy_values = p->v.token * (int64_t)sizeof(float) % CROWDED == 0;
    w->copies = !w->kernel.widen && (w->copy_keys || w->copy_values) ? (int)tuned(plan, FV_TUNE_COPY_TILES) : 0;
    if (!w->copy_keys && p->v.token == p->dv && w->kernel.columns >= 8)
        w->copies *= 3;
}

/* Whether tasks of few keys, and lane tiles alone, ask for what comes next: not where all is near, nor for heads so small that the hardware
   sees a stream. */
static int asks(const fovea_plan *plan)
{
    const fovea_problem *p = &plan->problem;
    const double size = (double)fv_dtype_bytes(p->dtype), head = (double)(p->lk * (p->d + p->dv)) * size;
    const double rows = (double)(p->lq * p->d) * size + (double)(p->lq * p->dv) * (double)sizeof(float);
    const double all = (double)p->batch * ((double)p->hkv * head + (double)p->hq * rows);
    return head >= LEAST_HEAD && all > NEAR_TIMES * (double)tuned(plan, FV_TUNE_NEAR_BYTES);
}

/* Whether keys and values of a head stay in near caches by themselves, from one tile to the next: then many tiles, whose queries and
   outputs push them out, gain nothing from sharing blocks: 2 % lost dense, 5 causal, of 512 keys and d = 128. Rows that crowd a
   cache or are widened are better shared. */
static int stays_near(const fovea_plan *plan)
{
    const fovea_problem *p = &plan->problem;
    const double bytes = (double)p->lk * (double)(p->d + p->dv) * sizeof(float);
    return p->dtype == FOVEA_F32 && p->k.token == p->d && p->v.token == p->dv && bytes <= tuned(plan, FV_TUNE_NEAR_BYTES);
}

/* Keys per block and tiles per task, from the head size: a block of K and V, and the tiles' own data, stay in L2. */
static void set_tiles(const fovea_plan *plan, fv_work *w)
{
    /* twice the room where values are turned once per block for all its tiles, on CPUs with twice the second cache */
    const int64_t room = tuned(plan, FV_TUNE_TILE_BYTES) * (w->kernel.pv_tile ? 2 : 1) / (stays_near(plan) ? 2 : 1);
    const int64_t query = plan->problem.d * (w->kernel.qk_pair ? 2 : 4), output = plan->problem.dv * 4;
    const int64_t tile = (query + output) * w->kernel.lanes;
    int64_t tiles;
    w->block = (int)tuned(plan, FV_TUNE_BLOCK) * plan->work.kernel.lanes / w->kernel.lanes; /* of as many scores */
    if (w->kernel.pv_tile && w->kernel.parts == 1) /* bf16 probabilities in the place of their scores: 7 to 15 % faster */
        w->block *= 2;
    if (w->block > WIDE_KEYS && !w->kernel.qk_pair && (plan->problem.d + plan->problem.dv) * (int64_t)sizeof(float) >= WIDE_ROWS)
        w->block = WIDE_KEYS;
    /* crowded rows are copied once per task: twice the tiles pay for it where they find room */
    w->tiles = (int)tuned(plan, FV_TUNE_TILES) * (w->copies && w->copy_keys ? 2 : 1);
    if (w == &plan->narrow && w->tiles > NARROW_TILES)
        w->tiles = NARROW_TILES;
    while (w->tiles > 1 && w->tiles * tile > room)
        w->tiles /= 2;
    /* fewer tiles per task rather than idle workers; how tiles are grouped changes no bit of the result */
    tiles = plan->problem.batch * plan->problem.hkv * divide_up(w->group * w->out_rows, w->kernel.lanes);
    while (w->tiles > 1 && !(w == &plan->narrow && plan->context->threads.workers == 1) &&
           tiles < 4 * (int64_t)plan->context->threads.workers * w->tiles)
        w->tiles /= 2;
}

/* The work once more with the kernels and blocks of narrow tiles; again whenever the work has changed. */
static void set_narrow(fovea_plan *plan)
{
    const fv_kernels kernel = plan->narrow.kernel;
    const int mr = plan->narrow_kernel ? plan->narrow_kernel->mr : 1;
    if (!kernel.lanes)
        return;
    plan->work.narrow = NULL;
    plan->narrow = plan->work;
    plan->narrow.kernel = kernel;
    set_tiles(plan, &plan->narrow);
    if (plan->narrow.block > mr) /* whole micro-tiles */
        plan->narrow.block -= plan->narrow.block % mr;
    plan->work.narrow = &plan->narrow;
}

/* What the other drivers go by. */
static void set_others(fovea_plan *plan)
{
    fv_work *w = &plan->work;
    w->asks = asks(plan);
    w->row_block = (int)tuned(plan, FV_TUNE_ROW_BLOCK);
    if (plan->problem.dtype == FOVEA_F32)
        w->row_ahead = w->row_ahead_keys = w->row_ahead_values = (int)tuned(plan, FV_TUNE_ROW_AHEAD);
    else {
        w->row_ahead = (int)tuned(plan, FV_TUNE_ROW_AHEAD_HALF);
        w->row_ahead_keys = (int)tuned(plan, FV_TUNE_ROW_AHEAD_HALF_SINGLE);
        w->row_ahead_values = w->row_ahead_keys / 2 * 3;
        w->row_block *= 2; /* as many bytes before a turn: 2 to 7 % from memory */
    }
    if (plan->problem.lk < w->row_block)
        w->row_block = plan->problem.lk < 16 ? 16 : (int)((plan->problem.lk + 15) & ~(int64_t)15);
}

static fovea_status set_sequences(fovea_plan *plan, const fovea_recipe *recipe, fovea_error *err)
{
    const fovea_problem *p = &plan->problem;
    fv_work *w = &plan->work;
    const fv_memory *memory = &plan->context->memory;
    size_t bytes;
    w->sequences = p->nseq ? p->nseq : p->batch;
    bytes = (size_t)w->sequences * sizeof *w->sequence;
    w->sequence = fv_memory_zero(memory, bytes);
    if (!w->sequence)
        return no_memory(err, "the sequences", bytes);
    bytes = (size_t)(p->nseq ? p->nseq : 1) * sizeof *plan->lengths;
    plan->lengths = fv_memory_zero(memory, bytes);
    if (!plan->lengths)
        return no_memory(err, "the shapes", bytes);
    for (int64_t i = 0; i < w->sequences; i++) {
        fv_sequence *s = &w->sequence[i];
        fv_lengths *lengths;
        int64_t lq = p->nseq ? p->cu_q[i + 1] - p->cu_q[i] : p->lq, lk = p->nseq ? p->cu_k[i + 1] - p->cu_k[i] : p->lk;
        fovea_status status = find_lengths(plan, recipe, lq, lk, &lengths, err);
        if (status)
            return status;
        s->lengths = lengths;
        s->batch = p->nseq ? 0 : i;
        s->q0 = p->nseq ? p->cu_q[i] : 0;
        s->k0 = p->nseq ? p->cu_k[i] : 0;
    }
    return FOVEA_OK;
}

/* Passes whose work is worth no second thread. Which threads compute changes no bit. */
static fovea_status set_alone(fovea_plan *plan, fovea_error *err)
{
    fv_work *w = &plan->work;
    const double least = plan->context->tuning.value[FV_TUNE_THREAD_FLOPS];
    for (unsigned k = 0; k < w->passes; k++) {
        int small = plan->context->threads.workers == 1 || w->tasks[k] < 2 ? 1 : fv_forms_is_small(plan, k, least);
        if (small < 0)
            return no_memory(err, "the spans of a tile", 0);
        w->alone[k] = small;
    }
    return FOVEA_OK;
}

/* Numbers the tasks and adds up the workspace. */
static fovea_status set_workspace(fovea_plan *plan, fovea_error *err)
{
    const fovea_problem *p = &plan->problem;
    fv_work *w = &plan->work;
    size_t workers = plan->context->threads.workers, scratch = 0, partials = 0;
    int splits = 0;
    for (int64_t i = 0; i < plan->shapes; i++) {
        fv_lengths *lengths = &plan->lengths[i];
        w->passes = lengths->passes > w->passes ? lengths->passes : w->passes;
        w->mask_keys = lengths->shape.lk > w->mask_keys ? lengths->shape.lk : w->mask_keys;
        for (unsigned k = 0; k < lengths->passes; k++) {
            const fv_pass *pass = &lengths->pass[k];
            size_t need = pass->driver == FV_DRIVE_LANES  ? fv_lanes_scratch(pass->narrow ? w->narrow : w, pass)
                          : pass->driver == FV_DRIVE_ROWS ? fv_rows_scratch(w, pass)
                          : pass->driver == FV_DRIVE_SMALL ? fv_small_scratch(w, lengths, pass)
                          : pass->driver == FV_DRIVE_THIN ? fv_thin_scratch(w, lengths)
                                                          : fv_pruned_scratch(w, lengths, pass);
            scratch = need > scratch ? need : scratch;
            splits |= pass->splits > 1;
        }
    }
    for (unsigned k = 0; k < w->passes; k++) {
        for (int64_t i = 0; i < w->sequences; i++) {
            fv_sequence *s = &w->sequence[i];
            s->unit0[k] = w->tasks[k];
            w->tasks[k] += k < s->lengths->passes ? s->lengths->pass[k].units * p->hkv : 0;
        }
        if (splits && (size_t)w->tasks[k] > partials)
            partials = (size_t)w->tasks[k];
    }
    w->partials = (int64_t)partials;
    w->merge_alone = 4.0 * (double)(partials * FVK_MAX_ROWS) * (double)p->dv < plan->context->tuning.value[FV_TUNE_THREAD_FLOPS];
    w->state_bytes = 0;
    if (w->passes > 1)
        w->state_bytes = 2 * (((size_t)(p->batch * p->hq * w->out_rows) * sizeof(float) + 63) & ~(size_t)63);
    w->shared_bytes = w->state_bytes + ((partials * FVK_MAX_ROWS * (size_t)(p->dv + 2) * sizeof(float) + 63) & ~(size_t)63);
    w->scratch_bytes = (scratch + 63) & ~(size_t)63;
    if (__builtin_mul_overflow(w->scratch_bytes, workers, &plan->workspace) ||
        __builtin_add_overflow(plan->workspace, w->shared_bytes, &plan->workspace))
        return fv_error_set(err, FOVEA_ERROR_OVERFLOW, "the workspace of %zu workers at %zu bytes does not fit", workers,
                            w->scratch_bytes);
    return FOVEA_OK;
}

fovea_status fv_plan_make(const fovea_context *context, const fovea_problem *problem, const fovea_recipe *recipe,
                          fovea_plan *plan, fovea_error *err)
{
    fv_work *w = &plan->work;
    fovea_status status;
    plan->context = context;
    status = copy_problem(plan, problem, err);
    if (status)
        return status;
    w->group = problem->hq / problem->hkv;
    w->rows = plan->rows;
    if (!fv_plan_choose(plan))
        return fv_error_set(err, FOVEA_ERROR_ISA, "this build lacks kernels for %s under the instruction sets allowed",
                            fv_dtype_name(problem->dtype));
    set_copies(plan);
    set_tiles(plan, w);
    set_others(plan);
    set_narrow(plan); /* the forms ask what it costs */
    status = set_sequences(plan, recipe, err);
    w->problem = plan->problem;
    set_narrow(plan);
    if (!status)
        status = set_workspace(plan, err);
    if (!status)
        status = set_alone(plan, err);
    set_narrow(plan);
    plan->spec = fv_memory_text(&context->memory, fovea_recipe_spec(recipe));
    if (!status && !plan->spec)
        status = no_memory(err, "the SPEC", strlen(fovea_recipe_spec(recipe)) + 1);
    return status;
}

void fv_plan_clear(fovea_plan *plan)
{
    const fv_memory *memory = &plan->context->memory;
    for (int64_t i = 0; plan->lengths && i < plan->shapes; i++)
        for (unsigned k = 0; k < plan->lengths[i].patterns; k++)
            fv_pattern_free(plan->lengths[i].pattern[k]);
    fv_memory_put(memory, plan->lengths);
    fv_memory_put(memory, plan->work.sequence);
    fv_memory_put(memory, plan->cu);
    fv_memory_put(memory, plan->rows);
    fv_memory_put(memory, plan->slopes);
    fv_memory_put(memory, plan->spec);
    fv_memory_put(memory, plan->text);
}
