/* The table of forms and what each costs. See forms.h for the unit.

   The constants were fitted (least squares of relative errors) to the times of both softmax forms over 1..48 query rows,
   d = 32..256 and 16..16384 keys, f32 and 16-bit, on a CPU that starts two 512-bit fma per cycle, with avx512 and with avx2: one set
   for all, within 15 % of nearly every time. That is enough, for away from the crossing the forms differ by more, and at it either
   is right. Where a machine differs as a whole, the tuning scales a form (lanes_cost, rows_cost). */
#include "plan/forms.h"

#include "core/cpu.h"
#include "core/numbers.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { SAMPLES = 4, TASKS_WANTED = 16, ROWS_TALLEST = 64 };
#ifdef FV_MINI_TILES
enum { SMALL_KEYS = 20, SMALL_ROWS = 16, THIN_KEYS = 24, THIN_CROWDED = 2 << 10 };
#else
enum {
    SMALL_KEYS = 224, /* most keys of the small form */
    SMALL_ROWS = 64,  /* query rows per task of it: with 64 keys their scores are 16 KiB */
    THIN_KEYS = 512,  /* most keys of the thin form */
    THIN_CROWDED = 128 << 10 /* bytes of keys and values that it reads where they crowd */
};
#endif

static double slot_flops(const fovea_plan *plan);

/* Lanes: V vectors per tile. Exponentials of a vector take 7 to 8 cycles; the rest of a key is filling pointers and masks. */
static const double lanes_tile = 900, lanes_tile_dim = 12.5, lanes_key = 8, lanes_key_vector = 18, lanes_key_dim = 0.97,
                    lanes_widen = 8, lanes_overlap = 0.85;
/* Tiles of one vector load with every fma. Narrow ones mostly walk alone and ask for each key ahead of its turn. */
static const double lanes_key_dim_single = 1.15, narrow_tile = 2500, narrow_overlap = 0.6;
/* What work in a single task is taken to cost beside what can be shared. */
static const double one_task = 1.5;
/* Rows: per unit of up to 8 rows, per row, per key and per row and key; _dim of each vector of d and dv. */
static const double rows_unit = 1250, rows_row = 320, rows_row_dim = 60, rows_key = 16, rows_key_dim = 1.9, rows_row_key = 3,
                    rows_row_key_dim = 0.95, rows_row_key_dim_half = 0.85, rows_overlap = 0.35;
/* Pruned: the lanes form's scores of every key, and per score the normaliser; what is kept of the values depends on data. */
static const double pruned_score = 4;
/* Small: per task, per vector of packed keys, per row, per row and vector of scores, per multiply-add. */
static const double small_unit = 900, small_pack = 14, small_row = 70, small_vector = 17, small_fma = 0.97,
                    small_fma_narrow = 1.15, small_bias = 7;
/* Thin: per task, tile, vector of its queries and of its output, key, vector of scores, multiply-add. */
static const double thin_unit = 250, thin_tile = 500, thin_tile_dim = 12, thin_key = 4, thin_vector = 14, thin_fma = 0.97,
                    thin_bias = 20;
/* Soft cap and ALiBi per vector of scores; a bias tensor per score. */
static const double edit_vector = 20, bias_score = 3;

/* Vectors of a lane tile. */
static double tile_vectors(const fv_work *w)
{
    return (double)w->kernel.lanes / w->kernel.vector;
}

