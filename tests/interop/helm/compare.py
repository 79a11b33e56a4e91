#!/usr/bin/env python3
"""The objects that a chart renders are those of a kustomization, but for labels by which Helm knows
its own.

usage: compare.py CHART_YAML KUSTOMIZATION_YAML"""

import sys

import yaml

HELMS_OWN = {"app.kubernetes.io/instance", "app.kubernetes.io/version",
             "app.kubernetes.io/managed-by", "helm.sh/chart", "helm.sh/resource-policy"}


def without_helms_own(value):
    if isinstance(value, list):
        return [without_helms_own(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: without_helms_own(item) for key, item in value.items() if key not in HELMS_OWN}


def read(path):
    """{kind/name: object}. Labels of the objects themselves select nothing and are left out."""
    objects = {}
    with open(path) as file:
        for item in filter(None, yaml.safe_load_all(file)):
            item = without_helms_own(item)
            item["metadata"].pop("labels", None)
            if not item["metadata"].get("annotations"):
                item["metadata"].pop("annotations", None)
            objects[f"{item['kind']}/{item['metadata']['name']}"] = item
    return objects


def differences(left, right, path=""):
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys()):
            yield from differences(left.get(key), right.get(key), f"{path}.{key}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for number, pair in enumerate(zip(left, right)):
            yield from differences(*pair, f"{path}[{number}]")
    elif left != right:
        yield f"{path}: the chart has {left}, the kustomization {right}"


def main():
    chart, kustomization = (read(path) for path in sys.argv[1:])
    assert kustomization, "nothing to compare"
    found = list(differences(chart, kustomization))
    for difference in found:
        print(f"error: {difference}", file=sys.stderr)
    print(f"{len(kustomization)} objects, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
