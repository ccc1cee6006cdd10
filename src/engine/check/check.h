/* The kernel check: fovea_check_kernels of the public header, and what its own tests need. */
#ifndef FV_CHECK_CHECK_H
#define FV_CHECK_CHECK_H
#include "kernel.h"

/* Does the check bite? Kernels of the scalar instruction set are run through faults made on purpose (the last key
   dropped, lanes swapped, a result off by 1e-5, memory beyond the contract touched, ...); each must be reported.
   Calls report(user, "qk: drops the last key", caught, what the check said); returns the number of faults that were
   not caught. */
unsigned fv_check_mutations(void (*report)(void *user, const char *fault, int caught, const char *detail), void *user);

/* Below: shared by check.c and mutants.c. */
enum { FV_CHECK_DETAIL = 504, FV_CHECK_CASES = 200 };

struct fv_case_memory;
/* Opens the guard and the arrays; closes them. NULL when there is no memory. One at a time: it holds a lock. */
struct fv_case_memory *fv_check_open(void);
void fv_check_close(struct fv_case_memory *memory);
/* Runs cases first .. last of a row with `fn` in the place of its kernel, up to the first failure. 1 passed, 0
   failed; detail says how. */
int fv_check_row(const struct fv_case_memory *memory, const fvk_row *row, void (*fn)(void), uint64_t seed,
                 unsigned first, unsigned last, char detail[FV_CHECK_DETAIL]);
#endif
