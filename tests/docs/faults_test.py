#!/usr/bin/env python3
"""Every fault of docs/faults.md names tests, and they exist: `Suite.Name` in a file of tests/, or
`script.function` in tests/faults/. Each check of these scripts is on the page."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKS = re.compile(r"faults\.main\(([^)]*)\)")


def tests_in_files():
    names = set()
    for path in (ROOT / "tests").rglob("*.cc"):
        for suite, name in re.findall(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", path.read_text(), re.M):
            names.add(f"{suite}.{name}")
    return names


def checks_of_scripts():
    names = set()
    for path in (ROOT / "tests/faults").glob("*.py"):
        for checks in CHECKS.findall(path.read_text()):
            if path.stat().st_mode & 0o111:
                names.update(f"{path.stem}.{name}" for name in re.findall(r"\w+", checks))
    return names


def main():
    wrong = []
    scripts = checks_of_scripts()
    existing = tests_in_files() | scripts
    named = set()
    for number, line in enumerate((ROOT / "docs/faults.md").read_text().splitlines(), 1):
        if not line.startswith("| ") or line.startswith("| fault |"):
            continue
        tests = re.findall(r"`(\w+\.\w+)`", line.rsplit("|", 2)[1])
        if not tests:
            wrong.append(f"docs/faults.md:{number}: no test")
        wrong += [f"docs/faults.md:{number}: there is no test {test}" for test in tests
                  if test not in existing]
        named.update(tests)
    wrong += [f"docs/faults.md does not have {name}" for name in sorted(scripts - named)]
    if not named:
        wrong.append("docs/faults.md has no table")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
