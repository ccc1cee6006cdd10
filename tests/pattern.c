/* Patterns against their oracle: rows, and tiles of all parts, of drawn expressions.

   Every scratch is a guarded block of exactly the size asked for. */
#include "pattern/pattern.h"
#include "pattern_scratch.h"
#include "ref/pattern_ref.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ drawing */

typedef struct dice {
    uint64_t state;
} dice;

static uint64_t throw_dice(dice *d)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return d->state * 0x2545f4914f6cdd1du;
}

static int64_t pick(dice *d, int64_t lo, int64_t hi) /* both included */
{
    return lo + (int64_t)((throw_dice(d) >> 11) % (uint64_t)(hi - lo + 1));
}

/* What one case needs to live: nodes, and arrays behind file: names. */
typedef struct world {
    dice dice;
    int64_t lq, lk, hq;
    ref_expr node[64];
    unsigned nodes;
    uint8_t mask[4][1 << 14];
    int32_t parent[4][512];
    char name[4][8];
    unsigned files;
    fovea_array array[4];
    int loaded;
} world;

static int load(void *user, const char *path, fovea_array *array, char *why, size_t n)
{
    world *w = user;
    for (unsigned k = 0; k < w->files; k++) {
        if (strcmp(path, w->name[k]))
            continue;
        *array = w->array[k];
        w->loaded++;
        return 0;
    }
    snprintf(why, n, "no such array");
    return 1;
}

static void unload(void *user, fovea_array *array)
{
    (void)array;
    ((world *)user)->loaded--;
}

static fv_pattern_env env_of(world *w)
{
    return (fv_pattern_env){&fv_memory_standard, load, unload, w, 0};
}

static void draw_list(world *w, ref_expr *e, int64_t max)
{
    e->count = (unsigned)pick(&w->dice, 0, 9);
    for (unsigned k = 0; k < e->count; k++)
        e->list[k] = pick(&w->dice, 0, max);
}

static void draw_documents(world *w, ref_expr *e)
{
    int64_t left = w->lk;
    e->count = (unsigned)pick(&w->dice, 1, 7);
    for (unsigned k = 0; k + 1 < e->count; k++) {
        e->list[k] = pick(&w->dice, 0, 3) ? pick(&w->dice, 0, left) : 0;
        left -= e->list[k];
    }
    e->list[e->count - 1] = left;
}

static int64_t divisor(world *w, int64_t n)
{
    int64_t found[64], count = 0;
    for (int64_t k = 1; k <= n && count < 64; k++)
        if (n % k == 0)
            found[count++] = k;
    return found[pick(&w->dice, 0, count - 1)];
}

static void draw_grid(world *w, ref_expr *e)
{
    int64_t left = w->lk;
    e->count = (unsigned)pick(&w->dice, 1, 3);
    for (unsigned a = 0; a + 1 < e->count; a++) {
        e->size[a] = divisor(w, left);
        left /= e->size[a];
    }
    e->size[e->count - 1] = left;
    e->a[0] = pick(&w->dice, 0, e->count - 1);
    for (unsigned a = 0; a < e->count; a++) {
        int64_t n = e->size[a];
        e->kernel[a] = e->kind == REF_SWIN ? divisor(w, n) : pick(&w->dice, 1, n);
        e->stride[a] = e->kind == REF_SWIN ? pick(&w->dice, 0, e->kernel[a] - 1) : pick(&w->dice, 1, e->kernel[a]);
        e->dilation[a] = pick(&w->dice, 1, n / e->kernel[a]);
        e->causal[a] = pick(&w->dice, 0, 1);
    }
}

static void draw_mask(world *w, ref_expr *e)
{
    unsigned f = w->files++;
    e->a[0] = pick(&w->dice, 1, 40);
    e->a[1] = pick(&w->dice, 1, 40);
    e->heads = pick(&w->dice, 0, 1) ? 1 : w->hq;
    e->mask = w->mask[f];
    int64_t rows = (w->lq + e->a[0] - 1) / e->a[0], keys = (w->lk + e->a[1] - 1) / e->a[1];
    if (e->heads * rows * keys > (int64_t)sizeof w->mask[f]) {
        e->a[0] = e->a[1] = 16;
        rows = (w->lq + 15) / 16;
        keys = (w->lk + 15) / 16;
    }
    for (int64_t k = 0; k < e->heads * rows * keys; k++)
        w->mask[f][k] = pick(&w->dice, 0, 2) ? 0 : (uint8_t)pick(&w->dice, 1, 255);
    w->array[f] = (fovea_array){.data = w->mask[f], .dim = {e->heads, rows, keys}, .rank = 3, .type = 'b'};
    if (e->heads == 1 && pick(&w->dice, 0, 1))
        w->array[f] = (fovea_array){.data = w->mask[f], .dim = {rows, keys}, .rank = 2, .type = 'b'};
    sprintf(w->name[f], "m%u", f);
    e->path = w->name[f];
}

