/* Measuring a row of the suite; see figure.h. */
#include "eval/figure.h"

#include "eval/clock.h"
#include "eval/limits.h"
#include "eval/workload.h"
#include "io/pages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a peak in a round. It is measured in pieces as long as the workload's samples, 25 ms at most: on a machine
   whose clock follows the load, or with neighbours that come and go, the best of many short samples would beat
   the mean of a long one. */
static const double peak_seconds = 0.025;
/* One to three passes over a block: what is measured is the best of all rounds. */
static const double read_seconds = 0.005;

/* A clock that follows the load changes within milliseconds: a sample lasts several. */
static const double sample_ns = 1e7;

enum { PLANS = 64, FAILED = 2 };

typedef struct measurement {
    const suite_row *row;
    workload own, other;
    int has_other, wants_fma, wants_bf16, wants_read;
    limits best;            /* of all rounds */
    double read_one_thread; /* GB/s on one thread; speedup only */
    double sample_seconds;  /* of the workload: known after its first run */
    clock_times times[3];   /* own, other, limits */
} measurement;

/* ------------------------------------------------------------------ the race */

static double best_of_pieces(double (*peak)(const fovea_context *, double), const measurement *m)
{
    const double piece = fmin(fmax(m->sample_seconds, sample_ns / 1e9), peak_seconds);
    double best = 0;
    for (double done = 0; done < peak_seconds - piece / 2; done += piece)
        best = fmax(best, peak(m->own.context, piece));
    return best;
}

static void measure_limits(measurement *m)
{
    const fovea_context *context = m->own.context;
    if (m->wants_fma)
        m->best.fma = fmax(m->best.fma, best_of_pieces(limits_fma, m));
    if (m->wants_bf16)
        m->best.bf16 = fmax(m->best.bf16, best_of_pieces(limits_bf16, m));
    if (m->wants_read)
        m->best.read =
            fmax(m->best.read, limits_read(context, workload_bytes(&m->own), read_seconds));
    if (m->wants_read && m->row->kind == SUITE_SPEEDUP)
        m->read_one_thread =
            fmax(m->read_one_thread,
                 limits_read(m->other.context, workload_bytes(&m->own), read_seconds));
}

static int plan_again(const measurement *m)
{
    for (int n = 0; n < PLANS; n++) {
        fovea_plan *plan = NULL;
        const fovea_status status =
            fovea_plan_create(m->own.context, &m->own.problem, m->own.recipe, &plan, NULL);
        if (status)
            return (int)status;
        fovea_plan_destroy(plan);
    }
    return 0;
}

static int run(void *user, unsigned runner)
{
    measurement *m = user;
    if (runner == 0) {
        const uint64_t start = clock_ns();
        const int status = m->row->kind == SUITE_PLAN ? plan_again(m) : workload_run(&m->own);
        m->sample_seconds = (double)(clock_ns() - start) / 1e9;
        return status;
    }
    if (runner == 1 && m->has_other)
        return workload_run(&m->other);
    measure_limits(m);
    return 0;
}

static int race(measurement *m, const figure_options *options, char *why)
{
    const clock_race of = {
        .runners = 2 + (unsigned)m->has_other,
        .run = run,
        .user = m,
        .rounds = options->rounds,
        .sample_ns = sample_ns,
        .rehearse = 1,
        .seconds = options->seconds,
    };
    const int status = clock_run(&of, m->times);
    if (status == 0)
        return 0;
    snprintf(why, SHAPES_TEXT, "row '%s': %s", m->row->name,
             status < 0 ? "no memory for times" : fovea_status_text((fovea_status)status));
    return status < 0 ? 4 : FAILED;
}

/* ------------------------------------------------------------------ figures */

static int is_native(const workload *w)
{
    return limits_kernel_uses_bf16(w->cost.kernel);
}

/* GFLOP/s that a workload is held against. A bf16 plan that widens, where the bf16 dot is no faster, could have
   used either: the larger peak counts. */
static double peak_of(const measurement *m, const workload *w)
{
    if (w->problem.dtype != FOVEA_BF16)
        return m->best.fma;
    return is_native(w) ? m->best.bf16 : fmax(m->best.fma, m->best.bf16);
}

static void name_peak(const measurement *m, figure *f)
{
    f->rate = peak_of(m, &m->own);
    f->limit = f->rate == m->best.fma ? "fma" : "bf16";
}

/* A bf16 plan that widens where one expects the dot must not pass unseen. */
static void note_widening(const measurement *m, figure *f)
{
    if (m->own.problem.dtype == FOVEA_BF16 && !is_native(&m->own) && strcmp(f->limit, "read") != 0)
        snprintf(f->note, sizeof f->note,
                 "the plan widens to float here; held against the larger peak");
}

