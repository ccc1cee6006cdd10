/* Memory: every allocation that can fail is made to fail; execute with a workspace allocates nothing, stays inside it
   and does not care what lay in it. */
#include "attention_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, HQ = 4, HKV = 2, LK = 60, D = 12, DV = 8, BEYOND = 4096 };

/* ------------------------------------------------------------------ an allocator that counts and fails */

typedef struct counted {
    long asked, live, wild; /* wild: not a power of two, or below that of a double */
    long fail_at;           /* 0: never */
} counted;

static void *counted_allocate(void *user, size_t bytes, size_t alignment)
{
    counted *c = user;
    void *block = NULL;
    c->wild += alignment < 8 || (alignment & (alignment - 1)) != 0;
    if (++c->asked == c->fail_at || posix_memalign(&block, alignment, bytes))
        return NULL;
    memset(block, 0xa5, bytes); /* nobody may count on zeros */
    c->live++;
    return block;
}

static void counted_release(void *user, void *block)
{
    ((counted *)user)->live -= block != NULL;
    free(block);
}

static int load(void *user, const char *path, fovea_array *array, char *why, size_t n)
{
    static uint8_t mask[16];
    static const int32_t parents[4] = {-1, 0, 0, 2};
    *(int *)user += 1;
    if (strcmp(path, "mask") == 0) {
        memset(mask, 1, sizeof mask);
        mask[2] = 0;
        *array = (fovea_array){.data = mask, .dim = {1, 4, 4}, .rank = 3, .type = 'b', .handle = user};
        return 0;
    }
    if (strcmp(path, "parents") == 0) {
        *array = (fovea_array){.data = parents, .dim = {4}, .rank = 1, .type = 'i', .handle = user};
        return 0;
    }
    *(int *)user -= 1;
    snprintf(why, n, "no such file");
    return 1;
}

static void unload(void *user, fovea_array *array)
{
    cr_assert(array->handle == user);
    *(int *)user -= 1;
}

/* ------------------------------------------------------------------ every allocation fails once */

typedef struct whole {
    fovea_context *context;
    fovea_recipe *recipe;
    fovea_plan *plan;
    fovea_status status;
    const char *at; /* the call that failed */
    fovea_error err;
} whole;

static void step(whole *w, fovea_status status, const char *at)
{
    w->status = status;
    w->at = at;
}

/* Context to execution without a workspace, up to the first failure. */
static whole do_everything(const fovea_context_options *options, const char *spec, const attention_case *c)
{
    whole w = {.err = {FOVEA_OK, ""}};
    fovea_arguments a = c->arguments;
    fovea_cost cost;
    uint8_t row[LK];
    step(&w, fovea_context_create(options, &w.context, &w.err), "context");
    if (!w.status)
        step(&w, fovea_recipe_parse(w.context, spec, &w.recipe, &w.err), "recipe");
    if (!w.status)
        step(&w, fovea_plan_create(w.context, &c->problem, w.recipe, &w.plan, &w.err), "plan");
    if (!w.status)
        step(&w, fovea_plan_cost(w.plan, &cost, &w.err), "cost");
    if (!w.status)
        step(&w, fovea_plan_row(w.plan, 0, 0, 0, row, &w.err), "row");
    if (!w.status) {
        a.lse = fovea_recipe_has_lse(w.recipe) ? a.lse : NULL;
        step(&w, fovea_execute(w.plan, &a, NULL, 0, &w.err), "execute");
    }
    return w;
}

static void close_everything(whole *w)
{
    fovea_plan_destroy(w->plan);
    fovea_recipe_destroy(w->recipe);
    fovea_context_destroy(w->context);
}

