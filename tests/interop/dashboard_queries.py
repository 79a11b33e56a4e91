#!/usr/bin/env python3
"""Every query of the dashboard, and the data of every alert, from a real Prometheus that scrapes a
writer and a reader under load: callers make mistakes, miss deadlines, meet a full queue and ask for a
key set whose file is damaged. An idle server with TLS has data for the alerts of certificates and
files. A query that returns nothing, or NaN alone, is an error."""

import contextlib
import json
import math
import pathlib
import re
import subprocess
import tempfile
import threading

import yaml

from prometheus import query, running_prometheus
from qkserve import PROGRAMS, ROOT, eventually, get, running_server, write_npy

DASHBOARD = ROOT / "deploy/grafana/qkserve.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
# Alerts that fire only at the end of the test, when both servers are down.
NEED_SERVERS_DOWN = {"QkserveAbsent", "QkserveDown"}


def qkctl_meanwhile(server, stop, *arguments):
    """Runs qkctl again and again until `stop` is set. Its calls may fail."""
    def run():
        while not stop.wait(0.2):
            subprocess.run([PROGRAMS / "qkctl", *arguments, f"--server={server.address}"],
                           capture_output=True, timeout=60)
    thread = threading.Thread(target=run)
    thread.start()
    return thread


@contextlib.contextmanager
def load(writer, reader):
    keys = writer.folder / "keys.npy"
    stop = threading.Event()
    inline = ["load", "--duration=1s", "--n=64", "--m=2000", "--d=64"]
    stored = ["load", "--duration=1s", "--n=1", "--key_set=items", "--output=top_k", "--top_k=10"]
    threads = [
        qkctl_meanwhile(writer, stop, *stored, "--concurrency=8"),
        qkctl_meanwhile(reader, stop, *stored, "--concurrency=4"),
        qkctl_meanwhile(writer, stop, *inline, "--concurrency=16"),  # more than may be queued
        qkctl_meanwhile(writer, stop, *inline, "--concurrency=4", "--timeout=2ms"),
        qkctl_meanwhile(writer, stop, "score", f"--queries={keys}", "--key_set=absent"),
        qkctl_meanwhile(writer, stop, "score", f"--queries={keys}", "--key_set=damaged"),
    ]
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def tls_flags(folder):
    """The flags of a server with a certificate of its own."""
    cert, key = folder / "server.crt", folder / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "9", "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return f"--tls_cert_file={cert}", f"--tls_key_file={key}"


def damaged_directory(folder):
    """A directory with the key set `damaged`, whose newest file lost its last bytes."""
    keys = folder / "keys.npy"
    write_npy(keys, 1000, 64)
    with running_server(f"--key_set_dir={folder / 'sets'}") as server:
        server.qkctl("keys", "put", "damaged", f"--keys={keys}")
        server.qkctl("keys", "put", "items", f"--keys={keys}")
    segment, = (folder / "sets/damaged").glob("segment-*")
    segment.write_bytes(segment.read_bytes()[:-64])
    return folder / "sets"


def grafana_variables(api, dashboard):
    """The dashboard's variables as Grafana fills them in where All is chosen."""
    values = {"__rate_interval": "15s"}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
        found = eventually(lambda: query(api, substituted(selector, values)), f"${variable['name']}")
        values[variable["name"]] = "|".join(sorted({labels[label] for labels, _ in found}))
    return values


def substituted(expression, variables):
    for name, value in variables.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression, expression
    return expression


def dashboard_queries(dashboard, variables):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel '{panel['title']}' {target['refId']}", substituted(target["expr"], variables)


def alert_rules():
    with ALERTS.open() as file:
        for group in yaml.safe_load(file)["groups"]:
            for rule in group["rules"]:
                yield rule["alert"], rule["expr"]


def without_thresholds(expression):
    """The data that an alert compares: true of a healthy server, too."""
    return re.sub(r"\s(==|<|>)\s[0-9.]+", " ", expression)


def has_data(api, expression):
    return any(not math.isnan(value) for _, value in query(api, expression) or [])


def expect_data(api, queries):
    count = 0
    for place, expression in queries:
        eventually(lambda: has_data(api, expression), f"{place} returns data: {expression}")
        count += 1
    assert count, "there is no query"
    return count


def check_rules(api):
    """Prometheus evaluates every rule without an error."""
    def evaluated():
        groups = json.loads(get(f"{api}/rules"))["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        failed = [rule for rule in rules if rule["health"] == "err"]
        assert not failed, failed
        return rules and all(rule["health"] == "ok" for rule in rules)
    eventually(evaluated, "every rule is evaluated")


def main():
    dashboard = json.loads(DASHBOARD.read_text())
    alerts = list(alert_rules())
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        directory = damaged_directory(folder)
        with contextlib.ExitStack() as servers:
            writer = servers.enter_context(running_server(f"--key_set_dir={directory}", "--workers=1",
                                                          "--queue_requests_max=4"))
            reader = servers.enter_context(running_server(f"--key_set_dir={directory}",
                                                          "--key_set_dir_read_only"))
            with_tls = servers.enter_context(running_server(*tls_flags(folder)))
            write_npy(writer.folder / "keys.npy", 10, 64)
            api = stack.enter_context(running_prometheus(writer, reader, with_tls, rules=[ALERTS]))
            with load(writer, reader):
                eventually(lambda: len(query(api, "qkserve_workers") or []) == 3, "all are scraped")
                variables = grafana_variables(api, dashboard)
                count = expect_data(api, dashboard_queries(dashboard, variables))
                print(f"each of the dashboard's {count} queries returns data")
                count = expect_data(api, ((alert, without_thresholds(expression)) for alert, expression
                                          in alerts if alert not in NEED_SERVERS_DOWN))
                print(f"{count} alerts have data to compare")
                check_rules(api)
        count = expect_data(api, (alert for alert in alerts if alert[0] in NEED_SERVERS_DOWN))
        print(f"{count} alerts have a cause once the servers are down")


main()
