#!/usr/bin/env bash
# Compiles everything with the libraries of Debian's sid. There Abseil's string_view and optional
# are those of the standard library, and its headers include fewer other headers. Without
# precompiled headers and unity builds, each file must include what it needs. Runs in a separate
# chroot, without optimization: 3 GB and about 20 minutes on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ "$(id -u)" != 0 ]; then
  echo "skipped: a machine of its own needs root"
else
  .ci/debian sid
fi
