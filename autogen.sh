#!/bin/sh
# Makes configure and the Makefile templates of a plain clone. Needs autoconf, automake, libtool and pkg-config.
set -e
cd "$(dirname "$0")"
exec autoreconf --install --force "$@"
