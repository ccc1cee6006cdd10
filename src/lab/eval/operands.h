/* Made-up q, k and v in the type and memory layout that a problem asks for. */
#ifndef FV_LAB_EVAL_OPERANDS_H
#define FV_LAB_EVAL_OPERANDS_H
#include "eval/synthetic.h"
#include <fovea/fovea.h>
#include <stddef.h>

/* [batch, head, token, dim] or [batch, token, head, dim]. */
typedef enum operands_layout { OPERANDS_BHLD, OPERANDS_BLHD } operands_layout;

/* Elements of q, k, v. */
void operands_count(const fovea_problem *problem, size_t count[3]);
size_t operands_element(fovea_dtype dtype);

/* Makes q, k, v (synthetic.h) of the problem's sizes and type and sets its strides, those of o too, to the layout. The
   blocks go to made[3], to be freed by the caller, also after a failure. 0, or -1 without memory. */
int operands_make(fovea_problem *problem, operands_layout layout, synthetic_kind kind,
                  uint64_t seed, void *made[3]);
#endif
