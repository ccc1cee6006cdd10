/* A fixed set of plans, each executed where a counter of instructions can watch, for tests/check-guards.

   guards [ISA [THREADS [bare]]]     avx2, 1

   Prints one line "build COMPILER KIND", then for each plan
     NAME WORKSPACE ALLOCATIONS
   the bytes of workspace it asks for, and how often one execute with that workspace took memory: from the context's
   allocator, or from the C library by whatever way (-1 where this build cannot see that). With "bare" execute gets no
   workspace and so must take memory, once, which both ways of counting see. Exit code 77: the processor lacks the
   instruction set.

   Each plan is executed once to warm up (the first call of a function in a shared library looks it up), then once inside
   guarded_execute, the function whose entry and exit switch the counting. Data, sizes and alignment are the same in every
   run and nothing here is measured, so that the number of instructions is a property of the code alone. */
#include <fovea/fovea.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ allocations */

/* Both kinds count only while `watching`; other threads than the one that set it count too. */
static atomic_int watching;
static atomic_long allocations;

static void count_allocation(void)
{
    if (atomic_load(&watching))
        atomic_fetch_add(&allocations, 1);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
enum { SEES_LIBRARY = 0 }; /* sanitizers bring an allocator of their own */
#else
enum { SEES_LIBRARY = 1 };

/* The C library's names, which take precedence over its own for every object of the process, itself included: a qsort
   that takes memory is seen too. The calls go on to what the GNU C library calls them inside. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes)
{
    count_allocation();
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    count_allocation();
    return __libc_calloc(n, bytes);
}

void *realloc(void *block, size_t bytes)
{
    count_allocation();
    return __libc_realloc(block, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    count_allocation();
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    count_allocation();
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **block, size_t alignment, size_t bytes)
{
    count_allocation();
    *block = __libc_memalign(alignment, bytes);
    return *block ? 0 : 12; /* ENOMEM */
}
#endif

static void *context_allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    count_allocation();
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void context_release(void *user, void *block)
{
    (void)user;
    free(block);
}

/* ------------------------------------------------------------------ the plans */

enum { BLOCKS = 8 };

typedef struct guard {
    const char *name, *spec;
    int64_t batch, hq, hkv, lq, lk, d, dv;
    fovea_dtype dtype;
    int bias;
    int interleaved; /* tensors lie as [batch, token, head, dim] */
} guard;

static const guard guards[] = {
    {"dense-d64", "dense", 1, 1, 1, 240, 576, 64, 64, FOVEA_F32, 0, 0},
    {"dense-d128", "dense", 1, 1, 1, 112, 576, 128, 128, FOVEA_F32, 0, 0},
    {"dense-strided", "dense", 1, 4, 4, 72, 560, 64, 64, FOVEA_F32, 0, 1},
    {"causal-d64", "dense:causal", 1, 1, 1, 560, 560, 64, 64, FOVEA_F32, 0, 0},
    {"causal-short", "dense:causal", 1, 4, 2, 77, 77, 64, 64, FOVEA_F32, 0, 0},
    {"window", "window:window=128", 1, 1, 1, 768, 768, 64, 64, FOVEA_F32, 0, 0},
    {"blocks", "blocks:mask=file:mask,bq=64,bk=64", 1, 1, 1, 512, 512, 64, 64, FOVEA_F32, 0, 0},
    {"strided-keys", "sparse-strided:stride=32", 1, 1, 1, 512, 512, 64, 64, FOVEA_F32, 0, 0},
    {"decode-gqa", "dense", 1, 8, 2, 1, 6000, 64, 64, FOVEA_F32, 0, 0},
    {"decode-bf16", "dense", 1, 2, 2, 1, 5000, 128, 128, FOVEA_BF16, 0, 0},
    {"lookahead", "dense:causal", 1, 2, 2, 5, 2000, 64, 64, FOVEA_F32, 0, 0},
    {"bf16", "dense", 1, 1, 1, 112, 576, 64, 64, FOVEA_BF16, 0, 0},
    {"f16", "dense:causal", 1, 1, 1, 112, 576, 128, 128, FOVEA_F16, 0, 0},
    {"bias", "dense", 1, 1, 1, 112, 576, 64, 64, FOVEA_F32, 1, 0},
    {"alibi", "dense:causal,alibi", 1, 1, 1, 256, 256, 64, 64, FOVEA_F32, 0, 0},
    {"small-windows", "dense", 8, 3, 3, 49, 49, 32, 32, FOVEA_F32, 0, 0},
    {"thin-windows", "dense", 16, 4, 4, 61, 61, 4, 4, FOVEA_F32, 0, 0},
    {"thin-causal", "dense:causal", 4, 4, 2, 70, 200, 16, 16, FOVEA_F32, 1, 0},
    {"odd-sizes", "dense", 1, 2, 2, 53, 597, 72, 40, FOVEA_F32, 0, 0},
    {"topk", "topk:k=32", 1, 1, 1, 128, 512, 64, 64, FOVEA_F32, 0, 0},
    {"sparsemax", "sparsemax", 1, 1, 1, 64, 256, 64, 64, FOVEA_F32, 0, 0},
};

/* A block mask of one half: every second block, and the diagonal. */
static int load(void *user, const char *path, fovea_array *array, char *why, size_t n)
{
    static uint8_t mask[BLOCKS * BLOCKS];
    (void)user;
    if (strcmp(path, "mask") != 0) {
        snprintf(why, n, "no such file");
        return 1;
    }
    for (int i = 0; i < BLOCKS; i++)
        for (int j = 0; j < BLOCKS; j++)
            mask[i * BLOCKS + j] = i == j || (i + 3 * j) % 2 == 0;
    *array = (fovea_array){.data = mask, .dim = {1, BLOCKS, BLOCKS}, .rank = 3, .type = 'b'};
    return 0;
}