static double tuned(const fovea_plan *plan, fv_tune key)
{
    return plan->context->tuning.value[key];
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* ------------------------------------------------------------------ what a pass asks for */

/* Query rows that share a key/value head. */
static int64_t tallest(const fv_offer *o)
{
    return o->plan->work.group * divide_up(o->lengths->rows, o->pass->step);
}

/* Keys that a unit of `width` lanes reads. Of few query rows one unit is asked, and the answer decides between forms; of many a few
   are asked, evenly spread, and it is for predicting only. All of the first head. */
static double unit_keys(const fv_offer *o, int width)
{
    const fv_work *w = &o->plan->work;
    const fv_sequence sequence = {.lengths = o->lengths};
    const fv_task task = {&sequence, o->pass, 0, 0};
    const int64_t units = fv_work_units(w, o->lengths, o->pass->step, width), most = tallest(o) > ROWS_TALLEST ? SAMPLES : 1;
    const int64_t asked = units < most ? units : most;
    double keys = 0;
    if (!isnan(o->keys))
        return o->keys;
    for (int64_t i = 0; i < asked; i++) {
        fv_place place[FVK_MAX_LANES];
        fv_lane lane[FVK_MAX_LANES];
        const fv_span *span;
        int64_t class;
        int n = fv_work_places(w, &task, asked > 1 ? i * (units - 1) / (asked - 1) : units / 2, width, place, &class);
        size_t spans;
        for (int k = 0; k < n; k++)
            lane[k] = place[k].lane;
        spans = fv_pattern_tile(o->pass->pattern, o->pass->part, lane, (unsigned)n, class, o->scratch, &span);
        for (size_t k = 0; k < spans; k++)
            keys += (double)(span[k].hi - span[k].lo);
    }
    return asked ? keys / (double)asked : 0;
}

/* Bytes that far memory delivers in a slot. Without measured rates a ratio that holds within a third on the machines met. */
static double read_bytes(const fovea_plan *plan)
{
    const double fma = tuned(plan, FV_TUNE_FMA), read = tuned(plan, FV_TUNE_READ);
    return fma > 0 && read > 0 ? read / fma * slot_flops(plan) : 5.5;
}

/* Slots to bring `reads` rounds of n keys and their values from far memory: what does not stay near between two rounds. A head that
   is near as a whole comes from far once, and a third as dear after that. */
static double far_slots(const fv_offer *o, double reads, double n)
{
    const fovea_problem *p = &o->plan->problem;
    const double row = (double)(p->d + p->dv) * (double)fv_dtype_bytes(p->dtype);
    const double all = (double)(p->batch * p->hkv) * (double)o->lengths->shape.lk * row;
    const double lk = (double)o->lengths->shape.lk, near = tuned(o->plan, FV_TUNE_NEAR_BYTES);
    const double far = all > 0 ? 1 - near / all : 0, keys = reads * n > lk && lk * row <= near ? lk + (reads * n - lk) / 3 : reads * n;
    return far > 0 ? far * keys * row / read_bytes(o->plan) : 0;
}

/* Computing and reading overlap in part. */
static double both(double compute, double far, double overlap)
{
    return compute > far ? compute + overlap * far : far + overlap * compute;
}

static double edits(const fv_work *w, double vectors, double scores)
{
    return (w->softcap > 0 || w->alibi ? edit_vector * vectors : 0) + (w->has_bias ? bias_score * scores : 0);
}

/* ------------------------------------------------------------------ lanes */

static int lanes_eligible(fv_offer *o, char why[FV_FORM_REASON])
{
    if (!o->plan->work.normaliser)
        return 1;
    snprintf(why, FV_FORM_REASON, "normaliser %s has no online form", o->plan->work.normaliser->name);
    return 0;
}

/* Slots of `units` tiles of `keys` keys each: compute alone. */
static double lanes_compute(const fv_offer *o, const fv_work *w, double units, double tasks, double keys)
{
    const fovea_problem *p = &o->plan->problem;
    const double v = tile_vectors(w), vl = w->kernel.vector, key_dim = v > 1 ? lanes_key_dim : lanes_key_dim_single;
    /* beyond four times the rate of fma what is around the products decides, and a form must not hang on a measurement */
    const int percent = o->plan->pair_percent > 400 ? 400 : o->plan->pair_percent;
    const double score = w->kernel.qk_pair ? 100.0 / (percent ? percent : 100) : 1;
    const double value = w->kernel.pv_tile ? (1 + w->kernel.parts) / 2 * score : w->kernel.pv_pair ? score : 1;
    const int64_t deep = w->kernel.pv_tile ? 32 : 1, wide_as = w->kernel.pv_tile ? 16 : 1; /* a tile is computed whole */
    const double dim = (double)(divide_up(p->d, deep) * deep) * score + (double)(divide_up(p->dv, wide_as) * wide_as) * value;
    const double wide = !w->kernel.widen ? 0 : (double)(w->kernel.qk_pair ? p->dv : p->d + p->dv) / vl;
    return units * (lanes_tile + lanes_tile_dim * (double)(p->d + p->dv) * v) +
           units * keys * (v * (key_dim * dim + lanes_key_vector) + lanes_key + edits(w, v, w->kernel.lanes)) +
           tasks * keys * wide * lanes_widen;
}

/* Keys of a tile that cost nothing: where rows end one key after the other, as under a causal edge, half of the vectors see
   nothing of half of the keys at the edge. A quarter would fall away; measured, an eighth does. Where few keys stay near anyway
   the small form is as good, and widened rows are shared in blocks that edges have no part in. */
static double unseen_keys(const fv_offer *o)
{
    const fv_work *w = &o->plan->work;
    int64_t back, ahead;
    if (o->lengths->shape.lk <= SMALL_KEYS || w->kernel.widen || fv_pattern_parts(o->pass->pattern) > 1 ||
        !fv_pattern_band(o->pass->pattern, o->pass->part, &back, &ahead) || ahead >= o->lengths->shape.lk)
        return 0;
    return w->kernel.lanes / 8.0;
}

static double tiles_cost(fv_offer *o, const fv_work *w, double unseen)
{
    const int64_t units = fv_work_units(w, o->lengths, o->pass->step, w->kernel.lanes);
    const double seen = unit_keys(o, w->kernel.lanes), keys = seen > unseen ? seen - unseen : seen;
    /* tiles per task follow the number of workers, so they must not count where there is a choice */
    const int choice = tallest(o) <= ROWS_TALLEST || o->lengths->shape.lk <= SMALL_KEYS;
    const double tasks = (double)(choice ? units : divide_up(units, w->tiles));
    /* narrow tiles of a head share blocks: its keys come as often as for wide ones and are widened once */
    const int narrow = w != &o->plan->work;
    const double reads = narrow ? ceil(tasks * w->kernel.lanes / o->plan->work.kernel.lanes) : tasks;
    const double widened = narrow ? ceil(tasks * w->kernel.lanes / ROWS_TALLEST) : tasks;
    const double compute = lanes_compute(o, w, (double)units, widened, keys) + (narrow ? narrow_tile * (double)units : 0);
    o->units = divide_up(units, w->tiles);
    o->splits = 1;
    return tuned(o->plan, FV_TUNE_LANES_COST) *
           both(compute, far_slots(o, reads, keys), narrow ? narrow_overlap : lanes_overlap);
}

static double lanes_cost(fv_offer *o)
{
    return tiles_cost(o, &o->plan->work, unseen_keys(o));
}

/* The same loop over narrow tiles, for heads whose rows leave much of a wide one idle. */
static int narrow_eligible(fv_offer *o, char why[FV_FORM_REASON])
{
    if (!lanes_eligible(o, why))
        return 0;
    if (!o->plan->work.narrow)
        snprintf(why, FV_FORM_REASON, "the instruction set has tiles of one width");
    else if (tallest(o) > ROWS_TALLEST && tuned(o->plan, FV_TUNE_FORM) != FV_FORM_NARROW)
        snprintf(why, FV_FORM_REASON, "%lld query rows share a key/value head, and fill tiles of %d", (long long)tallest(o),
                 o->plan->work.kernel.lanes);
    else
        return 1;
    return 0;
}

static double narrow_cost(fv_offer *o)
{
    return tiles_cost(o, o->plan->work.narrow, 0);
}

/* ------------------------------------------------------------------ rows */

static int rows_eligible(fv_offer *o, char why[FV_FORM_REASON])
{
    if (!lanes_eligible(o, why))
        return 0;
    if (tallest(o) <= ROWS_TALLEST || tuned(o->plan, FV_TUNE_FORM) == FV_FORM_ROWS)
        return 1;
    snprintf(why, FV_FORM_REASON, "%lld query rows share a key/value head, and it reads every key once for %d of them",
             (long long)tallest(o), FVK_MAX_ROWS);
    return 0;
}

/* Key ranges per unit. Long ones are cut so that many workers find tasks; where heads and units are few they are cut
   shorter, for then even a few workers would stand idle. By shape alone: the bits of a result depend on it. */
static int64_t rows_splits(const fv_offer *o, int64_t units, double keys)
{
    const int64_t most = (int64_t)tuned(o->plan, FV_TUNE_SPLIT), least = most / 4 > 16 ? most / 4 : 16;
    const int64_t tasks = o->plan->problem.hkv * o->plan->work.sequences * units, n = (int64_t)ceil(keys);
    int64_t splits = tasks > 0 ? divide_up(TASKS_WANTED, tasks) : 1;
    if (splits > n / least)
        splits = n / least;
    if (splits < divide_up(n, most))
        splits = divide_up(n, most);
    return splits < 1 ? 1 : splits;
}

static double rows_cost(fv_offer *o)
{
    const fv_work *w = &o->plan->work;
    const fovea_problem *p = &o->plan->problem;
    const int64_t n = fv_work_units(w, o->lengths, o->pass->step, FVK_MAX_ROWS);
    const double vl = w->kernel.vector;
    const double vectors = ceil((double)p->d / vl) + ceil((double)p->dv / vl);
    const double units = (double)n, rows = (double)(w->group * o->lengths->rows), keys = unit_keys(o, FVK_MAX_ROWS);
    const double per_row_key_dim = w->kernel.widen ? rows_row_key_dim_half : rows_row_key_dim;
    double pieces, compute;
    o->splits = rows_splits(o, n, keys);
    o->units = n * o->splits;
    pieces = (double)(o->splits > 1 ? o->splits + 1 : 1);
    compute = pieces * (units * rows_unit + rows * (rows_row + rows_row_dim * vectors)) +
              units * keys * (rows_key + rows_key_dim * vectors) +
              rows * keys * (rows_row_key + per_row_key_dim * vectors + edits(w, 1 / vl, 1));
    return tuned(o->plan, FV_TUNE_ROWS_COST) * both(compute, far_slots(o, units, keys), rows_overlap);
}

/* ------------------------------------------------------------------ pruned */

static int pruned_eligible(fv_offer *o, char why[FV_FORM_REASON])
{
    if (o->plan->work.normaliser)
        return 1;
    snprintf(why, FV_FORM_REASON, "softmax has an online form and needs no whole row of scores");
    return 0;
}

static double pruned_cost(fv_offer *o)
{
    const fv_work *w = &o->plan->work;
    const double keys = unit_keys(o, w->kernel.lanes);
    o->units = fv_work_units(w, o->lengths, o->pass->step, w->kernel.lanes);
    o->splits = 1;
    return lanes_compute(o, w, (double)o->units, (double)o->units, keys) +
           (double)o->units * keys * w->kernel.lanes * pruned_score;
}

/* ------------------------------------------------------------------ small */

/* One pass over few keys, all of them seen up to some edge, no edit but a bias. */
static int few_keys(fv_offer *o, int most, char why[FV_FORM_REASON])
{
    const fv_work *w = &o->plan->work;
    const fovea_problem *p = &o->plan->problem;
    const int64_t lk = o->lengths->shape.lk;
    int64_t back;
    if (!lanes_eligible(o, why))
        return 0;
    if (lk < 1 || lk > most)
        snprintf(why, FV_FORM_REASON, "%lld keys, and scores of 1 to %d stay near", (long long)lk, most);
    else if (p->d > 256 || p->dv > 256)
        snprintf(why, FV_FORM_REASON, "heads of more than 256 numbers");
    else if (w->softcap > 0 || w->alibi)
        snprintf(why, FV_FORM_REASON, "it knows no soft cap and no ALiBi");
    else if (o->lengths->patterns > 1 || fv_pattern_parts(o->pass->pattern) > 1 ||
             !fv_pattern_band(o->pass->pattern, o->pass->part, &back, &o->ahead) || back < lk + o->lengths->shape.lq)
        snprintf(why, FV_FORM_REASON, "every row must see all keys up to an edge");
    else
        return 1;
    return 0;
}

static int small_eligible(fv_offer *o, char why[FV_FORM_REASON])
{
    return few_keys(o, SMALL_KEYS, why);
}

/* Share of the keys that rows see, and of their vectors that are computed: from a few rows, evenly spread. The key behind
   a row's last and those that are computed for its neighbours are `beyond`. */
static double small_share(const fv_offer *o, int beyond)
{
    const fv_shape *shape = &o->lengths->shape;
    double sum = 0;
    for (int i = 0; i < 8; i++) {
        double end = (2 * i + 1) / 16.0 * (double)shape->lq + (double)(shape->lk - shape->lq) + (double)o->ahead + beyond;
        sum += end < 0 ? 0 : end > (double)shape->lk ? (double)shape->lk : end;
    }
    return sum / 8 / (double)shape->lk;
}

static double small_cost(fv_offer *o)
{
    const fv_work *w = &o->plan->work;
    const fovea_problem *p = &o->plan->problem;
    const int64_t n = w->group * o->lengths->rows, lk = o->lengths->shape.lk, vl = w->kernel.vector;
    const int64_t parts = n > 0 ? divide_up(n, SMALL_ROWS) : 1; /* of equal size, whole micro-tiles */
    const double rows = (double)n, vectors = (double)(lk / vl + (lk < vl || lk % vl > 2)), columns = (double)divide_up(p->dv, vl);
    const double wide = w->kernel.widen ? (rows * (double)p->d + (double)(lk * p->dv)) / (double)vl : 0;
    const double fma = vl < 16 ? small_fma_narrow : small_fma; /* partial panels of three vectors are dear */
    o->width = (int)((divide_up(n, parts) + 7) & ~(int64_t)7);
    o->units = n > 0 ? fv_work_units(w, o->lengths, o->pass->step, o->width) : 0;
    o->splits = 1;
    return (double)o->units * small_unit + small_pack * (double)(lk * divide_up(p->d, vl)) + wide * lanes_widen + rows * small_row +
           rows * small_share(o, 9) * (vectors * (small_vector + fma * (double)p->d + (w->has_bias ? small_bias : 0)) +
                                    fma * (double)lk * columns) +
           far_slots(o, 1, (double)lk);
}

/* ------------------------------------------------------------------ thin */

/* Few keys as in the small form, but queries in the lanes: no walk over spans and no queues, one block. It reads keys in place:
   where their rows crowd in a sixteenth of the second cache, many tiles have more from the copies of the lanes form (of 512 keys,
   d = 128, 8 KiB apart, dense: 56 % of the contiguous speed here, 98 there), but not yet of 128 KiB. */
static int thin_eligible(fv_offer *o, char why[FV_FORM_REASON])
{
    const fv_work *w = &o->plan->work;
    const fovea_problem *p = &o->plan->problem;
    const int64_t bytes = o->lengths->shape.lk * (p->d + p->dv) * (int64_t)sizeof(float);
    if (!few_keys(o, THIN_KEYS, why))
        return 0;
    if (w->copies && w->copy_keys && bytes > THIN_CROWDED &&
        fv_work_units(w, o->lengths, o->pass->step, w->kernel.lanes) >= w->copies) {
        snprintf(why, FV_FORM_REASON, "rows of keys that crowd a few sets of the caches are better copied");
        return 0;
    }
    return 1;
}

static double thin_cost(fv_offer *o)
{
    const fv_work *w = &o->plan->work;
    const fovea_problem *p = &o->plan->problem;
    const int lanes = w->kernel.lanes, most = divide_up(SMALL_ROWS, lanes) > 2 ? (int)divide_up(SMALL_ROWS, lanes) : 2;
    const int64_t n = w->group * o->lengths->rows, rest = n % lanes;
    const double tiles = (double)fv_work_units(w, o->lengths, o->pass->step, lanes), lk = (double)o->lengths->shape.lk;
    const double v = (double)lanes / w->kernel.vector; /* of a tile; of one that would fill one vector no other is computed */
    const int few = rest > 0 && rest <= w->kernel.vector;
    const double all = tiles * v, fma = all - (few ? v - 1.5 : 0);
    const double wide = w->kernel.widen ? lk * (double)(p->d + p->dv) / w->kernel.vector : 0;
    o->width = lanes * most;
    o->units = fv_work_units(w, o->lengths, o->pass->step, o->width);
    o->splits = 1;
    return (double)o->units * thin_unit + tiles * thin_tile + fma * thin_tile_dim * (double)(p->d + p->dv) + wide * lanes_widen +
           thin_key * lk +
           small_share(o, 1 + 5 * lanes / 8) * lk *
               (all * (thin_vector + (w->has_bias ? thin_bias : 0)) + fma * thin_fma * (double)(p->d + p->dv)) +
           far_slots(o, 1, lk);
}

/* ------------------------------------------------------------------ the table */

const fv_form fv_forms[FV_FORMS] = {
    {"lanes", FV_DRIVE_LANES, 0, lanes_eligible, lanes_cost},
    {"rows", FV_DRIVE_ROWS, 0, rows_eligible, rows_cost},
    {"pruned", FV_DRIVE_PRUNED, 0, pruned_eligible, pruned_cost},
    {"small", FV_DRIVE_SMALL, 0, small_eligible, small_cost},
    {"thin", FV_DRIVE_THIN, 0, thin_eligible, thin_cost},
    {"narrow", FV_DRIVE_LANES, 1, narrow_eligible, narrow_cost},
};

/* Form that the tuning asks for, or FV_FORMS. */
static unsigned forced(const fovea_plan *plan)
{
    static const fv_driver driver[] = {[FV_FORM_LANES] = FV_DRIVE_LANES, [FV_FORM_ROWS] = FV_DRIVE_ROWS,
                                       [FV_FORM_SMALL] = FV_DRIVE_SMALL, [FV_FORM_THIN] = FV_DRIVE_THIN, [FV_FORM_NARROW] = FV_DRIVE_LANES};
    const int form = (int)tuned(plan, FV_TUNE_FORM);
    unsigned i = 0;
    while (i < FV_FORMS && (form == FV_FORM_AUTO || fv_forms[i].driver != driver[form] ||
                            fv_forms[i].narrow != (form == FV_FORM_NARROW)))
        i++;
    return i;
}

size_t fv_forms_scratch(const fv_lengths *lengths)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < lengths->patterns; i++) {
        const fv_pattern *pattern = lengths->pattern[i];
        size_t need = fv_pattern_tile_scratch(pattern, FV_PATTERN_WHOLE, FVK_MAX_LANES);
        bytes = need > bytes ? need : bytes;
        for (unsigned part = 0; part < fv_pattern_parts(pattern); part++) {
            need = fv_pattern_tile_scratch(pattern, part, FVK_MAX_LANES);
            bytes = need > bytes ? need : bytes;
        }
    }
    return bytes;
}

