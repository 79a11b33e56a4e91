"""A server for the scripts here: started on free ports, ended with SIGTERM. Standard library only."""

import contextlib
import pathlib
import re
import signal
import struct
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/release/bin"
PATIENCE_S = 60


def eventually(condition, what):
    """The first true answer of `condition`, which is asked again until patience ends."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not in {PATIENCE_S} s: {what}")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


def write_npy(path, rows, columns):
    """A file of float32, all 1."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    values = struct.pack("<f", 1) * (rows * columns)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values)


class Server:
    """`address` is gRPC's, `url` HTTP's."""

    def __init__(self, process, folder, scheme):
        self.process = process
        self.folder = folder
        port = lambda name: eventually(lambda: self._read(name), f"{name} is written")
        self.url = f"{scheme}://127.0.0.1:{port('http_port')}"
        self.address = f"127.0.0.1:{port('port')}"

    def _read(self, name):
        assert self.process.poll() is None, f"qkserve ended: {(self.folder / 'log').read_text()}"
        path = self.folder / name
        return path.read_text().strip() if path.exists() else ""

    def qkctl(self, *arguments, ok=True):
        done = subprocess.run([PROGRAMS / "qkctl", *arguments, f"--server={self.address}"],
                              capture_output=True, text=True, timeout=PATIENCE_S)
        assert (done.returncode == 0) == ok, f"qkctl {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def metrics(self):
        """{line without its value: value}."""
        values = {}
        for line in get(self.url + "/metrics").splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values


@contextlib.contextmanager
def running_server(*flags, http_address="127.0.0.1:0"):
    has_tls = any(flag.startswith("--tls_cert_file=") for flag in flags)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [PROGRAMS / "qkserve", "--listen_address=127.0.0.1:0", f"--port_file={folder / 'port'}",
                 f"--http_address={http_address}", f"--http_port_file={folder / 'http_port'}", *flags],
                stdout=log, stderr=log)
            try:
                yield Server(process, folder, "https" if has_tls else "http")
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=PATIENCE_S)
        assert process.returncode == 0, f"qkserve ended with {process.returncode}"


def metric_names(metrics):
    return {re.match(r"[a-zA-Z0-9_:]+", name)[0] for name in metrics}