static void draw_tree(world *w, ref_expr *e)
{
    unsigned f = w->files++;
    e->a[0] = pick(&w->dice, 0, w->lq < w->lk ? w->lq : w->lk);
    for (int64_t k = 0; k < e->a[0]; k++)
        w->parent[f][k] = (int32_t)pick(&w->dice, k > 6 ? k - 6 : -1, k - 1);
    e->parent = w->parent[f];
    w->array[f] = (fovea_array){.data = w->parent[f], .dim = {e->a[0]}, .rank = 1, .type = 'i'};
    sprintf(w->name[f], "t%u", f);
    e->path = w->name[f];
}

static void draw_blocks(world *w, ref_expr *e)
{
    e->a[0] = pick(&w->dice, 1, 20);
    int64_t blocks = (w->lk + e->a[0] - 1) / e->a[0];
    e->a[1] = pick(&w->dice, 0, blocks < 12 ? blocks : 12);
    e->a[2] = pick(&w->dice, 0, 1000);
}

static ref_expr *draw_leaf(world *w, ref_kind kind)
{
    ref_expr *e = &w->node[w->nodes++];
    dice *d = &w->dice;
    *e = (ref_expr){.kind = kind};
    if (kind == REF_BIGBIRD && w->lq != w->lk)
        e->kind = kind = REF_STRIDE;
    if ((kind == REF_BLOCKS || kind == REF_TREE) && w->files == 4)
        e->kind = kind = REF_CAUSAL;
    for (unsigned k = 0; k < 3; k++)
        e->a[k] = pick(d, 0, pick(d, 0, 3) ? 12 : w->lk + 5);
    switch (kind) {
    case REF_WINDOW:
        e->a[0] -= pick(d, 0, 4) == 0 ? 100000 : 0;
        e->a[1] -= pick(d, 0, 4) == 0 ? 100000 : 0;
        break;
    case REF_COLUMNS:
    case REF_GLOBAL:
        draw_list(w, e, w->lk + 1);
        break;
    case REF_DOCUMENT:
        draw_documents(w, e);
        break;
    case REF_BLOCKS:
        draw_mask(w, e);
        break;
    case REF_TREE:
        draw_tree(w, e);
        break;
    case REF_RANDOM:
    case REF_BIGBIRD:
        draw_blocks(w, e);
        break;
    case REF_AXIAL:
    case REF_NEIGHBORHOOD:
    case REF_SWIN:
        draw_grid(w, e);
        break;
    case REF_SUMMARY:
        e->a[0]++;
        e->a[1] = pick(d, 0, e->a[0]);
        break;
    case REF_BLOCKWINDOW:
    case REF_LONGNET:
        e->a[1]++;
        e->a[0]++;
        break;
    case REF_STRIDE:
    case REF_DILATED:
    case REF_CHUNK:
        e->a[0]++;
        break;
    default:
        break;
    }
    return e;
}

static ref_expr *draw_expr(world *w, int depth)
{
    int64_t what = depth ? pick(&w->dice, 0, 9) : 9;
    ref_expr *e;
    if (what >= 8 || w->nodes > 40)
        return draw_leaf(w, (ref_kind)pick(&w->dice, 0, REF_LEAVES - 1));
    e = &w->node[w->nodes++];
    e->kind = what == 0 ? REF_NOT : what < 4 ? REF_AND : REF_OR;
    e->left = draw_expr(w, depth - 1);
    e->right = what ? draw_expr(w, depth - 1) : NULL;
    return e;
}

static void draw_shape(world *w)
{
    static const int64_t nice[] = {1, 2, 3, 12, 24, 36, 48, 60, 64, 72, 96, 97, 120, 128, 180};
    w->lk = nice[pick(&w->dice, 0, 14)];
    w->hq = pick(&w->dice, 1, 5);
    switch (pick(&w->dice, 0, 3)) {
    case 0:
        w->lq = pick(&w->dice, 1, w->lk);
        break;
    case 1:
        w->lq = w->lk + pick(&w->dice, 0, 60);
        break;
    default:
        w->lq = w->lk;
    }
}

