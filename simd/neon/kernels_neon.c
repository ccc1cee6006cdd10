/* Kernels of the instruction set neon: the bodies over its vector header. */
#include "vec/vec_neon.h"

#include "body/all.h"
