# Tests. Every one speaks TAP; Automake's driver turns each line into PASS, FAIL or SKIP.
#   tests/NAME.unit   Criterion programs, made from tests/NAME.c; they link the engine's insides and the tool's rooms
#   tests/NAME        plain programs (PLAIN_TESTS): no library, so they run under emulators and every sanitizer
#   tests/check-NAME  scripts about the tree, the library and the installed files
#   tests/errors, tests/compare, tests/limits, tests/tune, tests/check-kit  scripts that drive the tool

TEST_EXTENSIONS = .unit
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/run-plain.sh
UNIT_LOG_DRIVER = $(TAP_DRIVER)
UNIT_LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/run-criterion.sh

# What the scripts need to know. FOVEA is the tool.
AM_TESTS_ENVIRONMENT = \
	srcdir='$(abs_top_srcdir)'; export srcdir; \
	builddir='$(abs_top_builddir)'; export builddir; \
	FOVEA='$(abs_top_builddir)/fovea'; export FOVEA; \
	PACKAGE_VERSION='$(PACKAGE_VERSION)'; export PACKAGE_VERSION; \
	CC='$(CC)'; export CC; CXX='$(CXX)'; export CXX; AR='$(AR)'; export AR; MAKE='$(MAKE)'; export MAKE; \
	NM_TOOL='$(NM_TOOL)'; export NM_TOOL; OBJDUMP_TOOL='$(OBJDUMP_TOOL)'; export OBJDUMP_TOOL; \
	PKG_CONFIG='$(PKG_CONFIG)'; export PKG_CONFIG; \
	FAMILY='$(fovea_family)'; export FAMILY; HAVE_CXX='$(fovea_have_cxx)'; export HAVE_CXX; \
	HAVE_TOOL='$(enable_tool)'; export HAVE_TOOL; CROSS='$(cross_compiling)'; export CROSS; \
	BUILD_CFLAGS='$(CFLAGS)'; export BUILD_CFLAGS; \
	SANITIZE='$(enable_sanitize)'; export SANITIZE; EMULATOR='$(EMULATOR)'; export EMULATOR; \
	bindir='$(bindir)'; export bindir; libdir='$(libdir)'; export libdir; \
	includedir='$(includedir)'; export includedir; mandir='$(mandir)'; export mandir; \
	pkgdatadir='$(pkgdatadir)'; export pkgdatadir; \
	LC_ALL=C; export LC_ALL; \
	FOVEA_TUNING=off; export FOVEA_TUNING; \
	unset FOVEA_ISA FOVEA_DATA;

FV_TEST_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/engine -I$(top_srcdir)/src/lab -I$(top_srcdir)/simd -I$(top_srcdir) \
	-I$(top_srcdir)/tests $(SLEEF_CFLAGS) -DFOVEA_TEST_SRCDIR='"$(abs_top_srcdir)"'
UNIT_CPPFLAGS = $(FV_TEST_CPPFLAGS) $(CRITERION_CFLAGS) $(JANSSON_CFLAGS)
UNIT_LIBS = liblab.la $(FV_ENGINE_LIBS) $(FV_OUTSIDE_LIBS) $(JANSSON_LIBS) $(CRITERION_LIBS)
PLAIN_LIBS = $(FV_ENGINE_LIBS) $(FV_OUTSIDE_LIBS)

# ---------------------------------------------------------------- plain programs

PLAIN_TESTS =
# (plain programs: begin)
PLAIN_TESTS += tests/kernels
tests_kernels_SOURCES = tests/kernels.c
tests_kernels_CPPFLAGS = $(FV_TEST_CPPFLAGS)
tests_kernels_LDADD = $(PLAIN_LIBS)
PLAIN_TESTS += tests/threads
tests_threads_SOURCES = tests/threads.c
tests_threads_CPPFLAGS = $(FV_TEST_CPPFLAGS)
tests_threads_LDADD = $(PLAIN_LIBS)
# (plain programs: end)

# ---------------------------------------------------------------- Criterion programs

# Oracles and other sources that several test programs compile in.
TEST_FILES = \
	tests/attention_case.h \
	tests/io_folder.h \
	tests/pattern_scratch.h \
	tests/recipe_env.h \
	tests/ref/attention_ref.h \
	tests/ref/normalise_ref.h \
	tests/ref/pattern_ref.h \
	tests/refusal.h \
	tests/kit/README.md \
	tests/kit/cases.py \
	tests/kit/check.py \
	tests/kit/errors.py \
	tests/kit/files.py \
	tests/kit/oracle.py \
	tests/kit/patterns.py \
	tests/kit/properties.py \
	tests/kit/run.py \
	tests/kit/selftest.py

