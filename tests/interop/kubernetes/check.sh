#!/usr/bin/env bash
# usage: check.sh [CHECKER ...]
# Renders the base and every overlay, with and without the PodMonitor, TLS and the files of access.
# Decodes all objects strictly, and passes those of Kubernetes itself to each CHECKER. Sets the
# image as docs/operations.md says. Needs kubectl and Go (1.23 or newer).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
manifests=$(realpath ../../../deploy/kubernetes)
folder=$(realpath "$(mktemp -d)")
trap 'rm -rf "$folder"' EXIT

mkdir "$folder"/{monitored,encrypted,known,rendered,with_monitor,with_tls,with_access}
for kustomization in "$manifests/base" "$manifests"/overlays/*; do
  name=$(basename "$kustomization")
  kubectl kustomize "$kustomization" >"$folder/rendered/$name.yaml"
  cat >"$folder/monitored/kustomization.yaml" <<EOF
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$(realpath --relative-to="$folder/monitored" "$kustomization")]
components: [$(realpath --relative-to="$folder/monitored" "$manifests/components/pod_monitor")]
EOF
  kubectl kustomize "$folder/monitored" >"$folder/with_monitor/$name.yaml"
  if grep -q prometheus.io/ "$folder/with_monitor/$name.yaml"; then
    echo "error: $name with a PodMonitor keeps annotations: its pods are scraped twice" >&2
    exit 1
  fi
  cat >"$folder/known/kustomization.yaml" <<EOF
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$(realpath --relative-to="$folder/known" "$kustomization")]
components: [$(realpath --relative-to="$folder/known" "$manifests/components/access")]
EOF
  rendered=$folder/with_access/$name.yaml
  kubectl kustomize "$folder/known" >"$rendered"
  servers=$(grep -c ' image: qkserve:' "$rendered")
  for line in ' --token_file=' ' --access_file=' 'secretName: qkserve-tokens' ' /etc/qkserve/access$'; do
    if [ "$(grep -c -- "$line" "$rendered")" != "$servers" ]; then
      echo "error: $name with access has not '$line' in each of its $servers servers" >&2
      exit 1
    fi
  done
done
for name in base overlays/replicas; do
  cat >"$folder/encrypted/kustomization.yaml" <<EOF
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$(realpath --relative-to="$folder/encrypted" "$manifests/$name")]
components: [$(realpath --relative-to="$folder/encrypted" "$manifests/components/tls")]
EOF
  file=$folder/with_tls/${name##*/}.yaml
  kubectl kustomize "$folder/encrypted" >"$file"
  servers=$(grep -c -- '- --key_set_dir=' "$file")
  if grep -q -- '--allow_plaintext' "$file" || [ "$(grep -c 'tls_key_file' "$file")" != "$servers" ] ||
    [ "$(grep -c 'scheme: HTTPS' "$file")" != $((3 * servers)) ]; then
    echo "error: $name with TLS has a server or a probe without it" >&2
    exit 1
  fi
done
go run . "$folder"/{rendered,with_monitor,with_tls,with_access}/*.yaml
for checker in "$@"; do "$checker" "$folder"/rendered/*.yaml; done

# Only one place names the image.
cp -r "$manifests" "$folder/copy"
image=$folder/copy/components/image/kustomization.yaml
sed -i 's|^    newTag: .*|    newName: registry.example/qkserve\n    newTag: set|' "$image"
for kustomization in "$folder/copy/base" "$folder"/copy/overlays/*; do
  other=$(kubectl kustomize "$kustomization" | grep ' image: ' |
    grep -vx ' *image: \(registry.example/qkserve:set\|envoyproxy/envoy:.*\)') || continue
  echo "error: ${kustomization##*/} has another image than $image says:" $other >&2
  exit 1
done
echo "one line sets the image"
