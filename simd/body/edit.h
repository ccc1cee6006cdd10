/* Score edits between the dot and the softmax: soft cap, ALiBi, change of unit. The tanh is SLEEF's (1 ulp). */
FV_INLINE vf edit_one(vf x, const fvk_edit *e, vf slope, vf pos, vf kpos)
{
    if (e->cap > 0)
        x = v_mul(v_set1(e->cap), v_tanh(v_div(x, v_set1(e->cap))));
    if (e->slope)
        x = v_sub(x, v_mul(slope, v_abs(v_sub(pos, kpos))));
    return v_mul(x, v_set1(e->unit));
}

void FVK(edit_f32)(float *s, int nk, const fvk_edit *e)
{
    for (int n = 0; n < V_TILE; n++) {
        vf slope = e->slope ? v_load(e->slope + n * VL) : v_zero();
        vf pos = e->slope ? v_load(e->pos + n * VL) : v_zero();
        for (int j = 0; j < nk; j++) {
            float *x = s + (size_t)j * LANES + n * VL;
            v_store(x, edit_one(v_load(x), e, slope, pos, e->slope ? v_set1(e->kpos[j]) : v_zero()));
        }
    }
}

uint32_t FVK(bias_f32)(float *s, int nk, const float *b, uint32_t *rows)
{
    const vf hidden = v_set1(FVK_HIDDEN), lowest = v_set1(FVK_LOWEST), unit = v_set1((float)FVK_LOG2E);
    uint32_t all = ~0u;
    for (int j = 0; j < nk; j++, s += LANES, b += LANES) {
        uint32_t hides = 0;
        for (int n = 0; n < V_TILE; n++) {
            vf y = v_load(b + n * VL), x = v_mul(y, unit);
            x = v_select(v_lt(x, lowest), lowest, x);
            hides |= v_bits(v_eq(y, hidden)) << (n * VL);
            v_store(s + n * VL, v_add(v_load(s + n * VL), x));
        }
        rows[j] &= ~hides;
        all &= rows[j];
    }
    return all;
}
