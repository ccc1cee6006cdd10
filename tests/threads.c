/* Threads, as a plain TAP program (ThreadSanitizer runs it): the number of workers, their order and who runs them do not
   change a bit of the result, and one plan may be executed from many threads at once.

   Threads come from the run hook below and not from the library's own pool, which no sanitizer sees into; the pool has
   its own lines at the end. */
#include <fovea/fovea.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2, HQ = 6, HKV = 2, LK = 150, D = 24, DV = 20, MOST_WORKERS = 8, CALLERS = 4, REPEATS = 3 };

typedef struct shape_case {
    const char *spec;
    int64_t lq;
    int causal, has_lse;
} shape_case;

static const shape_case cases[] = {
    {"dense", 150, 0, 1},
    {"dense", 150, 1, 1},
    {"dense", 1, 0, 1}, /* decode */
    {"dense", 5, 1, 1},
    {"window:window=40", 150, 1, 1},
    {"pattern:causal & (window(left=20) | stride(7))", 150, 0, 1},
    {"longnet:segments=32+64,dilations=1+2", 150, 1, 1},
    {"topk:k=9", 150, 1, 1},
    {"sparsemax", 70, 0, 0},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static int tests;

static void report(int good, const char *spec, int64_t lq, const char *what)
{
    tests++;
    printf("%sok %d - %s lq=%lld: %s\n", good ? "" : "not ", tests, spec, (long long)lq, what);
}

/* ------------------------------------------------------------------ hooks */

typedef struct piece {
    void (*work)(void *arg, unsigned worker);
    void *arg;
    unsigned worker;
} piece;

static void *run_piece(void *arg)
{
    const piece *p = arg;
    p->work(p->arg, p->worker);
    return NULL;
}

/* One thread for each worker; those that cannot be started run here. */
static void run_threads(void *user, unsigned workers, void (*work)(void *arg, unsigned worker), void *arg)
{
    pthread_t thread[MOST_WORKERS];
    piece pieces[MOST_WORKERS];
    int started[MOST_WORKERS];

    (void)user;
    for (unsigned w = 0; w < workers && w < MOST_WORKERS; w++) {
        pieces[w] = (piece){work, arg, w};
        started[w] = pthread_create(&thread[w], NULL, run_piece, &pieces[w]) == 0;
        if (!started[w])
            work(arg, w);
    }
    for (unsigned w = 0; w < workers && w < MOST_WORKERS; w++)
        if (started[w])
            pthread_join(thread[w], NULL);
}

static void run_backwards(void *user, unsigned workers, void (*work)(void *arg, unsigned worker), void *arg)
{
    (void)user;
    while (workers-- > 0)
        work(arg, workers);
}

/* ------------------------------------------------------------------ data */

typedef struct tensors {
    float *q, *k, *v;
} tensors;

/* Results of one execution; sizes are those of the longest case. */
typedef struct result {
    float *o, *lse;
    size_t o_count, lse_count;
} result;

static void *must(void *block)
{
    if (!block) {
        printf("Bail out! out of memory\n");
        exit(99);
    }
    return block;
}

static float *random_floats(size_t n)
{
    static uint32_t state = 12345;
    float *x = must(malloc(n * sizeof *x));
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state / 1073741824.0f;
    }
    return x;
}

static result new_result(int64_t lq)
{
    result r = {.o_count = (size_t)(BATCH * HQ * lq * DV), .lse_count = (size_t)(BATCH * HQ * lq)};
    r.o = must(malloc(r.o_count * sizeof *r.o));
    r.lse = must(malloc(r.lse_count * sizeof *r.lse));
    memset(r.o, 0xff, r.o_count * sizeof *r.o); /* NaN: what is not written is seen */
    memset(r.lse, 0xff, r.lse_count * sizeof *r.lse);
    return r;
}

static void free_result(result *r)
{
    free(r->o);
    free(r->lse);
}

static int same(const result *a, const result *b, int has_lse)
{
    return memcmp(a->o, b->o, a->o_count * sizeof *a->o) == 0 &&
           (!has_lse || memcmp(a->lse, b->lse, a->lse_count * sizeof *a->lse) == 0);
}

/* ------------------------------------------------------------------ executing */

typedef struct setup {
    fovea_context *context;
    fovea_recipe *recipe;
    fovea_plan *plan;
} setup;

static void bail(const char *spec, const fovea_error *err)
{
    printf("Bail out! %s: %s\n", spec, err->text);
    exit(99);
}

typedef void run_hook(void *user, unsigned workers, void (*work)(void *arg, unsigned worker), void *arg);

