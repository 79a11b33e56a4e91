#!/usr/bin/env bash
# Restarts servers under the load of clients in Go, Python and C++ (qkctl load). Each client has 64
# calls in flight.
#
# - two servers behind one name, one restarted at a time, ten times, with the service config of
#   docs/clients.md: no call fails
# - two servers without retries, four times, and one server, three times: calls fail only with
#   UNAVAILABLE, never with CANCELLED
#
# usage: drain.sh [FOLDER WITH qkctl AND qkserve] [CLIENT ...]   clients: go python qkctl
#
# The Go client needs Go 1.23 or newer, and is left out without it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=$(realpath "${1:-build/release/bin}")
shift || true
clients=("${@:-}")
work=$(mktemp -d)
pids=()
stop_all() {
  kill "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap stop_all EXIT

# Debian's Python has python3-grpcio.
python=/usr/bin/python3
has_go() { [ "$(printf 'go1.23\n%s\n' "$(go env GOVERSION 2>/dev/null)" | sort -V | tail -n 1)" != go1.23 ]; }

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# start INDEX: starts a server, on the same port as before if it had one.
start() {
  local port=0
  [ ! -s "$work/port$1" ] || port=$(cat "$work/port$1")
  rm -f "$work/port$1"
  "$bin/qkserve" --listen_address="127.0.0.1:$port" --http_address= --port_file="$work/port$1" \
    >>"$work/server$1.log" 2>&1 3>&- &
  pids[$1]=$!
  until [ -s "$work/port$1" ]; do
    kill -0 "${pids[$1]}" || fail "$(cat "$work/server$1.log")"
    sleep 0.05
  done
}

address() { echo "127.0.0.1:$(cat "$work/port$1")"; }

# await_calls INDEX COUNT: waits until the server has answered COUNT calls.
await_calls() {
  local answered i
  for ((i = 0; i < 600; i++)); do
    answered=$("$bin/qkctl" status --server="$(address "$1")" 2>/dev/null |
      sed -n 's/^requests answered *//p')
    [ "${answered:-0}" -lt "$2" ] || return 0
    sleep 0.1
  done
  fail "no client calls $(address "$1")"
}

# await_connections INDEX COUNT: waits until the server has COUNT connections.
await_connections() {
  local port i
  port=$(printf ':%04X' "$(cat "$work/port$1")")
  for ((i = 0; i < 600; i++)); do
    [ "$(awk -v port="$port\$" '$2 ~ port && $4 == "01"' /proc/net/tcp /proc/net/tcp6 | wc -l)" -lt "$2" ] || return 0
    sleep 0.1
  done
  fail "no client connects to $(address "$1")"
}

# restart INDEX: restarts the server. After this returns, the next server may be restarted.
restart() {
  kill -TERM "${pids[$1]}"
  wait "${pids[$1]}" || fail "the server ended with $?: $(tail -n 3 "$work/server$1.log")"
  start "$1"
  await_calls "$1" 100
  await_connections "$1" "$connections"
}

# run_client NAME ADDRESSES CONFIG: calls until standard input ends. Prints "CODE COUNT" for each
# code.
run_client() {
  local attempts=4
  case $1 in
    go) "$work/drain" -addresses="$2" -service_config="${3#-}" "$work/small" "$work/middle" ;;
    python) "$python" tests/interop/drain/client.py "$2" "$3" "$work/small" "$work/middle" ;;
    qkctl)
      [ "$3" != - ] || attempts=1
      "$bin/qkctl" load --server="ipv4:$2" --workload=inline-small --concurrency=64 --duration=1h \
        --channels=2 --attempts="$attempts" --allow_errors=all --noprogress --json="$work/load.json" \
        >"$work/load.txt" &
      local load=$!
      cat >/dev/null
      kill -INT "$load"
      wait "$load" || cat "$work/load.txt" >&2
      "$python" - "$work/load.json" <<'PY'
import json, sys
with open(sys.argv[1]) as file:
    load = json.load(file)
print("OK", load["ok"])
for code, count in load["errors_by_code"].items():
    print(code, count)
PY
      ;;
  esac
}

# check CLIENT CONFIG ALLOWED DRAINS INDEX ...: drains the servers in turn while the client calls.
check() {
  local client=$1 config=$2 allowed=$3 drains=$4 addresses="" index i connections=1
  [ "$client" != qkctl ] || connections=2
  shift 4
  local indexes=("$@")
  for index in "${indexes[@]}"; do
    start "$index"
    addresses+=${addresses:+,}$(address "$index")
  done
  mkfifo "$work/stdin"
  run_client "$client" "$addresses" "$config" <"$work/stdin" >"$work/counts" 2>"$work/errors" &
  local run=$!
  exec 3>"$work/stdin"
  for index in "${indexes[@]}"; do await_calls "$index" 100; done
  for ((i = 0; i < drains; i++)); do restart "${indexes[i % $#]}"; done
  exec 3>&-
  wait "$run" || fail "$client: $(cat "$work/errors")"
  rm "$work/stdin"
  for index in "${indexes[@]}"; do
    kill -TERM "${pids[index]}"
    wait "${pids[index]}" || fail "the server ended with $?"
    unset "pids[index]"
    rm "$work/port$index"
  done
  echo "$client, servers: ${#indexes[@]}, drains: $drains, retries: $([ "$config" = - ] && echo no || echo yes):" \
    "$(tr '\n' ' ' <"$work/counts")"
  grep -Eq "^OK [1-9]" "$work/counts" || fail "$client: no call was answered"
  if grep -Ev "^($allowed) " "$work/counts"; then fail "$client: $(sort "$work/errors" | head -n 20)"; fi
}

# request FILE N M D
request() {
  "$python" - "$@" >"$work/text" <<'PY'
import sys
n, m, d = map(int, sys.argv[2:])
def tensor(rows):
    return '{data_type: FLOAT32 shape: %d shape: %d data: "%s"}' % (rows, d, r"\000" * (4 * rows * d))
print("queries %s inline {keys %s}" % (tensor(n), tensor(m)))
PY
  protoc -Iproto --encode=qkserve.v1.ScoreRequest qkserve/v1/scoring.proto <"$work/text" >"$1"
}
request "$work/small" 16 128 64
request "$work/middle" 16 4096 64
sed -n '/^```json$/,/^```$/{/^```/d;p}' docs/clients.md >"$work/config"

if [ -z "${clients[0]}" ]; then
  clients=(qkctl python)
  if has_go; then clients+=(go); else echo "left out: Go, of which 1.23 is needed"; fi
fi
for client in "${clients[@]}"; do
  [ "$client" != go ] || (cd tests/interop/drain && go build -o "$work/drain" .)
  check "$client" "$work/config" OK 10 0 1
  check "$client" - "OK|UNAVAILABLE" 4 0 1
  check "$client" - "OK|UNAVAILABLE" 3 0
done
