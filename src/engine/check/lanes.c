/* Cases of the lanes family: query rows ride in the vector lanes. What a case draws, what it calls, what it wants. */
#include "check/lanes.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------ pack, store */

static void call_pack(fv_case *c)
{
    ((fvk_pack_fn *)c->fn)(c->q_rows, c->n, c->d, c->scale, c->qt);
}

static void call_pack_pair(fv_case *c)
{
    ((fvk_pack_pair_fn *)c->fn)(c->q_rows, c->n, c->d, c->qt);
}

/* n query rows; a lane may hold NaN, which must stay in its lane. */
static void draw_queries(fv_case *c)
{
    const double *q = c->memory->q;
    c->d = fv_draw_dim(c);
    c->n = fv_draw_int(c, 1, c->row->lanes);
    c->q_rows = fv_case_rows(c, "q", c->n, c->d, c->row->dtype, c->memory->q);
    if (!c->clean && fv_draw_once_in(c, 2))
        fv_case_put(c, c->q_rows, fv_draw_int(c, 0, c->n - 1), c->d, fv_draw_int(c, 0, c->d - 1), c->row->dtype,
                    fv_draw_poison(c), (double *)q);
}

void fv_case_pack(fv_case *c)
{
    const int lanes = c->row->lanes;
    const float *qt;
    draw_queries(c);
    c->scale = fv_draw_once_in(c, 4) ? 1.0f : (float)fv_draw_real(c, 0.01, 2);
    c->qt = fv_case_floats(c, "qt", (size_t)c->d * lanes);
    c->call = call_pack;
    if (!fv_case_run(c))
        return;
    qt = c->qt;
    for (int t = 0; t < c->d; t++)
        for (int i = 0; i < lanes; i++)
            fv_case_expect(c, "qt", t, i, qt[t * lanes + i],
                           i < c->n ? fv_ref_scaled(c->memory->q[i * c->d + t], (double)c->scale)
                                    : (fv_want){0, FV_EXACT});
}

/* qt[t / 2][lane][t % 2] in the row's own 16-bit type; odd d is filled up with 0, and so are lanes >= n. */
void fv_case_pack_pair(fv_case *c)
{
    const int lanes = c->row->lanes;
    const uint16_t *qt;
    draw_queries(c);
    c->qt = fv_guard_get(c->memory->guard, "qt", -1, (size_t)((c->d + 1) / 2) * lanes * 4);
    memset(c->qt, 0x5a, (size_t)((c->d + 1) / 2) * lanes * 4);
    c->call = call_pack_pair;
    if (!fv_case_run(c))
        return;
    qt = c->qt;
    for (int t = 0; t < (c->d + 1) / 2 * 2; t++)
        for (int i = 0; i < lanes; i++) {
            double want = i < c->n && t < c->d ? c->memory->q[i * c->d + t] : 0;
            fv_case_expect(c, "qt", t, i, (float)fv_ref_from_half(FVK_BF16, qt[(t / 2 * lanes + i) * 2 + t % 2]),
                           (fv_want){want, FV_EXACT});
        }
}

static void call_store(fv_case *c)
{
    ((fvk_store_fn *)c->fn)(c->o, c->dv, c->r, c->o_rows, c->n);
}

void fv_case_store(fv_case *c)
{
    const int lanes = c->row->lanes;
    float **rows;
    c->dv = fv_draw_dim(c);
    c->n = fv_draw_int(c, 1, lanes);
    c->o = fv_case_floats(c, "ot", (size_t)c->dv * lanes);
    c->r = fv_case_floats(c, "r", (size_t)lanes);
    for (int i = 0; i < c->dv * lanes; i++)
        c->o[i] = (float)(c->clean || !fv_draw_once_in(c, 500) ? fv_draw_value(c, FVK_F32) : fv_draw_poison(c));
    for (int i = 0; i < lanes; i++)
        c->r[i] = fv_draw_once_in(c, 8) ? 0 : (float)fv_draw_real(c, 0.001, 2);
    rows = fv_guard_get(c->memory->guard, "row pointers", -1, (size_t)c->n * sizeof *rows);
    for (int i = 0; i < c->n; i++)
        rows[i] = fv_guard_get(c->memory->guard, "o", i, (size_t)c->dv * sizeof(float));
    c->o_rows = rows;
    c->call = call_store;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < c->n; i++)
        for (int t = 0; t < c->dv; t++) {
            double x = (double)c->o[t * lanes + i], r = (double)c->r[i];
            fv_case_expect(c, "o", i, t, rows[i][t], fv_ref_scaled(x, r));
        }
}

