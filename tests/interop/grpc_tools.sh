#!/usr/bin/env bash
# Runs grpcurl, ghz and grpc_health_probe against a server. They know nothing of qkserve. They must
# find the services and the health service by reflection, and calls must succeed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/interop/server.sh

command -v go >/dev/null || { echo "skipped: go is missing"; exit 0; }
export GOBIN=$work/bin
for module in github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3 github.com/bojand/ghz/cmd/ghz@v0.93.0 \
  github.com/grpc-ecosystem/grpc-health-probe@v0.4.62; do
  if ! problem=$(go install "$module" 2>&1); then
    if [[ $problem =~ "dial tcp"|"lookup disabled"|[rR]"equires "[gG]"o"|"invalid go version" ]]; then
      echo "skipped: go gets no modules: ${problem##*$'\n'}"
      exit 0
    fi
    echo "$problem"
    exit 1
  fi
done
PATH=$GOBIN:$PATH

serve

# expect WHAT TEXT COMMAND ...: expects that the command succeeds and prints the text.
expect() {
  local what=$1 text=$2 printed
  shift 2
  if ! printed=$("$@" 2>&1) || [[ $printed != *"$text"* ]]; then
    echo "$printed"
    echo "$what: expected '$text'"
    exit 1
  fi
  echo "$what: ok"
}

expect "grpcurl list" qkserve.v1.ScoringService grpcurl -plaintext "$address" list
expect "grpcurl list" grpc.health.v1.Health grpcurl -plaintext "$address" list
expect "grpcurl describe" "rpc Score ( .qkserve.v1.ScoreRequest )" \
  grpcurl -plaintext "$address" describe qkserve.v1.ScoringService
expect "grpcurl describe" "optional float scale = 1;" \
  grpcurl -plaintext "$address" describe qkserve.v1.Attention

# Queries [2, 2] are 1 2 3 4. Keys [3, 2] are 1 0 0 1 1 1. Scores are 1 2 3 and 3 4 7. The data is
# base64.
request='{"queries": {"data_type": "FLOAT32", "shape": [2, 2], "data": "AACAPwAAAEAAAEBAAACAQA=="},
  "inline": {"keys": {"data_type": "FLOAT32", "shape": [3, 2], "data": "AACAPwAAAAAAAAAAAACAPwAAgD8AAIA/"}}}'
expect "grpcurl Score" '"data": "AACAPwAAAEAAAEBAAABAQAAAgEAAAOBA"' \
  grpcurl -plaintext -d "$request" "$address" qkserve.v1.ScoringService/Score
expect "grpcurl Check" '"status": "SERVING"' \
  grpcurl -plaintext "$address" grpc.health.v1.Health/Check

expect "grpc_health_probe" "status: SERVING" grpc-health-probe -addr="$address"

ghz --insecure --call=qkserve.v1.ScoringService/Score --data="$request" --total=2000 --concurrency=16 \
  --timeout=20s --format=json --output="$work/ghz.json" "$address"
/usr/bin/python3 - "$work/ghz.json" <<'END'
import json, sys
report = json.load(open(sys.argv[1]))
assert report["statusCodeDistribution"] == {"OK": 2000}, report["statusCodeDistribution"]
print(f"ghz: 2000 requests OK, {report['rps']:.0f} a second")
END
