#!/usr/bin/env bash
# usage: help_test.sh PROGRAM ...
# Checks that the help of each program has lines of at most 80 columns.
set -euo pipefail
for program in "$@"; do
  help=$("$program" --help)
  [ -n "$help" ]
  if grep -E '.{81}' <<<"$help"; then
    echo "$program --help: the lines above are too long" >&2
    exit 1
  fi
done