UNIT_TESTS =
if BUILD_UNIT_TESTS
# (unit programs: begin)
UNIT_TESTS += tests/arguments.unit
tests_arguments_unit_SOURCES = tests/arguments.c tests/attention_case.c tests/ref/attention_ref.c tests/refusal.c
tests_arguments_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_arguments_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/arguments_plan.unit
tests_arguments_plan_unit_SOURCES = tests/arguments_plan.c tests/attention_case.c tests/ref/attention_ref.c tests/refusal.c
tests_arguments_plan_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_arguments_plan_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/attention.unit
tests_attention_unit_SOURCES = tests/attention.c tests/attention_case.c tests/ref/attention_ref.c
tests_attention_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_attention_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/attention_bf16.unit
tests_attention_bf16_unit_SOURCES = tests/attention_bf16.c tests/attention_case.c tests/ref/attention_ref.c
tests_attention_bf16_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_attention_bf16_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/attention_hidden.unit
tests_attention_hidden_unit_SOURCES = tests/attention_hidden.c tests/attention_case.c tests/ref/attention_ref.c
tests_attention_hidden_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_attention_hidden_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/attention_layout.unit
tests_attention_layout_unit_SOURCES = tests/attention_layout.c tests/attention_case.c tests/ref/attention_ref.c
tests_attention_layout_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_attention_layout_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/command_line.unit
tests_command_line_unit_SOURCES = tests/command_line.c
tests_command_line_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_command_line_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/eval.unit
tests_eval_unit_SOURCES = tests/eval.c
tests_eval_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_eval_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/io_atomic.unit
tests_io_atomic_unit_SOURCES = tests/io_atomic.c tests/io_folder.c
tests_io_atomic_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_io_atomic_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/io_npy.unit
tests_io_npy_unit_SOURCES = tests/io_npy.c tests/io_folder.c
tests_io_npy_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_io_npy_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/io_pages.unit
tests_io_pages_unit_SOURCES = tests/io_pages.c
tests_io_pages_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_io_pages_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/io_safetensors.unit
tests_io_safetensors_unit_SOURCES = tests/io_safetensors.c tests/io_folder.c
tests_io_safetensors_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_io_safetensors_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/columns.unit
tests_columns_unit_SOURCES = tests/columns.c
tests_columns_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_columns_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/keeps.unit
tests_keeps_unit_SOURCES = tests/keeps.c
tests_keeps_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_keeps_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/measure.unit
tests_measure_unit_SOURCES = tests/measure.c
tests_measure_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_measure_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/memory.unit
tests_memory_unit_SOURCES = tests/memory.c tests/attention_case.c tests/ref/attention_ref.c
tests_memory_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_memory_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/normalise.unit
tests_normalise_unit_SOURCES = tests/normalise.c tests/ref/normalise_ref.c
tests_normalise_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_normalise_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/pattern.unit
tests_pattern_unit_SOURCES = tests/pattern.c tests/ref/pattern_ref.c
tests_pattern_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_pattern_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/pattern_forms.unit
tests_pattern_forms_unit_SOURCES = tests/pattern_forms.c
tests_pattern_forms_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_pattern_forms_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/pattern_text.unit
tests_pattern_text_unit_SOURCES = tests/pattern_text.c
tests_pattern_text_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_pattern_text_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/recipe.unit
tests_recipe_unit_SOURCES = tests/recipe.c
tests_recipe_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_recipe_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/report.unit
tests_report_unit_SOURCES = tests/report.c
tests_report_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_report_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/tuning.unit
tests_tuning_unit_SOURCES = tests/tuning.c tests/refusal.c
tests_tuning_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_tuning_unit_LDADD = $(UNIT_LIBS)
UNIT_TESTS += tests/suite.unit
tests_suite_unit_SOURCES = tests/suite.c
tests_suite_unit_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_suite_unit_LDADD = $(UNIT_LIBS)
# (unit programs: end)
endif

# ---------------------------------------------------------------- scripts

# What tests/check-guards runs; no test by itself.
check_PROGRAMS += tests/guards
tests_guards_SOURCES = tests/guards.c
tests_guards_CPPFLAGS = $(FV_TEST_CPPFLAGS)
tests_guards_LDADD = $(PLAIN_LIBS)

TREE_TESTS = tests/check-layering tests/check-sources tests/check-symbols tests/check-isa-leak tests/check-header \
	tests/check-embed tests/check-guards tests/check-spills tests/check-peers
TOOL_TESTS =
if BUILD_TOOL
TOOL_TESTS += tests/errors tests/compare tests/limits tests/tune tests/check-kit
endif

check_PROGRAMS += $(PLAIN_TESTS) $(UNIT_TESTS)
TESTS += $(PLAIN_TESTS) $(UNIT_TESTS) $(TREE_TESTS) $(TOOL_TESTS)

EXTRA_DIST += $(TEST_FILES) tests/tap.sh tests/run-plain.sh tests/run-criterion.sh \
	tests/check-layering tests/check-sources tests/check-symbols tests/check-isa-leak tests/check-header tests/check-embed \
	tests/check-guards tests/guards.txt tests/check-spills tests/check-peers tests/errors tests/compare tests/limits tests/tune \
	tests/check-kit

# The part that sanitized builds run (fast), and the part that emulators and TSan run (plain).
check-fast:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(PLAIN_TESTS) $(UNIT_TESTS)'
check-plain:
	$(MAKE) $(AM_MAKEFLAGS) check check_PROGRAMS='$(PLAIN_TESTS)' TESTS='$(PLAIN_TESTS)'

# The figures of tests/check-guards, after a change that is meant to cost or save instructions or workspace.
update-guards: tests/guards
	@$(AM_TESTS_ENVIRONMENT) $(SHELL) $(srcdir)/tests/check-guards --update
