/* Cases of the lanes family, and what the rows family shares with them. */
#ifndef FV_CHECK_LANES_H
#define FV_CHECK_LANES_H
#include "check/case.h"

fv_case_fn fv_case_pack, fv_case_pack_pair, fv_case_qk, fv_case_qk_pair, fv_case_hide_scores, fv_case_softmax,
    fv_case_pv, fv_case_values_pair, fv_case_pv_pair, fv_case_softmax_parts, fv_case_values_tile, fv_case_pv_tile, fv_case_store, fv_case_finish, fv_case_edit, fv_case_bias,
    fv_case_kept;

double fv_draw_score(fv_case *c);
/* ot and alpha of pv, or alpha NULL and rubbish in ot; ot in double too. */
void fv_draw_accumulator(fv_case *c);
/* nk scores, stride apart, and the state before them; 1 when a score is NaN. */
int fv_draw_column(fv_case *c, float *s, int nk, int stride, float *m, float *mx, float *l);
/* alpha of a softmax, of lane or row i. */
void fv_case_expect_alpha(fv_case *c, int i, float alpha, const fv_ref_state *state);
void fv_case_edit_block(fv_case *c, int lanes);
#endif
