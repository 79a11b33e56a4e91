#!/usr/bin/env python3
"""qkserve with TLS beside qkserve in plain text: resident-top at 64 callers and at one, in turns.

    ./run bench tls                          # about 2 minutes; nothing else should run
    ./run bench tls --rounds=1 --seconds=0.5 # does it run?

The client is `qkctl load` on the same CPUs, so its part of the encryption counts, too. A ratio is the
median over the rounds, with its quartiles in brackets."""

import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/interop"))
from qkserve import running_server  # noqa: E402

TARGET = 0.7  # the least rate with TLS / rate in plain text, at 64 callers
KEY_SET = "--make_key_set=10000,768"


def make_certificate(folder):
    """tls.crt and tls.key; the certificate is its own authority."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=qkserve bench", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", f"{folder}/tls.key", "-out", f"{folder}/tls.crt"],
        check=True, capture_output=True)


def rate(server, flags, callers, seconds):
    report = json.loads(server.qkctl(
        "load", "--n=1", KEY_SET, "--output=top_k", "--top_k=10", f"--concurrency={callers}",
        "--channels=4", "--warm_up=300ms", f"--duration={seconds}s", "--json", *flags))
    return report["requests_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=2, help="of each turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        make_certificate(folder)
        tls_flags = ["--tls", f"--tls_ca_file={folder}/tls.crt"]
        servers = {
            "plain": (stack.enter_context(running_server()), []),
            "TLS": (stack.enter_context(running_server(
                f"--tls_cert_file={folder}/tls.crt", f"--tls_key_file={folder}/tls.key")), tls_flags),
        }
        print(f"resident-top, {options.rounds} rounds of {options.seconds:g} s")
        for callers in (64, 1):
            rates = {name: [] for name in servers}
            for round_number in range(options.rounds):
                # The order alternates, because being first may be an advantage.
                for name in list(servers)[::1 if round_number % 2 == 0 else -1]:
                    rates[name].append(rate(*servers[name], callers, options.seconds))
            ratios = sorted(tls / plain for tls, plain in zip(rates["TLS"], rates["plain"]))
            low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
            print(f"{callers} callers: plain {statistics.median(rates['plain']):.0f}/s, "
                  f"TLS {statistics.median(rates['TLS']):.0f}/s, TLS / plain "
                  f"{statistics.median(ratios):.2f} [{low:.2f}-{high:.2f}]" +
                  (f", target {TARGET}" if callers == 64 else ""))


if __name__ == "__main__":
    main()
