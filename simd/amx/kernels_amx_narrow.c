/* Narrow tiles of the instruction set amx: products of tiles of bf16. */
#define V_NARROW
#include "vec/vec_avx512.h"
#undef V_ISA
#define V_ISA amx_narrow

#include "amx/tiles.h"
