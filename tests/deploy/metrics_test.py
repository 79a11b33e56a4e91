#!/usr/bin/python3
"""Every metric that the dashboard and the alert rules name is one that the server has, and is used
with labels that it has.

usage: metrics_test.py METRICS DASHBOARD_JSON RULES_YAML
METRICS is docs/metrics.md: its table has the name, the type and the labels of each metric."""

import json
import re
import sys

import yaml

# The labels and the metric that Prometheus adds (`namespace` in Kubernetes). Keywords of PromQL
# look like metrics where they stand outside of braces and calls.
TARGET_LABELS = {"job", "instance", "namespace"}
OF_PROMETHEUS = {"up": set()}
KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right",
            "bool", "offset"}
LABEL_LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\s*\{([^}]*)\})?(?!\s*\(|[a-zA-Z0-9_:])")


def read_metrics(path):
    metrics = dict(OF_PROMETHEUS)
    with open(path) as file:
        for line in file:
            row = re.match(r"\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|", line)
            if row is None:
                continue
            name, kind, labels = row[1], row[2], set(re.findall(r"`(\w+)`", row[3]))
            if kind != "histogram":
                metrics[name] = labels
                continue
            metrics[name + "_bucket"] = labels | {"le"}
            metrics[name + "_sum"] = metrics[name + "_count"] = labels
    return metrics


def problems_of(expression, metrics):
    """Yields what is wrong with a PromQL expression."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    text = re.sub(r"\[[^]]*\]", "", text)
    listed = set(re.findall(r"\w+", " ".join(LABEL_LISTS.findall(text))))
    text = LABEL_LISTS.sub("", text)
    used = set()
    for name, matchers in SELECTOR.findall(text):
        if name in KEYWORDS:
            continue
        if name not in metrics:
            yield f"there is no metric {name}"
            continue
        used.add(name)
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            if label not in metrics[name] | TARGET_LABELS:
                yield f"{name} has no label {label}"
    if not used:
        yield "it names no metric"
    known = set.union(TARGET_LABELS, *(metrics[name] for name in used))
    for label in sorted(listed - known):
        yield f"no metric of it has the label {label}"


def dashboard_expressions(path):
    with open(path) as file:
        dashboard = json.load(file)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel '{panel['title']}'", target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.*), \w+\)", variable["definition"])
            yield f"variable '{variable['name']}'", query.group(1)


def rule_expressions(path):
    with open(path) as file:
        for group in yaml.safe_load(file)["groups"]:
            for rule in group["rules"]:
                yield f"alert {rule['alert']}", rule["expr"]


def check_this_test(metrics):
    """It finds what it is there to find."""
    for expression, problem in {
            'rate(qkserve_request_total{code="OK"}[5m])': "there is no metric qkserve_request_total",
            'qkserve_ready{code="OK"}': "qkserve_ready has no label code",
            "sum by (reason) (qkserve_ready)": "no metric of it has the label reason",
            "qkserve_batch_rows": "there is no metric qkserve_batch_rows",
            "1 + 1": "it names no metric"}.items():
        found = list(problems_of(expression, metrics))
        assert problem in found, f"{expression}: expected '{problem}', got {found}"


def main():
    metrics_path, dashboard_path, rules_path = sys.argv[1:]
    metrics = read_metrics(metrics_path)
    check_this_test(metrics)
    count = failures = 0
    for path, expressions in ((dashboard_path, dashboard_expressions), (rules_path, rule_expressions)):
        for place, expression in expressions(path):
            count += 1
            for problem in problems_of(expression, metrics):
                failures += 1
                print(f"{path}: {place}: {problem}\n    {expression}")
    assert count, "no expression was found"
    print(f"{count} expressions, {failures} problems")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