/* ------------------------------------------------------------------ comparing */

static void compare_row(const fv_pattern *p, const world *w, const ref_expr *e, int64_t h, int64_t i, const char *text)
{
    size_t bytes = fv_pattern_row_scratch(p);
    void *scratch = scratch_get(bytes);
    const fv_run *run;
    size_t n = fv_pattern_row(p, (fv_lane){i, h}, scratch, &run), at = 0;

    for (size_t k = 0; k < n; k++) {
        cr_assert(run[k].lo < run[k].hi && run[k].lo >= 0 && run[k].hi <= w->lk, "%s: run %zu of row %lld", text, k,
                  (long long)i);
        cr_assert(k == 0 || run[k - 1].hi < run[k].lo, "%s: runs touch or fall, row %lld", text, (long long)i);
    }
    for (int64_t j = 0; j < w->lk; j++) {
        while (at < n && run[at].hi <= j)
            at++;
        int got = at < n && run[at].lo <= j;
        cr_assert(got == ref_keep(e, w->lq, w->lk, i, j, h),
                  "%s, lq=%lld lk=%lld hq=%lld: row %lld, head %lld, key %lld: got %d", text, (long long)w->lq,
                  (long long)w->lk, (long long)w->hq, (long long)i, (long long)h, (long long)j, got);
    }
    cr_assert(scratch_put(scratch, bytes), "%s: row scratch is too small", text);
}

/* Runs one tile and counts each pair it shows. */
static void add_tile(const fv_pattern *p, unsigned part, const fv_lane *lane, unsigned n, int64_t c, const world *w,
                     uint8_t *seen, const char *text)
{
    size_t bytes = fv_pattern_tile_scratch(p, part, n);
    void *scratch = scratch_get(bytes);
    int64_t step = fv_pattern_step(p, part);
    const fv_span *span;
    size_t count = fv_pattern_tile(p, part, lane, n, c, scratch, &span);

    for (size_t k = 0; k < count; k++) {
        cr_assert(span[k].lo < span[k].hi && span[k].lo >= 0 && c + step * (span[k].hi - 1) < w->lk, "%s: span range",
                  text);
        cr_assert(span[k].lanes && (n == 64 || !(span[k].lanes >> n)), "%s: lanes of a span", text);
        cr_assert(k == 0 || span[k - 1].hi <= span[k].lo, "%s: spans overlap or fall", text);
        cr_assert(k == 0 || span[k - 1].hi < span[k].lo || span[k - 1].lanes != span[k].lanes, "%s: spans not maximal",
                  text);
        for (unsigned l = 0; l < n; l++)
            for (int64_t t = span[k].lo; (span[k].lanes >> l & 1) && t < span[k].hi; t++)
                seen[(lane[l].head * w->lq + lane[l].row) * w->lk + c + step * t]++;
    }
    cr_assert(scratch_put(scratch, bytes), "%s: tile scratch is too small", text);
}

/* All rows of all heads of one class, in tiles of drawn sizes; row by row with heads inside, or head by head. */
static void add_class(const fv_pattern *p, unsigned part, int64_t c, world *w, uint8_t *seen, const char *text)
{
    int64_t step = fv_pattern_step(p, part), rows = w->lq, total = rows * w->hq;
    int by_row = pick(&w->dice, 0, 1) == 1;
    unsigned n = 0, size = (unsigned)pick(&w->dice, 1, 64);
    fv_lane lane[64];

    for (int64_t x = 0; x < total; x++) {
        fv_lane next = by_row ? (fv_lane){x / w->hq, x % w->hq} : (fv_lane){x % rows, x / rows};
        int64_t residue = (next.row + w->lk - w->lq) % step;
        if ((residue < 0 ? residue + step : residue) != c)
            continue;
        lane[n++] = next;
        if (n < size)
            continue;
        add_tile(p, part, lane, n, c, w, seen, text);
        n = 0;
        size = (unsigned)pick(&w->dice, 1, 64);
    }
    if (n)
        add_tile(p, part, lane, n, c, w, seen, text);
}

