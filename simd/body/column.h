/* Columns of a tile: whole rows of scores that stand in the lanes, s[j][LANES], for the normalisers. Passes over all n keys of a
   tile, every lane with bounds of its own, so that 8 to 32 rows are searched at once and none is moved. Contracts: kernel.h.
   Registers: per vector of the tile a bound, a count or sums (twice where there are 32 registers, for the latency of an addition is
   four cycles). Bound: the reading of the tile, from L2 where it has more than some hundred keys. */
enum { COLUMN_CHAINS = V_REGS >= 32 ? 2 : 1, COLUMN_GROUP = 16,
       COLUMN_JOINT = V_REGS >= 32 && V_TILE == 2 ? 2 : 1, /* vectors with sums and bounds in registers beside a polynomial */
       COLUMN_PAIR = V_TILE > 3 ? 2 : V_TILE, /* vectors with bounds, counts and sums in registers */
       COLUMN_KEYS = 64, COLUMN_LIST = 32 * COLUMN_KEYS + 4 }; /* keys whose places are listed at a time */

FV_INLINE void column_put(double *to, const vd part[V_PARTS])
{
    for (int i = 0; i < V_PARTS; i++)
        memcpy(to + i * (VL / V_PARTS), &part[i], sizeof part[i]);
}

FV_INLINE vd column_get(const double *from)
{
    vd x;
    memcpy(&x, from, sizeof x);
    return x;
}

/* Rows j, j + step, ... below stop, of `vectors` vectors: counts and a float's worth of sums. */
FV_INLINE void column_above(const float *x, const float *w, int64_t j, int64_t stop, int64_t step, const int vectors,
                            const vf *limit, vf *many, vf *part)
{
    const vf one = v_set1(1.0f);
    for (; j < stop; j += step)
        FV_UNROLL
        for (int v = 0; v < vectors; v++) {
            vm above = v_lt(limit[v], v_load(x + (size_t)j * LANES + v * VL));
            many[v] = v_fma_mask(above, one, one, many[v]);
            if (w)
                part[v] = v_fma_mask(above, one, v_load(w + (size_t)j * LANES + v * VL), part[v]);
        }
}

FV_INLINE void column_count(const float *x, int64_t n, int64_t step, const float *t, float *count)
{
    vf limit[V_TILE], many[V_TILE], odd[V_TILE], none[V_TILE];
    int64_t j = 0;
    FV_UNROLL
    for (int v = 0; v < V_TILE; v++) {
        limit[v] = v_load(t + v * VL);
        many[v] = odd[v] = none[v] = v_zero();
    }
    for (; COLUMN_CHAINS > 1 && j + step < n; j += 2 * step) {
        column_above(x, NULL, j, j + 1, 1, V_TILE, limit, many, none);
        column_above(x, NULL, j + step, j + step + 1, 1, V_TILE, limit, odd, none);
    }
    column_above(x, NULL, j, n, step, V_TILE, limit, many, none);
    FV_UNROLL
    for (int v = 0; v < V_TILE; v++)
        v_store(count + v * VL, v_add(many[v], odd[v]));
}

/* Of COLUMN_PAIR vectors: their bounds, counts and sums are in registers. */
FV_INLINE void column_sum(const float *x, const float *w, int64_t n, int64_t step, const float *t, double *sum, float *count)
{
    vf limit[COLUMN_PAIR], many[COLUMN_PAIR];
    vd all[COLUMN_PAIR][V_PARTS];
    for (int v = 0; v < COLUMN_PAIR; v++) {
        limit[v] = v_load(t + v * VL);
        many[v] = v_zero();
        for (int i = 0; i < V_PARTS; i++)
            all[v][i] = v_dset1(0);
    }
    for (int64_t j = 0; j < n;) {
        const int64_t stop = n - j > COLUMN_GROUP * step ? j + COLUMN_GROUP * step : n;
        vf part[COLUMN_PAIR];
        for (int v = 0; v < COLUMN_PAIR; v++)
            part[v] = v_zero();
        column_above(x, w, j, stop, step, COLUMN_PAIR, limit, many, part);
        for (int v = 0; v < COLUMN_PAIR; v++)
            for (int i = 0; i < V_PARTS; i++)
                all[v][i] = all[v][i] + v_part(part[v], i);
        j += COLUMN_GROUP * step;
    }
    for (int v = 0; v < COLUMN_PAIR; v++) {
        v_store(count + v * VL, many[v]);
        column_put(sum + v * VL, all[v]);
    }
}

