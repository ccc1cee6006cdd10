/* Every check of a problem that needs no recipe. */
#ifndef FV_API_PROBLEM_H
#define FV_API_PROBLEM_H
#include <fovea/fovea.h>

fovea_status fv_problem_check(const fovea_problem *problem, fovea_error *err);
#endif
