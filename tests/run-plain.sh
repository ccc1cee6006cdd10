#!/bin/sh
# Runs a test: scripts as they are, programs through $EMULATOR when the build is a cross build.
read -r first <"$1" 2>/dev/null || first=
case $first in
'#!'*) exec "$@" ;;
*) exec $EMULATOR "$@" ;;
esac
