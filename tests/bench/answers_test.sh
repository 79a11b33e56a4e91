#!/usr/bin/env bash
# usage: answers_test.sh PROGRAM WORKLOADS
# Runs a bench for a moment. Its contenders must give right answers, and its file must have figures
# of each workload. Times are not checked.
set -euo pipefail
program=$1 workloads=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"$program" --workload="$workloads" --rounds=1 --seconds_per_round=0.02 \
  --json="$directory/figures.json"
for workload in ${workloads//,/ }; do
  grep -q "\"name\": *\"$workload\"" "$directory/figures.json"
done
