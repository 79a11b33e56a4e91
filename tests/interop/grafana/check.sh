#!/usr/bin/env bash
# Decodes the dashboard strictly. Needs Go (1.23 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
go run . ../../../deploy/grafana/*.json
