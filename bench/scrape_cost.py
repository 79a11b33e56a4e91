#!/usr/bin/env python3
"""What the HTTP port costs the server in CPU time, with 100 key sets and every counter set: a scrape of
/metrics, an answer to the page, and a second without any (the page's sample is taken in it).

    ./run build && bench/scrape_cost.py [SECONDS OF HISTORY]
"""

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/interop"))
from qkserve import get, running_server, write_npy  # noqa: E402

KEY_SETS = 100
SCRAPES = 200
HISTORY_S = int(sys.argv[1]) if len(sys.argv) > 1 else 10  # 600: all that the server keeps
IDLE_S = 20


def cpu_seconds(pid):
    """Of all threads, as the scheduler counts it, in nanoseconds: ticks are too coarse."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def cost_of(server, path):
    """(CPU milliseconds of a GET, bytes of its answer)"""
    size = len(get(server.url + path))
    before = cpu_seconds(server.process.pid)
    for _ in range(SCRAPES):
        get(server.url + path)
    return (cpu_seconds(server.process.pid) - before) / SCRAPES * 1e3, size


def main():
    with running_server() as server:
        keys = server.folder / "keys.npy"
        write_npy(keys, 100, 8)
        for i in range(KEY_SETS):
            server.qkctl("keys", "put", f"key-set-{i}", f"--keys={keys}")
        server.qkctl("load", f"--duration={HISTORY_S}s", "--n=1", "--key_set=key-set-1")
        samples = json.loads(get(server.url + "/history.json"))["samples"]
        newest = samples["first"] + len(samples["time"]) - 1
        print(f"{SCRAPES} scrapes, {KEY_SETS} key sets, {len(samples['time'])} s of history")
        for path in ("/metrics", f"/history.json?after={newest}", "/history.json"):
            cost, size = cost_of(server, path)
            print(f"{path}: {cost:.2f} ms of CPU, {size} bytes")
        before = cpu_seconds(server.process.pid)
        time.sleep(IDLE_S)
        idle = cpu_seconds(server.process.pid) - before
        print(f"nothing: {idle / IDLE_S * 1e3:.2f} ms of CPU a second")


main()
