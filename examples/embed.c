/* How a program embeds libfovea: a context, a problem, a recipe, a plan, then execute as often as there is data.

   Four query heads share two key/value heads (GQA). Dense causal attention and a sliding window of eight keys are
   computed on small random data and compared with three naive loops. Prints the largest difference of each; exits 1
   when one is larger than float rounding explains. Build: make (needs pkg-config to find fovea). */
#include <fovea/fovea.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 2, HQ = 4, HKV = 2, LQ = 33, LK = 40, D = 32, WINDOW = 8 };

static float random_unit(void)
{
    static uint32_t state = 20240731u; /* xorshift32; the same numbers in every run */
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return (float)state / 2147483648.0f - 1.0f;
}

static float *random_tensor(size_t n)
{
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = random_unit();
    return x;
}

/* One row of causal attention by its definition: o = sum_j softmax_j(q k_j / sqrt(d)) v_j over p - window < j <= p. */
static void naive_row(const float *q, const float *k, const float *v, int p, int window, double *o)
{
    double s[LK], largest = -INFINITY, sum = 0;
    int first = p - window + 1 > 0 ? p - window + 1 : 0;

    for (int j = first; j <= p; j++) {
        s[j] = 0;
        for (int t = 0; t < D; t++)
            s[j] += (double)q[t] * k[j * D + t];
        s[j] /= sqrt(D);
        largest = fmax(largest, s[j]);
    }
    for (int t = 0; t < D; t++)
        o[t] = 0;
    for (int j = first; j <= p; j++) {
        double e = exp(s[j] - largest);
        sum += e;
        for (int t = 0; t < D; t++)
            o[t] += e * v[j * D + t];
    }
    for (int t = 0; t < D; t++)
        o[t] /= sum;
}

static double largest_difference(const float *q, const float *k, const float *v, const float *o, int window)
{
    double worst = 0, expected[D];
    for (int b = 0; b < BATCH; b++)
        for (int h = 0; h < HQ; h++)
            for (int i = 0; i < LQ; i++) {
                size_t row = ((size_t)b * HQ + h) * LQ + i;
                size_t keys = ((size_t)b * HKV + h / (HQ / HKV)) * LK * D;
                naive_row(q + row * D, k + keys, v + keys, i + LK - LQ, window, expected);
                for (int t = 0; t < D; t++)
                    worst = fmax(worst, fabs(o[row * D + t] - expected[t]));
            }
    return worst;
}

/* Plans and runs one variant; 0 on success. */
static int attend(fovea_context *context, const char *spec, const float *q, const float *k, const float *v, float *o)
{
    fovea_error err = {FOVEA_OK, ""};
    fovea_problem problem;
    fovea_recipe *recipe = NULL;
    fovea_plan *plan = NULL;
    fovea_arguments arguments = {.struct_size = sizeof arguments, .q = q, .k = k, .v = v, .o = o};

    fovea_problem_init(&problem, BATCH, HQ, HKV, LQ, LK, D, D, FOVEA_F32);
    problem.causal = 1;
    if (fovea_recipe_parse(context, spec, &recipe, &err) == FOVEA_OK &&
        fovea_plan_create(context, &problem, recipe, &plan, &err) == FOVEA_OK)
        fovea_execute(plan, &arguments, NULL, 0, &err);
    if (err.status != FOVEA_OK)
        fprintf(stderr, "embed: %s: %s\n", spec, err.text);
    fovea_plan_destroy(plan);
    fovea_recipe_destroy(recipe);
    return err.status != FOVEA_OK;
}

static int run(const char *spec, int window, fovea_context *context, const float *q, const float *k, const float *v, float *o)
{
    /* |o| <= 1; a few hundred roundings of 2^-24 each leave much less than this. */
    const double allowed = 2e-5;
    double difference;

    if (attend(context, spec, q, k, v, o))
        return 1;
    difference = largest_difference(q, k, v, o, window);
    printf("%-16s largest difference %.2e, allowed %.0e: %s\n", spec, difference, allowed,
           difference <= allowed ? "good" : "BAD");
    return !(difference <= allowed);
}

int main(void)
{
    fovea_context *context = NULL;
    fovea_error err = {FOVEA_OK, ""};
    float *q = random_tensor((size_t)BATCH * HQ * LQ * D);
    float *k = random_tensor((size_t)BATCH * HKV * LK * D);
    float *v = random_tensor((size_t)BATCH * HKV * LK * D);
    float *o = random_tensor((size_t)BATCH * HQ * LQ * D);
    int bad = 1;

    if (!q || !k || !v || !o) {
        fprintf(stderr, "embed: out of memory\n");
    } else if (fovea_context_create(NULL, &context, &err) != FOVEA_OK) {
        fprintf(stderr, "embed: %s\n", err.text);
    } else {
        printf("libfovea %s, instruction set %s\n", fovea_version(), fovea_context_isa(context));
        bad = run("dense", LK, context, q, k, v, o);
        bad |= run("window:window=8", WINDOW, context, q, k, v, o);
    }
    fovea_context_destroy(context);
    free(q);
    free(k);
    free(v);
    free(o);
    return bad;
}