/* ------------------------------------------------------------------ qk, hide */

static void call_qk(fv_case *c)
{
    const fvk_far far = {c->v_rows, 0, c->dv, c->in_order};
    ((fvk_qk_fn *)c->fn)(c->qt, c->d, c->k_rows, c->nk, c->rows, c->s, c->mx, c->next_rows, &far);
}

static void call_qk_pair(fv_case *c)
{
    ((fvk_qk_pair_fn *)c->fn)(c->qt, c->d, c->k_rows, c->nk, c->rows, c->scale, c->s, c->mx, c->next_rows, c->v_rows, 0,
                              c->dv);
}

static void call_hide(fv_case *c)
{
    ((fvk_hide_fn *)c->fn)(c->s, c->nk, c->rows, c->mx);
}

/* Rows that may be prefetched and never read: every address in them faults. */
static const void *const *rows_of_nowhere(fv_case *c)
{
    void **rows = fv_guard_get(c->memory->guard, "row pointers", -1, (size_t)c->nk * sizeof *rows);
    for (int j = 0; j < c->nk; j++)
        rows[j] = fv_guard_nowhere(c->memory->guard);
    return (const void *const *)rows;
}

/* The running maximum before the block, kept in `before`. */
static void draw_maximum(fv_case *c, float before[FVK_MAX_LANES])
{
    const int lanes = c->row->lanes;
    c->mx = fv_case_floats(c, "mx", (size_t)lanes);
    for (int i = 0; i < lanes; i++)
        before[i] = c->mx[i] = fv_draw_once_in(c, 2) ? FVK_HIDDEN : (float)fv_draw_real(c, -3, 3);
}

/* mx[i] is the largest of what it was and of the lane's visible scores as they were stored, to the bit. In a lane
   with a visible NaN it may be NaN or any of them: the NaN itself travels in the score. */
static void expect_maximum(fv_case *c, const float *before)
{
    const int lanes = c->row->lanes;
    for (int i = 0; i < lanes; i++) {
        double largest = (double)before[i];
        int lost = 0;
        for (int j = 0; j < c->nk; j++) {
            lost |= fv_case_sees(c, j, i) && isnan(c->s[j * lanes + i]);
            if (fv_case_sees(c, j, i))
                largest = fmax(largest, (double)c->s[j * lanes + i]);
        }
        if (lost && (isnan(c->mx[i]) || (double)c->mx[i] <= largest))
            continue;
        fv_case_expect(c, "mx", i, -1, c->mx[i], (fv_want){largest + 0.0, FV_EXACT});
    }
}

static void expect_scores(fv_case *c, double scale, int pair, const float *before)
{
    const int lanes = c->row->lanes;
    for (int j = 0; j < c->nk; j++) {
        fv_want *want = c->memory->want;
        fv_ref_scores(c->memory->q, c->d, lanes, c->memory->k + (size_t)j * c->d, scale, pair, want);
        for (int i = 0; i < lanes; i++)
            fv_case_expect(c, "s", j, i, c->s[j * lanes + i],
                           fv_case_sees(c, j, i) ? want[i] : (fv_want){(double)FVK_HIDDEN, FV_EXACT});
    }
    expect_maximum(c, before);
}

static void draw_keys(fv_case *c)
{
    c->nk = fv_draw_keys(c);
    fv_case_hide(c, c->row->lanes);
    c->k_rows = fv_case_rows(c, "k", c->nk, c->d, c->row->dtype, c->memory->k);
    fv_case_poison(c, c->row->lanes, c->k_rows, c->d, c->row->dtype, c->memory->k);
    c->s = fv_case_floats(c, "s", (size_t)c->nk * c->row->lanes);
}

/* Queries of a product: tiny times tiny would be 0. */
static double draw_factor(fv_case *c, fvk_dtype dtype)
{
    return c->values == FV_TINY ? fv_draw_real(c, -1, 1) : fv_draw_value(c, dtype);
}

