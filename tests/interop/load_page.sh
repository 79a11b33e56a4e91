#!/usr/bin/env bash
# Opens pages of `qkctl load --report` in headless Chromium. A page must log nothing and request
# nothing, and every chart must have data.
#
# usage: load_page.sh [FOLDER WITH qkctl AND qkserve] [FOLDER FOR SCREENSHOTS]
set -euo pipefail
bin=${1:-build/release/bin}
. "$(dirname "${BASH_SOURCE[0]}")/server.sh"
shots=${2:-$work}
browser=$(command -v chromium || command -v google-chrome) || {
  echo "skipped: no chromium here"
  exit 77
}
serve "$bin"

load() {
  local name=$1
  shift
  "$bin/qkctl" load --server="$address" --noprogress \
    --report="$work/$name.html" "$@" >"$work/$name.txt" || { cat "$work/$name.txt"; exit 1; }
}

# check NAME CHARTS
check() {
  local name=$1 charts=$2 log=$work/$1.log dom=$work/$1.dom
  "$browser" --headless --no-sandbox --disable-gpu --enable-logging=stderr --v=0 \
    --dump-dom "file://$work/$name.html" >"$dom" 2>"$log"
  if grep -E 'CONSOLE|ERR_|net_error' "$log"; then
    echo "$name: the browser complains"
    exit 1
  fi
  [ "$(grep -c '<svg ' "$dom")" = "$charts" ] || { echo "$name: not $charts charts"; exit 1; }
  # Each drawing must have lines or bars, each with a place.
  awk '/<svg /{data=0} /class="line |class="bar/{data++} /<\/svg>/{if (data < 1) exit 1}' "$dom" ||
    { echo "$name: a chart without data"; exit 1; }
  ! grep -qE '="[^"]*(nan|inf)[^a-z]' "$dom" || { echo "$name: a point that is nowhere"; exit 1; }
  local look size flags
  for look in light:1100,2400 dark:1100,2400 phone:500,3600; do
    size=${look#*:} flags=()
    [ "${look%%:*}" != dark ] || flags=(--blink-settings=preferredColorScheme=0)
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="$size" \
      "${flags[@]}" --screenshot="$shots/$name-${look%%:*}.png" "file://$work/$name.html" \
      2>/dev/null
    [ -s "$shots/$name-${look%%:*}.png" ]
  done
  echo "$name: $charts charts"
}

load ramp --rate=50:400 --duration=3s --n=4
check ramp 7
load range --concurrency=1:8:x2 --duration=1s --workload=inline-small
check range 8
load peak --find_peak --rate=200 --latency_limit=p99:100ms --duration=2s --workload=inline-large
check peak 8
grep -q 'class="mark-label"[^>]*>limit: p99 within 100 ms<' "$work/peak.dom"
load closed --concurrency=4 --duration=2s
check closed 6
