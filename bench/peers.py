#!/usr/bin/python3
"""qkserve beside NumPy and Faiss IndexFlatIP, which compute in process.

resident-top, interleaved. Queries are the same for all. In each round every
contender has a turn, in an order drawn anew: single queries, one after the
other, and 64 at a time (in process: one call; qkserve: 64 callers with one query
each, which it batches itself). qkserve's figures include its client and the RPC.

OpenBLAS falls back to SSE3 kernels on CPUs newer than itself, and so do NumPy
and Faiss on it: each is measured as it comes and with OPENBLAS_CORETYPE set to
the kernel that qkserve chose.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

M, D, K, CALLERS = 10000, 768, 10, 64


class Worker:
    """A contender in a process of its own, because OPENBLAS_CORETYPE is read when it starts."""

    def __init__(self, library, coretype, folder):
        self.name = f"{library}, {coretype or 'as it comes'}"
        environment = dict(os.environ, OPENBLAS_NUM_THREADS=str(len(os.sched_getaffinity(0))))
        environment.pop("OPENBLAS_CORETYPE", None)
        if coretype:
            environment["OPENBLAS_CORETYPE"] = coretype
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", library, "--folder", folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.answers = json.loads(self.process.stdout.readline())

    def turn(self, callers, seconds):
        """Queries answered a second."""
        self.process.stdin.write(f"{callers} {seconds}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Qkserve:
    name = "qkserve, over gRPC"

    def __init__(self, programs, folder):
        self.qkctl = os.path.join(programs, "qkctl")
        self.folder = folder
        port_file = os.path.join(folder, "port")
        with open(os.path.join(folder, "log"), "w", encoding="utf-8") as log:
            self.server = subprocess.Popen(
                [os.path.join(programs, "qkserve"), "--listen_address=127.0.0.1:0", "--http_address=",
                 f"--port_file={port_file}"], stdout=log, stderr=log)
        while not os.path.exists(port_file):
            if self.server.poll() is not None:
                sys.exit("error: qkserve did not start")
            time.sleep(0.05)
        with open(port_file, encoding="utf-8") as file:
            self.address = f"127.0.0.1:{file.read().strip()}"

    def put(self):
        """The keys, and the first answers. Returns the OpenBLAS kernel that suits this CPU."""
        folder = self.folder
        self.run("keys", "put", "peers", f"--keys={folder}/keys.npy")
        self.run("score", f"--queries={folder}/queries.npy", "--key_set=peers", "--output=top_k",
                 f"--top_k={K}", f"--out={folder}/scores.npy", f"--indices_out={folder}/best.npy")
        return json.loads(self.run("status", "--json"))["kernel"]

    def run(self, *arguments):
        return subprocess.run([self.qkctl, *arguments, f"--server={self.address}"], check=True,
                              stdout=subprocess.PIPE, text=True).stdout

    def turn(self, callers, seconds):
        answer = self.run("load", "--key_set=peers", f"--queries={self.folder}/queries.npy", "--n=1",
                          "--output=top_k", f"--top_k={K}", f"--concurrency={callers}",
                          "--channels=2", f"--duration={seconds}s", "--progress=false", "--json")
        return json.loads(answer)["requests_per_second"]

    def close(self):
        self.server.terminate()
        self.server.wait()


def work(library, folder):
    """The life of a Worker's process: the first answers, then turns until standard input ends."""
    import numpy
    keys = numpy.load(os.path.join(folder, "keys.npy"))
    queries = numpy.load(os.path.join(folder, "queries.npy"))
    if library == "Faiss":
        import faiss
        index = faiss.IndexFlatIP(D)
        index.add(keys)

        def search(some):
            return index.search(some, K)[1]
    else:
        def search(some):
            scores = some @ keys.T
            best = numpy.argpartition(scores, M - K, axis=1)[:, M - K:]
            order = numpy.argsort(-numpy.take_along_axis(scores, best, 1), axis=1)
            return numpy.take_along_axis(best, order, 1)
    print(json.dumps(search(queries).tolist()), flush=True)
    for line in sys.stdin:
        callers, seconds = line.split()
        batch = int(callers)
        done = 0
        begin = time.perf_counter()
        while time.perf_counter() - begin < float(seconds):
            at = done % CALLERS
            search(queries[at:at + batch])
            done += batch
        print(done / (time.perf_counter() - begin), flush=True)