/* Whether a form has all the work in one task, which no second worker can share, where the rows form cuts the keys into ranges. By
   shape alone, as everything that chooses a form. */
static int is_one_task(const fv_offer *o, const fv_form *form)
{
    const fv_work *w = form->narrow ? o->plan->work.narrow : &o->plan->work;
    return form->driver == FV_DRIVE_LANES && tallest(o) <= w->kernel.lanes &&
           2 * (double)o->lengths->shape.lk >= tuned(o->plan, FV_TUNE_SPLIT) &&
           o->plan->problem.hkv * o->plan->work.sequences * fv_work_units(w, o->lengths, o->pass->step, w->kernel.lanes) == 1;
}

void fv_forms_choose(const fovea_plan *plan, const fv_lengths *lengths, fv_pass *pass, void *scratch)
{
    fv_offer offer[FV_FORMS];
    unsigned can[FV_FORMS], count = 0;
    double best = INFINITY;
    for (unsigned i = 0; i < FV_FORMS; i++) {
        char why[FV_FORM_REASON];
        offer[i] = (fv_offer){plan, lengths, pass, scratch, NAN, 0, 1, 0, 0};
        if (fv_forms[i].eligible(&offer[i], why))
            can[count++] = i;
        if (i == forced(plan) && count && can[count - 1] == i) {
            can[0] = i;
            count = 1;
            break;
        }
    }
    for (unsigned n = 0; n < count; n++) {
        const unsigned i = can[n];
        double price;
        if (count == 1 && fv_forms[i].driver != FV_DRIVE_ROWS)
            offer[i].keys = 0; /* no choice, and nothing that depends on keys: they need not be asked for */
        price = fv_forms[i].cost(&offer[i]) * (is_one_task(&offer[i], &fv_forms[i]) ? one_task : 1);
        if (!(price < best))
            continue;
        best = price;
        pass->form = i;
        pass->driver = fv_forms[i].driver;
        pass->units = offer[i].units;
        pass->splits = offer[i].splits;
        pass->narrow = fv_forms[i].narrow;
        pass->width = offer[i].width;
        pass->ahead = offer[i].ahead;
    }
}

