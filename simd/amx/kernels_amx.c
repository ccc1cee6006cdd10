/* Kernels of the instruction set amx: products of tiles of bf16. */
#include "vec/vec_avx512.h"
#undef V_ISA
#define V_ISA amx

#include "amx/tiles.h"
