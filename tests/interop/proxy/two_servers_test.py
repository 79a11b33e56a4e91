#!/usr/bin/env python3
"""A real proxy, with its configuration of deploy/, in front of two servers with the same key sets:

- calls of a key set go to one server, calls with inline keys to both;
- one server at a time is stopped with SIGTERM, and connections end of age: no call fails, without
  any retry of the client;
- one server at a time is killed ten times under load, with plain text and with TLS to the proxy: no
  call fails, with the client's retries.

usage: two_servers_test.py haproxy|envoy [KILLS]     needs build/release/bin"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from qkserve import PROGRAMS, ROOT, eventually, write_npy  # pylint: disable=wrong-import-position

KEY_SETS = [f"items-{number}" for number in range(8)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stop(process, with_signal=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(with_signal)
        process.wait(timeout=60)


class Server:
    """A server that can be started again on its ports."""

    def __init__(self, folder, name, flags=()):
        self.folder, self.name, self.flags = folder / name, name, flags
        self.folder.mkdir()
        self.port, self.http_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None

    def start(self, flags=()):
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "qkserve", f"--listen_address={self.address}", f"--port_file={port_file}",
                 f"--http_address=127.0.0.1:{self.http_port}", f"--key_set_dir={self.folder / 'sets'}",
                 *self.flags, *flags], stdout=log, stderr=log)
        eventually(lambda: self.process.poll() is not None or port_file.exists(), "the server starts")
        assert self.process.poll() is None, (self.folder / "log").read_text()

    def served(self):
        """{key set: requests} since the start."""
        listed = json.loads(qkctl(self.address, "keys", "list", "--json"))
        return {key_set["name"]: int(key_set["requests_served"]) for key_set in listed["key_sets"]}

    def answered(self):
        status = json.loads(qkctl(self.address, "status", "--json"))
        return int(status["requests_answered"])


def qkctl(address, *arguments):
    done = subprocess.run([PROGRAMS / "qkctl", *arguments, f"--server={address}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"qkctl {arguments}: {done.stderr}"
    return done.stdout


class Proxy:
    """`address` takes plain text, `tls_address` TLS with the certificate `ca`."""

    def __init__(self, folder, servers, exit_stack):
        self.folder, self.servers = folder, servers
        self.address, self.tls_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.ca, self.key = folder / "proxy.crt", folder / "proxy.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", self.key, "-out", self.ca], check=True, capture_output=True)
        self.process = self.start()
        exit_stack.callback(stop, self.process)
        for address in (self.address, self.tls_address):
            eventually(lambda: can_connect(address), f"the proxy listens at {address}")

    def config(self, path, replacements):
        """The file of deploy/, but for where things are."""
        text = (ROOT / path).read_text()
        for old, new in replacements.items():
            text, count = re.subn(old, str(new), text)
            assert count == 1, f"{path} has {count} times {old}"
        config = self.folder / pathlib.Path(path).name
        config.write_text(text)
        return config


class HAProxy(Proxy):
    def start(self):
        pair = self.folder / "qkserve.pem"
        pair.write_text(self.ca.read_text() + self.key.read_text())
        replacements = {r"127\.0\.0\.1:50050": self.address, r"(?<= ):50443": self.tls_address,
                        "/etc/haproxy/qkserve.pem": pair}
        for number, server in enumerate(self.servers, 1):
            replacements[f"qkserve-{number}:50051 proto h2 port 8080"] = (
                f"{server.address} proto h2 port {server.http_port}")
        config = self.config("deploy/haproxy/haproxy.cfg", replacements)
        subprocess.run(["haproxy", "-c", "-q", "-f", config], check=True)
        return subprocess.Popen(["haproxy", "-db", "-q", "-f", config])


class Envoy(Proxy):
    def start(self):
        port = lambda address: address.split(":")[1]
        replacements = {"port_value: 50050": f"port_value: {port(self.address)}",
                        "0.0.0.0, port_value: 50443": f"127.0.0.1, port_value: {port(self.tls_address)}",
                        "/etc/envoy/qkserve.crt": self.ca, "/etc/envoy/qkserve.key": self.key,
                        "port_value: 9901": f"port_value: {free_port()}"}
        for number, server in enumerate(self.servers, 1):
            replacements[f"address: qkserve-{number}, port_value: 50051"] = (
                f"address: 127.0.0.1, port_value: {server.port}")
        config = self.config("deploy/envoy/envoy.yaml", replacements)
        return subprocess.Popen([os.environ.get("ENVOY", "envoy"), "--config-path", config,
                                 "--base-id", str(os.getpid()), "--log-level", "error"])


def can_connect(address):
    host, port = address.split(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


class Load:
    """A closed loop of qkctl through the proxy, until `end`."""

    def __init__(self, name, proxy, *flags, tls=False):
        self.name, self.json = name, proxy.folder / f"{name}.json"
        to = [f"--server={proxy.tls_address}", "--tls", f"--tls_ca_file={proxy.ca}"] if tls else [
            f"--server={proxy.address}"]
        with (proxy.folder / f"{name}.log").open("w") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "qkctl", "load", *to, "--concurrency=16", "--duration=1h", "--noprogress",
                 "--allow_errors=all", f"--json={self.json}", *flags], stdout=log, stderr=log)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        counts = json.loads(self.json.read_text())
        print(f"  {self.name}: ok {counts['ok']}, errors {counts['errors_by_code']}, retries "
              f"{counts['retries']}, recovered {counts['recovered']}, over budget {counts['over_budget']}")
        assert counts["ok"] > 100 and counts["errors"] == 0, self.process.args
        return counts


def loads(proxy, attempts):
    """Inline keys, a key set of each server, and TLS."""
    retries = f"--attempts={attempts}"
    return [Load("inline keys", proxy, retries, "--workload=inline-small"),
            *(Load(f"key set {name}", proxy, retries, f"--key_set={name}", "--n=1")
              for name in proxy.owned),
            Load("inline keys, TLS", proxy, retries, "--workload=inline-small", tls=True)]


def put_key_sets(folder, servers):
    keys = folder / "keys.npy"
    write_npy(keys, 100, 16)
    for server in servers:
        for name in KEY_SETS:
            qkctl(server.address, "keys", "put", name, f"--keys={keys}")


def check_hashing(proxy):
    """Each key set has one server. Sets proxy.owned: one key set of each."""
    owners = {}
    for name in KEY_SETS:
        before = [server.served()[name] for server in proxy.servers]
        qkctl(proxy.address, "load", f"--key_set={name}", "--n=1", "--concurrency=4", "--duration=200ms",
              "--noprogress")
        grown = [server.served()[name] - count for server, count in zip(proxy.servers, before)]
        assert sum(count > 0 for count in grown) == 1, f"{name}: requests of the servers: {grown}"
        owners[name] = max(range(2), key=lambda server: grown[server])
    print("the servers of the key sets:", list(owners.values()))
    assert set(owners.values()) == {0, 1}, "one server has all key sets"
    proxy.owned = [next(name for name in KEY_SETS if owners[name] == server) for server in range(2)]


def await_calls(server, count):
    begin = server.answered()
    eventually(lambda: server.answered() >= begin + count, f"the proxy calls {server.name} again")


def restart_in_turn(proxy, times, with_signal, flags=()):
    for number in range(times):
        server = proxy.servers[number % 2]
        stop(server.process, with_signal)
        if with_signal == signal.SIGTERM:
            assert server.process.returncode == 0, server.process.returncode
        server.start(flags)
        # The next server is stopped only after both serve again.
        await_calls(server, 50)


def check_drains(proxy):
    """Servers that end in order, and connections that end of age, fail no call that is retried."""
    young = ["--connection_age=2s"]
    running = loads(proxy, attempts=4)
    restart_in_turn(proxy, 4, signal.SIGTERM, young)
    time.sleep(5)  # a few times --connection_age
    print("drained 4 times, connections of 2 s, with retries:")
    for load in running:
        load.end()


def check_kills(proxy, kills):
    running = loads(proxy, attempts=4)
    for server in proxy.servers:
        await_calls(server, 50)
    restart_in_turn(proxy, kills, signal.SIGKILL)
    print(f"killed {kills} times, with retries:")
    counts = [load.end() for load in running]
    assert sum(count["recovered"] for count in counts) > 0, "the kills met no call"


def main():
    kind = {"haproxy": HAProxy, "envoy": Envoy}[sys.argv[1]]
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as exit_stack:
        folder = pathlib.Path(name)
        servers = [Server(folder, f"server{number}") for number in (1, 2)]
        for server in servers:
            server.start()
            exit_stack.callback(lambda server=server: stop(server.process))
        put_key_sets(folder, servers)
        proxy = kind(folder, servers, exit_stack)
        eventually(lambda: serves(proxy), "the proxy finds its servers")
        check_hashing(proxy)
        check_drains(proxy)
        check_kills(proxy, kills)


def serves(proxy):
    return subprocess.run([PROGRAMS / "qkctl", "status", f"--server={proxy.address}"],
                          capture_output=True).returncode == 0


if __name__ == "__main__":
    main()
