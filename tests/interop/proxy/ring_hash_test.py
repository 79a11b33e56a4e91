#!/usr/bin/env python3
"""The proxy of deploy/kubernetes/overlays/sharded with a real Envoy (on the PATH, or in $ENVOY) in
front of three servers: each key set has one shard, which stays its own when addresses change, and
a shard that is away takes nothing but its own key sets with it. The proxy is ready while it reaches
a shard, and has metrics.

usage: ring_hash_test.py [BIN_DIRECTORY]        needs numpy; BIN_DIRECTORY is build/release/bin"""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[3]
CONFIG = ROOT / "deploy/kubernetes/overlays/sharded/envoy.yaml"
BIN = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release/bin")
SHARDS = 3
NAMES = [f"items-{i}" for i in range(30)]


def wait_for(path, process):
    """Until a process that writes its address to `path` has done so."""
    while not path.exists() or not path.read_text():
        assert process.poll() is None, f"{process.args[0]} ended with {process.returncode}"
        time.sleep(0.02)
    return path.read_text().strip()


def stop(process):
    process.terminate()
    process.wait(timeout=60)


class Fleet:
    """Shards in processes of their own, and proxies in front of them."""

    def __init__(self, folder, exit_stack):
        self.folder, self.exit_stack, self.starts = folder, exit_stack, 0
        self.shards = [None] * SHARDS
        self.ports = [None] * SHARDS
        for shard in range(SHARDS):
            self.start_shard(shard)

    def start_shard(self, shard):
        self.starts += 1
        port_file = self.folder / f"port{self.starts}"
        process = subprocess.Popen(
            [BIN / "qkserve", "--listen_address=127.0.0.1:0", "--http_address=", f"--port_file={port_file}",
             f"--key_set_dir={self.folder / f'shard{shard}'}"], stderr=subprocess.DEVNULL)
        self.exit_stack.callback(stop, process)
        self.shards[shard], self.ports[shard] = process, wait_for(port_file, process)

    def start_proxy(self):
        """Starts the config as it is deployed, but for where things are."""
        self.starts += 1
        text = re.sub(r"address: 0.0.0.0, port_value: \d+", "address: 127.0.0.1, port_value: 0",
                      CONFIG.read_text())
        for shard, port in enumerate(self.ports):
            text, count = re.subn(f"address: qkserve-shard-{shard}, port_value: 50051",
                                  f"address: 127.0.0.1, port_value: {port}", text)
            assert count == 1, f"{CONFIG} has {count} endpoints for shard {shard}"
        admin = f"127.0.0.1:{free_port()}"
        text, count = re.subn("port_value: 9901", f"port_value: {admin.split(':')[1]}", text)
        assert count == 1, f"{CONFIG} has {count} admin addresses"
        config = self.folder / f"envoy{self.starts}.yaml"
        config.write_text(text)
        process = subprocess.Popen(
            [os.environ.get("ENVOY", "envoy"), "--config-path", config,
             "--base-id", str(os.getpid() + self.starts), "--log-level", "error"])
        self.exit_stack.callback(stop, process)
        return Proxy(process, admin)


class Proxy:
    """`address` is gRPC's, `url` HTTP's."""

    def __init__(self, process, admin):
        ports = {}
        while not {"grpc", "http"} <= ports.keys():
            assert process.poll() is None, f"envoy ended with {process.returncode}"
            time.sleep(0.02)
            listeners = json.loads(get(f"http://{admin}/listeners?format=json")[1] or "{}")
            ports = {listener["name"]: listener["local_address"]["socket_address"]["port_value"]
                     for listener in listeners.get("listener_statuses", [])}
        self.address = f"127.0.0.1:{ports['grpc']}"
        self.url = f"http://127.0.0.1:{ports['http']}"

    def healthy_shards(self):
        """As a scrape sees them."""
        count = re.search(r'envoy_cluster_membership_healthy\{[^}]*"shard_health"[^}]*\} (\d+)',
                          get(f"{self.url}/metrics")[1])
        return count and int(count[1])

    def expect(self, shards):
        """That so many shards become healthy, and the answers of the probes to that."""
        end = time.monotonic() + 60
        while self.healthy_shards() != shards:
            assert time.monotonic() < end, f"{self.healthy_shards()} healthy shards, not {shards}"
            time.sleep(0.1)
        assert get(f"{self.url}/readyz")[0] == (200 if shards else 503)
        assert get(f"{self.url}/healthz")[0] == 200
        assert get(f"{self.url}/stats/prometheus")[0] == 404, "other pages of Envoy are served"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    """(status, body); (0, "") while nothing listens there."""
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


