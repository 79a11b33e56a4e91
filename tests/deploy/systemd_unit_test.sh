#!/usr/bin/env bash
# usage: systemd_unit_test.sh SYSTEMD_ANALYZE UNIT
# systemd understands every line of the unit. The program need not be installed, nor its man page.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed 's:^ExecStart=/usr/bin/qkserve:ExecStart=/bin/true:' "$2" >"$folder/qkserve.service"
grep -q '^ExecStart=/bin/true' "$folder/qkserve.service"
"$1" verify --man=no "$folder/qkserve.service" 2>"$folder/findings" ||
  { cat "$folder/findings" >&2; exit 1; }
! grep qkserve "$folder/findings"
