/* Workers. */
#include "core/threads.h"

#include <stddef.h>
#ifdef HAVE_PTHREADPOOL
#include <pthreadpool.h>
#endif

static void run_here(void *user, unsigned workers, void (*work)(void *, unsigned), void *arg)
{
    (void)user;
    for (unsigned w = 0; w < workers; w++)
        work(arg, w);
}

#ifdef HAVE_PTHREADPOOL
typedef struct job {
    void (*work)(void *, unsigned);
    void *arg;
} job;

static void one(void *context, size_t w)
{
    job *j = context;
    j->work(j->arg, (unsigned)w);
}

static void run_pool(void *user, unsigned workers, void (*work)(void *, unsigned), void *arg)
{
    job j = {work, arg};
    pthreadpool_parallelize_1d(user, one, &j, workers, 0);
}
#endif

int fv_threads_open(fv_threads *t, unsigned workers,
                    void (*run)(void *, unsigned, void (*)(void *, unsigned), void *), void *user)
{
    t->workers = workers;
    t->pool = NULL;
    t->run = run ? run : run_here;
    t->user = user;
#ifdef HAVE_PTHREADPOOL
    if (!run && workers > 1) {
        t->pool = pthreadpool_create(workers);
        if (!t->pool)
            return 1;
        t->run = run_pool;
        t->user = t->pool;
    }
#endif
    return 0;
}

void fv_threads_close(fv_threads *t)
{
#ifdef HAVE_PTHREADPOOL
    if (t->pool)
        pthreadpool_destroy(t->pool);
#endif
    t->pool = NULL;
}

void fv_threads_run(const fv_threads *t, void (*work)(void *, unsigned), void *arg)
{
    if (t->workers == 1)
        work(arg, 0);
    else
        t->run(t->user, t->workers, work, arg);
}
