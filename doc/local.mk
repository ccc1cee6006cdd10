# Documents, samples, named shapes and the suite of limits; the manual page is what the built tool says about itself.

dist_doc_DATA += doc/architecture.md doc/numerics.md doc/performance.md

dist_pkgdata_DATA += src/lab/eval/shapes.tsv src/lab/eval/limits.tsv src/lab/eval/limits-found.tsv
nobase_dist_pkgdata_DATA += \
	samples/NOTICE \
	samples/README.md \
	samples/minilm-l6-encoder.safetensors \
	samples/smollm2-causal.safetensors

EXTRA_DIST += \
	samples/britannica-shakespeare.txt \
	samples/make_minilm.py \
	samples/make_smollm2.py \
	samples/qkv_file.py

if BUILD_MAN
nodist_man_MANS = doc/fovea.1
CLEANFILES += doc/fovea.1
doc/fovea.1: fovea$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) doc && ./fovea$(EXEEXT) help --man >$@.part && mv $@.part $@
endif
CLEANFILES += doc/fovea.1.part
