#!/usr/bin/env bash
# usage: version_test.sh SOURCE_DIRECTORY VERSION
# Checks that the image, the manifests, the Helm chart and the commands that load the image have the
# project's version.
set -euo pipefail
cd "$1"
version=$2
failed=0
expect() {  # expect FILE LINE
  grep -qxF "$2" "$1" || { echo "$1: expected the line '$2'" >&2; failed=1; }
}
expect docker/Dockerfile "ARG VERSION=$version"
expect deploy/kubernetes/components/image/kustomization.yaml "    newTag: $version"
expect docs/operations.md "docker build -f docker/Dockerfile -t qkserve:$version ."
expect deploy/helm/qkserve/Chart.yaml "version: $version"
expect deploy/helm/qkserve/Chart.yaml "appVersion: $version"
exit $failed
