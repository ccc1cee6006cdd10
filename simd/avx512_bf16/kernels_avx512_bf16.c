/* Kernels of the instruction set avx512_bf16: the native bf16 dot. */
#include "vec/vec_avx512.h"
#undef V_ISA
#define V_ISA avx512_bf16

#include "avx512_bf16/pairs.h"
