#!/usr/bin/env bash
# Loads docker/compose.yaml strictly, with every profile. Needs Go (1.24 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
go run . ../../../docker/compose.yaml
