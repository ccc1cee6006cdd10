# `make bench`: Google Benchmark over the public API. Not built by `make` or `make check`.

if BUILD_BENCH
EXTRA_PROGRAMS += bench/attention
bench_attention_SOURCES = bench/attention.c bench/gbench.cc bench/gbench.h
bench_attention_CPPFLAGS = $(AM_CPPFLAGS) $(BENCHMARK_CFLAGS)
bench_attention_CXXFLAGS = -O2 -Wall -Wextra -pthread $(FV_LDFLAGS)
bench_attention_LDADD = libfovea.la $(BENCHMARK_LIBS)
bench_attention_LDFLAGS = $(AM_LDFLAGS) -static
CLEANFILES += bench/attention$(EXEEXT)

bench: bench/attention$(EXEEXT)
	bench/attention$(EXEEXT) $(BENCHFLAGS)
else
bench:
	@echo 'make bench needs Google Benchmark and a C++ compiler (Debian: libbenchmark-dev g++); configure found none' >&2
	@false
endif
EXTRA_DIST += bench/attention.c bench/gbench.cc bench/gbench.h
