# Examples are built from the installed files alone (tests/check-embed does it), never by this make.

exampledir = $(docdir)/examples
dist_example_DATA = examples/embed.c examples/Makefile
