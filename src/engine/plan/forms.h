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
    void *scratch;       /* of fv_pattern_tile, for FVK_MAX_LANES lanes */
    /* what the form would be run with; filled in by cost() */
    int64_t units, splits;
} fv_offer;

typedef struct fv_form {
    const char *name;
    fv_driver driver;
    /* 1 when the form can run the pass, else 0 with the reason. */
    int (*eligible)(const fv_offer *offer, char why[FV_FORM_REASON]);
    /* Slots of all tasks of one key/value head; sets units and splits. */
    double (*cost)(fv_offer *offer);
} fv_form;

extern const fv_form fv_forms[FV_FORMS];

/* Chooses the form of a pass: driver, units, splits, and the price of every form. */
void fv_forms_choose(const fovea_plan *plan, const fv_lengths *lengths, fv_pass *pass, void *scratch);
/* Why a form is not the one taken. */
void fv_forms_reason(const fovea_plan *plan, const fv_lengths *lengths, const fv_pass *pass, unsigned form,
                     char why[FV_FORM_REASON]);
/* Nanoseconds of a slot on one thread of this machine. */
double fv_forms_slot_ns(const fovea_plan *plan);
/* Flops of a slot. */
double fv_forms_slot_flops(const fovea_plan *plan);
/* Predicted time of pass `number` of all sequences in the forms taken (form = FV_FORMS) or in one form, on the plan's workers. */
double fv_forms_pass_ns(const fovea_plan *plan, unsigned number, unsigned form);
/* "12.3 us" */
void fv_forms_time(double ns, char *out, size_t n);
#endif
