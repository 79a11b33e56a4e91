#!/usr/bin/env python3
"""A real Prometheus scrapes a server: it accepts everything, and has the server's numbers."""

import subprocess

from prometheus import query, running_prometheus
from qkserve import eventually, get, metric_names, running_server, write_npy


def check_format(server):
    text = get(server.url + "/metrics")
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                             text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    print("promtool check metrics: ok")


def main():
    with running_server() as server:
        keys = server.folder / "keys.npy"
        write_npy(keys, 1000, 8)
        server.qkctl("keys", "put", "items", f"--keys={keys}")
        server.qkctl("load", "--duration=1s", "--concurrency=4", "--n=1", "--key_set=items",
                     "--output=top_k", "--top_k=10")
        server.qkctl("score", f"--queries={keys}", "--key_set=absent", ok=False)
        check_format(server)
        with running_prometheus(server) as api:
            eventually(lambda: query(api, 'up{job="qkserve"} == 1'), "the target is up")
            here = server.metrics()
            for name in ('qkserve_requests_total{method="Score",code="OK"}',
                         'qkserve_requests_total{method="Score",code="NOT_FOUND"}',
                         'qkserve_refused_requests_total{reason="not_found"}',
                         'qkserve_request_duration_seconds_count{method="Score"}',
                         'qkserve_key_set_requests_total{key_set="items"}',
                         'qkserve_key_set_version{key_set="items"}', "qkserve_batch_rows_sum"):
                got = query(api, name)
                assert got and got[0][1] == here[name], f"{name}: {got}, here {here[name]}"
            stored = {labels["__name__"] for labels, _ in query(api, '{job="qkserve"}')
                      if not labels["__name__"].startswith(("up", "scrape_"))}
            assert stored == metric_names(here), stored ^ metric_names(here)
            p99 = query(api, "histogram_quantile(0.99, qkserve_request_duration_seconds_bucket"
                             '{method="Score"})')
            assert p99 and 0 < p99[0][1] < 30, p99
            scores = here['qkserve_requests_total{method="Score",code="OK"}']
            print(f"Prometheus has all {len(stored)} names and the same values ({scores:.0f} "
                  f"requests, p99 {p99[0][1] * 1e3:.3f} ms)")


main()
