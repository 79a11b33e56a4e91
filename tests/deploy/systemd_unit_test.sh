#!/usr/bin/env bash
# usage: systemd_unit_test.sh SYSTEMD_ANALYZE UNIT
# Checks that systemd understands every line of the unit, and that the unit may do little. Neither
# the program nor its man page need be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed 's:^ExecStart=/usr/bin/qkserve:ExecStart=/bin/true:' "$2" >"$folder/qkserve.service"
grep -q '^ExecStart=/bin/true' "$folder/qkserve.service"
"$1" verify --man=no "$folder/qkserve.service" 2>"$folder/findings" ||
  { cat "$folder/findings" >&2; exit 1; }
if grep qkserve "$folder/findings" >&2; then exit 1; fi

# The exposure goes from 0 (the unit may do nothing) to 100. With systemd 252 it is 11. The limit
# leaves some room, because newer versions ask for more. The unit still has the network, name
# resolution, and the machine's /proc and root directory.
exposure_max=15
"$1" security --offline=true --no-pager --threshold="$exposure_max" "$folder/qkserve.service" \
  >"$folder/security" || { cat "$folder/security" >&2; exit 1; }
