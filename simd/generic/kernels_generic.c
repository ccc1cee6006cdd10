/* Kernels of the instruction set generic: the bodies over its vector header. */
#include "vec/vec_generic.h"

#include "body/all.h"
