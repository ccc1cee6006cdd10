# The tool: its rooms in one convenience library (the unit tests link it too), main.c beside it.

FV_LAB_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/lab $(JANSSON_CFLAGS) \
	-DFOVEA_DATADIR='"$(pkgdatadir)"' \
	-DFOVEA_BUILD_FLAGS='"$(FV_CFLAGS) $(CFLAGS)"'

LAB_SOURCES = \
	src/lab/cli/bench.c \
	src/lab/cli/check.c \
	src/lab/cli/cli.h \
	src/lab/cli/compare.c \
	src/lab/cli/context.c \
	src/lab/cli/explain.c \
	src/lab/cli/help.c \
	src/lab/cli/info.c \
	src/lab/cli/lineup.c \
	src/lab/cli/lineup.h \
	src/lab/cli/list.c \
	src/lab/cli/man.c \
	src/lab/cli/options.c \
	src/lab/cli/picture.c \
	src/lab/cli/picture.h \
	src/lab/cli/progress.c \
	src/lab/cli/progress.h \
	src/lab/cli/run.c \
	src/lab/cli/source.c \
	src/lab/cli/source.h \
	src/lab/cli/speed.c \
	src/lab/cli/speed.h \
	src/lab/cli/suite.c \
	src/lab/cli/suite.h \
	src/lab/cli/tensors.c \
	src/lab/cli/tensors.h \
	src/lab/cli/tune.c \
	src/lab/eval/available.c \
	src/lab/eval/available.h \
	src/lab/eval/clock.c \
	src/lab/eval/clock.h \
	src/lab/eval/figure.c \
	src/lab/eval/figure.h \
	src/lab/eval/limits.c \
	src/lab/eval/limits.h \
	src/lab/eval/measure.c \
	src/lab/eval/measure.h \
	src/lab/eval/metrics.c \
	src/lab/eval/metrics.h \
	src/lab/eval/operands.c \
	src/lab/eval/operands.h \
	src/lab/eval/quantile.c \
	src/lab/eval/quantile.h \
	src/lab/eval/reference.c \
	src/lab/eval/reference.h \
	src/lab/eval/shapes.c \
	src/lab/eval/shapes.h \
	src/lab/eval/suite.c \
	src/lab/eval/suite.h \
	src/lab/eval/suite_found.c \
	src/lab/eval/synthetic.c \
	src/lab/eval/synthetic.h \
	src/lab/eval/tuner.c \
	src/lab/eval/tuner.h \
	src/lab/eval/workload.c \
	src/lab/eval/workload.h \
	src/lab/io/atomic.c \
	src/lab/io/atomic.h \
	src/lab/io/bytes.c \
	src/lab/io/bytes.h \
	src/lab/io/fail.c \
	src/lab/io/fail.h \
	src/lab/io/npy.c \
	src/lab/io/pages.c \
	src/lab/io/pages.h \
	src/lab/io/safetensors.c \
	src/lab/io/shape.c \
	src/lab/io/shape.h \
	src/lab/io/tensor.c \
	src/lab/io/tensor.h \
	src/lab/io/tsv.c \
	src/lab/io/tsv.h \
	src/lab/report/environment.c \
	src/lab/report/environment.h \
	src/lab/report/quantity.c \
	src/lab/report/quantity.h \
	src/lab/report/table.c \
	src/lab/report/table.h

if BUILD_TOOL
noinst_LTLIBRARIES += liblab.la
liblab_la_SOURCES = $(LAB_SOURCES)
liblab_la_CPPFLAGS = $(FV_LAB_CPPFLAGS)
liblab_la_CFLAGS = $(AM_CFLAGS) $(FV_LIBTOOL_ONCE)

# -static: the uninstalled libfovea goes into the program, so that build/fovea is a plain executable.
bin_PROGRAMS += fovea
fovea_SOURCES = src/lab/cli/main.c
fovea_CPPFLAGS = $(FV_LAB_CPPFLAGS)
fovea_LDADD = liblab.la libfovea.la $(JANSSON_LIBS)
fovea_LDFLAGS = $(AM_LDFLAGS) -static
endif
