/* Which instruction sets this CPU and operating system run: one cached word. */
#ifndef FV_CORE_CPU_H
#define FV_CORE_CPU_H
#include "kernel.h"

/* Bit set over fvk_isa: built in and runnable. */
unsigned fv_cpu_isas(void);
/* Those of `isas` no stronger than the one named; 0 when the name is unknown. */
unsigned fv_cpu_cap(unsigned isas, const char *name);
/* Strongest of a non-empty bit set. */
fvk_isa fv_cpu_strongest(unsigned isas);
/* Index of a name, or -1. */
int fv_cpu_isa(const char *name);
/* Features found, space separated. */
const char *fv_cpu_features(void);
/* The CPU's own name with family, model and stepping: "GenuineX, family 6 model 85 stepping 7". */
const char *fv_cpu_name(void);
#endif
