/* Forms: the loops that a pass may run in, one row each. A plan asks every row whether it can run a pass and what that
   costs, and takes the cheapest; `explain` prints the same answers.

   Costs are counted in slots, the time of one vector fma from registers: two forms then compare alike on machines of very
   different speed, and a choice is the same in every process. They depend on shape, pattern, kernels and tuning, never on the
   number of threads, for the form decides the last bits of a result. */
#ifndef FV_PLAN_FORMS_H
#define FV_PLAN_FORMS_H
#include "plan/plan.h"

enum { FV_FORM_REASON = 160 };

/* A pass of one pair of lengths as the forms see it. */
typedef struct fv_offer {
    const fovea_plan *plan;
    const fv_lengths *lengths;
    const fv_pass *pass; /* pattern, part, step and classes are set */
    void *scratch;       /* of fv_pattern_tile, for FVK_MAX_LANES lanes; NULL when keys is given */
    double keys;         /* keys that a unit reads; NaN: ask the pattern about a unit or a few */
    /* what the form would be run with; set by cost() */
    int64_t units, splits;
    int width;     /* small form: query rows per task */
    int64_t ahead; /* small form: a row at position p sees the keys j <= p + ahead; set by eligible() */
} fv_offer;

typedef struct fv_form {
    const char *name;
    fv_driver driver;
    int narrow; /* with the plan's narrow tiles */
    /* 1 when the form can run the pass, else 0 with the reason. */
    int (*eligible)(fv_offer *offer, char why[FV_FORM_REASON]);
    /* Slots of all tasks of one key/value head; sets units and splits. */
    double (*cost)(fv_offer *offer);
} fv_form;

extern const fv_form fv_forms[FV_FORMS];

/* Bytes of scratch for the patterns of these lengths. */
size_t fv_forms_scratch(const fv_lengths *lengths);
/* Chooses the form of a pass: form, driver, units, splits; width and ahead. */
void fv_forms_choose(const fovea_plan *plan, const fv_lengths *lengths, fv_pass *pass, void *scratch);
/* Why a form is not the one taken. */
void fv_forms_reason(const fovea_plan *plan, const fv_lengths *lengths, const fv_pass *pass, unsigned form,
                     char why[FV_FORM_REASON]);
/* 1 when a pass of all sequences is less work than `flops`, -1 without memory to find out. */
int fv_forms_is_small(const fovea_plan *plan, unsigned number, double flops);
/* Predicted time of pass `number` of all sequences on the plan's workers, in the forms taken (form = FV_FORMS) or in one form; NaN
   when it cannot run, and without memory. */
double fv_forms_pass_ns(const fovea_plan *plan, unsigned number, unsigned form);
/* "12.3 us" */
void fv_forms_time(double ns, char *out, size_t n);
#endif