static setup open_setup(const shape_case *c, unsigned threads, run_hook *hook)
{
    fovea_context_options options = {.struct_size = sizeof options, .threads = threads, .run = hook};
    fovea_error err = {FOVEA_OK, ""};
    fovea_problem problem;
    setup s = {NULL, NULL, NULL};

    fovea_problem_init(&problem, BATCH, HQ, HKV, c->lq, LK, D, DV, FOVEA_F32);
    problem.causal = c->causal;
    if (fovea_context_create(&options, &s.context, &err) || fovea_recipe_parse(s.context, c->spec, &s.recipe, &err) ||
        fovea_plan_create(s.context, &problem, s.recipe, &s.plan, &err))
        bail(c->spec, &err);
    return s;
}

static void close_setup(setup *s)
{
    fovea_plan_destroy(s->plan);
    fovea_recipe_destroy(s->recipe);
    fovea_context_destroy(s->context);
}

static void execute(const fovea_plan *plan, const shape_case *c, const tensors *t, result *r)
{
    fovea_arguments a = {.struct_size = sizeof a, .q = t->q, .k = t->k, .v = t->v, .o = r->o};
    const size_t bytes = fovea_plan_workspace(plan);
    void *workspace = must(aligned_alloc(64, (bytes + 64) / 64 * 64));
    fovea_error err = {FOVEA_OK, ""};

    a.lse = c->has_lse ? r->lse : NULL;
    if (fovea_execute(plan, &a, workspace, bytes, &err))
        bail(c->spec, &err);
    free(workspace);
}

static result computed(const shape_case *c, const tensors *t, unsigned threads, run_hook *hook)
{
    setup s = open_setup(c, threads, hook);
    result r = new_result(c->lq);
    execute(s.plan, c, t, &r);
    close_setup(&s);
    return r;
}

static void compare_workers(const shape_case *c, const tensors *t, const result *expected, unsigned threads, run_hook *hook,
                            const char *what)
{
    char text[80];
    result r = computed(c, t, threads, hook);
    snprintf(text, sizeof text, "%u %s", threads, what);
    report(same(&r, expected, c->has_lse), c->spec, c->lq, text);
    free_result(&r);
}

/* ------------------------------------------------------------------ many callers, one plan */

typedef struct caller {
    const fovea_plan *plan;
    const shape_case *c;
    const tensors *t;
    const result *expected;
    int good;
} caller;

static void *call(void *arg)
{
    caller *me = arg;
    me->good = 1;
    for (int n = 0; n < REPEATS; n++) {
        result r = new_result(me->c->lq);
        execute(me->plan, me->c, me->t, &r);
        me->good &= same(&r, me->expected, me->c->has_lse);
        free_result(&r);
    }
    return NULL;
}

static void many_callers(const shape_case *c, const tensors *t, const result *expected)
{
    setup s = open_setup(c, 1, NULL);
    pthread_t thread[CALLERS];
    caller callers[CALLERS];
    int started[CALLERS], good = 1;

    for (int n = 0; n < CALLERS; n++) {
        callers[n] = (caller){s.plan, c, t, expected, 0};
        started[n] = pthread_create(&thread[n], NULL, call, &callers[n]) == 0;
    }
    for (int n = 0; n < CALLERS; n++) {
        if (started[n])
            pthread_join(thread[n], NULL);
        good &= !started[n] || callers[n].good;
    }
    report(good && started[0], c->spec, c->lq, "one plan executed by four threads at once");
    close_setup(&s);
}

int main(void)
{
    static const unsigned counts[] = {2, 3, 8};
    tensors t = {random_floats((size_t)BATCH * HQ * LK * D), random_floats((size_t)BATCH * HKV * LK * D),
                 random_floats((size_t)BATCH * HKV * LK * DV)};
    result other;
    int differs;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int n = 0; n < CASES; n++) {
        const shape_case *c = &cases[n];
        result expected = computed(c, &t, 1, run_backwards);
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++)
            compare_workers(c, &t, &expected, counts[k], run_threads, "threads of the host");
        compare_workers(c, &t, &expected, 3, run_backwards, "workers, one after the other, last first");
        compare_workers(c, &t, &expected, 2, NULL, "threads of the library");
        many_callers(c, &t, &expected);
        free_result(&expected);
    }

    /* The comparison bites: one changed query gives other bits. */
    other = computed(&cases[0], &t, 1, run_backwards);
    t.q[0] += 0.5f;
    {
        result changed = computed(&cases[0], &t, 1, run_backwards);
        differs = !same(&other, &changed, 1);
        free_result(&changed);
    }
    report(differs, cases[0].spec, cases[0].lq, "a changed input is seen");
    free_result(&other);
    free(t.q);
    free(t.k);
    free(t.v);
    printf("1..%d\n", tests);
    return 0; /* the lines say what failed; an exit code would count it twice */
}
