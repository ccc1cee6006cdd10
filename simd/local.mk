# Kernels: one convenience library per instruction set. Only these files are compiled with flags of an instruction set,
# and only with flags that add to the baseline (-mavx2 ...), never -march=native.

FV_KERNEL_CPPFLAGS = $(FV_ENGINE_CPPFLAGS)
FV_KERNEL_CFLAGS = $(FV_ENGINE_CFLAGS)
FV_KERNEL_LIBS =
FV_KERNEL_FILES = \
	simd/amx/tiles.h \
	simd/avx512_bf16/pairs.h \
	simd/body/ahead.h \
	simd/body/all.h \
	simd/body/axpy.h \
	simd/body/dot.h \
	simd/body/edit.h \
	simd/body/end.h \
	simd/body/exp2.h \
	simd/body/far.h \
	simd/body/lanes.h \
	simd/body/name.h \
	simd/body/pack.h \
	simd/body/peak.h \
	simd/body/pv.h \
	simd/body/qk.h \
	simd/body/row.h \
	simd/body/sift.h \
	simd/body/column.h \
	simd/body/small.h \
	simd/body/softmax.h \
	simd/body/widen.h \
	simd/kernel.h \
	simd/kernels.def \
	simd/vec/README \
	simd/vec/half.h \
	simd/vec/vec_avx2.h \
	simd/vec/vec_avx512.h \
	simd/vec/vec_generic.h \
	simd/vec/vec_math.h \
	simd/vec/vec_neon.h \
	simd/vec/vec_scalar.h

noinst_LTLIBRARIES += libfvk_scalar.la libfvk_generic.la
FV_KERNEL_LIBS += libfvk_scalar.la libfvk_generic.la

libfvk_scalar_la_SOURCES = \
	simd/scalar/kernels_scalar.c
libfvk_scalar_la_CPPFLAGS = $(FV_KERNEL_CPPFLAGS)
libfvk_scalar_la_CFLAGS = $(FV_KERNEL_CFLAGS)

libfvk_generic_la_SOURCES = \
	simd/generic/kernels_generic.c
libfvk_generic_la_CPPFLAGS = $(FV_KERNEL_CPPFLAGS)
libfvk_generic_la_CFLAGS = $(FV_KERNEL_CFLAGS)

if FV_ISA_AVX2
noinst_LTLIBRARIES += libfvk_avx2.la
FV_KERNEL_LIBS += libfvk_avx2.la
endif
libfvk_avx2_la_SOURCES = \
	simd/avx2/kernels_avx2.c \
	simd/avx2/kernels_avx2_narrow.c
libfvk_avx2_la_CPPFLAGS = $(FV_KERNEL_CPPFLAGS)
libfvk_avx2_la_CFLAGS = $(FV_KERNEL_CFLAGS) $(FV_AVX2_CFLAGS)

if FV_ISA_AVX512
noinst_LTLIBRARIES += libfvk_avx512.la
FV_KERNEL_LIBS += libfvk_avx512.la
endif
libfvk_avx512_la_SOURCES = \
	simd/avx512/kernels_avx512.c \
	simd/avx512/kernels_avx512_narrow.c
libfvk_avx512_la_CPPFLAGS = $(FV_KERNEL_CPPFLAGS)
libfvk_avx512_la_CFLAGS = $(FV_KERNEL_CFLAGS) $(FV_AVX512_CFLAGS)

if FV_ISA_AVX512_BF16
noinst_LTLIBRARIES += libfvk_avx512_bf16.la
FV_KERNEL_LIBS += libfvk_avx512_bf16.la
endif
libfvk_avx512_bf16_la_SOURCES = \
	simd/avx512_bf16/kernels_avx512_bf16.c \
	simd/avx512_bf16/kernels_avx512_bf16_narrow.c
libfvk_avx512_bf16_la_CPPFLAGS = $(FV_KERNEL_CPPFLAGS)
libfvk_avx512_bf16_la_CFLAGS = $(FV_KERNEL_CFLAGS) $(FV_AVX512_BF16_CFLAGS)

if FV_ISA_AMX
noinst_LTLIBRARIES += libfvk_amx.la
FV_KERNEL_LIBS += libfvk_amx.la
endif
libfvk_amx_la_SOURCES = \
	simd/amx/kernels_amx.c \
	simd/amx/kernels_amx_narrow.c
libfvk_amx_la_CPPFLAGS = $(FV_KERNEL_CPPFLAGS)
libfvk_amx_la_CFLAGS = $(FV_KERNEL_CFLAGS) $(FV_AMX_CFLAGS)

if FV_ISA_NEON
noinst_LTLIBRARIES += libfvk_neon.la
FV_KERNEL_LIBS += libfvk_neon.la
endif
libfvk_neon_la_SOURCES = \
	simd/neon/kernels_neon.c
libfvk_neon_la_CPPFLAGS = $(FV_KERNEL_CPPFLAGS)
libfvk_neon_la_CFLAGS = $(FV_KERNEL_CFLAGS) $(FV_NEON_CFLAGS)

EXTRA_DIST += $(FV_KERNEL_FILES)
