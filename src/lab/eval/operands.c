/* Made-up tensors; see operands.h. */
#include "eval/operands.h"

#include "io/pages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void operands_count(const fovea_problem *p, size_t count[3])
{
    count[0] = (size_t)(p->batch * p->hq * p->lq * p->d);
    count[1] = (size_t)(p->batch * p->hkv * p->lk * p->d);
    count[2] = (size_t)(p->batch * p->hkv * p->lk * p->dv);
}

size_t operands_element(fovea_dtype dtype)
{
    return dtype == FOVEA_F32 ? 4 : 2;
}

/* [b, h, l, n] -> [b, l, h, n], elements of `size` bytes; a new block or NULL. */
static void *turn(const void *in, int64_t batch, int64_t heads, int64_t tokens, int64_t n,
                  size_t size)
{
    const size_t row = (size_t)n * size;
    char *out = pages_get((size_t)(batch * heads * tokens) * row);
    for (int64_t b = 0; out && b < batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t l = 0; l < tokens; l++)
                memcpy(out + (size_t)((b * tokens + l) * heads + h) * row,
                       (const char *)in + (size_t)((b * heads + h) * tokens + l) * row, row);
    return out;
}

static fovea_strides token_first(int64_t heads, int64_t tokens, int64_t n)
{
    const fovea_strides strides = {.batch = tokens * heads * n, .head = n, .token = heads * n};
    return strides;
}

static int apply_layout(fovea_problem *p, void *made[3])
{
    const size_t size = operands_element(p->dtype);
    const int64_t heads[3] = {p->hq, p->hkv, p->hkv}, tokens[3] = {p->lq, p->lk, p->lk},
                  dims[3] = {p->d, p->d, p->dv};
    fovea_strides *strides[3] = {&p->q, &p->k, &p->v};
    for (int n = 0; n < 3; n++) {
        void *turned = turn(made[n], p->batch, heads[n], tokens[n], dims[n], size);
        if (!turned)
            return -1;
        free(made[n]);
        made[n] = turned;
        *strides[n] = token_first(heads[n], tokens[n], dims[n]);
    }
    p->o = token_first(p->hq, p->lq, p->dv);
    return 0;
}

static int apply_dtype(const fovea_problem *p, const size_t count[3], void *made[3])
{
    for (int n = 0; n < 3 && p->dtype != FOVEA_F32; n++) {
        void *rounded = pages_get(count[n] * operands_element(p->dtype));
        if (!rounded)
            return -1;
        fovea_convert_from_f32(p->dtype, made[n], rounded, count[n]);
        free(made[n]);
        made[n] = rounded;
    }
    return 0;
}

int operands_make(fovea_problem *p, operands_layout layout, synthetic_kind kind, uint64_t seed,
                  void *made[3])
{
    const double scale = p->scale > 0 ? p->scale : 1 / sqrt((double)p->d);
    const synthetic_shape of = {p->batch, p->hq, p->hkv, p->lq, p->lk, p->d, p->dv, scale};
    size_t count[3];
    operands_count(p, count);
    for (int n = 0; n < 3; n++)
        if (!(made[n] = pages_get(count[n] * sizeof(float))))
            return -1;
    if (synthetic_fill(kind, seed, &of, made[0], made[1], made[2]) || apply_dtype(p, count, made))
        return -1;
    return layout == OPERANDS_BLHD ? apply_layout(p, made) : 0;
}