def qkctl(address, *arguments):
    return subprocess.run([BIN / "qkctl", *arguments, f"--server={address}", "--timeout=20s"],
                          capture_output=True, text=True)


def score(proxy, folder, name):
    return qkctl(proxy.address, "score", f"--queries={folder}/q.npy", f"--key_set={name}",
                 f"--out={folder}/s.npy")


def main():
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as exit_stack:
        folder = pathlib.Path(temporary)
        random = numpy.random.default_rng(1)
        queries = random.standard_normal((2, 8), dtype="f4")
        numpy.save(folder / "q.npy", queries)
        fleet = Fleet(folder, exit_stack)
        proxy = fleet.start_proxy()

        keys = {}
        for name in NAMES:
            keys[name] = random.standard_normal((5, 8), dtype="f4")
            numpy.save(folder / "k.npy", keys[name])
            put = qkctl(proxy.address, "keys", "put", name, f"--keys={folder}/k.npy")
            assert put.returncode == 0, put.stderr
        shards = {}
        for shard, port in enumerate(fleet.ports):
            listed = json.loads(qkctl(f"127.0.0.1:{port}", "keys", "list", "--json").stdout)
            for key_set in listed["key_sets"]:
                assert key_set["name"] not in shards, f"{key_set['name']} is on two shards"
                shards[key_set["name"]] = shard
        counts = [list(shards.values()).count(shard) for shard in range(SHARDS)]
        assert sorted(shards) == sorted(NAMES) and min(counts) > 0, counts
        print("key sets of the shards:", counts)

        for name in NAMES:
            scored = score(proxy, folder, name)
            assert scored.returncode == 0, scored.stderr
            scores = numpy.load(folder / "s.npy")
            assert numpy.allclose(scores, queries @ keys[name].T, atol=1e-5), name
        print("every key set answers through the proxy")

        stop(fleet.shards[1])
        for name in NAMES:
            scored = score(proxy, folder, name)
            if shards[name] == 1:
                assert "UNAVAILABLE" in scored.stderr, (name, scored)
            else:
                assert scored.returncode == 0, scored.stderr
        print("without shard 1 its key sets are UNAVAILABLE, the others answer")
        proxy.expect(shards=2)
        print("the proxy is ready")

        fleet.start_shard(1)
        proxy = fleet.start_proxy()
        for name in NAMES:
            scored = score(proxy, folder, name)
            assert scored.returncode == 0, scored.stderr
        print("another address of shard 1 and another proxy: every key set answers")

        numpy.save(folder / "k.npy", random.standard_normal((20000, 256), dtype="f4"))
        numpy.save(folder / "q.npy", random.standard_normal((16, 256), dtype="f4"))
        large = qkctl(proxy.address, "score", f"--queries={folder}/q.npy", f"--keys={folder}/k.npy",
                      f"--out={folder}/s.npy")
        assert large.returncode == 0, large.stderr
        print("inline keys of 20 MB pass")

        proxy.expect(shards=3)
        for shard in fleet.shards:
            stop(shard)
        proxy.expect(shards=0)
        print("without any shard the proxy is not ready, and lives")


if __name__ == "__main__":
    main()
