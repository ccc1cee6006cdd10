/* Cases of the lanes family where tiles are multiplied: probabilities in parts, values in tiles, their product. */
#include "check/lanes.h"

#include <math.h>
#include <string.h>

enum { KEYS = 32, COLUMNS = 16 }; /* of a tile of values */

static size_t round_up(int n, int to)
{
    return (size_t)((n + to - 1) / to) * (size_t)to;
}

static int draw_parts(fv_case *c)
{
    return fv_draw_once_in(c, 2) ? 1 : 3;
}

/* Part i of key j for a lane, p[j / 32][part][j % 32 / 2][lane][j % 2]; c->n parts. */
static uint16_t *part_at(const fv_case *c, int j, int i, int lane)
{
    size_t lanes = (size_t)c->row->lanes;
    size_t word = ((size_t)(j / KEYS * c->n + i) * (KEYS / 2) + (size_t)(j % KEYS / 2)) * lanes + (size_t)lane;
    return (uint16_t *)c->qt + 2 * word + j % 2;
}

static size_t part_bytes(const fv_case *c)
{
    return round_up(c->nk, KEYS) * (size_t)c->n * (size_t)c->row->lanes * sizeof(uint16_t);
}

static double sum_of_parts(const fv_case *c, int j, int lane)
{
    double sum = 0;
    for (int i = 0; i < c->n; i++)
        sum += fv_ref_from_half(FVK_BF16, *part_at(c, j, i, lane));
    return sum;
}

/* ------------------------------------------------------------------ softmax_parts */

static void call_softmax_parts(fv_case *c)
{
    ((fvk_softmax_parts_fn *)c->fn)(c->p ? c->p : c->s, c->nk, c->m, c->mx, c->l, c->alpha, c->n, c->qt);
}

/* Room for the parts; one part sometimes takes the place of its scores, of which c->s stays a copy. */
static void place_parts(fv_case *c)
{
    const size_t keys = round_up(c->nk, KEYS), lanes = (size_t)c->row->lanes;
    if (c->n == 1 && fv_draw_once_in(c, 2)) {
        c->p = fv_case_floats(c, "p", keys * lanes);
        memset(c->p, 0x5a, keys * lanes * sizeof(float));
        c->qt = c->p;
    } else {
        c->qt = fv_guard_get(c->memory->guard, "p", -1, part_bytes(c));
        memset(c->qt, 0x5a, part_bytes(c));
    }
}

static void expect_probability(fv_case *c, int j, int lane, fv_want want)
{
    if (c->n == 1 && want.allowed != FV_EXACT)
        want.allowed += 0x1p-8 * (want.value + want.allowed);
    fv_case_expect(c, "p", j, lane, (float)sum_of_parts(c, j, lane), want);
}

void fv_case_softmax_parts(fv_case *c)
{
    const int lanes = c->row->lanes;
    fv_ref_state state[FVK_MAX_LANES];
    int poisoned[FVK_MAX_LANES];
    fv_want *want = c->memory->want;
    c->n = draw_parts(c);
    c->nk = fv_draw_keys(c);
    c->s = fv_case_floats(c, "s", (size_t)c->nk * lanes);
    c->m = fv_case_floats(c, "m", (size_t)lanes);
    c->mx = fv_case_floats(c, "mx", (size_t)lanes);
    c->l = fv_case_floats(c, "l", (size_t)lanes);
    c->alpha = fv_case_floats(c, "alpha", (size_t)lanes);
    place_parts(c);
    for (int i = 0; i < lanes; i++) {
        poisoned[i] = fv_draw_column(c, c->s + i, c->nk, lanes, c->m + i, c->mx + i, c->l + i);
        state[i] = fv_ref_softmax(c->s + i, c->nk, lanes, (double)c->m[i], (double)c->mx[i], (double)c->l[i], want + i);
    }
    if (c->p)
        memcpy(c->p, c->s, (size_t)c->nk * lanes * sizeof(float));
    c->call = call_softmax_parts;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < lanes; i++) {
        for (int j = 0; j < c->nk; j++)
            if (!poisoned[i])
                expect_probability(c, j, i, want[j * lanes + i]);
            else if (isnan(c->s[j * lanes + i]) && !isnan(sum_of_parts(c, j, i)))
                fv_case_fail(c, "p[%d][%d] is a number, want NaN: its score was NaN", j, i);
        for (int j = c->nk; j < (int)round_up(c->nk, KEYS); j++)
            fv_case_expect(c, "p", j, i, (float)sum_of_parts(c, j, i), (fv_want){0, FV_EXACT});
        if (poisoned[i]) {
            fv_case_expect(c, "l", i, -1, c->l[i], (fv_want){NAN, 0});
            continue;
        }
        fv_case_expect(c, "m", i, -1, c->m[i], state[i].m);
        fv_case_expect_alpha(c, i, c->alpha[i], &state[i]);
        fv_case_expect(c, "l", i, -1, c->l[i], state[i].l);
    }
}

