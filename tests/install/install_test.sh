#!/usr/bin/env bash
# usage: install_test.sh BUILD_DIRECTORY CONSUMER_SOURCES CXX_COMPILER
# Installs the build into a prefix of its own, builds a program against that, as a user of the
# library would, and lets it ask the installed server for scores.
set -euo pipefail
build=$1 sources=$2 compiler=$3
folder=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" && wait "$server"; } || true
  rm -rf "$folder"
}
trap finish EXIT

cmake --install "$build" --prefix "$folder/prefix" >/dev/null
# The build's own tree must not be needed: its sources are named nowhere in what was installed.
if grep -rlF "$(dirname "$(dirname "$build")")" "$folder/prefix" --include='*.cmake'; then
  echo "the files above name the tree that was built" >&2
  exit 1
fi
# Public headers alone, below one directory, and no library of command-line flags.
if find "$folder/prefix/include" -type f ! -path "$folder/prefix/include/qkserve/*" | grep . ||
  grep -rlE 'absl::flags|CLI11' "$folder/prefix" --include='*.cmake'; then
  echo "the files above must not be installed, or ask for too much" >&2
  exit 1
fi
(cd "$folder/prefix/include/qkserve" && echo *) |
  grep -x "buffer.h channel.h client.h key_set.h limits.h output.h tensor.h v1 version.h"
for completion in bash-completion/completions/qkctl zsh/site-functions/_qkctl fish/vendor_completions.d/qkctl.fish; do
  grep -q "made by 'qkctl completion" "$folder/prefix/share/$completion"
done
cmake -S "$sources" -B "$folder/consumer" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$folder/prefix" >/dev/null
cmake --build "$folder/consumer"

"$folder/prefix/bin/qkserve" --listen_address=127.0.0.1:0 --http_address= --port_file="$folder/port" &
server=$!
until [ -e "$folder/port" ]; do
  kill -0 "$server"
  sleep 0.05
done
"$folder/consumer/consumer" "127.0.0.1:$(cat "$folder/port")"
"$folder/prefix/bin/qkctl" status --server="127.0.0.1:$(cat "$folder/port")"
