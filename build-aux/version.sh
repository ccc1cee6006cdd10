#!/bin/sh
# Prints the version that include/fovea/fovea.h declares: the one place where it is written.
# Used by autoconf (AC_INIT), by configure and by the tests, which compare.
LC_ALL=C awk '
    $1 == "#define" && $2 ~ /^FOVEA_VERSION_(MAJOR|MINOR|PATCH)$/ { part[$2] = $3 }
    END { printf "%d.%d.%d", part["FOVEA_VERSION_MAJOR"], part["FOVEA_VERSION_MINOR"], part["FOVEA_VERSION_PATCH"] }
' "${1:-include/fovea/fovea.h}"
