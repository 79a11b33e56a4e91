#!/usr/bin/env bash
# usage: packages_check.sh DIRECTORY EXAMPLES
# Needs a bare Debian 12 or 13, and root. Installs the packages that `./run package` made in
# DIRECTORY on the same Debian, and lets them serve requests. Then builds the EXAMPLES
# (examples/cpp) with the library, and purges the server.
set -euo pipefail
directory=$(realpath "$1") examples=$2
. /etc/os-release
install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  echo "$(dpkg-query -W | wc -l) packages with $*"
}
# install_ours NAME
install_ours() {
  install "$directory/$1"_*"+$ID${VERSION_ID}_"*.deb
}

apt-get update -qq
install_ours qkctl
install_ours qkserve
if dpkg-query -W -f '${Package}\n' | grep -E '^(gcc|g\+\+|cpp|clang|cmake)(-[0-9]+)?$|-dev$'; then
  echo "neither the server nor qkctl needs the packages above" >&2
  exit 1
fi
test -e /etc/systemd/system/multi-user.target.wants/qkserve.service

# The same folders and link that systemd makes for a dynamic user.
mkdir -p /var/lib/private/qkserve
ln -s private/qkserve /var/lib/qkserve
folder=$(mktemp -d)
qkserve --key_set_dir=/var/lib/qkserve --listen_address=127.0.0.1:0 --http_address= --port_file="$folder/port" &
server=$!
until [ -e "$folder/port" ]; do
  kill -0 $server
  sleep 0.1
done
address=127.0.0.1:$(cat "$folder/port")
qkserve --check="$address"
qkctl load --server="$address" --duration=1s --concurrency=2
qkctl load --server="$address" --duration=1s --concurrency=8 --n=1 --make_key_set=1000,64 \
  --output=top_k --top_k=3
qkctl status --server="$address"

install_ours libqkserve-dev
install cmake g++ ninja-build pkg-config
cmake -S "$examples" -B "$folder/examples" -G Ninja >/dev/null
cmake --build "$folder/examples"
for example in score key_set search top_k context; do
  "$folder/examples/$example" "$address"
done
# shellcheck disable=SC2046
g++ -std=c++20 "$examples/score.cc" -o "$folder/score" $(pkg-config --cflags --libs qkserve)
"$folder/score" "$address"
kill $server
wait $server
dpkg --purge qkserve >/dev/null
test ! -e /etc/default/qkserve
test -e /var/lib/private/qkserve
echo "the packages work"
