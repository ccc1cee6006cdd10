/* Measures what plans leave open on this machine: each key of the tuning table in turn, its candidates interleaved on a few
   workloads that the key matters for. A candidate replaces the default only when it wins by more than the noise, and what
   was chosen counts for the keys after it. */
#ifndef FV_LAB_EVAL_TUNER_H
#define FV_LAB_EVAL_TUNER_H
#include <fovea/fovea.h>

enum { TUNER_VALUE = 40, TUNER_NOTE = 160, TUNER_STEPS = 24 };

typedef struct tuner_step {
    const char *key;
    char standard[TUNER_VALUE], value[TUNER_VALUE]; /* default, and what is to be used from now on */
    char best[TUNER_VALUE];                         /* fastest candidate; "" when nothing was measured */
    double gain;                                    /* part of the default's time that it saves; NaN without candidates */
    double noise;                                   /* gain that it had to exceed */
    unsigned rounds;
    char note[TUNER_NOTE];
} tuner_step;

typedef struct tuner {
    fovea_context *one;     /* one thread, tuning off: values are set here */
    fovea_context *many;    /* the same with more threads, or NULL: keys of threads are then left alone */
    double seconds;         /* budget */
    void (*progress)(void *user, const char *what, double part); /* may be NULL */
    void *user;
    tuner_step step[TUNER_STEPS];
    unsigned steps;
} tuner;

/* Fills step[]; the contexts hold the values chosen. FOVEA_ERROR_MEMORY when buffers cannot be allocated. */
fovea_status tuner_run(tuner *t, fovea_error *err);
/* Gain that a candidate must exceed: the largest of 1 %, of what the default gained over itself, and of how far the even and the
   odd rounds are apart, for the candidate and for the default. All are differences of logarithms of best times, which on a
   machine with other work to do say more than medians: nothing makes a run too fast. */
double tuner_noise(double against_itself, double halves, double halves_of_default);
#endif
