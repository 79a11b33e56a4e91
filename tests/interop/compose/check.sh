#!/usr/bin/env bash
# Loads docker/compose.yaml strictly, with every profile, alone and with TLS. Needs Go (1.24 or
# newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The copy also has the files that a user makes.
cp -r ../../../docker ../../../deploy "$folder"
mkdir "$folder/docker/tls"
touch "$folder/docker/tls/ca.crt"
go run . ../../../docker/compose.yaml "$folder/docker/compose.yaml,$folder/docker/compose.tls.yaml"
