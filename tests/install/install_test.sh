#!/usr/bin/env bash
# usage: install_test.sh BUILD_DIRECTORY SOURCE_DIRECTORY CXX_COMPILER
# Installs the build into its own prefix. Then builds a program and the examples, as a user of the
# library would. Both ask the installed server. The program's own headers have the names of ours.
set -euo pipefail
build=$1 source=$2 compiler=$3
folder=$(mktemp -d)
prefix=$folder/prefix
server=
finish() {
  [ -z "$server" ] || { kill "$server" && wait "$server"; } || true
  rm -rf "$folder"
}
trap finish EXIT

fail() {
  echo "$*" >&2
  exit 1
}

# expect TEXT COMMAND ...: fails unless the command prints TEXT.
expect() {
  local text=$1 output
  shift
  output=$("$@")
  [ "$output" = "$text" ] || fail "$* printed: $output"
}

# build_with_cmake NAME SOURCES: builds into $folder/NAME.
build_with_cmake() {
  cmake -S "$2" -B "$folder/$1" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" \
    -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
  cmake --build "$folder/$1"
}

cmake --install "$build" --prefix "$prefix" >/dev/null
# Users must not need the tree that was built, so no installed file may name its sources.
if grep -rlF "$source" "$prefix" --include='*.cmake' --include='*.pc'; then
  fail "the files above name the tree that was built"
fi
# Only public headers may be installed, all below one directory, and no library of flags may be
# needed.
if find "$prefix/include" -type f ! -path "$prefix/include/qkserve/*" | grep . ||
  find "$prefix/include" -name '*mock*' | grep . ||
  grep -rlE 'absl::flags|CLI11' "$prefix" --include='*.cmake'; then
  fail "the files above must not be installed, or ask for too much"
fi
(cd "$prefix/include/qkserve" && echo *) |
  grep -x "buffer.h caller.h channel.h client.h key_set.h limits.h metadata.h output.h tensor.h v1 version.h"
for completion in bash-completion/completions/qkctl zsh/site-functions/_qkctl fish/vendor_completions.d/qkctl.fish; do
  grep -q "made by 'qkctl completion" "$prefix/share/$completion"
done

pc=$(find "$prefix" -name qkserve.pc)
export PKG_CONFIG_PATH=${pc%/*}
read -ra compile <<<"$(pkg-config --cflags qkserve)"
read -ra link <<<"$(pkg-config --libs qkserve)"
for header in "$prefix"/include/qkserve/*.h; do
  echo "#include <qkserve/${header##*/}>" |
    "$compiler" -std=c++20 -Wall -Wextra -Wpedantic -Werror "${compile[@]}" -fsyntax-only -x c++ - ||
    fail "${header##*/} does not compile alone"
done

build_with_cmake consumer "$source/tests/install/consumer"
build_with_cmake examples "$source/examples/cpp"
"$compiler" -std=c++20 "${compile[@]}" "$source/examples/cpp/score.cc" \
  -o "$folder/score_by_pkg_config" "${link[@]}"
[ -e "$(pkg-config --variable=protodir qkserve)/qkserve/v1/scoring.proto" ] || fail "no proto files"

"$prefix/bin/qkserve" --listen_address=127.0.0.1:0 --http_address= --port_file="$folder/port" &
server=$!
until [ -e "$folder/port" ]; do
  kill -0 "$server"
  sleep 0.05
done
address=127.0.0.1:$(cat "$folder/port")
"$prefix/bin/qkctl" status --server="$address"
"$folder/consumer/consumer" "$address"
expect $'0.5 1 1.5 \n1.5 2 3.5 ' "$folder/examples/score" "$address"
expect $'0.5 1 1.5 \n1.5 2 3.5 ' "$folder/score_by_pkg_config" "$address"
expect $'example_key_set has 4 keys\n3 4 7 14 ' "$folder/examples/key_set" "$address"
# The second run finds the key set that the first run put, so the version stays.
for run in first second; do
  expect $'key 0: score 5\nkey 1: score 4' "$folder/examples/search" "$address"
  "$prefix/bin/qkctl" keys get example_search --server="$address" --json | grep version >"$folder/$run"
done
cmp "$folder/first" "$folder/second"
expect $'query 0: key 0 (5) key 1 (4)\nquery 1: key 3 (9) key 2 (3)' \
  "$folder/examples/top_k" "$address"
# The first token attends only itself, so its context is its own value.
"$folder/examples/context" "$address" | grep -x "head 1, token 0: 12 13 14 15"

kill "$server"
wait "$server"
server=
for example in score key_set search top_k context; do
  code=0
  errors=$("$folder/examples/$example" "$address" 2>&1 >/dev/null) || code=$?
  if [ "$code" != 1 ] || [[ $errors != UNAVAILABLE:* ]]; then
    fail "$example with no server: exit code $code, $errors"
  fi
done
