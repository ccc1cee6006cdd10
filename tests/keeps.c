/* What the rows keep: the patterns of the registry's templates against predicates written from the definitions, over
   all pairs of a square problem and of one whose queries are the last rows. */
#include "recipe_env.h"

typedef struct place {
    int64_t i, j, p, lq, lk;
} place;

/* clang-format off */
static int keeps_window(place x) { return x.j <= x.p && x.j > x.p - 5; }
static int keeps_sides(place x) { return x.j >= x.p - 3 && x.j <= x.p + 2; }
static int keeps_left(place x) { return x.j >= x.p - 3; }
static int keeps_right(place x) { return x.j <= x.p + 2; }
static int keeps_streaming(place x) { return x.j <= x.p && (x.j < 3 || x.j > x.p - 6); }
static int keeps_trishape(place x) { return keeps_streaming(x) || (x.i >= x.lq - 4 && x.j <= x.p); }
static int keeps_chunked(place x) { return x.j <= x.p && x.j / 10 == x.p / 10; }
static int keeps_prefix(place x) { return x.j <= x.p || x.j < 45; }
static int keeps_blockwindow(place x) { return x.j <= x.p && x.p / 6 - x.j / 6 < 3; }
static int keeps_both(place x) { return x.j <= x.p && (x.p - x.j < 7 || (x.p - x.j) % 7 == 0); }
static int keeps_local(place x) { return x.j <= x.p && x.p - x.j < 7; }
static int keeps_strided(place x) { return x.j <= x.p && (x.p - x.j) % 7 == 0; }
static int keeps_fixed(place x) { return x.j <= x.p && (x.j / 9 == x.p / 9 || x.j % 9 >= 7); }
static int keeps_chunk_only(place x) { return x.j <= x.p && x.j / 9 == x.p / 9; }
static int keeps_globals(place x) { return llabs(x.p - x.j) <= 4 || x.j == 1 || x.j == 50 || x.p == 1 || x.p == 50; }
static int keeps_near(place x) { return llabs(x.p - x.j) <= 4; }
static int keeps_blocks(place x) { return !(x.i / 16 == 0 && x.j / 16 == 2); }
static int keeps_rows(place x) { return x.j / 8 == x.p / 8; }
static int keeps_columns(place x) { return x.j % 8 == x.p % 8; }
static int keeps_cross(place x) { return keeps_rows(x) || keeps_columns(x); }
static int keeps_windows(place x) { return x.j / 32 == x.p / 32 && x.j % 8 / 4 == x.p % 8 / 4; }
static int keeps_all(place x) { return x.j < x.lk; }
/* clang-format on */
static int keeps_tree(place x) /* nodes 60..63; parents -1, 0, 0, 2 */
{
    return x.p < 60 ? x.j <= x.p : x.j < 60 || x.j == x.p || (x.j == 60 && x.p > 60) || (x.p == 63 && x.j == 62);
}
static int keeps_documents(place x)
{
    int64_t a = (x.j >= 20) + (x.j >= 60), b = (x.p >= 20) + (x.p >= 60);
    return a == b;
}
static int keeps_box(place x) /* kernel 3 on an 8 x 8 grid */
{
    for (int axis = 0; axis < 2; axis++) {
        int64_t a = axis ? x.p % 8 : x.p / 8, b = axis ? x.j % 8 : x.j / 8, start = a < 1 ? 0 : a > 6 ? 5 : a - 1;
        if (b < start || b > start + 2)
            return 0;
    }
    return 1;
}

static const struct {
    const char *spec;
    int (*keeps)(place);
    int square_only;
} kept[] = {
    {"dense", keeps_all, 0},
    {"window:window=5", keeps_window, 0},
    {"window:left=3,right=2", keeps_sides, 0},
    {"window:left=3", keeps_left, 0},
    {"window:right=2", keeps_right, 0},
    {"streaming:sinks=3,window=6", keeps_streaming, 0},
    {"trishape:sinks=3,window=6,last=4", keeps_trishape, 0},
    {"chunked:chunk=10", keeps_chunked, 0},
    {"prefix:prefix=45", keeps_prefix, 0},
    {"prefix:prefix=1m", keeps_all, 0},
    {"document:lengths=20+40+4", keeps_documents, 0},
    {"blockwindow:block=6,blocks=3", keeps_blockwindow, 0},
    {"sparse-strided:stride=7", keeps_both, 0},
    {"sparse-strided:stride=7,part=local", keeps_local, 0},
    {"sparse-strided:stride=7,part=stride", keeps_strided, 0},
    {"sparse-fixed:stride=9,summary=2", keeps_fixed, 0},
    {"sparse-fixed:stride=9,summary=0", keeps_chunk_only, 0},
    {"longformer:window=4,global=1+50", keeps_globals, 0},
    {"longformer:window=4,global=", keeps_near, 0},
    {"longformer:window=4", keeps_near, 0},
    {"blocks:mask=file:mask,bq=16,bk=16", keeps_blocks, 1},
    {"tree:parents=file:parents", keeps_tree, 0},
    {"axial:size=8+8,axis=1", keeps_rows, 0},
    {"axial:size=8+8,axis=0", keeps_columns, 0},
    {"crisscross:size=8+8", keeps_cross, 0},
    {"swin:size=8+8,window=4", keeps_windows, 0},
    {"natten:size=8+8,kernel=3", keeps_box, 0},
    {"longnet:segments=64,dilations=1", keeps_all, 0},
    {"topk:pattern=\"window(left=3,right=2)\"", keeps_sides, 0},
    {"offbyone", keeps_all, 0},
    {"pattern:window(left=3,right=2)", keeps_sides, 0},
};

static void check_rows(const char *spec, int (*keeps)(place), const fv_shape *shape)
{
    fv_build b;
    fovea_error err = {FOVEA_OK, ""};
    fv_pattern *pattern = NULL;
    void *scratch;
    cr_assert(build(spec, shape, &b, &err) == FOVEA_OK && b.patterns == 1, "%s: %s", spec, err.text);
    cr_assert(fv_pattern_compile(&env, b.pattern[0], shape, &pattern, &err) == FOVEA_OK, "%s: %s", spec, err.text);
    scratch = fv_memory_get(&memory, fv_pattern_row_scratch(pattern));
    for (int64_t i = 0; i < shape->lq; i++) {
        uint8_t row[64] = {0};
        const fv_run *run;
        size_t runs = fv_pattern_row(pattern, (fv_lane){i, 0}, scratch, &run);
        for (size_t n = 0; n < runs; n++)
            memset(row + run[n].lo, 1, (size_t)(run[n].hi - run[n].lo));
        for (int64_t j = 0; j < shape->lk; j++) {
            int expected = keeps((place){i, j, i + shape->lk - shape->lq, shape->lq, shape->lk});
            cr_assert(row[j] == expected, "%s: i=%lld j=%lld is %s", spec, (long long)i, (long long)j,
                      expected ? "lost" : "kept");
        }
    }
    fv_memory_put(&memory, scratch);
    fv_pattern_free(pattern);
    fv_build_free(&memory, &b);
}

Test(keeps, what_the_definition_says)
{
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        check_rows(kept[i].spec, kept[i].keeps, &square);
        if (!kept[i].square_only)
            check_rows(kept[i].spec, kept[i].keeps, &tail);
    }
    cr_assert(counter.live == 0, "%ld blocks leaked", counter.live);
}