void fv_case_qk(fv_case *c)
{
    const int lanes = c->row->lanes;
    float before[FVK_MAX_LANES], *qt;
    c->d = fv_draw_dim(c);
    c->dv = fv_draw_dim(c);
    c->n = fv_draw_int(c, 1, lanes);
    c->qt = qt = fv_case_floats(c, "qt", (size_t)c->d * lanes);
    for (int i = 0; i < c->d * lanes; i++) {
        qt[i] = i % lanes < c->n ? (float)draw_factor(c, FVK_F32) : 0;
        c->memory->q[i] = (double)qt[i];
    }
    draw_keys(c);
    draw_maximum(c, before);
    c->next_rows = fv_draw_once_in(c, 2) ? rows_of_nowhere(c) : NULL;
    c->v_rows = fv_draw_once_in(c, 2) ? rows_of_nowhere(c) : NULL;
    c->in_order = fv_draw_once_in(c, 2);
    c->call = call_qk;
    if (fv_case_run(c))
        expect_scores(c, 1, 0, before);
}

void fv_case_qk_pair(fv_case *c)
{
    const int lanes = c->row->lanes;
    float before[FVK_MAX_LANES];
    uint16_t *qt;
    c->d = fv_draw_dim(c);
    c->n = fv_draw_int(c, 1, lanes);
    c->scale = (float)fv_draw_real(c, 0.01, 2);
    c->qt = qt = fv_guard_get(c->memory->guard, "qt", -1, (size_t)((c->d + 1) / 2) * lanes * 4);
    memset(qt, 0, (size_t)((c->d + 1) / 2) * lanes * 4);
    for (int t = 0; t < c->d; t++)
        for (int i = 0; i < lanes; i++) {
            uint16_t bits = i < c->n ? fv_ref_to_half(FVK_BF16, draw_factor(c, FVK_BF16)) : 0;
            qt[(t / 2 * lanes + i) * 2 + t % 2] = bits;
            c->memory->q[t * lanes + i] = fv_ref_from_half(FVK_BF16, bits);
        }
    draw_keys(c);
    draw_maximum(c, before);
    c->dv = fv_draw_dim(c);
    c->next_rows = fv_draw_once_in(c, 2) ? rows_of_nowhere(c) : NULL;
    c->v_rows = fv_draw_once_in(c, 2) ? rows_of_nowhere(c) : NULL;
    c->call = call_qk_pair;
    if (fv_case_run(c))
        expect_scores(c, (double)c->scale, 1, before);
}

void fv_case_hide_scores(fv_case *c)
{
    const int lanes = c->row->lanes;
    float before[FVK_MAX_LANES];
    fv_want *want = c->memory->want;
    c->nk = fv_draw_keys(c);
    fv_case_hide(c, lanes);
    c->s = fv_case_floats(c, "s", (size_t)c->nk * lanes);
    for (int i = 0; i < c->nk * lanes; i++) {
        int hidden = !fv_case_sees(c, i / lanes, i % lanes), poison = !fv_draw_int(c, 0, hidden ? 3 : 400);
        c->s[i] = (float)(poison && (hidden || !c->clean) ? fv_draw_poison(c) : fv_draw_value(c, FVK_F32));
        want[i] = (fv_want){hidden ? (double)FVK_HIDDEN : (double)c->s[i], FV_EXACT};
    }
    draw_maximum(c, before);
    c->call = call_hide;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < c->nk * lanes; i++)
        fv_case_expect(c, "s", i / lanes, i % lanes, c->s[i], want[i]);
    expect_maximum(c, before);
}

/* ------------------------------------------------------------------ softmax */

/* One score in log2 units, within what products of real queries and keys give and well beyond. */
double fv_draw_score(fv_case *c)
{
    switch (c->values) {
    case FV_UNIFORM:
        return fv_draw_real(c, -10, 10);
    case FV_SPREAD:
        return ldexp(fv_draw_real(c, 1, 2), fv_draw_int(c, -20, 12)) * (fv_draw(c) & 1 ? 1 : -1);
    default:
        return fv_draw_value(c, FVK_F32);
    }
}

/* Column i of a block: its scores, and the state it meets. Kinds: as drawn, some hidden, all hidden, with NaN, with
   -inf. Returns 1 when it holds a NaN. */
