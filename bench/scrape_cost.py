#!/usr/bin/env python3
"""What a scrape of /metrics costs the server in CPU time, with 100 key sets and every counter set.

    ./run build && bench/scrape_cost.py
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/interop"))
from qkserve import get, running_server, write_npy  # noqa: E402

KEY_SETS = 100
SCRAPES = 200


def cpu_seconds(pid):
    """Of all threads, as the scheduler counts it, in nanoseconds: ticks are too coarse."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def main():
    with running_server() as server:
        keys = server.folder / "keys.npy"
        write_npy(keys, 100, 8)
        for i in range(KEY_SETS):
            server.qkctl("keys", "put", f"key-set-{i}", f"--keys={keys}")
        server.qkctl("load", "--duration=1s", "--n=1", "--key_set=key-set-1")
        size = len(get(server.url + "/metrics"))
        idle = cpu_seconds(server.process.pid)
        for _ in range(SCRAPES):
            get(server.url + "/metrics")
        used = cpu_seconds(server.process.pid) - idle
        print(f"{SCRAPES} scrapes, {KEY_SETS} key sets, {size} bytes each: "
              f"{used / SCRAPES * 1e3:.2f} ms of CPU a scrape")


main()
