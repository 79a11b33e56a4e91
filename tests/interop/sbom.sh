#!/usr/bin/env bash
# Checks that the lists of packages (./run sbom) are valid CycloneDX, and name what the programs
# load. The tool that writes the lists validates them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
./run sbom
for program in qkserve qkctl; do
  /usr/bin/python3 - "build/release/packages/$program.sbom.cdx.json" <<'PYTHON'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    bom = json.load(file)
purls = [component.get("purl", "") for component in bom["components"]]
for package in ("libgrpc%2B%2B", "libprotobuf", "libc6", "nlohmann-json3-dev"):
    assert any(f"pkg:deb/debian/{package}" in purl.replace("++", "%2B%2B") for purl in purls), package
assert all("@" in purl for purl in purls if purl.startswith("pkg:deb")), "each has its version"
print(f"{sys.argv[1]}: {len(purls)} packages")
PYTHON
done