int fv_draw_column(fv_case *c, float *s, int nk, int stride, float *m, float *mx, float *l)
{
    int kind = fv_draw_int(c, 0, 9), poisoned = 0;
    float old = fv_draw_once_in(c, 2) ? FVK_HIDDEN : (float)fv_draw_score(c), largest = old;
    if (fv_draw_once_in(c, 4)) /* the running maximum knows of keys of another block */
        largest = fmaxf(largest, (float)fv_draw_score(c));
    for (int j = 0; j < nk; j++) {
        float x = (float)fv_draw_score(c);
        if (kind == 1 || (kind == 2 && fv_draw_once_in(c, 2)))
            x = FVK_HIDDEN;
        if (kind == 3 && !c->clean && fv_draw_once_in(c, 8))
            x = NAN;
        if (kind == 4 && !c->clean && fv_draw_once_in(c, 8))
            x = -INFINITY;
        poisoned |= isnan(x);
        largest = fmaxf(largest, x); /* fmaxf passes over NaN */
        s[j * stride] = x;
    }
    *m = old;
    *l = old == FVK_HIDDEN ? 0 : (float)fv_draw_real(c, 1, 300);
    *mx = poisoned && fv_draw_once_in(c, 2) ? NAN : largest;
    return poisoned;
}

/* Element of an array of pairs, x[j / 2][lane][j % 2]. */
static uint16_t *pair_at(void *x, int lanes, int j, int lane)
{
    return (uint16_t *)x + ((size_t)(j / 2) * (size_t)lanes + (size_t)lane) * 2 + j % 2;
}

/* What softmax or softmax_pair left for key j. */
static float probability(const fv_case *c, int j, int i)
{
    if (c->row->op == FVK_SOFTMAX_PAIR)
        return (float)fv_ref_from_half(FVK_BF16, *pair_at(c->s, c->row->lanes, j, i));
    return c->s[j * c->row->lanes + i];
}

/* The same, rounded to the 8 significant bits of bf16. */
static fv_want in_bf16(fv_want want)
{
    if (want.allowed != FV_EXACT)
        want.allowed += 0x1p-8 * (want.value + want.allowed);
    return want;
}

/* A NaN score gives NaN in its own probability and in l, whatever the running maximum makes of it. */
static void expect_poisoned(fv_case *c, float before, int j, int i)
{
    if (isnan(before) && !isnan(probability(c, j, i)))
        fv_case_fail(c, "s[%d][%d] = %.9g, want NaN: its score was NaN", j, i, (double)probability(c, j, i));
}

void fv_case_expect_alpha(fv_case *c, int i, float alpha, const fv_ref_state *state)
{
    if (state->seen)
        fv_case_expect(c, "alpha", i, -1, alpha, state->alpha);
    else if (!(alpha >= 0 && alpha <= 1)) /* it meets an accumulator of zeros */
        fv_case_fail(c, "alpha[%d] = %.9g, want 0 to 1 while no key was seen", i, (double)alpha);
}

static void call_softmax(fv_case *c)
{
    ((fvk_softmax_fn *)c->fn)(c->s, c->nk, c->m, c->mx, c->l, c->alpha);
}

void fv_case_softmax(fv_case *c)
{
    const int lanes = c->row->lanes;
    fv_ref_state state[FVK_MAX_LANES];
    int poisoned[FVK_MAX_LANES], pair = c->row->op == FVK_SOFTMAX_PAIR;
    float *before = (float *)c->memory->p;
    fv_want *want = c->memory->want;
    c->nk = fv_draw_keys(c);
    c->s = fv_case_floats(c, "s", (size_t)c->nk * lanes);
    c->m = fv_case_floats(c, "m", (size_t)lanes);
    c->mx = fv_case_floats(c, "mx", (size_t)lanes);
    c->l = fv_case_floats(c, "l", (size_t)lanes);
    c->alpha = fv_case_floats(c, "alpha", (size_t)lanes);
    for (int i = 0; i < lanes; i++) {
        poisoned[i] = fv_draw_column(c, c->s + i, c->nk, lanes, c->m + i, c->mx + i, c->l + i);
        state[i] = fv_ref_softmax(c->s + i, c->nk, lanes, (double)c->m[i], (double)c->mx[i], (double)c->l[i], want + i);
    }
    memcpy(before, c->s, (size_t)c->nk * lanes * sizeof *before);
    c->call = call_softmax;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < lanes; i++) {
        for (int j = 0; j < c->nk; j++)
            if (poisoned[i])
                expect_poisoned(c, before[j * lanes + i], j, i);
            else
                fv_case_expect(c, "s", j, i, probability(c, j, i),
                               pair ? in_bf16(want[j * lanes + i]) : want[j * lanes + i]);
        if (pair && c->nk % 2)
            fv_case_expect(c, "s", c->nk, i, probability(c, c->nk, i), (fv_want){0, FV_EXACT});
        if (poisoned[i]) {
            fv_case_expect(c, "l", i, -1, c->l[i], (fv_want){NAN, 0});
            continue;
        }
        fv_case_expect(c, "m", i, -1, c->m[i], state[i].m);
        fv_case_expect_alpha(c, i, c->alpha[i], &state[i]);
        fv_case_expect(c, "l", i, -1, c->l[i], state[i].l);
    }
}

