#!/usr/bin/env bash
# usage: packages_check.sh DIRECTORY CONSUMER_SOURCES
# On a bare Debian 12 or 13, as root: installs both packages that `./run package` left in DIRECTORY on
# such a Debian, lets them serve requests, builds tests/install/consumer against the library, and purges
# the server.
set -euo pipefail
directory=$(realpath "$1") consumer=$2
install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  echo "$(dpkg-query -W | wc -l) packages with $*"
}
. /etc/os-release
apt-get update -qq
install "$directory"/qkserve_*"+$ID${VERSION_ID}_"*.deb
test -e /etc/systemd/system/multi-user.target.wants/qkserve.service
install "$directory"/qkserve-client_*"+$ID${VERSION_ID}_"*.deb

# As systemd lays it out for a dynamic user.
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

install cmake g++ ninja-build pkg-config
cmake -S "$consumer" -B "$folder/consumer" -G Ninja >/dev/null
cmake --build "$folder/consumer"
"$folder/consumer/consumer" "$address"
kill $server
wait $server
dpkg --purge qkserve >/dev/null
test ! -e /etc/default/qkserve
test -e /var/lib/private/qkserve
echo "both packages work"
