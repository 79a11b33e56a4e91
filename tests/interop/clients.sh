#!/usr/bin/env bash
# Builds the examples of other languages as docs/python.md and docs/languages.md say, and runs them
# against a server. Each must print the right numbers, and an error with its code if there is no
# server.
#
# usage: clients.sh [LANGUAGE ...]        go, java, node, python, and debian: Python without PyPI
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/interop/server.sh
# The examples are built in a copy, so that nothing generated is left in the tree.
cp -r proto examples "$work"

serve

# Text that package clients print without a network, and that Go prints if its version is too old.
unreachable='dial tcp|lookup disabled|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|Unknown host'
unreachable+='|Temporary failure|name resolution|timed? ?out|unreachable|Connection refused'
unreachable+='|NewConnectionError|No matching distribution|requires go|invalid go version'

# fetch LANGUAGE COMMAND ...: gets packages. If there is no network or the language is too old,
# prints a line that says so and fails.
fetch() {
  local language=$1 log=$work/$1.log
  shift
  "$@" >"$log" 2>&1 && return
  if grep -iE "$unreachable" "$log" >"$work/reason"; then
    echo "skipped: $language: no packages: $(head -n 1 "$work/reason" | cut -c 1-200)"
    return 1
  fi
  cat "$log"
  echo "$language: its packages cannot be installed"
  exit 1
}

has() {
  local language=$1 program
  shift
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "skipped: $language needs $program"; return 1; }
  done
}

# Removes brackets, commas and the zeros that some languages add. Also removes codes that end
# colours, because Maven writes them even without colours.
plain() { sed -E 's/\x1b\[[0-9;]*m//g; s/[][,]//g; s/([0-9])\.0\b/\1/g'; }

expected='scores of query 0: 0.5 1 1.5
scores of query 1: 1.5 2 3.5
key set example: 100000 keys
key 99999: score 99999
key 99998: score 99998
key 99997: score 99997'

# check LANGUAGE COMMAND ...: runs the command with the server's address as its last argument.
check() {
  local language=$1 printed status=0
  shift
  printed=$("$@" "$address" | plain)
  if [ "$printed" != "$expected" ]; then
    diff <(echo "$expected") <(echo "$printed") || true
    echo "$language: other numbers"
    exit 1
  fi
  "$@" 127.0.0.1:1 >"$work/out" 2>"$work/error" || status=$?
  if [ "$status" != 1 ] || ! grep -qi '^error: UNAVAILABLE: .' "$work/error"; then
    cat "$work/error"
    echo "$language: exit code $status without a server, expected 1 and 'error: UNAVAILABLE: ...'"
    exit 1
  fi
  echo "$language: the numbers are right, and so is the error without a server"
}

try_go() {
  has go go protoc || return 0
  cd "$work/examples/go"
  export GOBIN=$work/go_bin
  fetch go go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.6 || return 0
  fetch go go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1 || return 0
  fetch go go mod download || return 0
  PATH=$GOBIN:$PATH protoc -I ../../proto --go_out=. --go-grpc_out=. ../../proto/qkserve/v1/*.proto
  go build -o example .
  check go ./example
}

run_java() { mvn -q -B exec:java -Dexec.args="$1"; }

try_java() {
  has java javac mvn || return 0
  cd "$work/examples/java"
  fetch java mvn -q -B compile || return 0
  check java run_java
}

try_node() {
  has node node npm || return 0
  cd "$work/examples/node"
  fetch node npm install --no-audit --no-fund || return 0
  npm run --silent generate
  npm run --silent build
  check node npm start --silent --
}

try_python() {
  cd "$work/examples/python"
  /usr/bin/python3 -m venv "$work/venv" >"$work/venv.log" ||
    { echo "skipped: python needs python3-venv"; return 0; }
  fetch python "$work/venv/bin/pip" install -q -r requirements.txt || return 0
  mkdir generated
  "$work/venv/bin/python" -m grpc_tools.protoc -I ../../proto --python_out=generated \
    --grpc_python_out=generated ../../proto/qkserve/v1/*.proto
  PYTHONPATH=generated check python "$work/venv/bin/python" example.py
}

# Uses protoc, the plugin and the libraries of Debian.
try_debian() {
  has debian protoc grpc_python_plugin || return 0
  /usr/bin/python3 -c 'import grpc, numpy' 2>"$work/import.log" ||
    { echo "skipped: debian needs python3-grpcio and python3-numpy"; return 0; }
  cd "$work/examples/python"
  mkdir generated_by_debian
  protoc -I ../../proto --python_out=generated_by_debian --grpc_out=generated_by_debian \
    --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" ../../proto/qkserve/v1/*.proto
  PYTHONPATH=generated_by_debian check "python of Debian" /usr/bin/python3 example.py
}

[ $# -gt 0 ] || set -- debian python go node java
for language in "$@"; do
  (set -e; "try_$language")
done