static void call_finish(fv_case *c)
{
    ((fvk_finish_fn *)c->fn)(c->m, c->l, c->sink, c->r, c->lse);
}

void fv_case_finish(fv_case *c)
{
    const int lanes = c->row->lanes;
    fv_want r, lse;
    c->m = fv_case_floats(c, "m", (size_t)lanes);
    c->l = fv_case_floats(c, "l", (size_t)lanes);
    c->r = fv_case_floats(c, "r", (size_t)lanes);
    c->sink = fv_draw_once_in(c, 2) ? fv_case_floats(c, "sink", (size_t)lanes) : NULL;
    c->lse = fv_draw_once_in(c, 4) ? NULL : fv_case_floats(c, "lse", (size_t)lanes);
    for (int i = 0; i < lanes; i++) {
        int empty = fv_draw_once_in(c, 5), poisoned = !c->clean && fv_draw_once_in(c, 20);
        c->m[i] = empty ? FVK_HIDDEN : (float)fv_draw_score(c);
        c->l[i] = empty ? 0 : (float)fv_draw_real(c, 1, fv_draw_once_in(c, 2) ? 2 : 1e5);
        if (poisoned)
            c->l[i] = NAN;
        if (c->sink)
            c->sink[i] = fv_draw_once_in(c, 4) ? FVK_HIDDEN : (float)fv_draw_real(c, -200, 200);
    }
    c->call = call_finish;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < lanes; i++) {
        fv_ref_finish((double)c->m[i], (double)c->l[i], c->sink ? (double)c->sink[i] : (double)FVK_HIDDEN, &r, &lse);
        fv_case_expect(c, "r", i, -1, c->r[i], r);
        if (c->lse)
            fv_case_expect(c, "lse", i, -1, c->lse[i], lse);
    }
}

/* ------------------------------------------------------------------ pv */

static void call_pv(fv_case *c)
{
    const fvk_far far = {c->next_rows, 0, c->d, c->in_order};
    ((fvk_pv_fn *)c->fn)(c->p, c->nk, c->v_rows, c->dv, c->rows, c->alpha, c->o, c->next_rows ? &far : NULL);
}

/* The accumulator and its factors, or NULL and rubbish to be overwritten. */
void fv_draw_accumulator(fv_case *c)
{
    const int lanes = c->row->lanes;
    c->o = fv_case_floats(c, "ot", (size_t)c->dv * lanes);
    if (!fv_draw_once_in(c, 4)) {
        c->alpha = fv_case_floats(c, "alpha", (size_t)lanes);
        for (int i = 0; i < lanes; i++)
            c->alpha[i] = fv_draw_once_in(c, 4) ? (float)fv_draw_int(c, 0, 1) : (float)fv_draw_real(c, 0, 1);
    }
    for (int i = 0; i < c->dv * lanes; i++) {
        c->o[i] = c->alpha ? (float)draw_factor(c, FVK_F32) : NAN;
        c->memory->o[i] = (double)c->o[i];
    }
}