/* The n-th allocation fails, for every n that there is. Returns how many there are. */
static long fail_each(const char *spec, attention_case *c)
{
    for (long n = 1;; n++) {
        counted memory = {.fail_at = n};
        int loaded = 0;
        fovea_context_options options = {.struct_size = sizeof options,
                                         .allocate = counted_allocate,
                                         .release = counted_release,
                                         .allocator_user = &memory,
                                         .load = load,
                                         .unload = unload,
                                         .load_user = &loaded,
                                         .threads = 1};
        whole w;
        case_lay_canary(c);
        w = do_everything(&options, spec, c);
        if (memory.asked < n)
            cr_assert(w.status == FOVEA_OK, "%s: %s: %s", spec, w.at, w.err.text);
        else {
            cr_assert(w.status == FOVEA_ERROR_MEMORY && w.err.status == FOVEA_ERROR_MEMORY,
                      "%s: allocation %ld failed, and %s gave %d: %s", spec, n, w.at, w.status, w.err.text);
            cr_assert(strstr(w.err.text, "memory") && !strchr(w.err.text, '\n'), "%s: %s", spec, w.err.text);
            cr_assert(case_untouched(c), "%s: wrote outputs without memory", spec);
            cr_assert((w.plan == NULL) ==
                          (strcmp(w.at, "context") == 0 || strcmp(w.at, "recipe") == 0 || strcmp(w.at, "plan") == 0),
                      "%s: a handle after %s failed", spec, w.at);
        }
        close_everything(&w);
        cr_assert(memory.live == 0, "%s: %ld blocks left after allocation %ld failed in %s", spec, memory.live, n,
                  w.at);
        cr_assert(loaded == 0, "%s: %d files left open after allocation %ld failed", spec, loaded, n);
        cr_assert(memory.wild == 0, "%s: an alignment that is not a power of two", spec);
        if (memory.asked < n)
            return n - 1;
    }
}

Test(memory, every_allocation_fails_once)
{
    static const char *const specs[] = {
        "dense",
        "dense:causal,scale=0.5,softcap=3,alibi,sink=0.25",
        "window:window=9",
        "streaming:sinks=2,window=9",
        "longnet:segments=16+32,dilations=1+2",
        "longformer:window=4,global=1+5",
        "bigbird:block=4,random=1",
        "document:lengths=20+40",
        "swin:size=6+10,window=2,shift=1",
        "natten:size=6+10,kernel=3",
        "blocks:mask=file:mask,bq=16,bk=16",
        "tree:parents=file:parents",
        "logsparse",
        "pattern:causal & (window(left=20) | stride(7)) & !columns(3,9)",
        "pattern:random(block=8,count=2) | neighborhood(size=6+10,kernel=3) | dilated(step=2,left=3,right=3)",
        "topk:k=5,pattern=\"window(left=20) | sinks(3)\"",
        "topp:p=0.7",
        "entmax:alpha=1.4",
        "offbyone",
    };
    for (size_t n = 0; n < sizeof specs / sizeof *specs; n++) {
        attention_case *c = case_new(1, HQ, HKV, LK, LK, D, DV, FOVEA_BF16, 70);
        long count = fail_each(specs[n], c);
        cr_assert(count >= 4, "%s: only %ld allocations", specs[n], count); /* context, recipe, plan, workspace */
        case_free(c);
    }
}

Test(memory, every_allocation_fails_once_with_lists)
{
    static const int64_t cu_q[] = {0, 9, 9, 40, 60}, cu_k[] = {0, 20, 30, 50, 60}, rows[] = {3, 8, 59};
    attention_case *c = case_new(1, HQ, HKV, 60, LK, D, DV, FOVEA_F32, 71);
    c->problem.alibi = 1;
    c->problem.nseq = 4;
    c->problem.cu_q = cu_q;
    c->problem.cu_k = cu_k;
    c->arguments.mask = NULL;
    fail_each("window:window=9", c);
    case_free(c);
    c = case_new(1, HQ, HKV, 60, LK, D, DV, FOVEA_F32, 72);
    case_set_rows(c, 3, rows);
    fail_each("pattern:causal & (window(left=20) | stride(7))", c);
    case_free(c);
}

/* fovea_recipe_create and _set: a failure leaves the recipe as it was. */
Test(memory, every_allocation_of_a_setter_fails_once)
{
    for (long n = 1;; n++) {
        counted memory = {0};
        fovea_context_options options = {.struct_size = sizeof options,
                                         .allocate = counted_allocate,
                                         .release = counted_release,
                                         .allocator_user = &memory};
        fovea_context *context = NULL;
        fovea_recipe *recipe = NULL;
        fovea_status status;
        long before;
        cr_assert(fovea_context_create(&options, &context, NULL) == FOVEA_OK);
        before = memory.asked;
        memory.fail_at = before + n;
        status = fovea_recipe_create(context, "longnet", &recipe, NULL);
        cr_assert((recipe != NULL) == (status == FOVEA_OK));
        if (!status)
            status = fovea_recipe_set(recipe, "segments", "16+32", NULL);
        if (recipe && status)
            cr_assert(!fovea_recipe_is_set(recipe, "segments") && strcmp(fovea_recipe_spec(recipe), "longnet") == 0,
                      "a failed set left %s", fovea_recipe_spec(recipe));
        cr_assert(status == (memory.asked < before + n ? FOVEA_OK : FOVEA_ERROR_MEMORY), "allocation %ld: %d", n,
                  status);
        fovea_recipe_destroy(recipe);
        fovea_context_destroy(context);
        cr_assert(memory.live == 0, "%ld blocks left after allocation %ld failed", memory.live, n);
        if (memory.asked < before + n)
            break;
    }
}