/* ------------------------------------------------------------------ work and time */

static double slot_flops(const fovea_plan *plan)
{
    return 2.0 * plan->work.kernel.vector;
}

/* Slots of one key/value head of all sequences, when units read `keys` keys (NaN: as many as they do; then scratch is needed); no
   more are added once there are `enough`. */
static double pass_slots(const fovea_plan *plan, unsigned number, unsigned form, double keys, double enough, void *scratch)
{
    const fv_work *w = &plan->work;
    double slots = 0;
    for (int64_t i = 0; i < w->sequences && !(slots >= enough); i++) {
        const fv_lengths *lengths = w->sequence[i].lengths;
        fv_offer offer = {plan, lengths, &lengths->pass[number], scratch, keys, 0, 1, 0, 0};
        const fv_form *row;
        char why[FV_FORM_REASON];
        double cost;
        if (number >= lengths->passes)
            continue;
        if (keys > 0) /* as many as there are */
            offer.keys = (double)divide_up(lengths->shape.lk, lengths->pass[number].step);
        row = &fv_forms[form < FV_FORMS ? form : lengths->pass[number].form];
        if (!row->eligible(&offer, why)) /* which also fills in what its cost goes by */
            return NAN;
        cost = row->cost(&offer);
        if (!plan->problem.nseq) /* a batch of one shape */
            return cost * (double)w->sequences;
        slots += cost;
    }
    return slots;
}

