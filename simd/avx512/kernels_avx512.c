/* Kernels of the instruction set avx512: the bodies over its vector header. */
#include "vec/vec_avx512.h"

#include "body/all.h"
