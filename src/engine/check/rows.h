/* Cases of the rows family, of widening and of the measuring kernels. */
#ifndef FV_CHECK_ROWS_H
#define FV_CHECK_ROWS_H
#include "check/case.h"

fv_case_fn fv_case_widen, fv_case_dot, fv_case_axpy, fv_case_row_softmax, fv_case_row_edit, fv_case_exp, fv_case_peak,
    fv_case_count, fv_case_range, fv_case_sift, fv_case_mass, fv_case_scale, fv_case_veil, fv_case_moments,
    fv_case_ramp, fv_case_read;
#endif
