#!/bin/sh
# Runs a Criterion program so that Automake's driver understands it: TAP on stdout, and an exit code other than 0 only for
# what no line tells (Criterion exits with 1 after a "not ok", which would count twice).
# A leak that LeakSanitizer finds inside a test leaves Criterion's result alone, so its report is searched for.
program=$1
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/fovea-unit.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
$EMULATOR "$program" --tap=- --quiet "$@" >"$work/tap" 2>"$work/stderr"
code=$?
cat "$work/tap"
cat "$work/stderr" >&2
if grep -q 'LeakSanitizer: detected\|AddressSanitizer\|runtime error:\|ThreadSanitizer' "$work/stderr"; then
    sed 's/^/# /' "$work/stderr"
    [ $code -ne 0 ] || code=86
elif [ $code -eq 1 ] && grep -q '^not ok' "$work/tap"; then
    code=0
fi
exit $code
