#!/usr/bin/env bash
# usage: dashboard_promql_test.sh PROMTOOL DASHBOARD_JSON
# Checks that every expression of the dashboard is PromQL: promtool must accept them as rules.
# Grafana's variables are replaced by values that they may have.
set -euo pipefail
promtool=$1 dashboard=$2
rules=$(mktemp --suffix=.yml)
trap 'rm -f "$rules"' EXIT
/usr/bin/python3 - "$dashboard" >"$rules" <<'PYTHON'
import json, sys
rules = []
for panel in json.load(open(sys.argv[1]))["panels"]:
    for number, target in enumerate(panel.get("targets", [])):
        expression = target["expr"].replace("$__rate_interval", "1m")
        rules.append({"record": f"panel_{panel['id']}_{number}", "expr": expression})
# JSON is YAML.
print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
PYTHON
"$promtool" check rules "$rules"
