/* Kernels of the instruction set scalar: the bodies over its vector header. */
#include "vec/vec_scalar.h"

#include "body/all.h"
