/* Kernel names: FVK(qk_f32) is fvk_qk_f32__avx2 in the avx2 files. */
#ifndef FV_BODY_NAME_H
#define FV_BODY_NAME_H
#include "kernel.h"
#define FVK_PASTE(a, b) a##b
#define FVK_JOIN(a, b) FVK_PASTE(a, b)
#define FVK(name) FVK_JOIN(FVK_JOIN(FVK_JOIN(fvk_, name), __), V_ISA)
enum { LANES = VL * V_TILE };
/* masks of lanes: of one vector, of a tile */
static const uint32_t FV_VECTOR_BITS = (1u << VL) - 1, FV_TILE_BITS = (uint32_t)((1ull << (VL * V_TILE)) - 1);
/* full unrolling of loops with constant bounds, so that accumulators live in registers; by two or four for the loop around
   them: counting is one instruction in ten, which shows when a sibling thread shares the core */
#if defined(__clang__)
#define FV_UNROLL _Pragma("clang loop unroll(full)")
#define FV_UNROLL_2 _Pragma("clang loop unroll_count(2)")
#define FV_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define FV_UNROLL _Pragma("GCC unroll 32")
#define FV_UNROLL_2 _Pragma("GCC unroll 2")
#define FV_UNROLL_4 _Pragma("GCC unroll 4")
#endif
#define FV_INLINE static inline __attribute__((always_inline))

/* A pointer the compiler may not see through. Without it gcc 12 takes the column offsets of pv out of the loop, into a
   dozen registers that it does not have, and fetches them from vector registers: a tenth of the speed. Under clang
   no load moves across it: version 14 would begin the next key early and spill half of the accumulators for it. */
FV_INLINE const float *fv_opaque(const float *p)
{
#if defined(__clang__)
    __asm__ volatile("" : "+r"(p) : : "memory");
#else
    __asm__("" : "+r"(p));
#endif
    return p;
}
/* The same for a buffer on the stack, which then is no frame slot that looks like a spill. */
FV_INLINE float *fv_opaque_room(float *p)
{
    __asm__("" : "+r"(p) : : "memory");
    return p;
}
#endif
