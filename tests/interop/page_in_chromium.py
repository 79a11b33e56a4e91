#!/usr/bin/env python3
"""The page opens in Chromium without a word on the console, and shows what /metrics says."""

import html
import re
import subprocess
import tempfile

from qkserve import running_server, write_npy


def open_page(url):
    """The document after some polls, and what was said on the console."""
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
             "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom", url],
            capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def text_of(document, element_id):
    found = re.search(rf'id="{element_id}"[^>]*>([^<]*)<', document)
    assert found, f"no element {element_id}"
    return html.unescape(found[1])


def expect(what, got, expected):
    assert got == expected, f"{what}: the page says {got!r}, /metrics {expected!r}"


def label(metrics, name, key):
    line = next(line for line in metrics if line.startswith(name + "{"))
    return re.search(rf'{key}="([^"]*)"', line)[1]


def main():
    with running_server() as server:
        keys = server.folder / "keys.npy"
        queries = server.folder / "queries.npy"
        write_npy(keys, 1000, 8)
        write_npy(queries, 2, 8)
        for name, requests in (("items", 3), ("users.2026", 1)):
            server.qkctl("keys", "put", name, f"--keys={keys}")
            for _ in range(requests):
                server.qkctl("score", f"--queries={queries}", f"--key_set={name}")
        server.qkctl("score", f"--queries={queries}", "--key_set=absent", ok=False)

        document, console = open_page(server.url + "/")
        assert not console, console
        metrics = server.metrics()
        expect("state", text_of(document, "state"), "ready")
        expect("version", text_of(document, "version"),
               "version " + label(metrics, "qkserve_build_info", "version"))
        expect("kernel", text_of(document, "kernel"), label(metrics, "qkserve_kernel_info", "kernel"))
        expect("key set kernel", text_of(document, "key_set_kernel"),
               "key sets: " + label(metrics, "qkserve_kernel_info", "key_set_kernel"))
        scores = sum(value for name, value in metrics.items()
                     if name.startswith('qkserve_requests_total{method="Score"'))
        expect("requests", text_of(document, "total"), f"{scores:.0f} since start")
        refused = sum(value for name, value in metrics.items()
                      if name.startswith("qkserve_refused_requests_total"))
        expect("refused", text_of(document, "refused"), f"{refused:.0f} refused since start")
        expect("workers", text_of(document, "workers"), f"{metrics['qkserve_workers']:.0f} workers")
        expect("queue", text_of(document, "queue"), f"{metrics['qkserve_queue_requests']:.0f}")
        expect("in flight", text_of(document, "in_flight"), "0")
        assert re.match(r"up \d+ s$", text_of(document, "uptime")), text_of(document, "uptime")
        rows = [[html.unescape(cell) for cell in re.findall(r"<td[^>]*>([^<]*)</td>", row)]
                for row in re.findall(r"<tr><td.*?</tr>", document)]
        for row, name in zip(rows, ("items", "users.2026"), strict=True):
            expect("key set", row[0], name)
            of_set = lambda metric: str(int(metrics[f'qkserve_key_set_{metric}{{key_set="{name}"}}']))
            expect(f"{name}: requests", row[1], of_set("requests_total"))
            expect(f"{name}: version", row[4], of_set("version"))
        print(f"the page and /metrics agree ({scores:.0f} requests, {len(rows)} key sets); nothing "
              "on the console")


main()
