/* Runs the passes of a plan: each a round of independent tasks over the workers. Which worker takes which task changes
   nothing: a task writes its own rows, and partial states are merged in a fixed order in a second round. */
#include "drive/execute.h"

#include <stdatomic.h>

typedef struct round {
    const fv_work *work;
    fv_tensors *tensors;
    char *scratch;
    unsigned pass;
    int merge;
    _Atomic int64_t next;
} round;

static void one_task(const fv_work *w, fv_tensors *tensors, unsigned pass, int64_t t, int merge, void *scratch)
{
    fv_task task;
    fv_work_task(w, pass, t, &task);
    w = task.pass->narrow ? w->narrow : w;
    if (merge)
        fv_rows_merge(w, tensors, pass, t, scratch);
    else if (task.pass->driver == FV_DRIVE_LANES)
        fv_lanes_task(w, tensors, pass, t, scratch);
    else if (task.pass->driver == FV_DRIVE_ROWS)
        fv_rows_task(w, tensors, pass, t, scratch);
    else if (task.pass->driver == FV_DRIVE_SMALL)
        fv_small_task(w, tensors, pass, t, scratch);
    else if (task.pass->driver == FV_DRIVE_THIN)
        fv_thin_task(w, tensors, pass, t, scratch);
    else
        fv_pruned_task(w, tensors, pass, t, scratch);
}

static void work(void *arg, unsigned worker)
{
    round *r = arg;
    const int64_t tasks = r->work->tasks[r->pass];
    void *scratch = r->scratch + (size_t)worker * r->work->scratch_bytes;
    if (r->work->scratch_bytes)
        *(void **)scratch = NULL; /* a driver may keep what it laid out there from one task to the next */
    for (;;) {
        int64_t t = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
        if (t >= tasks)
            return;
        /* the last rows of a causal problem have the most keys: first, so that no worker is left with one at the end */
        one_task(r->work, r->tensors, r->pass, r->work->problem.causal ? tasks - 1 - t : t, r->merge, scratch);
    }
}

/* Waking workers costs as much as a few microseconds of work, and many times that when they sleep. */
static void run_round(round *r, const fv_threads *threads, int alone)
{
    if (alone)
        work(r, 0);
    else
        fv_threads_run(threads, work, r);
}

void fv_execute(const fv_work *w, fv_tensors *tensors, const fv_threads *threads, void *workspace)
{
    char *shared = workspace;
    tensors->state_m = (float *)shared;
    tensors->state_l = (float *)(shared + w->state_bytes / 2);
    tensors->partial = (float *)(shared + w->state_bytes);
    tensors->kept = 0;
    for (unsigned pass = 0; pass < w->passes; pass++) {
        round r = {w, tensors, shared + w->shared_bytes, pass, 0, 0};
        run_round(&r, threads, w->alone[pass]);
        if (w->partials) {
            round merge = {w, tensors, shared + w->shared_bytes, pass, 1, 0};
            run_round(&merge, threads, w->merge_alone);
        }
    }
}
