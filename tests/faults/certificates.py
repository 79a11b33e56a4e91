#!/usr/bin/python3
"""Certificates that are replaced while a server runs, well and badly, as Kubernetes and as people do it.

ROTATIONS=300 in the environment replaces that many in place of 20; each takes about 1.3 s."""

import contextlib
import itertools
import os
import pathlib
import ssl
import subprocess
import threading
import urllib.request

import grpc

import faults
from faults import Server, floats, inline, scoring_pb2

ROTATIONS = int(os.environ.get("ROTATIONS", "20"))
NAMES = "subjectAltName=DNS:qkserve.test,IP:127.0.0.1"
REQUEST = inline(floats(2, 8, 1), floats(2, 8, 2))


class Authority:
    """Makes certificates, each in a folder of its own with tls.crt and tls.key."""

    def __init__(self):
        self.folder = faults.new_path()
        self.folder.mkdir()
        self._openssl("-subj", "/CN=authority", key=self.folder / "ca.key", out=self.folder / "ca.crt")
        self.certificate = (self.folder / "ca.crt").read_bytes()

    @staticmethod
    def _openssl(*arguments, key, out):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", *arguments,
                        "-keyout", key, "-out", out], check=True, capture_output=True)

    def issue(self):
        folder = faults.new_path()
        folder.mkdir()
        self._openssl("-CA", self.folder / "ca.crt", "-CAkey", self.folder / "ca.key",
                      "-subj", "/CN=server", "-addext", "basicConstraints=critical,CA:FALSE",
                      "-addext", NAMES, key=folder / "tls.key", out=folder / "tls.crt")
        return folder


class TlsServer(Server):
    """A server whose files are behind a link, as in a Secret of Kubernetes."""

    def __init__(self, authority, *flags):
        self.link = faults.new_path()
        self.authority = authority
        self.link.symlink_to(authority.issue())
        super().__init__(f"--tls_cert_file={self.link}/tls.crt", f"--tls_key_file={self.link}/tls.key",
                         *flags, credentials=grpc.ssl_channel_credentials(authority.certificate))

    def rotate(self, folder):
        """Puts the files of another folder in place, in one step."""
        new = pathlib.Path(f"{self.link}.new")
        new.symlink_to(folder)
        new.rename(self.link)

    def shown(self, address=None):
        """The certificate that a port shows: gRPC's unless another one is given."""
        host, port = (address or self.address).split(":")
        return ssl.get_server_certificate((host, int(port))).strip()

    def http_address(self):
        return self.url.split("//")[1]

    def score_anew(self):
        """A call over a connection of its own. It waits for the connection: gRPC before 1.61 counts
        some good ones as failed, and tries again. `shown` is strict."""
        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        credentials = grpc.ssl_channel_credentials(self.authority.certificate)
        with grpc.secure_channel(self.address, credentials, options) as channel:
            score = channel.unary_unary("/qkserve.v1.ScoringService/Score",
                                        lambda message: message.SerializeToString(),
                                        scoring_pb2.ScoreResponse.FromString)
            return score(REQUEST, timeout=faults.PATIENCE_S, wait_for_ready=True)

    def get(self, path):
        context = ssl.create_default_context(cadata=self.authority.certificate.decode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=context))
        with opener.open(self.url.replace("http:", "https:") + path, timeout=10) as response:
            return response.read().decode()

    def reloads(self, outcome):
        start = f'qkserve_file_reloads_total{{file="tls_cert_file",outcome="{outcome}"}} '
        return next(int(line.split()[-1]) for line in self.get("/metrics").splitlines()
                    if line.startswith(start))


@contextlib.contextmanager
def asked_all_the_time(*asks):
    """Each on a thread of its own, again and again. No one may raise."""
    stop, counts, errors = threading.Event(), [0] * len(asks), []

    def ask_again(number):
        while not stop.is_set():
            try:
                asks[number]()
                counts[number] += 1
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)

    threads = [threading.Thread(target=ask_again, args=(number,)) for number in range(len(asks))]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors, f"{len(errors)} failed, for example {errors[0]}"
    assert min(counts) > 10, f"too few to mean anything: {counts}"


def rotations_under_load():
    """Certificates are replaced again and again. No call fails, on old connections or new ones, and
    both ports show the new certificate."""
    authority = Authority()
    server = TlsServer(authority)
    folders = itertools.cycle([authority.issue() for _ in range(20)])
    with asked_all_the_time(lambda: server.score(REQUEST), server.score_anew, server.shown,
                            lambda: server.get("/healthz")) as counts:
        for number in range(ROTATIONS):
            folder = next(folders)
            server.rotate(folder)
            certificate = (folder / "tls.crt").read_text().strip()
            faults.eventually(lambda c=certificate: server.shown(server.http_address()) == c,
                              "HTTP shows the new certificate")
            # gRPC looks for new files once a second, so it shows one of the last
            # two certificates.
            if number % 10 == 9:
                faults.eventually(lambda c=certificate: server.shown() == c,
                                  "gRPC shows the new certificate")
    print(f"{ROTATIONS} rotations; {counts[0]} calls on one connection, {counts[1]} on new ones, "
          f"{counts[2]} handshakes alone, {counts[3]} pages")
    assert server.reloads("applied") == ROTATIONS + 1
    assert server.reloads("refused") == 0
    server.stop()


def certificates_that_do_not_fit():
    """Wrong files of every kind leave the old certificate in use; log and metrics say so."""
    authority = Authority()
    server = TlsServer(authority)
    shown = server.shown()
    good, other = authority.issue(), authority.issue()
    certificate, key = (good / "tls.crt").read_bytes(), (good / "tls.key").read_bytes()
    wrong = [
        (certificate, (other / "tls.key").read_bytes(), "is not the key of"),
        (certificate[:len(certificate) // 2], key, "is damaged"),
        (certificate, key[:len(key) // 2], "has no private key"),
        (b"", key, "has no certificate"),
        (certificate, None, "cannot open"),
    ]
    for number, (wrong_certificate, wrong_key, reason) in enumerate(wrong, 1):
        folder = faults.new_path()
        folder.mkdir()
        (folder / "tls.crt").write_bytes(wrong_certificate)
        if wrong_key is not None:
            (folder / "tls.key").write_bytes(wrong_key)
        server.rotate(folder)
        faults.eventually(lambda n=number: server.reloads("refused") == n, reason)
        assert reason in server.log(), f"{reason}: {server.log()}"
        assert server.shown() == shown == server.shown(server.http_address())
        server.score_anew()
    server.rotate(good)
    faults.eventually(lambda: server.shown() == certificate.decode().strip(), "the good one is shown")
    server.stop()


def old_versions_of_tls():
    """openssl s_client gets TLS 1.2 and 1.3 from both ports, and nothing older."""
    server = TlsServer(Authority())
    for address in (server.address, server.http_address()):
        for version, is_spoken in (("tls1", False), ("tls1_1", False), ("tls1_2", True), ("tls1_3", True)):
            done = subprocess.run(
                ["openssl", "s_client", "-connect", address, f"-{version}", "-alpn", "h2,http/1.1",
                 "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True, check=False,
                timeout=faults.PATIENCE_S)
            assert (done.returncode == 0) == is_spoken, f"{address} {version}: {done.stderr}"
    server.stop()


if __name__ == "__main__":
    faults.main(rotations_under_load, certificates_that_do_not_fit, old_versions_of_tls)
