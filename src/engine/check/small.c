/* Cases of the small family: keys ride in the vector lanes, the last few may lie apart. One row at a time is compared with
   what the oracles of the other families want of it. */
#include "check/small.h"
#include "check/lanes.h"

#include <math.h>
#include <string.h>

enum { ROWS = 70 };

static int round_up(int n, int to)
{
    return (n + to - 1) / to * to;
}

/* ------------------------------------------------------------------ tail */

static void call_tail(fv_case *c)
{
    ((fvk_small_tail_fn *)c->fn)(c->q, c->d, c->q_rows, c->n, c->s);
}

void fv_case_small_tail(fv_case *c)
{
    const double *rows = c->memory->k;
    double *key = c->memory->q;
    c->d = fv_draw_dim(c);
    c->n = fv_draw_int(c, 1, ROWS);
    c->q = fv_case_floats(c, "k", (size_t)c->d);
    for (int t = 0; t < c->d; t++) {
        c->q[t] = (float)(c->values == FV_TINY ? fv_draw_real(c, -1, 1) : fv_draw_value(c, FVK_F32));
        key[t] = (double)c->q[t];
    }
    c->q_rows = fv_case_rows(c, "q", c->n, c->d, FVK_F32, c->memory->k);
    c->s = fv_case_floats(c, "s", (size_t)round_up(c->n, c->row->lanes));
    c->call = call_tail;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < c->n; i++) {
        fv_want want;
        fv_ref_scores(key, c->d, 1, rows + (size_t)i * c->d, 1, 0, &want);
        fv_case_expect(c, "s", i, -1, c->s[i], want);
    }
}

/* ------------------------------------------------------------------ a block of scores */

static float *at(const fv_case *c, int i, int j)
{
    const fvk_small *a = &c->small;
    const int lanes = c->row->lanes, main = a->nk - a->tail;
    return j < main ? a->s + j / lanes * a->panel + (ptrdiff_t)i * lanes + j % lanes : a->end + (j - main) * a->lde + i;
}

static int sees(const fv_case *c, int i, int j)
{
    const fvk_small *a = &c->small;
    return (!a->see || j < a->see[i]) && (!a->bias || a->bias[i][j] != FVK_HIDDEN);
}

/* How many keys a row sees: an edge that rises, or anything. */
static void draw_edge(fv_case *c)
{
    const int kind = fv_draw_int(c, 0, 3), first = fv_draw_int(c, -4, c->nk);
    if (kind < 2)
        return;
    int *see = fv_guard_get(c->memory->guard, "see", -1, (size_t)c->n * sizeof *see);
    for (int i = 0; i < c->n; i++) {
        see[i] = kind == 2 ? first + i : fv_draw_int(c, 0, c->nk);
        see[i] = see[i] < 0 ? 0 : see[i] < c->nk ? see[i] : c->nk;
    }
    c->small.see = see;
}

static void draw_bias(fv_case *c)
{
    if (fv_draw_once_in(c, 2))
        return;
    float **rows = fv_guard_get(c->memory->guard, "row pointers", -1, (size_t)c->n * sizeof *rows);
    for (int i = 0; i < c->n; i++) {
        rows[i] = fv_guard_get(c->memory->guard, "bias", i, (size_t)c->nk * sizeof(float));
        for (int j = 0; j < c->nk; j++) {
            int kind = fv_draw_int(c, 0, 9);
            rows[i][j] = kind == 0 ? FVK_HIDDEN : kind == 1 ? -3.4028235e38f : (float)fv_draw_real(c, -5, 5);
        }
    }
    c->small.bias = (const float *const *)rows;
}

/* Shapes, edges, bias and room for the scores; everything holds the filling number. */
static void draw_block(fv_case *c)
{
    const int lanes = c->row->lanes;
    fvk_small *a = &c->small;
    int panels;
    c->n = fv_draw_int(c, 1, ROWS);
    c->nk = fv_draw_int(c, 1, fv_draw_once_in(c, 2) ? 17 : 140);
    a->n = c->n;
    a->nk = c->nk;
    a->tail = fv_draw_int(c, 0, c->nk - 1 < 3 ? c->nk - 1 : 3);
    panels = (c->nk - a->tail + lanes - 1) / lanes;
    a->panel = (ptrdiff_t)c->n * lanes + (fv_draw(c) & 1 ? 0 : 16);
    a->lde = round_up(c->n, lanes);
    a->s = fv_case_floats(c, "s", (size_t)(panels - 1) * (size_t)a->panel + (size_t)c->n * lanes);
    a->end = fv_case_floats(c, "end", (size_t)a->tail * (size_t)a->lde);
    draw_edge(c);
    draw_bias(c);
}

static void call_softmax(fv_case *c)
{
    ((fvk_small_softmax_fn *)c->fn)(&c->small);
}

/* Scores with their bias, rounded as the contract's formula has it; hidden ones as such. */
static void edit_row(const fv_case *c, int i, float *x)
{
    for (int j = 0; j < c->nk; j++) {
        x[j] = sees(c, i, j) ? *at(c, i, j) : FVK_HIDDEN;
        if (c->small.bias && x[j] != FVK_HIDDEN) {
            float b = c->small.bias[i][j] * (float)FVK_LOG2E;
            x[j] += b < FVK_LOWEST ? FVK_LOWEST : b;
        }
    }
}

