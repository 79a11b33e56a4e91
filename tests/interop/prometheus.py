"""A Prometheus for the scripts here: it scrapes servers once a second. Standard library only."""

import contextlib
import json
import pathlib
import socket
import subprocess
import tempfile
import urllib.parse

from qkserve import get

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: {rules}
scrape_configs:
  - job_name: qkserve
    tls_config: {{insecure_skip_verify: true}}
    static_configs: {targets}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running_prometheus(*servers, rules=()):
    """Yields the URL of its API. `rules` are files of alert rules."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        config = folder / "prometheus.yml"
        urls = [urllib.parse.urlsplit(server.url) for server in servers]
        targets = [{"targets": [url.netloc], "labels": {"__scheme__": url.scheme}} for url in urls]
        # The configuration is YAML, and JSON is valid YAML.
        config.write_text(CONFIG.format(targets=json.dumps(targets),
                                        rules=json.dumps([str(path) for path in rules])))
        address = f"127.0.0.1:{free_port()}"
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address={address}"], stdout=log, stderr=log)
            try:
                yield f"http://{address}/api/v1"
            finally:
                process.terminate()
                process.wait(timeout=60)


def query(api, expression):
    """[(labels, value)], or None while Prometheus does not answer."""
    try:
        text = get(f"{api}/query?{urllib.parse.urlencode({'query': expression})}")
    except OSError:
        return None
    return [(series["metric"], float(series["value"][1]))
            for series in json.loads(text)["data"]["result"]]
