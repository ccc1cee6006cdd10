/* Cases of the columns: rows of scores that stand in the lanes of a tile. */
#ifndef FV_CHECK_COLUMNS_H
#define FV_CHECK_COLUMNS_H
#include "check/case.h"

fv_case_fn fv_case_column_weigh, fv_case_column_moments, fv_case_column_sums, fv_case_column_search,
    fv_case_column_collect, fv_case_column_add;
#endif