void fv_case_pv(fv_case *c)
{
    const int lanes = c->row->lanes;
    const fv_case_memory *memory = c->memory;
    c->dv = fv_draw_dim(c);
    c->nk = fv_draw_keys(c);
    fv_case_hide(c, lanes);
    c->v_rows = fv_case_rows(c, "v", c->nk, c->dv, c->row->dtype, memory->v);
    fv_case_poison(c, lanes, c->v_rows, c->dv, c->row->dtype, memory->v);
    c->p = fv_case_floats(c, "p", (size_t)c->nk * lanes);
    for (int i = 0; i < c->nk * lanes; i++) {
        /* softmax leaves 0 for a hidden pair; the contract asks no such thing */
        c->p[i] = (float)(fv_case_sees(c, i / lanes, i % lanes) || c->clean ? fv_draw_real(c, 0, 1) : 0);
        memory->p[i] = (double)c->p[i];
    }
    fv_draw_accumulator(c);
    c->next_rows = fv_draw_once_in(c, 2) ? rows_of_nowhere(c) : NULL;
    c->in_order = fv_draw_once_in(c, 2);
    c->d = fv_draw_dim(c);
    c->call = call_pv;
    if (!fv_case_run(c))
        return;
    fv_ref_values(memory->p, c->nk, lanes, memory->v, c->dv, c->rows, c->alpha, memory->o, memory->want);
    for (int i = 0; i < c->dv * lanes; i++)
        fv_case_expect(c, "ot", i / lanes, i % lanes, c->o[i], memory->want[i]);
}

/* ------------------------------------------------------------------ values as pairs of keys */

static void call_values_pair(fv_case *c)
{
    ((fvk_values_pair_fn *)c->fn)(c->v_rows, c->nk, c->dv, (uint32_t *)c->block);
}

/* Keys whose words fit a guarded block. */
static int draw_pair_keys(fv_case *c)
{
    enum { MOST = FV_CASE_KEYS / 2 };
    int nk = fv_draw_keys(c);
    return nk < MOST ? nk : MOST;
}

/* Columns of the words: those of whole panels of 8. */
static int word_columns(const fv_case *c)
{
    return (c->dv + 7) / 8 * 8;
}

static uint16_t *draw_words(fv_case *c)
{
    c->block = fv_case_floats(c, "vt", (size_t)((c->nk + 1) / 2) * (size_t)word_columns(c));
    return (uint16_t *)c->block;
}

/* Where row j, column t lies. */
static size_t word_half(const fv_case *c, int j, int t)
{
    return ((size_t)(t / 8 * ((c->nk + 1) / 2) + j / 2) * 8 + (size_t)(t % 8)) * 2 + (size_t)(j % 2);
}

void fv_case_values_pair(fv_case *c)
{
    const uint16_t *vt;
    c->dv = fv_draw_dim(c);
    c->nk = draw_pair_keys(c);
    c->v_rows = fv_case_rows(c, "v", c->nk, c->dv, c->row->dtype, c->memory->v);
    if (!c->clean && fv_draw_once_in(c, 2))
        fv_case_put(c, c->v_rows, fv_draw_int(c, 0, c->nk - 1), c->dv, fv_draw_int(c, 0, c->dv - 1), c->row->dtype,
                    fv_draw_poison(c), c->memory->v);
    vt = draw_words(c);
    c->call = call_values_pair;
    if (!fv_case_run(c))
        return;
    for (int j = 0; j < (c->nk + 1) / 2 * 2; j++)
        for (int t = 0; t < word_columns(c); t++) {
            double want = j < c->nk && t < c->dv ? c->memory->v[(size_t)j * (size_t)c->dv + (size_t)t] : 0;
            fv_case_expect(c, "vt", j, t, (float)fv_ref_from_half(c->row->dtype, vt[word_half(c, j, t)]),
                           (fv_want){want, FV_EXACT});
        }
}

static void call_pv_pair(fv_case *c)
{
    ((fvk_pv_pair_fn *)c->fn)(c->qt, c->nk, (const uint32_t *)c->block, c->dv, c->alpha, c->o);
}

/* Probabilities as pairs in c->qt, 0 behind an odd nk; memory->p holds them in double. */
static void draw_probabilities(fv_case *c)
{
    const int lanes = c->row->lanes;
    c->qt = fv_guard_get(c->memory->guard, "p", -1, (size_t)((c->nk + 1) / 2) * (size_t)lanes * 4);
    for (int j = 0; j < (c->nk + 1) / 2 * 2; j++)
        for (int i = 0; i < lanes; i++) {
            uint16_t bits = j < c->nk ? fv_ref_to_half(FVK_BF16, fv_draw_real(c, 0, 1)) : 0;
            *pair_at(c->qt, lanes, j, i) = bits;
            if (j < c->nk)
                c->memory->p[j * lanes + i] = fv_ref_from_half(FVK_BF16, bits);
        }
}