/* The same, with scratch of its own; NaN without memory. */
static double asked_slots(const fovea_plan *plan, unsigned number, unsigned form, double enough)
{
    const fv_memory *memory = &plan->context->memory;
    size_t bytes = 0;
    void *scratch;
    double slots;
    for (int64_t i = 0; i < plan->shapes; i++) {
        size_t need = fv_forms_scratch(&plan->lengths[i]);
        bytes = need > bytes ? need : bytes;
    }
    scratch = fv_memory_get(memory, bytes);
    if (!scratch)
        return NAN;
    slots = pass_slots(plan, number, form, NAN, enough, scratch);
    fv_memory_put(memory, scratch);
    return slots;
}

/* Bounds first, for patterns take their time to answer: no keys at all, and all keys. */
int fv_forms_is_small(const fovea_plan *plan, unsigned number, double flops)
{
    const double enough = flops / slot_flops(plan) / (double)plan->problem.hkv;
    double slots;
    if (pass_slots(plan, number, FV_FORMS, 0, enough, NULL) >= enough)
        return 0;
    if (pass_slots(plan, number, FV_FORMS, INFINITY, enough, NULL) < enough)
        return 1;
    slots = asked_slots(plan, number, FV_FORMS, enough);
    return isnan(slots) ? -1 : slots < enough;
}