/* ------------------------------------------------------------------ the workspace */

static const struct {
    const char *spec;
    int64_t lq, lk;
} works[] = {
    {"dense", 60, 60},
    {"dense", 1, 60},
    {"dense", 1, 9000}, /* split keys: partial results live in the workspace */
    {"dense:softcap=2,alibi", 20, 60},
    {"sparse-strided:stride=12", 60, 60},
    {"longnet:segments=16+32,dilations=1+2", 60, 60},
    {"topk:k=5", 60, 60},
    {"sparsemax", 20, 60},
    {"dense", 0, 60},
    {"dense", 20, 0},
};

enum { WORKS = sizeof works / sizeof works[0] };

typedef struct planned {
    counted memory;
    fovea_context *context;
    fovea_recipe *recipe;
    fovea_plan *plan;
    fovea_arguments arguments;
} planned;

static void run_backwards(void *user, unsigned workers, void (*work)(void *arg, unsigned worker), void *arg)
{
    (void)user;
    while (workers-- > 0)
        work(arg, workers);
}

static void open_plan(planned *p, attention_case *c, const char *spec, const char *isa, unsigned threads, int own_pool)
{
    fovea_context_options options = {.struct_size = sizeof options,
                                     .allocate = counted_allocate,
                                     .release = counted_release,
                                     .allocator_user = &p->memory,
                                     .isa = isa,
                                     .threads = threads,
                                     .run = own_pool ? NULL : run_backwards};
    fovea_error err = {FOVEA_OK, ""};
    p->memory = (counted){0};
    cr_assert(fovea_context_create(&options, &p->context, &err) == FOVEA_OK, "%s", err.text);
    cr_assert(fovea_recipe_parse(p->context, spec, &p->recipe, &err) == FOVEA_OK, "%s", err.text);
    cr_assert(fovea_plan_create(p->context, &c->problem, p->recipe, &p->plan, &err) == FOVEA_OK, "%s: %s", spec,
              err.text);
    p->arguments = c->arguments;
    if (!fovea_recipe_has_lse(p->recipe))
        p->arguments.lse = NULL;
}

static void close_plan(planned *p)
{
    fovea_plan_destroy(p->plan);
    fovea_recipe_destroy(p->recipe);
    fovea_context_destroy(p->context);
    cr_assert(p->memory.live == 0);
}

static char *new_workspace(size_t bytes)
{
    void *block = NULL;
    cr_assert(posix_memalign(&block, 64, bytes) == 0);
    return block;
}

/* A workspace full of `fill`, with space on both sides that must keep it. */
static void execute_inside(planned *p, attention_case *c, const char *spec, int fill)
{
    const size_t bytes = fovea_plan_workspace(p->plan);
    char *block = new_workspace(BEYOND + bytes + BEYOND);
    fovea_error err = {FOVEA_OK, ""};
    long asked = p->memory.asked;
    memset(block, fill, BEYOND + bytes + BEYOND);
    case_lay_canary(c);
    cr_assert(fovea_execute(p->plan, &p->arguments, block + BEYOND, bytes, &err) == FOVEA_OK, "%s: %s", spec, err.text);
    cr_assert(p->memory.asked == asked, "%s: execute allocated %ld times", spec, p->memory.asked - asked);
    for (size_t i = 0; i < BEYOND; i++)
        if (block[i] != (char)fill || block[BEYOND + bytes + i] != (char)fill)
            cr_assert(0, "%s: wrote %s the workspace, at %zu of %zu bytes", spec,
                      block[i] != (char)fill ? "before" : "behind", i, bytes);
    free(block);
}

ParameterizedTestParameters(memory, execute_allocates_nothing_and_stays_inside)
{
    return every_isa();
}

