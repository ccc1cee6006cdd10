/* Cases of the small family: few keys in the vector lanes. */
#ifndef FV_CHECK_SMALL_H
#define FV_CHECK_SMALL_H
#include "check/case.h"

fv_case_fn fv_case_small_tail, fv_case_small_softmax, fv_case_small_pv;
#endif
