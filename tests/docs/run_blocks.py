#!/usr/bin/env python3
"""Executes the fenced blocks of the documents in order, as a reader would paste them.

The first word after the fence says what becomes of a block:

  sh, python       executed from the project's folder. The blocks of one document share one bash, so that
                   variables, folders and servers in the background last until its end.
  sh needs=WHAT    not executed (docker, cluster, systemd, host: another machine, or toolchain: of another
                   language, which tests/interop has). bash parses it, and each folder for kubectl and
                   each compose file in it is parsed, too.
  LANGUAGE PATH    quoted: it must be a part of that file, which a test builds and runs.
  json, yaml       parsed.
  text             a picture or output.

usage: run_blocks.py [--check] [DOCUMENT ...]
  --check          executes nothing
"""

import argparse
import ctypes
import dataclasses
import glob
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time

import yaml

NOT_EXECUTED_MAX = 15
BLOCK_SECONDS_MAX = 1800  # ./run test on a machine that has nothing yet
PORTS = (50051, 8080)     # the server's defaults, which the documents use
NEEDS = ("docker", "cluster", "systemd", "host", "toolchain")
LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)\s]*)?\)")  # to a file of the project
FENCE = re.compile(r"^( *)```(.*)$")
LIST_ITEM = re.compile(r"^ *([-*]|\d+\.) ")


@dataclasses.dataclass
class Block:
    document: str
    line: int
    language: str
    attribute: str  # "needs=WHAT", a path or nothing
    text: str

    def __str__(self):
        return f"{self.document}:{self.line}"

    def executed(self):
        return self.language in ("sh", "python") and not self.attribute

    def quoted(self):
        return bool(self.attribute) and not self.attribute.startswith("needs=")


class Fault(Exception):
    """What is wrong with a block."""


def documents():
    first = ["README.md", "docs/getting_started.md"]
    folders = [folder for folder in sorted(os.listdir(".")) if folder != "build"]
    found = glob.glob("*.md") + [path for folder in folders
                                 for path in sorted(glob.glob(f"{folder}/**/*.md", recursive=True))]
    others = [path for path in found if path not in first and "node_modules" not in path]
    return first + [path for path in others if path != "CHANGELOG.md"]


def blocks_of(document):
    """The blocks of a document. An indented block has no language, so it is a fault."""
    with open(document, encoding="utf-8") as file:
        lines = file.read().split("\n")
    blocks = []
    opened = None
    in_list = False
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if opened is not None:
            if fence:
                blocks.append(opened)
                opened = None
            else:
                opened.text += line.removeprefix(indent) + "\n"
        elif fence:
            indent, words = fence.group(1), fence.group(2).split()
            if len(words) not in (1, 2):
                raise Fault(f"{document}:{number}: a block has a language, and a path or needs=WHAT")
            opened = Block(document, number, words[0], (words + [""])[1], "")
        elif line.startswith("    ") and not lines[number - 2].strip() and not in_list:
            raise Fault(f"{document}:{number}: an indented block; a fence says its language")
        else:
            for path, _ in LINK.findall(line):
                if not os.path.exists(os.path.join(os.path.dirname(document), path)):
                    raise Fault(f"{document}:{number}: there is no {path}")
        if opened is None and not fence and line.strip():
            in_list = bool(LIST_ITEM.match(line)) or (in_list and line.startswith(" "))
    if opened is not None:
        raise Fault(f"{opened}: the block has no end")
    return blocks