static void compare_tiles(const fv_pattern *p, world *w, const ref_expr *e, const char *text)
{
    uint8_t *seen = calloc((size_t)(w->hq * w->lq), (size_t)w->lk);
    cr_assert(fv_pattern_parts(p) >= 1);
    for (unsigned part = 0; part < fv_pattern_parts(p); part++)
        for (int64_t c = 0; c < fv_pattern_step(p, part); c++)
            add_class(p, part, c, w, seen, text);
    for (int64_t h = 0; h < w->hq; h++)
        for (int64_t i = 0; i < w->lq; i++)
            for (int64_t j = 0; j < w->lk; j++) {
                int got = seen[(h * w->lq + i) * w->lk + j], want = ref_keep(e, w->lq, w->lk, i, j, h);
                cr_assert(got == want, "%s, lq=%lld lk=%lld: row %lld, head %lld, key %lld seen %d times, not %d", text,
                          (long long)w->lq, (long long)w->lk, (long long)i, (long long)h, (long long)j, got, want);
            }
    free(seen);
}

static void compare(world *w, const ref_expr *e)
{
    static char text[1 << 14];
    fv_pattern_env env = env_of(w);
    fv_shape shape = {w->lq, w->lk, w->hq};
    fovea_error err = {0};
    fv_pattern *p;

    ref_text(e, text, sizeof text);
    fovea_status status = fv_pattern_compile(&env, text, &shape, &p, &err);
    cr_assert(status == FOVEA_OK, "%s, lq=%lld lk=%lld: %s", text, (long long)w->lq, (long long)w->lk, err.text);
    cr_assert_eq(w->loaded, 0, "every array is given back");
    for (int64_t h = 0; h < w->hq; h++)
        for (int64_t i = 0; i < w->lq; i++)
            compare_row(p, w, e, h, i, text);
    compare_tiles(p, w, e, text);
    fv_pattern_free(p);
}

static world *new_world(uint64_t seed)
{
    world *w = calloc(1, sizeof *w);
    w->dice.state = seed * 0x9e3779b97f4a7c15u + 1;
    for (int k = 0; k < 5; k++)
        throw_dice(&w->dice);
    return w;
}

/* ------------------------------------------------------------------ against the oracle */

Test(pattern, every_primitive_alone)
{
    for (int kind = 0; kind < REF_LEAVES; kind++) {
        for (uint64_t seed = 1; seed <= 12; seed++) {
            world *w = new_world(seed * 100 + (uint64_t)kind);
            draw_shape(w);
            if (kind == REF_BIGBIRD)
                w->lq = w->lk;
            compare(w, draw_leaf(w, (ref_kind)kind));
            free(w);
        }
    }
}

Test(pattern, drawn_expressions)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        world *w = new_world(seed);
        draw_shape(w);
        compare(w, draw_expr(w, 3));
        free(w);
    }
}

/* Unions of strided terms, some inside a conjunction: what splitting exists for. */
Test(pattern, strided_unions)
{
    static const ref_kind strided[] = {REF_STRIDE, REF_DILATED, REF_AXIAL, REF_LONGNET, REF_NEIGHBORHOOD};
    for (uint64_t seed = 1; seed <= 150; seed++) {
        world *w = new_world(seed + 5000);
        draw_shape(w);
        ref_expr *e = draw_leaf(w, pick(&w->dice, 0, 1) ? REF_CAUSAL : REF_WINDOW);
        for (int k = 0; k < 3; k++) {
            ref_expr *join = &w->node[w->nodes++];
            join->kind = pick(&w->dice, 0, 3) ? REF_OR : REF_AND;
            join->left = e;
            join->right = draw_leaf(w, strided[pick(&w->dice, 0, 4)]);
            e = join;
        }
        compare(w, e);
        free(w);
    }
    world w = {.lq = 40, .lk = 60, .hq = 1};
    fv_pattern_env env = env_of(&w);
    fv_shape shape = {40, 60, 1};
    fv_pattern *p;
    cr_assert(!fv_pattern_compile(&env, "causal & (window(left=3) | stride(4) | sinks(2) | stride(6) & !self)", &shape,
                                  &p, NULL));
    cr_assert_eq(fv_pattern_parts(p), 3);
    cr_assert(fv_pattern_step(p, 0) == 1 && fv_pattern_step(p, 1) == 4 && fv_pattern_step(p, 2) == 6);
    fv_pattern_free(p);
}

/* Two strides at once keep to the classes of both, whether their common multiple fits or not. */
Test(pattern, strides_of_strides)
{
    for (int64_t a = 2; a <= 13; a++)
        for (int64_t b = 2; b <= 13; b++) {
            world *w = new_world((uint64_t)(a * 100 + b));
            ref_expr first = {.kind = REF_STRIDE, .a = {a}}, second = {.kind = REF_DILATED, .a = {b, 9, 9}};
            ref_expr both = {.kind = REF_AND, .left = &first, .right = &second};
            w->lq = 70; /* positions below zero, far from their keys */
            w->lk = 36;
            w->hq = 1;
            compare(w, &both);
            free(w);
        }
}

