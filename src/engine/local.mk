# libfovea: the engine's rooms in one convenience library, joined with one library per instruction set.

fovea_includedir = $(includedir)/fovea
fovea_include_HEADERS = include/fovea/fovea.h

FV_ENGINE_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/engine -I$(top_srcdir)/simd -I$(top_srcdir) \
	$(SLEEF_CFLAGS) $(PTHREADPOOL_CFLAGS)
FV_ENGINE_CFLAGS = $(AM_CFLAGS) $(FV_LIBTOOL_ONCE) -fvisibility=hidden

noinst_LTLIBRARIES += libengine.la
libengine_la_CPPFLAGS = $(FV_ENGINE_CPPFLAGS)
libengine_la_CFLAGS = $(FV_ENGINE_CFLAGS)
libengine_la_SOURCES = \
	src/engine/api/context.c \
	src/engine/api/measure.c \
	src/engine/api/plan.c \
	src/engine/api/problem.c \
	src/engine/api/problem.h \
	src/engine/api/registry.c \
	src/engine/api/status.c \
	src/engine/api/tuning.c \
	src/engine/check/case.c \
	src/engine/check/case.h \
	src/engine/check/check.c \
	src/engine/check/check.h \
	src/engine/check/guard.c \
	src/engine/check/guard.h \
	src/engine/check/columns.c \
	src/engine/check/columns.h \
	src/engine/check/lanes.c \
	src/engine/check/lanes.h \
	src/engine/check/mutants.c \
	src/engine/check/reference.c \
	src/engine/check/reference.h \
	src/engine/check/rows.c \
	src/engine/check/tiles.c \
	src/engine/check/rows.h \
	src/engine/check/small.c \
	src/engine/check/small.h \
	src/engine/core/context.h \
	src/engine/core/cpu.c \
	src/engine/core/cpu.h \
	src/engine/core/error.c \
	src/engine/core/error.h \
	src/engine/core/memory.c \
	src/engine/core/memory.h \
	src/engine/core/numbers.c \
	src/engine/core/numbers.h \
	src/engine/core/threads.c \
	src/engine/core/threads.h \
	src/engine/core/tuning.c \
	src/engine/core/tuning.h \
	src/engine/core/tuning_file.c \
	src/engine/drive/execute.c \
	src/engine/drive/execute.h \
	src/engine/drive/lanes.c \
	src/engine/drive/lanes.h \
	src/engine/drive/lanes_block.c \
	src/engine/drive/lanes_copy.c \
	src/engine/drive/lanes_keys.c \
	src/engine/drive/normalise.c \
	src/engine/drive/normalise.h \
	src/engine/drive/pruned.c \
	src/engine/drive/pruned.h \
	src/engine/drive/pruned_columns.c \
	src/engine/drive/rows.c \
	src/engine/drive/scratch.h \
	src/engine/drive/columns.c \
	src/engine/drive/columns.h \
	src/engine/drive/columns_simplex.c \
	src/engine/drive/select.c \
	src/engine/drive/select.h \
	src/engine/drive/small.c \
	src/engine/drive/thin.c \
	src/engine/drive/work.c \
	src/engine/drive/work.h \
	src/engine/pattern/algebra.c \
	src/engine/pattern/arena.c \
	src/engine/pattern/draw.c \
	src/engine/pattern/files.c \
	src/engine/pattern/grids.c \
	src/engine/pattern/internal.h \
	src/engine/pattern/intervals.c \
	src/engine/pattern/lists.c \
	src/engine/pattern/parse.c \
	src/engine/pattern/pattern.c \
	src/engine/pattern/pattern.h \
	src/engine/pattern/primitives.c \
	src/engine/pattern/split.c \
	src/engine/pattern/strides.c \
	src/engine/pattern/tile.c \
	src/engine/plan/choose.c \
	src/engine/plan/cost.c \
	src/engine/plan/explain.c \
	src/engine/plan/forms.c \
	src/engine/plan/forms.h \
	src/engine/plan/plan.c \
	src/engine/plan/plan.h \
	src/engine/variants/build.c \
	src/engine/variants/build.h \
	src/engine/variants/exact.c \
	src/engine/variants/free.c \
	src/engine/variants/grids.c \
	src/engine/variants/object.c \
	src/engine/variants/object.h \
	src/engine/variants/pruned.c \
	src/engine/variants/recipe.h \
	src/engine/variants/registry.c \
	src/engine/variants/row.h \
	src/engine/variants/sparse.c \
	src/engine/variants/spec.c \
	src/engine/variants/text.c \
	src/engine/variants/text.h \
	src/engine/variants/value.c \
	src/engine/variants/value.h \
	src/engine/variants/windows.c \
	simd/table.c

# Kernels are named by the table in the engine; the table comes first on every link line.
FV_ENGINE_LIBS = libengine.la $(FV_KERNEL_LIBS)
FV_OUTSIDE_LIBS = $(SLEEF_LIBS) $(PTHREADPOOL_LIBS)

lib_LTLIBRARIES += libfovea.la
libfovea_la_SOURCES =
libfovea_la_CFLAGS = $(AM_CFLAGS)
libfovea_la_LIBADD = $(FV_ENGINE_LIBS) $(FV_OUTSIDE_LIBS)
libfovea_la_DEPENDENCIES = $(FV_ENGINE_LIBS) src/engine/fovea.map
libfovea_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined $(FV_NO_UNDEFINED) -version-info $(FOVEA_LIBTOOL_VERSION)
if FV_VERSION_SCRIPT
libfovea_la_LDFLAGS += -Wl,--version-script=$(top_srcdir)/src/engine/fovea.map
else
libfovea_la_LDFLAGS += -export-symbols-regex '^fovea_'
endif

EXTRA_DIST += src/engine/fovea.map src/engine/fovea.symbols

# After a deliberate change of the interface: writes the list that tests/check-symbols compares with.
update-symbols: libfovea.la
	$(NM_TOOL) -D --defined-only .libs/libfovea.so | $(SED) -n 's/^.* \(fovea_[A-Za-z0-9_]*\).*$$/\1/p' | LC_ALL=C sort -u \
		>$(srcdir)/src/engine/fovea.symbols
