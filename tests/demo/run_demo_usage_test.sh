#!/usr/bin/env bash
# Checks that `./run demo` reports wrong usage, and shows its help, before it installs or builds
# anything.
set -euo pipefail
run=$1/run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Programs that must not be called.
for program in apt-get cmake; do
  printf '#!/bin/sh\necho "called %s" >&2\nexit 99\n' "$program" >"$work/$program"
  chmod +x "$work/$program"
done
cd "$work"

# expect CODE TEXT [ARGUMENT ...]
expect() {
  local code=$1 text=$2 status=0
  shift 2
  PATH=$work:$PATH "$run" demo "$@" >"$work/out" 2>&1 || status=$?
  if [ "$status" != "$code" ] || ! grep -qF -- "$text" "$work/out" || grep -q '^called' "$work/out"; then
    cat "$work/out"
    echo "./run demo $*: exit code $status, expected $code and '$text'"
    exit 1
  fi
}

expect 0 'usage: ./run demo' --help
expect 0 'usage: ./run demo' -h
expect 2 'error: unknown flag --questions' --questions=3
expect 2 'error: --ask lacks its value' --ask
expect 1 'error: absent.txt is no file that can be read' absent.txt
expect 1 "error: $work is no file that can be read" --ask=why "$work"

awk 'length > 80 {print; long = 1} END {exit long}' < <("$run" demo --help)
