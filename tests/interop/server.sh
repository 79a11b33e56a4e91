# Scripts in this folder source this file. It makes a temporary folder, $work, and can start a
# server. Both are gone when the script ends.
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" || true; }; rm -rf "$work"' EXIT

# serve [FOLDER WITH qkserve]: starts a server on a free port. Sets $server to its process id, and
# $address.
serve() {
  "${1:-build/release/bin}/qkserve" --listen_address=127.0.0.1:0 --http_address= \
    --port_file="$work/port" >"$work/server.log" 2>&1 &
  server=$!
  until [ -s "$work/port" ]; do
    kill -0 "$server" || { cat "$work/server.log"; exit 1; }
    sleep 0.1
  done
  address=127.0.0.1:$(cat "$work/port")
}
