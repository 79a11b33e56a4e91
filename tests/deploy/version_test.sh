#!/usr/bin/env bash
# usage: version_test.sh SOURCE_DIRECTORY VERSION
# The image and the manifests carry the project's version.
set -euo pipefail
cd "$1"
version=$2
failed=0
expect() {  # expect FILE LINE
  grep -qxF "$2" "$1" || { echo "$1: expected the line '$2'" >&2; failed=1; }
}
expect docker/Dockerfile "ARG VERSION=$version"
for file in deploy/kubernetes/base/kustomization.yaml deploy/kubernetes/overlays/*/kustomization.yaml; do
  expect "$file" "    newTag: $version"
done
exit $failed