static void unload(void *user, fovea_array *array)
{
    (void)user;
    (void)array;
}

/* ------------------------------------------------------------------ one plan */

static void stop(const char *name, const char *text)
{
    printf("# %s: %s\n", name, text);
    exit(1);
}

static void *pages(size_t bytes)
{
    void *block = aligned_alloc(4096, (bytes + 4096) / 4096 * 4096);
    if (!block)
        stop("guards", "no memory");
    return block;
}

/* n elements of a fixed sequence in (-1, 1), in the storage type. */
static void *fill(size_t n, fovea_dtype dtype, uint32_t seed)
{
    float *x = pages(n * sizeof *x);
    void *stored;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    if (dtype == FOVEA_F32)
        return x;
    stored = pages(n * sizeof(uint16_t));
    fovea_convert_from_f32(dtype, x, stored, n);
    free(x);
    return stored;
}

static fovea_strides interleave(int64_t heads, int64_t length, int64_t d)
{
    return (fovea_strides){heads * length * d, d, heads * d};
}

static fovea_problem describe(const guard *g)
{
    fovea_problem p;
    fovea_problem_init(&p, g->batch, g->hq, g->hkv, g->lq, g->lk, g->d, g->dv, g->dtype);
    if (g->interleaved) {
        p.q = interleave(g->hq, g->lq, g->d);
        p.k = interleave(g->hkv, g->lk, g->d);
        p.v = interleave(g->hkv, g->lk, g->dv);
        p.o = interleave(g->hq, g->lq, g->dv);
    }
    if (g->bias) { /* one for all heads */
        p.has_bias = 1;
        p.bias_row = g->lk;
    }
    return p;
}

/* The function that the counter watches: entered and left once per plan. */
__attribute__((noinline, noclone)) static fovea_status guarded_execute(const fovea_plan *plan, const fovea_arguments *a,
                                                                       void *workspace, size_t bytes, fovea_error *err)
{
    fovea_status status;
    atomic_store(&watching, 1);
    status = fovea_execute(plan, a, workspace, bytes, err);
    atomic_store(&watching, 0);
    return status;
}

static void run(fovea_context *context, const guard *g, int bare)
{
    fovea_problem p = describe(g);
    fovea_error err;
    fovea_recipe *recipe;
    fovea_plan *plan;
    fovea_arguments a = {.struct_size = sizeof a};
    size_t bytes;
    void *workspace, *q = fill((size_t)(g->batch * g->hq * g->lq * g->d), g->dtype, 1);
    void *k = fill((size_t)(g->batch * g->hkv * g->lk * g->d), g->dtype, 2);
    void *v = fill((size_t)(g->batch * g->hkv * g->lk * g->dv), g->dtype, 3);
    float *bias = fill((size_t)(g->lq * g->lk), FOVEA_F32, 4);
    a.q = q;
    a.k = k;
    a.v = v;
    a.bias = g->bias ? bias : NULL;
    a.o = pages((size_t)(g->batch * g->hq * g->lq * g->dv) * sizeof(float));
    if (fovea_recipe_parse(context, g->spec, &recipe, &err) || fovea_plan_create(context, &p, recipe, &plan, &err))
        stop(g->name, err.text);
    bytes = fovea_plan_workspace(plan);
    workspace = pages(bytes);
    if (fovea_execute(plan, &a, workspace, bytes, &err))
        stop(g->name, err.text);
    atomic_store(&allocations, 0);
    if (guarded_execute(plan, &a, bare ? NULL : workspace, bare ? 0 : bytes, &err))
        stop(g->name, err.text);
    printf("%s %zu %ld\n", g->name, bytes, SEES_LIBRARY ? atomic_load(&allocations) : -1L);
    fovea_plan_destroy(plan);
    fovea_recipe_destroy(recipe);
    free(workspace);
    free(a.o);
    free(bias);
    free(v);
    free(k);
    free(q);
}

/* ------------------------------------------------------------------ all of them */

static void print_build(void)
{
#if defined(__clang__)
    printf("build clang-%d.%d", __clang_major__, __clang_minor__);
#elif defined(__GNUC__)
    printf("build gcc-%d.%d", __GNUC__, __GNUC_MINOR__);
#else
    printf("build unknown");
#endif
#if defined(FV_MINI_TILES)
    printf(" mini-tiles");
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    printf(" sanitized");
#elif !defined(__OPTIMIZE__)
    printf(" not-optimised");
#elif !defined(HAVE_SLEEF)
    printf(" without-sleef");
#else
    printf(" standard");
#endif
    printf("\n");
}

int main(int argc, char **argv)
{
    fovea_context_options options = {.struct_size = sizeof options,
                                     .allocate = context_allocate,
                                     .release = context_release,
                                     .load = load,
                                     .unload = unload,
                                     .isa = argc > 1 ? argv[1] : "avx2",
                                     .threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1,
                                     .seed = 1};
    fovea_context *context;
    fovea_error err;
    print_build();
    if (fovea_isa_available(options.isa) != 1) {
        printf("# this build or this processor lacks %s\n", options.isa);
        return 77;
    }
    if (fovea_context_create(&options, &context, &err))
        stop("context", err.text);
    for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
        run(context, &guards[i], argc > 3 && strcmp(argv[3], "bare") == 0);
    fovea_context_destroy(context);
    return 0;
}
