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

# bench/peers/run: the table beside other libraries. It installs them for itself; nothing here is built by make.
EXTRA_DIST += \
	bench/peers/README.md \
	bench/peers/engine.py \
	bench/peers/engine_blas.py \
	bench/peers/engine_fovea.py \
	bench/peers/engine_ggml.py \
	bench/peers/engine_onnx.py \
	bench/peers/engine_openvino.py \
	bench/peers/engine_plain.py \
	bench/peers/engine_torch.py \
	bench/peers/flush.c \
	bench/peers/ggml_shim.c \
	bench/peers/inputs.py \
	bench/peers/install.py \
	bench/peers/plain.c \
	bench/peers/rows.py \
	bench/peers/rows.tsv \
	bench/peers/run \
	bench/peers/table.py \
	bench/peers/test_peers.py \
	bench/peers/worker.py
