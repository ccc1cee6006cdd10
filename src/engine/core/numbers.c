/* Conversions between float, bf16 and f16: plain C, exact or rounded to nearest even, NaN stays NaN. */
#include "core/numbers.h"

#include "vec/half.h"

const char *fv_dtype_name(fovea_dtype type)
{
    static const char *const names[] = {"f32", "bf16", "f16"};
    return names[type];
}

static uint16_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t to_f16(float x)
{
    uint32_t bits, magnitude;
    uint16_t sign;
    memcpy(&bits, &x, 4);
    sign = (uint16_t)(bits >> 16 & 0x8000);
    magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return sign | 0x7e00 | (uint16_t)(magnitude >> 13 & 0x1ff);
    if (magnitude >= 0x477ff000) /* 65520 and above round to infinity */
        return sign | 0x7c00;
    if (magnitude < 0x38800000) {
        /* subnormal: units of 2^-24; adding 0.5 leaves the rounded count in the low bits */
        float shifted = half_bits_float(magnitude) + 0.5f;
        memcpy(&bits, &shifted, 4);
        return sign | (uint16_t)(bits - 0x3f000000);
    }
    return sign | (uint16_t)((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

void fovea_convert_to_f32(fovea_dtype from, const void *in, float *out, size_t n)
{
    const uint16_t *half = in;
    if (from == FOVEA_F32)
        memcpy(out, in, n * sizeof(float));
    else if (from == FOVEA_BF16)
        for (size_t i = 0; i < n; i++)
            out[i] = half_from_bf16(half[i]);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = half_from_f16(half[i]);
}

void fovea_convert_from_f32(fovea_dtype to, const float *in, void *out, size_t n)
{
    uint16_t *half = out;
    if (to == FOVEA_F32)
        memcpy(out, in, n * sizeof(float));
    else if (to == FOVEA_BF16)
        for (size_t i = 0; i < n; i++)
            half[i] = to_bf16(in[i]);
    else
        for (size_t i = 0; i < n; i++)
            half[i] = to_f16(in[i]);
}
