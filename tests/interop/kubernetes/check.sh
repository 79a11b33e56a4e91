#!/usr/bin/env bash
# usage: check.sh [CHECKER ...]
# Renders the base and every overlay, and decodes all objects strictly; then gives the rendered files
# to each further CHECKER. Needs kubectl and Go (1.23 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
manifests=../../../deploy/kubernetes
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for kustomization in "$manifests/base" "$manifests"/overlays/*; do
  kubectl kustomize "$kustomization" >"$folder/$(basename "$kustomization").yaml"
done
go run . "$folder"/*.yaml
for checker in "$@"; do "$checker" "$folder"/*.yaml; done