def check(contenders, folder):
    """All must find the same keys, but for neighbours whose scores differ by rounding alone."""
    import numpy
    keys = numpy.load(os.path.join(folder, "keys.npy")).astype("f8")
    queries = numpy.load(os.path.join(folder, "queries.npy")).astype("f8")
    exact = -numpy.sort(-(queries @ keys.T), axis=1)[:, :K]
    answers = {"qkserve": numpy.load(os.path.join(folder, "best.npy"))}
    answers.update({c.name: numpy.array(c.answers) for c in contenders if isinstance(c, Worker)})
    for name, best in answers.items():
        scores = numpy.einsum("nd,nkd->nk", queries, keys[best])
        if not numpy.allclose(scores, exact, rtol=0, atol=1e-3):
            sys.exit(f"error: {name} did not find the best keys")


def measure(contenders, rounds, seconds):
    results = []
    for callers in (1, CALLERS):
        rates = {contender.name: [] for contender in contenders}
        for number in range(rounds):
            for contender in random.sample(contenders, len(contenders)):
                contender.turn(callers, 0.05)
                rates[contender.name].append(contender.turn(callers, seconds))
            if sys.stderr.isatty():
                print(f"\r{callers} at a time: round {number + 1} of {rounds} ", end="",
                      file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        own = rates[Qkserve.name]
        print(f"\n{callers} at a time{'queries/s':>24}{'qkserve is':>16}")
        for name, values in rates.items():
            ratios = [a / b for a, b in zip(own, values)]
            quartiles = statistics.quantiles(ratios, n=4) if rounds > 1 else ratios * 3
            results.append({"contender": name, "at_a_time": callers, "queries_per_s": values,
                            "qkserve_ratio": statistics.median(own) / statistics.median(values)})
            print(f"  {name:<24}{statistics.median(values):>10.0f}"
                  f"{results[-1]['qkserve_ratio']:>12.2f} [{quartiles[0]:.2f}-{quartiles[2]:.2f}]")
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--programs", default="build/release/bin", help="folder of qkserve and qkctl")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn")
    parser.add_argument("--json", help="file for all figures")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.worker:
        work(flags.worker, flags.folder)
        return
    if flags.rounds < 1 or flags.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    import numpy
    with tempfile.TemporaryDirectory() as folder:
        generator = numpy.random.default_rng(1)
        for name, rows in (("keys", M), ("queries", CALLERS)):
            numpy.save(os.path.join(folder, name),
                       generator.standard_normal((rows, D)).astype("f4"))
        contenders = [Qkserve(flags.programs, folder)]
        try:
            kernel = contenders[0].put()
            for library in ("NumPy", "Faiss"):
                for coretype in (None, kernel):
                    contenders.append(Worker(library, coretype, folder))
            check(contenders, folder)
            print(f"top {K} of {M} keys, d={D}, float32; kernel {kernel};\n"
                  f"{flags.rounds} rounds of {flags.seconds} s a turn, medians; "
                  "in brackets quartiles of the ratio by round")
            results = measure(contenders, flags.rounds, flags.seconds)
        finally:
            for contender in contenders:
                contender.close()
    if flags.json:
        with open(flags.json, "w", encoding="utf-8") as file:
            json.dump({"bench": "peers", "kernel": kernel, "m": M, "d": D, "top_k": K,
                       "results": results}, file, indent=2)


if __name__ == "__main__":
    main()