void fv_case_pv_pair(fv_case *c)
{
    const int lanes = c->row->lanes;
    const fv_case_memory *memory = c->memory;
    uint16_t *vt;
    c->dv = fv_draw_dim(c);
    c->nk = draw_pair_keys(c);
    c->v_rows = fv_case_rows(c, "v", c->nk, c->dv, c->row->dtype, memory->v);
    fv_case_poison(c, lanes, c->v_rows, c->dv, c->row->dtype, memory->v);
    vt = draw_words(c);
    for (int j = 0; j < (c->nk + 1) / 2 * 2; j++)
        for (int t = 0; t < word_columns(c); t++)
            vt[word_half(c, j, t)] = j < c->nk && t < c->dv ? ((const uint16_t *)c->v_rows[j])[t] : 0;
    draw_probabilities(c);
    fv_draw_accumulator(c);
    c->call = call_pv_pair;
    if (!fv_case_run(c))
        return;
    fv_ref_values(memory->p, c->nk, lanes, memory->v, c->dv, NULL, c->alpha, memory->o, memory->want);
    for (int i = 0; i < c->dv * lanes; i++) {
        /* as in fv_ref_scores: an order of their own, subnormal factors taken for 0, each step flushed */
        memory->want[i].allowed = 2 * memory->want[i].allowed + (2 * c->nk + 1) * FV_FLUSH;
        fv_case_expect(c, "ot", i / lanes, i % lanes, c->o[i], memory->want[i]);
    }
}

/* ------------------------------------------------------------------ edits */

/* slope and pos hold `lanes` numbers. */
void fv_draw_edit(fv_case *c, int lanes)
{
    float *slope, *pos, *kpos;
    c->edit = (fvk_edit){.cap = fv_draw_once_in(c, 3) ? 0 : (float)fv_draw_real(c, 0.5, 60)};
    c->edit.unit = fv_draw_once_in(c, 3) ? 1.0f : (float)FVK_LOG2E;
    if (c->edit.cap > 0 && fv_draw_once_in(c, 3))
        return;
    slope = fv_case_floats(c, "slope", (size_t)lanes);
    pos = fv_case_floats(c, "pos", (size_t)lanes);
    kpos = fv_case_floats(c, "kpos", (size_t)c->nk);
    for (int i = 0; i < lanes; i++) {
        slope[i] = (float)fv_draw_real(c, 0, 1);
        pos[i] = (float)fv_draw_int(c, 0, 1 << fv_draw_int(c, 1, 23));
    }
    for (int j = 0; j < c->nk; j++)
        kpos[j] = (float)fv_draw_int(c, 0, 1 << fv_draw_int(c, 1, 23));
    c->edit.slope = slope;
    c->edit.pos = pos;
    c->edit.kpos = kpos;
}

static void call_edit(fv_case *c)
{
    ((fvk_edit_fn *)c->fn)(c->s, c->nk, &c->edit);
}

/* lanes = 1 is a row of the rows family. */
void fv_case_edit_block(fv_case *c, int lanes)
{
    fv_want *want = c->memory->want;
    c->nk = fv_draw_keys(c);
    c->s = fv_case_floats(c, "s", (size_t)c->nk * lanes);
    fv_draw_edit(c, lanes);
    for (int i = 0; i < c->nk * lanes; i++) {
        c->s[i] = (float)(c->clean || !fv_draw_once_in(c, 100) ? fv_draw_score(c) : fv_draw_poison(c));
        want[i] = fv_ref_edit((double)c->s[i], &c->edit, i % lanes, i / lanes);
    }
    c->call = call_edit;
    if (!fv_case_run(c))
        return;
    for (int i = 0; i < c->nk * lanes; i++)
        fv_case_expect(c, "s", i / lanes, lanes > 1 ? i % lanes : -1, c->s[i], want[i]);
}

void fv_case_edit(fv_case *c)
{
    fv_case_edit_block(c, c->row->lanes);
}

