/* Kernels of the instruction set avx2: the bodies over its vector header. */
#include "vec/vec_avx2.h"

#include "body/all.h"