/* ------------------------------------------------------------------ values_tile */

static void call_values_tile(fv_case *c)
{
    c->result = ((fvk_values_tile_fn *)c->fn)(c->v_rows, c->nk, c->dv, c->block);
}

static size_t tile_at(const fv_case *c, int j, int column)
{
    return ((size_t)(j / KEYS) * round_up(c->dv, COLUMNS) + (size_t)column) * KEYS + (size_t)(j % KEYS);
}

static void draw_tiles(fv_case *c)
{
    enum { MOST = FV_CASE_KEYS / 2 };
    size_t bytes;
    c->dv = fv_draw_dim(c);
    c->nk = fv_draw_keys(c);
    c->nk = c->nk < MOST ? c->nk : MOST;
    c->v_rows = fv_case_rows(c, "v", c->nk, c->dv, c->row->dtype, c->memory->v);
    bytes = round_up(c->nk, KEYS) * round_up(c->dv, COLUMNS) * sizeof(uint16_t);
    c->block = fv_guard_get(c->memory->guard, "vt", -1, bytes);
    memset(c->block, 0x5a, bytes);
}

static double finite_value(const fv_case *c, int j, int t)
{
    double x = j < c->nk && t < c->dv ? c->memory->v[(size_t)j * (size_t)c->dv + (size_t)t] : 0;
    return isfinite(x) ? x : 0;
}

void fv_case_values_tile(fv_case *c)
{
    const uint16_t *vt;
    int finite = 1;
    draw_tiles(c);
    if (!c->clean && fv_draw_once_in(c, 2)) {
        fv_case_put(c, c->v_rows, fv_draw_int(c, 0, c->nk - 1), c->dv, fv_draw_int(c, 0, c->dv - 1), c->row->dtype,
                    fv_draw_poison(c), c->memory->v);
        finite = 0;
    }
    c->call = call_values_tile;
    if (!fv_case_run(c))
        return;
    if ((int)c->result != finite)
        fv_case_fail(c, "returns %d, want %d", (int)c->result, finite);
    vt = (const uint16_t *)c->block;
    for (int j = 0; j < (int)round_up(c->nk, KEYS); j++)
        for (int t = 0; t < (int)round_up(c->dv, COLUMNS); t++)
            fv_case_expect(c, "vt", j, t, (float)fv_ref_from_half(c->row->dtype, vt[tile_at(c, j, t)]),
                           (fv_want){finite_value(c, j, t), FV_EXACT});
}

/* ------------------------------------------------------------------ pv_tile */

static void call_pv_tile(fv_case *c)
{
    ((fvk_pv_tile_fn *)c->fn)(c->qt, c->n, c->nk, c->block, c->dv, c->alpha, c->o);
}

/* Probabilities: floats cut into parts, kept in double. */
static void draw_parts_of(fv_case *c)
{
    const int lanes = c->row->lanes;
    c->qt = fv_guard_get(c->memory->guard, "p", -1, part_bytes(c));
    memset(c->qt, 0, part_bytes(c));
    for (int j = 0; j < c->nk; j++)
        for (int lane = 0; lane < lanes; lane++) {
            double left = (double)(float)fv_draw_real(c, 0, 1);
            c->memory->p[j * lanes + lane] = 0;
            for (int i = 0; i < c->n; i++) {
                uint16_t bits = fv_ref_to_half(FVK_BF16, left);
                *part_at(c, j, i, lane) = bits;
                left -= fv_ref_from_half(FVK_BF16, bits);
                c->memory->p[j * lanes + lane] += fv_ref_from_half(FVK_BF16, bits);
            }
        }
}

void fv_case_pv_tile(fv_case *c)
{
    const int lanes = c->row->lanes;
    const fv_case_memory *memory = c->memory;
    uint16_t *vt;
    c->n = draw_parts(c);
    draw_tiles(c);
    vt = (uint16_t *)c->block;
    for (int j = 0; j < (int)round_up(c->nk, KEYS); j++)
        for (int t = 0; t < (int)round_up(c->dv, COLUMNS); t++)
            vt[tile_at(c, j, t)] = j < c->nk && t < c->dv ? ((const uint16_t *)c->v_rows[j])[t] : 0;
    draw_parts_of(c);
    fv_draw_accumulator(c);
    c->call = call_pv_tile;
    if (!fv_case_run(c))
        return;
    fv_ref_values(memory->p, c->nk, lanes, memory->v, c->dv, NULL, c->alpha, memory->o, memory->want);
    for (int i = 0; i < c->dv * lanes; i++) {
        /* as in fv_ref_scores: an order of their own, subnormal factors taken for 0, each step flushed; for each part */
        memory->want[i].allowed = 2 * c->n * memory->want[i].allowed + (2 * c->n * c->nk + 1) * FV_FLUSH;
        fv_case_expect(c, "ot", i / lanes, i % lanes, c->o[i], memory->want[i]);
    }
}