void FVK(column_sums_f32)(const float *x, const float *w, int64_t n, int64_t step, const float *t, double *sum, float *count)
{
    if (!w)
        column_count(x, n, step, t, count);
    else
        for (int lane = 0; lane < LANES; lane += COLUMN_PAIR * VL)
            column_sum(x + lane, w + lane, n, step, t + lane, sum + lane, count + lane);
}

/* A vector of doubles as floats. */
FV_INLINE vf column_floats(const double *from)
{
    float x[VL];
    for (int i = 0; i < VL; i++)
        x[i] = (float)from[i];
    return v_load(x);
}

/* One vector of weights: kept is !(x < cut). */
FV_INLINE vf column_weight(const fvk_columns *a, size_t at, int lane, vf x, vf origin, vf less_tau, const int kind)
{
    vf r;
    if (kind == FVK_WEIGH_GIVEN)
        return v_load(a->w + at);
    if (kind == FVK_WEIGH_EXP)
        return row_exp(x, v_load(a->shift + lane));
    if (kind == FVK_WEIGH_SIGMOID) { /* the exponential is of what is not above 0, for it must not overflow */
        x = v_sub(x, v_load(a->shift + lane));
        r = row_exp(v_sub(v_zero(), v_abs(x)), v_zero());
        return v_div(v_select(v_lt(x, v_zero()), r, v_set1(1.0f)), v_add(v_set1(1.0f), r));
    }
    r = v_max(v_zero(), v_fma(v_sub(x, origin), v_set1((float)a->slope), less_tau));
    return kind == FVK_WEIGH_SQUARE ? v_mul(r, r) : r;
}

/* What the weights of COLUMN_JOINT vectors need beside the numbers. */
typedef struct column_limits {
    vf cut[COLUMN_JOINT], origin[COLUMN_JOINT], less_tau[COLUMN_JOINT];
    int first; /* vector of the tile */
} column_limits;

/* Keys j..stop-1: weights and bits; counts what is below to less, adds to part. A key that no lane keeps costs no weights. */
FV_INLINE void column_stretch(const fvk_columns *a, const column_limits *q, int64_t j, int64_t stop, const int kind, vf *less, vf *part)
{
    const vf one = v_set1(1.0f);
    const int adds = kind == FVK_WEIGH_GIVEN || kind == FVK_WEIGH_EXP;
    for (; j < stop; j++) {
        const size_t row = (size_t)j * LANES + (size_t)(q->first * VL);
        uint32_t out = 0, every = FV_VECTOR_BITS;
        vf x[COLUMN_JOINT], y;
        vm under[COLUMN_JOINT];
        FV_UNROLL
        for (int v = 0; v < COLUMN_JOINT; v++) {
            x[v] = v_load(a->x + row + v * VL);
            under[v] = v_lt(x[v], q->cut[v]);
            every &= v_bits(under[v]);
            out |= v_bits(under[v]) << ((q->first + v) * VL);
            less[v] = v_fma_mask(under[v], one, one, less[v]);
        }
        a->rows[j] = ~out & (q->first ? a->rows[j] : ~0u);
        if (kind != FVK_WEIGH_GIVEN && every == FV_VECTOR_BITS) {
            FV_UNROLL
            for (int v = 0; v < COLUMN_JOINT; v++)
                v_store(a->y + row + v * VL, v_zero());
            continue;
        }
        FV_UNROLL
        for (int v = 0; v < COLUMN_JOINT; v++) {
            y = column_weight(a, row + v * VL, (q->first + v) * VL, x[v], q->origin[v], q->less_tau[v], kind);
            y = v_select(under[v], v_zero(), y);
            v_store(a->y + row + v * VL, y);
            part[v] = adds ? v_add(part[v], y) : part[v];
        }
    }
}

