#!/usr/bin/env bash
# Everything compiles with the libraries of Debian's sid: Abseil's string_view and optional are the
# standard's there, and its headers include less of each other. There are neither precompiled headers
# nor units of several files, so each file must include what it needs. In a machine of its own,
# without optimization: 3 GB and about 20 minutes on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ "$(id -u)" != 0 ]; then
  echo "skipped: a machine of its own needs root"
else
  .ci/debian sid
fi