/* Lists that fill their bounds to the last run. */
Test(pattern, full_scratch)
{
    ref_expr odd = {.kind = REF_SUMMARY, .a = {2, 1}}, near = {.kind = REF_WINDOW, .a = {39, 0}};
    ref_expr window = {.kind = REF_AND, .left = &near, .right = &odd};
    ref_expr all = {.kind = REF_ALL}, two = {.kind = REF_COLUMNS, .count = 2, .list = {1, 5}};
    ref_expr other = {.kind = REF_SUMMARY, .a = {4, 1}}, inner = {.kind = REF_OR, .left = &odd, .right = &odd};
    ref_expr cut = {.kind = REF_AND, .left = &inner, .right = &all},
             outer = {.kind = REF_OR, .left = &two, .right = &cut};
    ref_expr none = {.kind = REF_NOT, .left = &other}, sum = {.kind = REF_OR, .left = &none, .right = &outer};
    const ref_expr *const cases[] = {&window, &outer, &none, &sum};

    for (int k = 0; k < 4; k++) {
        world *w = new_world(77 + (uint64_t)k);
        w->lq = w->lk = 120;
        w->hq = 2;
        compare(w, cases[k]);
        free(w);
    }
}

Test(pattern, empty_sequences)
{
    static const char *const texts[] = {
        "all",         "!all",      "causal | stride(3)", "window(left=2) & chunk(5)", "random(block=4,count=2)",
        "document(0)", "logsparse", "longnet(4,2)",       "columns(1,2)|!global(3)",   "bigbird"};
    fv_pattern_env env = {&fv_memory_standard, NULL, NULL, NULL, 0};
    for (unsigned k = 0; k < sizeof texts / sizeof *texts; k++) {
        fv_shape shape = {k == 9 ? 0 : 7, 0, 2};
        fv_pattern *p;
        fovea_error err = {0};
        cr_assert(!fv_pattern_compile(&env, texts[k], &shape, &p, &err), "%s: %s", texts[k], err.text);
        void *scratch = malloc(fv_pattern_row_scratch(p) + fv_pattern_tile_scratch(p, 0, 1));
        const fv_run *run;
        const fv_span *span;
        for (int64_t i = 0; i < shape.lq; i++) {
            cr_assert_eq(fv_pattern_row(p, (fv_lane){i, 1}, scratch, &run), 0);
            cr_assert_eq(fv_pattern_tile(p, 0, &(fv_lane){i, 1}, 1, 0, scratch, &span), 0);
        }
        free(scratch);
        fv_pattern_free(p);
    }
}

/* A chain is causal; every node sees the keys before the tree and its way to the root. */
Test(pattern, tree_identities)
{
    world *w = new_world(1);
    ref_expr e = {.kind = REF_TREE, .a = {6}, .path = "t", .parent = w->parent[0]};
    ref_expr causal = {.kind = REF_CAUSAL}, same = {.kind = REF_AND, .left = &e, .right = &causal};
    int64_t wide[6] = {-1, 0, 0, 1, 1, 2};

    w->lq = 9;
    w->lk = 20;
    w->hq = 2;
    for (int k = 0; k < 6; k++)
        w->parent[0][k] = k - 1;
    w->files = 1;
    strcpy(w->name[0], "t");
    w->array[0] = (fovea_array){.data = w->parent[0], .dim = {6}, .rank = 1, .type = 'i'};
    compare(w, &e);
    compare(w, &same);
    fv_pattern_env env = env_of(w);
    fv_shape shape = {9, 20, 2};
    fv_pattern *p;
    cr_assert(!fv_pattern_compile(&env, "tree(file:t) & !causal | causal & !tree(file:t)", &shape, &p, NULL));
    void *scratch = malloc(fv_pattern_row_scratch(p));
    const fv_run *run;
    for (int64_t i = 0; i < 9; i++)
        cr_assert_eq(fv_pattern_row(p, (fv_lane){i, 0}, scratch, &run), 0, "a chain is causal");
    free(scratch);
    fv_pattern_free(p);
    for (int k = 0; k < 6; k++)
        w->parent[0][k] = (int32_t)wide[k];
    w->array[0] = (fovea_array){.data = wide, .dim = {6}, .rank = 1, .type = 'l'};
    compare(w, &e);
    free(w);
}
