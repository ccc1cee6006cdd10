/* Narrow tiles of the instruction set avx512_bf16: the native bf16 dot. */
#define V_NARROW
#include "vec/vec_avx512.h"
#undef V_ISA
#define V_ISA avx512_bf16_narrow

#include "avx512_bf16/pairs.h"