/* COLUMN_JOINT vectors of the tile, from the first-th on; the lanes before have been there already. */
FV_INLINE void column_weights(const fvk_columns *a, const int first, const int kind)
{
    const int ramp = kind == FVK_WEIGH_RAMP || kind == FVK_WEIGH_SQUARE;
    column_limits q = {.first = first};
    vf less[COLUMN_JOINT];
    vd all[COLUMN_JOINT][V_PARTS];
    for (int v = 0; v < COLUMN_JOINT; v++) {
        q.origin[v] = ramp ? column_floats(a->origin + (first + v) * VL) : v_zero();
        q.less_tau[v] = ramp ? v_sub(v_zero(), column_floats(a->tau + (first + v) * VL)) : v_zero();
        q.cut[v] = v_load(a->cut + (first + v) * VL);
        less[v] = v_zero();
        for (int i = 0; i < V_PARTS; i++)
            all[v][i] = v_dset1(0);
    }
    for (int64_t j = 0; j < a->n; j += COLUMN_GROUP) {
        vf part[COLUMN_JOINT];
        for (int v = 0; v < COLUMN_JOINT; v++)
            part[v] = v_zero();
        column_stretch(a, &q, j, a->n - j > COLUMN_GROUP ? j + COLUMN_GROUP : a->n, kind, less, part);
        for (int v = 0; v < COLUMN_JOINT; v++)
            for (int i = 0; i < V_PARTS; i++)
                all[v][i] = all[v][i] + v_part(part[v], i);
    }
    for (int v = 0; v < COLUMN_JOINT; v++) {
        v_store(a->count + (first + v) * VL, v_sub(v_set1((float)a->n), less[v]));
        column_put(a->sum + (first + v) * VL, all[v]);
    }
}

FV_INLINE void column_exps(const fvk_columns *a, const int first)
{
    vd all[COLUMN_JOINT][V_PARTS];
    for (int v = 0; v < COLUMN_JOINT; v++)
        for (int i = 0; i < V_PARTS; i++)
            all[v][i] = v_dset1(0);
    for (int64_t j = 0; j < a->n;) {
        const int64_t stop = a->n - j > COLUMN_GROUP ? j + COLUMN_GROUP : a->n;
        vf part[COLUMN_JOINT];
        for (int v = 0; v < COLUMN_JOINT; v++)
            part[v] = v_zero();
        for (; j < stop; j++)
            FV_UNROLL
            for (int v = 0; v < COLUMN_JOINT; v++) {
                const size_t at = (size_t)j * LANES + (first + v) * VL;
                vf y = row_exp(v_load(a->x + at), v_load(a->shift + (first + v) * VL));
                v_store(a->y + at, y);
                part[v] = v_add(part[v], y);
            }
        for (int v = 0; v < COLUMN_JOINT; v++)
            for (int i = 0; i < V_PARTS; i++)
                all[v][i] = all[v][i] + v_part(part[v], i);
    }
    for (int v = 0; v < COLUMN_JOINT; v++)
        column_put(a->sum + (first + v) * VL, all[v]);
}

void FVK(column_weigh_f32)(const fvk_columns *a)
{
    const fvk_columns here = *a;
    for (int v = 0; v < V_TILE; v += COLUMN_JOINT)
        if (a->kind == FVK_WEIGH_ALL)
            column_exps(&here, v);
        else if (a->kind == FVK_WEIGH_GIVEN)
            column_weights(&here, v, FVK_WEIGH_GIVEN);
        else if (a->kind == FVK_WEIGH_EXP)
            column_weights(&here, v, FVK_WEIGH_EXP);
        else if (a->kind == FVK_WEIGH_RAMP)
            column_weights(&here, v, FVK_WEIGH_RAMP);
        else if (a->kind == FVK_WEIGH_SQUARE)
            column_weights(&here, v, FVK_WEIGH_SQUARE);
        else
            column_weights(&here, v, FVK_WEIGH_SIGMOID);
}