/* Share of the time that the binding limit allows; rates per ns are GFLOP/s and GB/s. */
static double share_of_limits(const measurement *m, const workload *w, double ns, int exponentials,
                              figure *f)
{
    const double compute = workload_flops(w, exponentials) / peak_of(m, w);
    const double traffic = m->best.read > 0 ? w->cost.bytes * w->copies / m->best.read : 0;
    if (f) {
        name_peak(m, f);
        if (traffic > compute) {
            f->limit = "read";
            f->rate = m->best.read;
        }
    }
    return fmax(compute, traffic) / ns;
}

/* The best of the rounds is a figure of the program as long as most rounds come near it. */
static void note_unsteady(const measurement *m, figure *f)
{
    const size_t used = strlen(f->note);
    for (int n = 0; n < 1 + m->has_other; n++)
        f->unsteady = fmax(f->unsteady, m->times[n].median / m->times[n].best);
    if (f->unsteady > FIGURE_UNSTEADY)
        snprintf(f->note + used, sizeof f->note - used, "%sUNSTEADY: the median is %.1f x the best",
                 used ? "; " : "", f->unsteady);
}

static void note_kept(const measurement *m, figure *f)
{
    if (m->row->kind == SUITE_TIMES && isfinite(m->own.kept))
        snprintf(f->note, sizeof f->note, "keeps %.1f %% of the pairs", 100 * m->own.kept);
}

/* Reading may not double on two threads; then that is the goal, and it is said. */
static double speedup(const measurement *m, double own, double other, figure *f)
{
    const double threads = fovea_context_threads(m->own.context),
                 memory = m->best.read / m->read_one_thread;
    limits one = m->best;
    one.read = m->read_one_thread;
    one.fma /= threads;
    const limits_verdict bound = limits_judge(&one, m->own.cost.flops, m->own.cost.bytes, 0, other);
    f->limit = "threads";
    if (strcmp(bound.limit, "read") == 0) {
        f->limit = "read";
        f->rate = m->best.read;
        f->goal = fmin(f->goal, memory);
        snprintf(f->note, sizeof f->note, "memory allows %.2f x (%.1f GB/s, one thread %.1f)",
                 memory, m->best.read, m->read_one_thread);
    }
    return other / own;
}

static void work_out(const measurement *m, figure *f)
{
    const double own = m->times[0].best, other = m->has_other ? m->times[1].best : NAN;
    const fovea_problem *p = &m->own.problem;
    f->best_ns = own;
    f->other_ns = other;
    f->samples = m->times[0].samples;
    f->limit = "other";
    switch (m->row->kind) {
    case SUITE_PEAK:
        name_peak(m, f);
        f->value = 100 * workload_flops(&m->own, 0) / peak_of(m, &m->own) / own;
        break;
    case SUITE_COLD:
        f->value = 100 * share_of_limits(m, &m->own, own, 0, f);
        break;
    case SUITE_PROPORTION:
        f->value = 100 * m->own.cost.visible_pairs / m->other.cost.visible_pairs * other / own;
        break;
    case SUITE_POINTS:
        name_peak(m, f);
        f->value = 100 * (workload_flops(&m->own, 0) / own - workload_flops(&m->other, 0) / other) /
                   f->rate;
        break;
    case SUITE_TIMES:
        f->value = own / other;
        break;
    case SUITE_NEIGHBOUR:
        f->value = 100 * share_of_limits(m, &m->own, own, 1, NULL) /
                   share_of_limits(m, &m->other, other, 1, NULL);
        break;
    case SUITE_EACH:
        f->limit = "none";
        f->value = own / 1e3 / (double)(p->batch * p->hq);
        break;
    case SUITE_BOUND:
        name_peak(m, f);
        f->value = own * f->rate / workload_flops(&m->own, 1);
        break;
    case SUITE_SPEEDUP:
        f->value = speedup(m, own, other, f);
        break;
    case SUITE_PLAN:
        f->limit = "none";
        f->value = own / 1e3 / PLANS;
        f->best_ns = own / PLANS;
        break;
    case SUITE_REGION:
    case SUITE_CUT:
    case SUITE_KINDS:
        break;
    }
    note_kept(m, f);
    note_widening(m, f);
    note_unsteady(m, f);
}

/* ------------------------------------------------------------------ rows */

static int in_place(const char *why_from, const suite_row *row, char *why, int code)
{
    char text[SHAPES_TEXT];
    snprintf(text, sizeof text, "%s", why_from);
    snprintf(why, SHAPES_TEXT, "row '%.80s' of the suite: %.800s", row->name, text);
    return code;
}