double fv_forms_pass_ns(const fovea_plan *plan, unsigned number, unsigned form)
{
    const fv_work *w = &plan->work;
    const double known = tuned(plan, FV_TUNE_FMA), rate = known > 0 ? known : fv_plan_fma_rate(plan->context->isas);
    const double slots = asked_slots(plan, number, form, INFINITY) * (double)plan->problem.hkv;
    double workers = w->alone[number] ? 1 : plan->context->threads.workers;
    if (workers > (double)w->tasks[number])
        workers = w->tasks[number] > 1 ? (double)w->tasks[number] : 1;
    return slots / workers * slot_flops(plan) / rate;
}

void fv_forms_time(double ns, char *out, size_t n)
{
    const char *const unit[] = {"ns", "us", "ms", "s"};
    int u = 0;
    for (; u < 3 && ns >= 999.5; u++)
        ns /= 1000;
    snprintf(out, n, "%.3g %s", ns, unit[u]);
}

void fv_forms_reason(const fovea_plan *plan, const fv_lengths *lengths, const fv_pass *pass, unsigned form,
                     char why[FV_FORM_REASON])
{
    fv_offer offer = {plan, lengths, pass, NULL, NAN, 0, 1, 0, 0};
    const unsigned number = (unsigned)(pass - lengths->pass);
    const char *taken = fv_forms[pass->form].name;
    char its[32], best[32];
    if (!fv_forms[form].eligible(&offer, why))
        return;
    if (forced(plan) == pass->form) {
        snprintf(why, FV_FORM_REASON, "the tuning asks for %s", taken);
        return;
    }
    fv_forms_time(fv_forms_pass_ns(plan, number, form), its, sizeof its);
    fv_forms_time(fv_forms_pass_ns(plan, number, pass->form), best, sizeof best);
    snprintf(why, FV_FORM_REASON, "predicted %s, %s %s%s", its, taken, best,
             is_one_task(&offer, &fv_forms[form]) ? "; one task, which no second thread could share" : "");
}