/* Some vectors of lanes at a time, as many as their sums in double and constants find registers. */
enum { COLUMN_PARTS = COLUMN_JOINT * V_PARTS };

FV_INLINE void column_moment(const fvk_columns *a, int lane, double *const sum[3], const int square)
{
    vd all[3][COLUMN_PARTS], origin[COLUMN_PARTS], tau[COLUMN_PARTS];
    const vd slope = v_dset1(a->slope);
    FV_UNROLL
    for (int i = 0; i < COLUMN_PARTS; i++) {
        all[0][i] = all[1][i] = all[2][i] = v_dset1(0);
        origin[i] = column_get(a->origin + lane + i * (VL / V_PARTS));
        tau[i] = v_dset1(0) - column_get(a->tau + lane + i * (VL / V_PARTS));
    }
    for (int64_t j = 0; j < a->n; j += a->step)
        FV_UNROLL
        for (int i = 0; i < COLUMN_PARTS; i++) {
            vd r = v_dload(a->x + (size_t)j * LANES + lane + i * (VL / V_PARTS)) - origin[i];
            r = v_dmax(v_dset1(0), v_dfma(r, slope, tau[i]));
            all[0][i] = v_dcount(all[0][i], r);
            all[1][i] = all[1][i] + r;
            if (square)
                all[2][i] = v_dfma(r, r, all[2][i]);
        }
    FV_UNROLL
    for (int k = 0; k < 3; k++)
        FV_UNROLL
        for (int i = 0; i < COLUMN_PARTS; i++)
            memcpy(sum[k] + lane + i * (VL / V_PARTS), &all[k][i], sizeof all[k][i]);
}

/* The same in floats, of COLUMN_JOINT vectors. */
FV_INLINE void column_rough(const fvk_columns *a, const int lane, double *const sum[3], const int square)
{
    const vf one = v_set1(1.0f), slope = v_set1((float)a->slope);
    vf all[3][COLUMN_JOINT], origin[COLUMN_JOINT], under[COLUMN_JOINT];
    float part[VL];
    FV_UNROLL
    for (int v = 0; v < COLUMN_JOINT; v++) {
        all[0][v] = all[1][v] = all[2][v] = v_zero();
        origin[v] = column_floats(a->origin + lane + v * VL);
        under[v] = v_sub(v_zero(), column_floats(a->tau + lane + v * VL));
    }
    for (int64_t j = 0; j < a->n; j += a->step)
        FV_UNROLL
        for (int v = 0; v < COLUMN_JOINT; v++) {
            vf r = v_fma(v_sub(v_load(a->x + (size_t)j * LANES + lane + v * VL), origin[v]), slope, under[v]);
            r = v_max(v_zero(), r);
            all[0][v] = v_fma_mask(v_lt(v_zero(), r), one, one, all[0][v]);
            all[1][v] = v_add(all[1][v], r);
            if (square)
                all[2][v] = v_fma(r, r, all[2][v]);
        }
    FV_UNROLL
    for (int k = 0; k < 3; k++)
        FV_UNROLL
        for (int v = 0; v < COLUMN_JOINT; v++) {
            v_store(part, all[k][v]);
            for (int i = 0; i < VL; i++)
                sum[k][lane + v * VL + i] = (double)part[i];
        }
}

void FVK(column_moments_f32)(const fvk_columns *a, double *const sum[3])
{
    const fvk_columns here = *a;
    if (a->rough) {
        for (int lane = 0; lane < LANES; lane += COLUMN_JOINT * VL)
            if (a->kind == FVK_WEIGH_SQUARE)
                column_rough(&here, lane, sum, 1);
            else
                column_rough(&here, lane, sum, 0);
        return;
    }
    for (int lane = 0; lane < LANES; lane += COLUMN_JOINT * VL)
        if (a->kind == FVK_WEIGH_SQUARE)
            column_moment(&here, lane, sum, 1);
        else
            column_moment(&here, lane, sum, 0);
}