static int open_both(measurement *m, const figure_options *options, const char *isa, char *why)
{
    const suite_row *row = m->row;
    suite_work other = row->other;
    int code = row->kind == SUITE_PLAN ? workload_plan(&m->own, &row->work, isa, options->seed, why)
                                       : workload_open(&m->own, &row->work, isa,
                                                       row->kind == SUITE_COLD, options->seed, why);
    if (row->kind == SUITE_SPEEDUP)
        other.threads = 1;
    if (!code && m->has_other)
        code = workload_open(&m->other, &other, isa, 0, options->seed, why);
    return code ? in_place(why, row, why, code) : 0;
}

static int measure_race(const suite_row *row, const figure_options *options, const char *isa,
                        figure *f, char *why)
{
    measurement m = {.row = row};
    m.has_other = suite_kind_at(row->kind)->other || row->kind == SUITE_SPEEDUP;
    int code = open_both(&m, options, isa, why);
    if (!code) {
        const suite_kind k = row->kind;
        m.wants_fma =
            k != SUITE_PROPORTION && k != SUITE_TIMES && k != SUITE_EACH && k != SUITE_PLAN;
        m.wants_bf16 = m.wants_fma && m.own.problem.dtype == FOVEA_BF16;
        m.wants_read = k == SUITE_COLD || k == SUITE_NEIGHBOUR || k == SUITE_SPEEDUP;
        code = race(&m, options, why);
    }
    if (!code) {
        f->huge_bytes = pages_huge_bytes();
        snprintf(f->kernel, sizeof f->kernel, "%s", m.own.cost.kernel ? m.own.cost.kernel : "");
        work_out(&m, f);
    }
    workload_free(&m.own);
    workload_free(&m.other);
    return code;
}

/* Rows without a race: the engine's own loops, the best of all rounds. */
static int measure_alone(const suite_row *row, const figure_options *options, const char *isa,
                         figure *f, char *why)
{
    const double seconds = 0.02;
    workload w;
    int code = workload_plan(&w, &row->work, isa, options->seed, why);
    f->limit = row->kind == SUITE_CUT ? "other" : "none";
    f->best_ns = INFINITY;
    f->other_ns = row->kind == SUITE_CUT ? INFINITY : NAN;
    for (f->samples = 0; !code && f->samples < options->rounds; f->samples++) {
        double pass = NAN;
        const char *k = fovea_recipe_get(w.recipe, "k");
        const double ns = row->kind == SUITE_REGION
                              ? fovea_measure_region(w.context, seconds)
                              : fovea_measure_cut(w.context, (size_t)w.problem.lk,
                                                  k ? (size_t)atoll(k) : 1, seconds, &pass);
        f->best_ns = fmin(f->best_ns, ns);
        f->other_ns = row->kind == SUITE_CUT ? fmin(f->other_ns, pass) : NAN;
    }
    f->value = row->kind == SUITE_CUT ? f->best_ns / f->other_ns : f->best_ns / 1e3;
    workload_free(&w);
    return code ? in_place(why, row, why, code) : 0;
}

/* Place in the order of strength; a row about a set that is not there, or above the cap, is skipped. */
static int strength(const char *isa)
{
    for (unsigned n = 0; fovea_isa_name(n); n++)
        if (strcmp(fovea_isa_name(n), isa) == 0)
            return (int)n;
    return -1;
}

static int is_skipped(const suite_row *row, const figure_options *options, figure *f)
{
    if (row->isa && fovea_isa_available(row->isa) != 1)
        snprintf(f->skipped, sizeof f->skipped, "this CPU or build has no %.40s", row->isa);
    else if (row->isa && options->isa && strength(row->isa) > strength(options->isa))
        snprintf(f->skipped, sizeof f->skipped, "is about %.40s, capped to %.40s", row->isa,
                 options->isa);
    else if (row->work.threads > options->cpus)
        snprintf(f->skipped, sizeof f->skipped, "needs %u CPUs, this process has %u",
                 row->work.threads, options->cpus);
    return f->skipped[0] != 0;
}

int figure_measure(const suite_row *row, const figure_options *options, figure *f, char *why)
{
    *f = (figure){.value = NAN,
                  .limit = "none",
                  .rate = NAN,
                  .goal = row->goal,
                  .best_ns = NAN,
                  .other_ns = NAN,
                  .unsteady = 1,
                  .huge_bytes = -1};
    if (is_skipped(row, options, f))
        return 0;
    const char *isa = row->isa ? row->isa : options->isa;
    if (row->kind == SUITE_REGION || row->kind == SUITE_CUT)
        return measure_alone(row, options, isa, f, why);
    return measure_race(row, options, isa, f, why);
}
