/* Workers: the host's run hook, or a pthreadpool of our own, or the calling thread. */
#ifndef FV_CORE_THREADS_H
#define FV_CORE_THREADS_H

typedef struct fv_threads {
    void (*run)(void *user, unsigned workers, void (*work)(void *arg, unsigned worker), void *arg);
    void *user;
    unsigned workers;
    void *pool; /* ours, or NULL */
} fv_threads;

/* run NULL: a pool of `workers` threads when the build has pthreadpool and workers > 1. Returns 0, or 1 when the pool cannot
   be made. */
int fv_threads_open(fv_threads *threads, unsigned workers,
                    void (*run)(void *, unsigned, void (*)(void *, unsigned), void *), void *user);
void fv_threads_close(fv_threads *threads);
/* Calls work(arg, w) once for each w < workers. */
void fv_threads_run(const fv_threads *threads, void (*work)(void *arg, unsigned worker), void *arg);
#endif