/* ------------------------------------------------------------------ kept */

static void call_kept(fv_case *c)
{
    ((fvk_kept_fn *)c->fn)(c->p, c->nk, c->rows);
}

void fv_case_kept(fv_case *c)
{
    const int lanes = c->row->lanes;
    fv_want *want = c->memory->want;
    uint32_t *rows = (uint32_t *)c->memory->q;
    c->nk = fv_draw_keys(c);
    c->p = fv_case_floats(c, "p", (size_t)c->nk * lanes);
    c->rows = (uint32_t *)fv_case_floats(c, "rows", (size_t)c->nk);
    for (int j = 0; j < c->nk; j++) {
        rows[j] = 0;
        for (int i = 0; i < lanes; i++) {
            int kept = fv_draw_once_in(c, 2);
            float x = kept ? (fv_draw_once_in(c, 20) ? NAN : (float)fv_draw_int(c, 0, 3)) : FVK_DROPPED;
            c->p[j * lanes + i] = x;
            want[j * lanes + i] = (fv_want){kept ? (double)x : 0, FV_EXACT};
            rows[j] |= (uint32_t)kept << i;
        }
    }
    c->call = call_kept;
    if (!fv_case_run(c))
        return;
    for (int j = 0; j < c->nk; j++) {
        for (int i = 0; i < lanes; i++)
            fv_case_expect(c, "p", j, i, c->p[j * lanes + i], want[j * lanes + i]);
        if (((c->rows[j] ^ rows[j]) & (uint32_t)((1ull << lanes) - 1)) != 0)
            fv_case_fail(c, "rows[%d] = %x, want %x", j, c->rows[j], rows[j]);
    }
}

/* ------------------------------------------------------------------ bias */

static void call_bias(fv_case *c)
{
    c->result = ((fvk_bias_fn *)c->fn)(c->s, c->nk, c->block, c->rows);
}

/* Biases of every kind: ordinary, -infinity, the lowest floats, NaN; scores of hidden pairs are of no account. */
void fv_case_bias(fv_case *c)
{
    const int lanes = c->row->lanes;
    fv_want *want = c->memory->want;
    uint32_t *rows = (uint32_t *)c->memory->q, all = (uint32_t)((1ull << lanes) - 1), every = all;
    c->nk = fv_draw_keys(c);
    c->s = fv_case_floats(c, "s", (size_t)c->nk * lanes);
    c->block = fv_case_floats(c, "b", (size_t)c->nk * lanes);
    c->rows = (uint32_t *)fv_case_floats(c, "rows", (size_t)c->nk);
    for (int j = 0; j < c->nk; j++) {
        rows[j] = c->rows[j] = fv_draw_once_in(c, 2) ? ~0u : (uint32_t)fv_draw(c);
        for (int i = 0; i < lanes; i++) {
            float b = (float)fv_draw_real(c, -50, 50), s = (float)fv_draw_score(c);
            int kind = fv_draw_int(c, 0, 30);
            double x;
            b = kind == 0 ? -INFINITY : kind == 1 ? -3.4028234e38f : kind == 2 && !c->clean ? NAN : b;
            c->block[j * lanes + i] = b;
            c->s[j * lanes + i] = s;
            x = fmax((double)b * (double)(float)FVK_LOG2E, (double)FVK_LOWEST);
            want[j * lanes + i] = isnan(b) ? (fv_want){NAN, 0}
                                           : (fv_want){(double)s + x, 0x1p-23 * (fabs(x) + fabs((double)s + x))};
            if (b == -INFINITY)
                rows[j] &= ~(1u << i);
        }
        every &= rows[j];
    }
    c->call = call_bias;
    if (!fv_case_run(c))
        return;
    if (((uint32_t)c->result & all) != every)
        fv_case_fail(c, "returns %x, want %x", (uint32_t)c->result & all, every);
    for (int j = 0; j < c->nk; j++) {
        for (int i = 0; i < lanes; i++)
            if (c->block[j * lanes + i] != -INFINITY)
                fv_case_expect(c, "s", j, i, c->s[j * lanes + i], want[j * lanes + i]);
        if (((c->rows[j] ^ rows[j]) & all) != 0)
            fv_case_fail(c, "rows[%d] = %x, want %x", j, c->rows[j], rows[j]);
    }
}
