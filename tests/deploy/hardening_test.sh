#!/usr/bin/env bash
# usage: hardening_test.sh READELF QKSERVE [PROGRAM ...]
# Checks that the programs have what cmake/hardening.cmake asks for: a random address, tables that
# are read-only once the program runs, stacks that cannot be executed, guarded stack frames, and
# checked buffers.
set -euo pipefail
readelf=$1
shift
failed=0

# has PROGRAM WHAT PATTERN OPTION ...: notes the failure WHAT unless a line of readelf matches
# PATTERN.
has() {
  local program=$1 what=$2 pattern=$3
  shift 3
  grep -qE "$pattern" <<<"$("$readelf" --wide "$@" "$program")" && return
  echo "$program: $what" >&2
  failed=1
}

for program in "$@"; do
  has "$program" "its address is fixed" 'Type: +DYN' --file-header
  has "$program" "no relocations become read-only" '^ +GNU_RELRO ' --program-headers
  has "$program" "symbols are bound when they are first used" 'FLAGS.*\bNOW\b' --dynamic
  has "$program" "its stack can be executed" '^ +GNU_STACK +(0x0+ +){5}RW +' --program-headers
  has "$program" "stack frames have no guard" ' __stack_chk_fail\b' --dyn-syms
  # Each program calls at least one of the functions that glibc checks.
  has "$program" "no buffer's size is checked" ' __(memcpy|memset|memmove|read|pread64|f?d?printf|vsnprintf|snprintf|fprintf)_chk\b' --dyn-syms
  if "$readelf" --wide --dynamic "$program" | grep -E 'RPATH|RUNPATH' >&2; then
    echo "$program: looks for libraries where it was built" >&2
    failed=1
  fi
done

# The first program is qkserve. gRPC calls its function `shutdown` in place of the C library's
# (server/lifecycle/farewells.cc).
has "$1" "does not export the function shutdown" 'FUNC +GLOBAL +DEFAULT +[0-9]+ shutdown$' --dyn-syms
exit "$failed"
