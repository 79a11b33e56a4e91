#!/usr/bin/env bash
# usage: check.sh [CHECKER ...]
# Lints the chart and renders it with several values. Decodes all objects strictly, and passes those
# of Kubernetes itself to each CHECKER. With default values the chart must equal
# deploy/kubernetes/base, and with readers it must equal overlays/replicas. Values that cannot work
# must be refused.
#
# Needs kubectl, Go, python3-yaml and Helm 3 (on the PATH, or in $HELM). This builds Helm:
# go install helm.sh/helm/v3/cmd/helm@v3.19.5
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD chart=$(realpath ../../../deploy/helm/qkserve) manifests=../../../deploy/kubernetes
helm=${HELM:-helm}
kubernetes=(--kube-version 1.30.0)  # the oldest that works; `go install` builds Helm without a version
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

render() {  # render NAME [ARGUMENT ...]
  local name=$1
  shift
  "$helm" template qkserve "$chart" "${kubernetes[@]}" "$@" >"$folder/$name.yaml"
}
expect_line() {  # expect_line NAME LINE: a rendered file must have the line, with any indentation
  grep -qx " *$2" "$folder/$1.yaml" || { echo "error: $1 has no line '$2'" >&2; exit 1; }
}
expect_refusal() {  # expect_refusal TEXT ARGUMENT ...
  local text=$1 errors
  shift
  if errors=$("$helm" template qkserve "$chart" "${kubernetes[@]}" "$@" 2>&1 >/dev/null) || [[ $errors != *"$text"* ]]; then
    echo "error: $* is not refused with '$text': $errors" >&2
    exit 1
  fi
}

render defaults
"$helm" lint --strict "${kubernetes[@]}" "$chart"
for values in values/*.yaml; do
  "$helm" lint --strict "${kubernetes[@]}" "$chart" --values "$values" | tail -n 1
  render "$(basename "$values" .yaml)" --values "$values"
done
(cd ../kubernetes && go run . "$folder"/*.yaml)
for checker in "$@"; do "$checker" "$folder"/{defaults,readers,memory}.yaml; done

kubectl kustomize "$manifests/base" >"$folder/base"
kubectl kustomize "$manifests/overlays/replicas" >"$folder/replicas"
"$here/compare.py" "$folder/defaults.yaml" "$folder/base"
"$here/compare.py" "$folder/readers.yaml" "$folder/replicas"

expect_line everything '- "--in_flight_bytes_max=1073741824"'
expect_line everything '- "--connection_age=0"'
expect_line everything '- --token_file=/etc/qkserve/tokens/tokens'
expect_line everything 'secretName: qkserve-tokens'
expect_line everything '- --access_file=/etc/qkserve/access/access'
expect_line everything 'image: "registry.example/qkserve:set"'
expect_line everything '- --tls_client_ca_file=/etc/qkserve/tls/ca.crt'
expect_line everything 'scheme: HTTPS'
! grep -q allow_plaintext "$folder/everything.yaml"
expect_refusal ReadWriteMany --set readers.enabled=true
expect_refusal persistence.enabled --set readers.enabled=true,persistence.enabled=false
expect_refusal http_address --set flags.http_address=:1
expect_refusal flag --set flag.workers=2
echo "the chart is as the manifests, and refuses what cannot work"
