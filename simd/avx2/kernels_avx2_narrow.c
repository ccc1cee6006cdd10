/* Narrow tiles of the instruction set avx2: the lanes family over its vector header. */
#define V_NARROW
#include "vec/vec_avx2.h"

#include "body/lanes.h"