ParameterizedTest(unsigned *isa, memory, execute_allocates_nothing_and_stays_inside)
{
    attention_run run = with_isa(isa);
    for (int n = 0; n < WORKS; n++)
        for (unsigned threads = 1; threads <= 3; threads += 2) {
            fovea_dtype dtype = (fovea_dtype)(n % 3);
            attention_case *a = case_new(B, HQ, HKV, works[n].lq, works[n].lk, D, DV, dtype, 73);
            attention_case *b = case_new(B, HQ, HKV, works[n].lq, works[n].lk, D, DV, dtype, 73);
            planned pa, pb;
            a->problem.causal = b->problem.causal = 1;
            open_plan(&pa, a, works[n].spec, run.isa, threads, 0);
            open_plan(&pb, b, works[n].spec, run.isa, threads, 0);
            execute_inside(&pa, a, works[n].spec, 0);
            execute_inside(&pb, b, works[n].spec, 0xff); /* NaN */
            case_same(a, b, "what lay in the workspace");
            execute_inside(&pb, b, works[n].spec, 0x5a);
            case_same(a, b, "what lay in the workspace, again");
            close_plan(&pa);
            close_plan(&pb);
            case_free(a);
            case_free(b);
        }
}

/* The library's own threads, and many executions of one plan. */
Test(memory, execute_allocates_nothing_with_threads)
{
    for (int n = 0; n < WORKS; n++) {
        attention_case *c = case_new(B, HQ, HKV, works[n].lq, works[n].lk, D, DV, FOVEA_F32, 74);
        planned p;
        open_plan(&p, c, works[n].spec, NULL, 2, 1);
        for (int again = 0; again < 2; again++)
            execute_inside(&p, c, works[n].spec, 0x77);
        close_plan(&p);
        case_free(c);
    }
}

/* Without a workspace: one block, given back. */
Test(memory, execute_takes_one_workspace)
{
    for (int n = 0; n < WORKS; n++) {
        attention_case *c = case_new(B, HQ, HKV, works[n].lq, works[n].lk, D, DV, FOVEA_F32, 75);
        planned p;
        long asked, live;
        open_plan(&p, c, works[n].spec, NULL, 1, 0);
        asked = p.memory.asked;
        live = p.memory.live;
        cr_assert(fovea_execute(p.plan, &p.arguments, NULL, 0, NULL) == FOVEA_OK);
        cr_assert(p.memory.asked <= asked + 1 && p.memory.live == live, "%s: %ld blocks, %ld left", works[n].spec,
                  p.memory.asked - asked, p.memory.live - live);
        close_plan(&p);
        case_free(c);
    }
}

Test(memory, workspace_too_small_or_crooked)
{
    for (int n = 0; n < WORKS; n++) {
        attention_case *c = case_new(B, HQ, HKV, works[n].lq, works[n].lk, D, DV, FOVEA_F32, 76);
        planned p;
        size_t bytes;
        char *block, needed[32];
        open_plan(&p, c, works[n].spec, NULL, 1, 0);
        bytes = fovea_plan_workspace(p.plan);
        block = new_workspace(bytes + 128);
        snprintf(needed, sizeof needed, "%zu", bytes);
        memset(block, 0x3c, bytes + 128);
        case_lay_canary(c);
        for (int bad = 0; bad < 4 && bytes; bad++) {
            static const size_t shift[] = {32, 1, 0, 0};
            size_t size = bad == 2 ? bytes - 1 : bad == 3 ? 0 : bytes;
            fovea_error err = {FOVEA_OK, ""};
            fovea_status status = fovea_execute(p.plan, &p.arguments, block + shift[bad], size, &err);
            cr_assert(status == FOVEA_ERROR_WORKSPACE && err.status == status, "%s: %d", works[n].spec, status);
            cr_assert(strstr(err.text, "workspace") && strstr(err.text, needed) && strstr(err.text, "64"), "%s",
                      err.text);
            cr_assert(fovea_execute(p.plan, &p.arguments, block + shift[bad], size, NULL) == status);
        }
        for (size_t i = 0; i < bytes + 128; i++)
            if (block[i] != 0x3c)
                cr_assert(0, "a refused execute wrote into the workspace");
        cr_assert(case_untouched(c), "a refused execute wrote outputs");
        free(block);
        close_plan(&p);
        case_free(c);
    }
}
