/* f16 and bf16 bit patterns to float and back in plain C; for instruction sets without conversion instructions. */
#ifndef FV_VEC_HALF_H
#define FV_VEC_HALF_H
#include <stdint.h>
#include <string.h>

static inline float half_bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static inline float half_from_bf16(uint16_t h) { return half_bits_float((uint32_t)h << 16); }

/* Exact for all 65536 patterns: subnormals by a subtraction, infinities and NaN by widening the exponent. */
static inline float half_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7fff;
    if (magnitude >= 0x7c00)
        return half_bits_float(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    if (magnitude >= 0x400)
        return half_bits_float(sign | ((magnitude << 13) + 0x38000000));
    return half_bits_float(sign | 0x33800000) * (float)magnitude; /* +-2^-24 m */
}
#endif