static void expect_row(fv_case *c, int i, const float *x)
{
    fv_want *want = c->memory->want;
    double largest = (double)FVK_HIDDEN;
    int poisoned = 0;
    for (int j = 0; j < c->nk; j++) {
        largest = fmax(largest, (double)x[j]);
        poisoned |= isnan(x[j]);
    }
    if (poisoned) {
        fv_case_expect(c, "l", i, -1, c->small.l[i], (fv_want){NAN, 0});
        return;
    }
    fv_ref_state state = fv_ref_softmax(x, c->nk, 1, (double)FVK_HIDDEN, largest, 0, want);
    fv_case_expect(c, "m", i, -1, c->small.m[i], state.m);
    fv_case_expect(c, "l", i, -1, c->small.l[i], state.l);
    for (int j = 0; j < c->nk; j++)
        if (!c->small.see || j < c->small.see[i])
            fv_case_expect(c, "s", i, j, *at(c, i, j), want[j]);
}

void fv_case_small_softmax(fv_case *c)
{
    const int lanes = c->row->lanes;
    float *before = (float *)c->memory->k;
    draw_block(c);
    for (int i = 0; i < c->n; i++) {
        for (int j = 0; j < round_up(c->nk - c->small.tail, lanes); j++)
            if (j >= c->nk - c->small.tail)
                c->small.s[j / lanes * c->small.panel + (ptrdiff_t)i * lanes + j % lanes] = FVK_HIDDEN;
        for (int j = 0; j < c->nk; j++) {
            float x = (float)(c->clean || !fv_draw_once_in(c, 200) ? fv_draw_score(c) : fv_draw_poison(c));
            *at(c, i, j) = c->small.see && j >= c->small.see[i] ? FVK_HIDDEN : x == INFINITY ? NAN : x;
        }
        edit_row(c, i, before + (size_t)i * c->nk);
    }
    c->small.m = fv_case_floats(c, "m", (size_t)round_up(c->n, lanes));
    c->small.l = fv_case_floats(c, "l", (size_t)round_up(c->n, lanes));
    c->call = call_softmax;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < c->n; i++)
        expect_row(c, i, before + (size_t)i * c->nk);
}

/* ------------------------------------------------------------------ values */

static void call_pv(fv_case *c)
{
    ((fvk_small_pv_fn *)c->fn)(&c->small, c->v_rows, c->dv, c->r, c->o_rows);
}

/* Values that some row does not see may be poisoned; seldom, others. */
static void poison(fv_case *c)
{
    for (int j = 0; j < c->nk; j++) {
        int hidden = 0;
        for (int i = 0; i < c->n; i++)
            hidden |= !sees(c, i, j);
        if (hidden ? fv_draw_once_in(c, 4) : !c->clean && fv_draw_once_in(c, 100))
            fv_case_put(c, c->v_rows, j, c->dv, fv_draw_int(c, 0, c->dv - 1), FVK_F32, fv_draw_poison(c), c->memory->v);
    }
}

static void expect_output(fv_case *c, int i, double *p, uint32_t *rows)
{
    fv_want *want = c->memory->want;
    for (int j = 0; j < c->nk; j++) {
        rows[j] = (uint32_t)sees(c, i, j);
        p[j] = (double)*at(c, i, j);
    }
    fv_ref_values(p, c->nk, 1, c->memory->v, c->dv, rows, NULL, NULL, want);
    for (int t = 0; t < c->dv; t++) {
        double r = (double)c->r[i], x = r * want[t].value;
        fv_case_expect(c, "o", i, t, c->o_rows[i][t], (fv_want){x, r * want[t].allowed + 0x1p-23 * fabs(x)});
    }
}

void fv_case_small_pv(fv_case *c)
{
    uint32_t rows[FV_CASE_KEYS];
    float **o;
    draw_block(c);
    c->dv = fv_draw_dim(c);
    c->v_rows = fv_case_rows(c, "v", c->nk, c->dv, FVK_F32, c->memory->v);
    poison(c);
    for (int i = 0; i < c->n; i++)
        for (int j = 0; j < c->nk; j++)
            *at(c, i, j) = sees(c, i, j) ? (float)fv_draw_real(c, 0, 1) : 0;
    c->r = fv_case_floats(c, "r", (size_t)c->n);
    o = fv_guard_get(c->memory->guard, "row pointers", -1, (size_t)c->n * sizeof *o);
    for (int i = 0; i < c->n; i++) {
        c->r[i] = fv_draw_once_in(c, 8) ? 0 : (float)fv_draw_real(c, 0.001, 2);
        o[i] = fv_guard_get(c->memory->guard, "o", i, (size_t)c->dv * sizeof(float));
    }
    c->o_rows = o;
    c->call = call_pv;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < c->n; i++)
        expect_output(c, i, c->memory->p, rows);
}
