/* Narrow tiles of the instruction set avx512: the lanes family over its vector header. */
#define V_NARROW
#include "vec/vec_avx512.h"

#include "body/lanes.h"