def run_parser(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise Fault(f"{' '.join(command)}: {result.stderr.strip() or result.stdout.strip()}")


def check_unexecuted(block):
    what = block.attribute.removeprefix("needs=")
    if what not in NEEDS:
        raise Fault(f"needs={what}: expected one of {', '.join(NEEDS)}")
    run_parser(["bash", "-n"], input=block.text)
    for folder in re.findall(r"kubectl apply -k (\S+)", block.text):
        if not os.path.exists(f"{folder}/kustomization.yaml"):
            raise Fault(f"there is no {folder}/kustomization.yaml")
        if shutil.which("kubectl"):
            run_parser(["kubectl", "kustomize", folder])
    for path in re.findall(r"-f (\S+\.ya?ml)", block.text):
        with open(path, encoding="utf-8") as file:
            list(yaml.safe_load_all(file))


def check(block):
    if block.quoted():
        with open(block.attribute, encoding="utf-8") as file:
            if block.text not in file.read():
                raise Fault(f"{block.attribute} does not hold this text")
    elif block.attribute:
        check_unexecuted(block)
    elif block.language == "sh":
        run_parser(["bash", "-n"], input=block.text)
    elif block.language == "python":
        compile(block.text, str(block), "exec")
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        list(yaml.safe_load_all(block.text))
    elif block.language != "text":
        raise Fault(f"{block.language} is neither executed nor quoted from a file")


def script_of(blocks):
    """One script for bash: before each block its number goes to file 9."""
    parts = ["set -euo pipefail"]
    for number, block in enumerate(blocks):
        parts.append(f"echo {number} >&9")
        parts.append(block.text if block.language == "sh" else f"python3 - 9>&- <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK")
    return "\n".join(parts)


def become_subreaper():
    """What a document leaves in the background becomes a child of this process when its bash ends."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_group(group):
    """Ends what a document left in the background, and waits for it."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 30
        try:
            os.killpg(group, signal_number)
            while time.monotonic() < deadline:
                os.waitpid(-group, os.WNOHANG)
                time.sleep(0.05)
        except (ProcessLookupError, ChildProcessError):
            return


def execute(document, blocks):
    """Runs the blocks of a document; a fault names the block that was running."""
    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise Fault(f"{document}: port {port} is in use; its blocks start a server there")
    reader, writer = os.pipe()
    # bash gets the script as an argument, because the commands would read it from standard input.
    shell = subprocess.Popen(["bash", "-c", f"exec 9>&{writer}\n{script_of(blocks)}"],
                             stdin=subprocess.DEVNULL, pass_fds=[writer], start_new_session=True)
    os.close(writer)
    current = -1
    try:
        with selectors.DefaultSelector() as selector, open(reader, "rb", buffering=0) as numbers:
            selector.register(numbers, selectors.EVENT_READ)
            begun = time.monotonic()
            while shell.poll() is None:
                if time.monotonic() - begun > BLOCK_SECONDS_MAX:
                    raise Fault(f"{blocks[current]}: still running after {BLOCK_SECONDS_MAX} s")
                if not selector.select(timeout=0.2):
                    continue
                for number in numbers.read(4096).split():
                    current, begun = int(number), time.monotonic()
                    print(f"== {blocks[current]}", flush=True)
        if shell.returncode != 0:
            raise Fault(f"{blocks[max(current, 0)]}: exit code {shell.returncode}")
    finally:
        end_group(shell.pid)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="execute nothing")
    parser.add_argument("documents", nargs="*", help="all of the project unless given")
    options = parser.parse_args()

    faults, by_document = [], {}
    for document in options.documents or documents():
        try:
            by_document[document] = blocks_of(document)
        except Fault as fault:
            faults.append(str(fault))
    blocks = [block for found in by_document.values() for block in found]
    for block in blocks:
        try:
            check(block)
        except (Fault, OSError, SyntaxError, ValueError, yaml.YAMLError) as fault:
            faults.append(f"{block}: {fault}")
    if not options.check and not faults:
        become_subreaper()
        for document, found in by_document.items():
            executed = [block for block in found if block.executed()]
            try:
                if executed:
                    execute(document, executed)
            except Fault as fault:
                faults.append(str(fault))

    unexecuted = [block for block in blocks if block.attribute.startswith("needs=")]
    if len(unexecuted) > NOT_EXECUTED_MAX:
        faults.append(f"{len(unexecuted)} blocks are not executed; at most {NOT_EXECUTED_MAX} may be")
    print(f"{sum(block.executed() for block in blocks)} blocks "
          f"{'to execute' if options.check else 'executed'}, "
          f"{sum(block.quoted() for block in blocks)} quoted from files that tests run, "
          f"{sum(block.language in ('json', 'yaml') and not block.attribute for block in blocks)} parsed, "
          f"{sum(block.language == 'text' for block in blocks)} pictures or outputs, "
          f"{len(unexecuted)} not executed, but parsed:")
    for block in unexecuted:
        print(f"  {block} {block.attribute}")
    for fault in faults:
        print(f"FAILED: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
