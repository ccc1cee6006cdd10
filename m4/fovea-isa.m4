dnl Probes for instruction sets: each links real intrinsics with the real flags, because a compiler that accepts a flag
dnl may still lack the intrinsics, and an assembler may lack the instructions.

dnl FOVEA_ISA(NAME, FAMILY, FLAGS, PROLOGUE, BODY)
dnl Sets fovea_isa_NAME to yes, "no (why)"; the automake conditional FV_ISA_<NAME>; the macro HAVE_ISA_<NAME> in every
dnl compilation; the flags as FV_<NAME>_CFLAGS for the files of that instruction set only. --disable-NAME leaves it out.
AC_DEFUN([FOVEA_ISA], [
m4_pushdef([UP], m4_translit([$1], [a-z], [A-Z]))
AC_ARG_ENABLE([$1], [AS_HELP_STRING([--disable-m4_translit([$1], [_], [-])], [leave out the $1 kernels])])
FV_[]UP[]_CFLAGS="$3"
fovea_isa_$1=no
AS_IF([test "x$fovea_family" != "x$2"], [fovea_isa_$1="no (not this processor family)"],
      [test "x$enable_$1" = xno], [fovea_isa_$1="no (--disable)"],
    [AC_MSG_CHECKING([whether $CC builds $1 kernels with $3])
     fovea_save_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS $FV_[]UP[]_CFLAGS"
     AC_LINK_IFELSE([AC_LANG_PROGRAM([$4], [$5])], [fovea_isa_$1=yes], [fovea_isa_$1="no (compiler)"])
     CFLAGS=$fovea_save_CFLAGS
     AC_MSG_RESULT([$fovea_isa_$1])])
AS_IF([test "x$fovea_isa_$1" = xyes], [AC_DEFINE([HAVE_ISA_]UP, [1], [The library holds $1 kernels.])])
AM_CONDITIONAL([FV_ISA_]UP, [test "x$fovea_isa_$1" = xyes])
AC_SUBST([FV_]UP[_CFLAGS])
m4_popdef([UP])
])

AC_DEFUN([FOVEA_ISA_ALL], [
FOVEA_ISA([avx2], [x86], [-mavx2 -mfma -mf16c], [[#include <immintrin.h>
float in[8], out[8]; unsigned short half[8];]], [[
    __m256 a = _mm256_loadu_ps(in), h = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)half));
    __m256i b = _mm256_add_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(1));
    _mm256_storeu_ps(out, _mm256_fmadd_ps(a, h, _mm256_castsi256_ps(b)));]])

dnl gcc 12: avx512f does not bring f16c along, and without it the scalar half conversions fail to inline.
FOVEA_ISA([avx512], [x86], [-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mavx2], [[#include <immintrin.h>
float in[16], out[16]; unsigned short half[16];]], [[
    __m512 a = _mm512_maskz_loadu_ps(0x7fff, in), b = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)half));
    __m512i w = _mm512_add_epi16(_mm512_castps_si512(a), _mm512_set1_epi16(1));
    __m256 low = _mm512_extractf32x8_ps(_mm512_castsi512_ps(w), 1);
    __m256 kept = _mm256_mask_mov_ps(low, 0x55, _mm256_set1_ps(_cvtsh_ss(half[0])));
    _mm512_storeu_ps(out, _mm512_scalef_ps(_mm512_fmadd_ps(a, b, a), _mm512_castps256_ps512(kept)));]])

FOVEA_ISA([avx512_bf16], [x86], [-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mavx2 -mavx512bf16],
    [[#include <immintrin.h>
float in[16], out[16];]], [[
    __m512 a = _mm512_loadu_ps(in);
    __m512bh pair = _mm512_cvtne2ps_pbh(a, a);
    _mm512_storeu_ps(out, _mm512_dpbf16_ps(a, pair, pair));]])

FOVEA_ISA([amx], [x86],
    [-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mavx2 -mavx512bf16 -mamx-tile -mamx-bf16],
    [[#include <immintrin.h>
char config[64]; short in[512]; float out[256];]], [[
    _tile_loadconfig(config);
    _tile_loadd(1, in, 64);
    _tile_zero(0);
    _tile_loadd(2, in, 64);
    _tile_dpbf16ps(0, 1, 2);
    _tile_stored(0, out, 64);
    _tile_release();]])

dnl gcc 12 schedules the NEON tiles before it allocates registers and then spills inside the loop.
fovea_neon_flags=
AS_IF([test "x$fovea_family" = xarm64], [
    AC_MSG_CHECKING([whether $CC is gcc and takes -fno-schedule-insns])
    fovea_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror -fno-schedule-insns"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#ifdef __clang__
#error clang schedules well
#endif]], [])], [fovea_neon_flags=-fno-schedule-insns; AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])])
    CFLAGS=$fovea_save_CFLAGS])
FOVEA_ISA([neon], [arm64], [$fovea_neon_flags], [[#include <arm_neon.h>
float in[4], out[4]; float16_t half[4];]], [[
    float32x4_t a = vld1q_f32(in), b = vcvt_f32_f16(vld1_f16(half));
    a = vfmaq_laneq_f32(a, b, a, 3);
    vst1q_f32(out, vrndnq_f32(a));]])

dnl gcc 12 for AArch64 writes a constant bf16 vector as a half-precision one: 1.0 becomes 0x3c00. The kernels never build
dnl such constants; this line tells whoever wants to whether this compiler can be trusted.
AS_IF([test "x$fovea_isa_neon" = xyes], [
    AC_MSG_CHECKING([whether $CC encodes constant bf16 vectors correctly])
    fovea_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -O2 -march=armv8.2-a+bf16+fp16"
    fovea_bf16_constants=no
    AC_COMPILE_IFELSE([AC_LANG_SOURCE([[#include <arm_neon.h>
bfloat16x8_t ones(void);
bfloat16x8_t ones(void) { return (bfloat16x8_t)vdupq_n_u16(0x3f80); }
bfloat16x8_t lanes(void);
bfloat16x8_t lanes(void) { return vdupq_lane_bf16(vcreate_bf16(0x3f803f803f803f80ull), 0); }]])],
        [AS_IF([test "x$OBJDUMP_TOOL" != x: && $OBJDUMP_TOOL -d conftest.$ac_objext 2>/dev/null | grep 'fmov.*8h' >/dev/null],
            [fovea_bf16_constants="no (they must stay out of the kernels)"], [fovea_bf16_constants=yes])])
    AC_MSG_RESULT([$fovea_bf16_constants])
    CFLAGS=$fovea_save_CFLAGS])
])
