#!/bin/sh
# Runs a Criterion program so that Automake's driver understands it: TAP on stdout, and an exit code other than 0 only for
# what no line tells (Criterion exits with 1 after a "not ok", which would count twice).
# A leak that a sanitizer finds when a test's process ends leaves Criterion's result alone, and Criterion swallows the
# report: so reports go to files, and a file fails the program.
program=$1
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/fovea-unit.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$work/report
UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$work/report
LSAN_OPTIONS=${LSAN_OPTIONS:+$LSAN_OPTIONS:}log_path=$work/report
export ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS
$EMULATOR "$program" --tap=- --quiet "$@" >"$work/tap"
code=$?
cat "$work/tap"
if cat "$work"/report.* >"$work/reports" 2>/dev/null && [ -s "$work/reports" ]; then
    sed 's/^/# /' "$work/reports"
    [ $code -ne 0 ] || code=86
elif [ $code -eq 1 ] && grep -q '^not ok' "$work/tap"; then
    code=0
fi
exit $code
