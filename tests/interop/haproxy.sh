#!/usr/bin/env bash
# Runs HAProxy with the configuration of deploy/haproxy in front of two servers. One server at
# a time is killed and restarted under load. proxy/two_servers_test.py says what must hold.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec /usr/bin/python3 tests/interop/proxy/two_servers_test.py haproxy "$@"