/* ------------------------------------------------------------------ search */

enum { COLUMN_LEAST = -0x7fffffff - 1, COLUMN_HALVINGS = 16 };

/* The state of a search, where no store can alias a load: the loops over its lanes are left to the compiler, which makes vectors. */
typedef struct column_state {
    float bound[2][LANES], many[2][LANES], floor[LANES], above[LANES], t[LANES], count[LANES];
    double sum[2][LANES], target[LANES], base[LANES], more[LANES];
    int32_t go[LANES];
} column_state;

/* Floats in the order of their values as integers, and back; -0 and 0 coincide. */
FV_INLINE int32_t column_order(float x)
{
    int32_t bits;
    memcpy(&bits, &x, 4);
    return bits < 0 ? COLUMN_LEAST - bits : bits;
}

FV_INLINE float column_ordered(int32_t order)
{
    int32_t bits = order < 0 ? COLUMN_LEAST - order : order;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

/* a or b, without a branch and without a condition on an operation in floats, which would keep the compiler from vectors. */
FV_INLINE float column_pick(int32_t first, float a, float b)
{
    int32_t x, y;
    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    y ^= (x ^ y) & -first;
    memcpy(&b, &y, 4);
    return b;
}

/* Half way, without overflow. */
FV_INLINE float column_middle(float lo, float hi)
{
    const int32_t a = column_order(lo), b = column_order(hi);
    return column_ordered((a >> 1) + (b >> 1) + (a & b & 1));
}

/* Lanes that take part. */
FV_INLINE uint32_t column_going(column_state *q, const fvk_search *a, const int weighs)
{
    const float most = a->most;
    uint32_t lanes = 0;
    for (int i = 0; i < LANES; i++) {
        const int32_t wide = q->many[0][i] - q->many[1][i] > most;
        const int32_t apart = column_order(q->bound[0][i]) + 1 < column_order(q->bound[1][i]);
        const int32_t want = weighs ? 1 : q->sum[0][i] != q->target[i];
        q->go[i] = wide & apart & want;
    }
    for (int i = 0; i < LANES; i++)
        lanes |= (uint32_t)q->go[i] << i;
    lanes &= a->open;
    for (int i = 0; i < LANES; i++)
        q->go[i] = (int32_t)(lanes >> i & 1);
    return lanes;
}

/* Where to look: a little beyond the target, seen from the bound that is farther from it, as if what lies above fell evenly between the
   bounds (sums: with the logarithm); every third step in the middle, whatever the numbers are, later that of the floats between, so that
   COLUMN_HALVINGS + 96 steps find any cut. */
FV_INLINE void column_guess(column_state *q, const int step, const int weighs)
{
    const int halve = step % 3 == 2, floats = halve & (step > COLUMN_HALVINGS);
    for (int i = 0; i < LANES; i++) {
        const float lo = q->bound[0][i], hi = q->bound[1][i], floor = q->floor[i], start = hi - floor;
        const float a = (float)(q->sum[0][i] - q->target[i]), b = (float)(q->target[i] - q->sum[1][i]);
        const float share = column_pick(a > b, 0.85f * a, a + 0.15f * b) / (a + b);
        const int32_t under = weighs ? lo < floor : lo == -__builtin_inff();
        const float from = weighs ? column_pick(under & (floor < hi), floor, lo) : lo;
        const float even = weighs ? column_ordered(column_order(lo) + (int32_t)(share * (float)(column_order(hi) - column_order(lo))))
                                  : lo + share * (hi - lo);
        const float middle = weighs ? column_middle(from, hi)
                                    : column_pick(under, column_pick(start > -FLT_MAX, start, -FLT_MAX), 0.5f * lo + 0.5f * hi);
        const float t = column_pick(under | halve, middle, even);
        const int32_t good = (t > lo) & (t < hi) & !floats;
        q->t[i] = column_pick(good, t, column_middle(lo, hi));
        q->floor[i] = weighs ? floor : column_pick(under, 2 * floor, floor);
    }
}

FV_INLINE void column_move(column_state *q, const int weighs)
{
    for (int i = 0; i < LANES; i++) {
        const double value = (weighs ? q->more[i] : (double)q->count[i]) + q->base[i];
        const float t = q->t[i], many = q->count[i] + q->above[i];
        const int32_t moves = q->go[i] & (t > q->bound[0][i]) & (t < q->bound[1][i]), enough = value >= q->target[i];
        const int32_t low = moves & enough, high = moves & !enough;
        q->bound[0][i] = low ? t : q->bound[0][i];
        q->bound[1][i] = high ? t : q->bound[1][i];
        q->many[0][i] = low ? many : q->many[0][i];
        q->many[1][i] = high ? many : q->many[1][i];
        q->sum[0][i] = low ? value : q->sum[0][i];
        q->sum[1][i] = high ? value : q->sum[1][i];
    }
}

/* What the caller knows of where to look, where it is between the bounds. */
FV_INLINE void column_told(column_state *q, const float *where)
{
    for (int i = 0; i < LANES; i++)
        q->t[i] = column_pick((where[i] > q->bound[0][i]) & (where[i] < q->bound[1][i]), where[i], q->t[i]);
}

/* From the first look a little beyond the target, and by one number more. */
FV_INLINE void column_beyond(const column_state *q, const fvk_search *a, const int weighs, float *where)
{
    for (int i = 0; i < LANES; i++) {
        const float t = q->t[i], one = weighs ? t : 1;
        const float over = (float)(q->sum[0][i] - q->target[i]), under = (float)(q->sum[1][i] - q->target[i]);
        where[i] = t + column_pick(q->bound[0][i] == t, 1.8f * over + one, 1.8f * under - one) / a->dense[i];
    }
}

FV_INLINE uint32_t column_search(const fvk_search *a, column_state *q, const int weighs)
{
    uint32_t left = column_going(q, a, weighs);
    for (int step = 0; step < a->steps && left; step++) {
        float beyond[LANES];
        if (step == 1 && a->dense)
            column_beyond(q, a, weighs, beyond);
        column_guess(q, step, weighs);
        if (step == 0 && a->first)
            column_told(q, a->first);
        if (step == 1 && a->dense)
            column_told(q, beyond);
        FVK(column_sums_f32)(a->x, weighs ? a->x : NULL, a->n, a->stride, q->t, q->more, q->count);
        column_move(q, weighs);
        left = column_going(q, a, weighs);
    }
    return left;
}

uint32_t FVK(column_search_f32)(const fvk_search *a)
{
    column_state q;
    uint32_t left;
    for (int k = 0; k < 2; k++) {
        memcpy(q.bound[k], a->bound[k], sizeof q.bound[k]);
        memcpy(q.many[k], a->many[k], sizeof q.many[k]);
        memcpy(q.sum[k], a->sum[k], sizeof q.sum[k]);
    }
    memcpy(q.target, a->target, sizeof q.target);
    memcpy(q.floor, a->floor, sizeof q.floor);
    for (int i = 0; i < LANES; i++) {
        q.above[i] = a->above ? a->above[i] : 0;
        q.base[i] = a->base ? a->base[i] : 0;
    }
    left = a->weighs ? column_search(a, &q, 1) : column_search(a, &q, 0);
    for (int k = 0; k < 2; k++) {
        memcpy(a->bound[k], q.bound[k], sizeof q.bound[k]);
        memcpy(a->many[k], q.many[k], sizeof q.many[k]);
        memcpy(a->sum[k], q.sum[k], sizeof q.sum[k]);
    }
    return left;
}

/* Lanes of a row of numbers above low and not above high. */
FV_INLINE uint32_t column_within(const float *x, const vf *low, const vf *high)
{
    uint32_t bits = 0;
    FV_UNROLL
    for (int v = 0; v < V_TILE; v++) {
        vf z = v_load(x + v * VL);
        bits |= (v_bits(v_lt(low[v], z)) & ~v_bits(v_lt(high[v], z))) << (v * VL);
    }
    return bits;
}

/* The bits of two rows of lanes as a list of places, row 32 + lane; four at a time, without a branch on how many there are, which
   cannot be foreseen. list: room for three more. */
FV_INLINE int column_list(uint64_t bits, int first, uint16_t *list, int m)
{
    do {
        FV_UNROLL
        for (int i = 0; i < 4; i++) {
            list[m] = (uint16_t)(first + __builtin_ctzll(bits | (uint64_t)1 << 63));
            m += bits != 0;
            bits &= bits - 1;
        }
    } while (bits);
    return m;
}

void FVK(column_collect_f32)(const float *x, int64_t n, const float *lo, const float *hi, int room, float *y, int32_t *at,
                             int32_t *count)
{
    vf low[V_TILE], high[V_TILE];
    uint16_t list[COLUMN_LIST];
    for (int v = 0; v < V_TILE; v++) {
        low[v] = v_load(lo + v * VL);
        high[v] = v_load(hi + v * VL);
    }
    memset(count, 0, LANES * sizeof *count);
    for (int64_t j = 0; j < n; j += COLUMN_KEYS) {
        const float *from = x + (size_t)j * LANES;
        const int keys = n - j < COLUMN_KEYS ? (int)(n - j) : COLUMN_KEYS;
        int m = 0;
        for (int k = 0; k < keys; k += 2) {
            uint64_t bits = column_within(from + (size_t)k * LANES, low, high);
            if (k + 1 < keys)
                bits |= (uint64_t)column_within(from + (size_t)(k + 1) * LANES, low, high) << 32;
            m = column_list(bits, 32 * k, list, m);
        }
        for (int i = 0; i < m; i++) {
            const int lane = list[i] & 31, key = list[i] >> 5, c = count[lane]++;
            if (c < room) {
                y[(size_t)c * LANES + lane] = from[(size_t)key * LANES + lane];
                at[(size_t)c * LANES + lane] = (int32_t)(j + key);
            }
        }
    }
}

/* o += p v, for one lane. */
FV_INLINE void column_axpy(float p, const float *v, int dv, float *o)
{
    const vf w = v_set1(p);
    int c = 0;
    for (; c + 4 * VL <= dv; c += 4 * VL) {
        vf y[4];
        FV_UNROLL
        for (int i = 0; i < 4; i++)
            y[i] = v_fma(w, v_load(v + c + i * VL), v_load(o + c + i * VL));
        FV_UNROLL
        for (int i = 0; i < 4; i++)
            v_store(o + c + i * VL, y[i]);
    }
    for (; c + VL <= dv; c += VL)
        v_store(o + c, v_fma(w, v_load(v + c), v_load(o + c)));
    if (c < dv)
        v_store_n(o + c, v_fma(w, v_load_n(v + c, dv - c), v_load_n(o + c, dv - c)), dv - c);
}

void FVK(column_add_f32)(const float *p, int nk, const uint32_t *rows, uint32_t lanes, const void *const *v, int dv, float *const *o)
{
    uint16_t list[COLUMN_LIST];
    for (int j = 0; j < nk; j += COLUMN_KEYS) {
        const int keys = nk - j < COLUMN_KEYS ? nk - j : COLUMN_KEYS;
        int m = 0;
        for (int k = 0; k < keys; k += 2) {
            uint64_t bits = rows[j + k] & lanes;
            if (k + 1 < keys)
                bits |= (uint64_t)(rows[j + k + 1] & lanes) << 32;
            m = column_list(bits, 32 * k, list, m);
        }
        for (int i = 0; i < m; i++) {
            const int lane = list[i] & 31, key = j + (list[i] >> 5);
            column_axpy(p[(size_t)key * LANES + lane], v[key], dv, o[lane]);
        }
    }
}
