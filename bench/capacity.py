#!/usr/bin/env python3
"""The capacity tables of docs/operations.md and docs/tuning.md: AVX-512 code beside AVX2 code
(--kernel=Haswell), on one machine that has both, in turns.

    ./run build && bench/capacity.py                     # about 5 minutes; nothing else should run
    bench/capacity.py --rounds=1 --seconds=0.5           # does it run?

Needs NumPy. Prints Markdown. Figures are medians over the rounds; in brackets the slowest and the
fastest round."""

import argparse
import contextlib
import datetime
import json
import pathlib
import re
import statistics
import sys
import tempfile

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/interop"))
from qkserve import running_server  # noqa: E402

CODES = {"AVX-512": [], "AVX2": ["--kernel=Haswell"]}
TOP = ["--output=top_k", "--top_k=10"]
# Each load has a name, a key set, a number of callers and flags. A request has one query.
LOADS = {
    "top, 1": ("float32", 1, TOP),
    "top, 8": ("float32", 8, TOP),
    "top, 64": ("float32", 64, TOP),
    "top, 256": ("float32", 256, TOP),
    "row, 64": ("float32", 64, []),
    "context, 64": ("values", 64, ["--output=context"]),
    "float16, 1": ("float16", 1, TOP),
    "float16, 64": ("float16", 64, TOP),
    "bfloat16, 1": ("bfloat16", 1, TOP),
    "bfloat16, 64": ("bfloat16", 64, TOP),
}


def put_key_sets(server, folder):
    for storage in ("float32", "float16", "bfloat16"):
        server.qkctl("keys", "put", storage, f"--keys={folder}/keys.npy", f"--storage={storage}")
    server.qkctl("keys", "put", "values", f"--keys={folder}/short.npy", f"--values={folder}/short.npy")


def check_code(name, server):
    """The servers compute with the code that the tables name."""
    info = next(line for line in server.metrics() if line.startswith("qkserve_kernel_info"))
    key_set_kernel = re.search(r'key_set_kernel="(\w+)"', info)[1]
    assert key_set_kernel.startswith("AVX3") == (name == "AVX-512"), f"{name}: {info}"
    return info


def counters(server):
    metrics = server.metrics()
    return [metrics[name] for name in ("process_cpu_seconds_total",
                                       'qkserve_requests_total{method="Score",code="OK"}',
                                       "qkserve_batch_requests_sum", "qkserve_batch_requests_count")]


def measure(server, load, seconds):
    """Times are in seconds."""
    key_set, callers, flags = LOADS[load]
    before = counters(server)
    report = json.loads(server.qkctl(
        "load", "--n=1", f"--key_set={key_set}", f"--concurrency={callers}", "--warm_up=300ms",
        f"--duration={seconds}s", "--json", *flags))
    cpu, requests, batched, batches = (after - then for after, then in zip(counters(server), before))
    return {"rate": report["requests_per_second"], "cpu": cpu / requests, "batch": batched / batches,
            "p50": report["latency_us"]["p50"] / 1e6, "p99": report["latency_us"]["p99"] / 1e6,
            "computed": report["computed_us_mean"] / 1e6}


def two_digits(number):
    return f"{number:.2g}" if number < 100 else f"{float(f'{number:.2g}'):.0f}"


def time_text(seconds):
    return f"{two_digits(seconds * 1e6)} µs" if seconds < 1e-3 else f"{two_digits(seconds * 1e3)} ms"


class Results:
    def __init__(self):
        self.values = {}

    def add(self, code, load, figures):
        for figure, value in figures.items():
            self.values.setdefault((code, load, figure), []).append(value)

    def median(self, code, load, figure):
        return statistics.median(self.values[code, load, figure])

    def rate(self, code, load):
        rates = self.values[code, load, "rate"]
        return f"{statistics.median(rates):.0f} [{min(rates):.0f}-{max(rates):.0f}]"


def print_tables(results):
    print("docs/operations.md, the server's CPU time of a query, and queries/s of a core:\n")
    print("| request | AVX-512 | AVX2 |\n|---|---|---|")
    for text, load in (("top 10 of 10000 keys, d=768", "top, 64"),
                       ("all scores of 10000 keys, d=768", "row, 64"),
                       ("context, 10000 keys, d=dv=128", "context, 64"),
                       ("the first one, one caller at a time, no batches", "top, 1")):
        cpu = [results.median(code, load, "cpu") for code in CODES]
        print(f"| {text} | " + " | ".join(f"{time_text(value)}, {two_digits(1 / value)}/s"
                                          for value in cpu) + " |")

    print("\ndocs/tuning.md, many requests at a time:\n")
    print("| callers | code | requests/s | requests a batch | p50 | p99 |\n|---|---|---|---|---|---|")
    for callers in (1, 8, 64, 256):
        for code in CODES:
            load = f"top, {callers}"
            p50, p99 = (time_text(results.median(code, load, figure)) for figure in ("p50", "p99"))
            batch = two_digits(results.median(code, load, "batch"))
            print(f"| {callers} | {code} | {results.rate(code, load)} | {batch} | {p50} | {p99} |")

    print("\ndocs/tuning.md, 16-bit storage:\n")
    print("| storage | code | 1 caller, requests/s | computed | 64 callers, requests/s |\n|---|---|---|---|---|")
    for storage in ("float32", "float16", "bfloat16"):
        for code in CODES:
            name = "top" if storage == "float32" else storage
            one, many = f"{name}, 1", f"{name}, 64"
            print(f"| {storage} | {code} | {results.rate(code, one)} | "
                  f"{time_text(results.median(code, one, 'computed'))} | {results.rate(code, many)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of each load in each round")
    options = parser.parse_args()
    results = Results()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        random = numpy.random.default_rng(1)
        numpy.save(f"{folder}/keys.npy", random.standard_normal((10000, 768), dtype="f4"))
        numpy.save(f"{folder}/short.npy", random.standard_normal((10000, 128), dtype="f4"))
        servers = {code: stack.enter_context(running_server(*flags)) for code, flags in CODES.items()}
        for code, server in servers.items():
            print(f"{code}: {check_code(code, server)}")
            put_key_sets(server, folder)
        for round_number in range(options.rounds):
            for load in LOADS:
                # The order alternates, because being first may be an advantage.
                for code in list(CODES)[::1 if round_number % 2 == 0 else -1]:
                    results.add(code, load, measure(servers[code], load, options.seconds))
        print(f"{datetime.date.today()}, {options.rounds} rounds of {options.seconds:g} s\n")
    print_tables(results)


if __name__ == "__main__":
    main()
