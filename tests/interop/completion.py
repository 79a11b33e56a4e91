#!/usr/bin/python3
"""Real bash, zsh and fish complete command lines of qkctl.

usage: completion.py [FOLDER WITH qkctl]
"""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# The text before the tab key, and the line that must result.
TYPED = {
    "qkctl sta": "qkctl status ",
    "qkctl keys ap": "qkctl keys append ",
    "qkctl keys put items --stor": "qkctl keys put items --storage=",
    "qkctl score --output=cont": "qkctl score --output=context ",
    "qkctl load --workload=resident-h": "qkctl load --workload=resident-heavy ",
    "qkctl load --nopro": "qkctl load --noprogress ",
    "qkctl score --queries=keys_of": "qkctl score --queries=keys_of_items.npy ",
    "qkctl completion fi": "qkctl completion fish ",
}
PATIENCE = 60
READY = "ready-for-keys"


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, command, folder):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(TERM="dumb", PS1="> ", HOME=folder, ZDOTDIR=folder)
            os.execvp(command[0], command)
        self.seen = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, text):
        """Reads until `text` was shown."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit(f"error: expected {text!r}, the terminal shows:\n{self.seen}")
            self.seen += os.read(self.fd, 65536).decode(errors="replace")
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def type_at(command, start, folder):
    """Types each line, then the tab key, at the prompt of a shell."""
    for typed, expected in TYPED.items():
        terminal = Terminal(command, folder)
        # The typed words differ from the answer, so that the echo is not taken for the answer.
        terminal.type(f"{start}; echo {READY[:5]}''{READY[5:]}\n")
        terminal.expect(READY)
        terminal.type(f"{typed}\t")
        terminal.expect(expected)
        terminal.close()


def ask_fish(script):
    """fish tells what it would offer."""
    for typed, expected in TYPED.items():
        command = ["fish", "--no-config", "-c", f"source {script}; complete -C '{typed}'"]
        offered = subprocess.run(command, cwd=os.path.dirname(script), capture_output=True,
                                 text=True, check=True).stdout
        last = expected.split(" ")[-2] if expected.endswith(" ") else expected.split(" ")[-1]
        words = [line.split("\t")[0] for line in offered.splitlines()]
        if last.rstrip("=") not in words and last not in words:
            sys.exit(f"error: fish offers {words} for {typed!r}, expected {last}")


def main():
    folder_of_programs = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/release/bin")
    os.environ["PATH"] = f"{folder_of_programs}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/keys_of_items.npy", "w", encoding="utf-8"):
            pass
        for shell in ("bash", "zsh", "fish"):
            if shutil.which(shell) is None:
                print(f"skipped: no {shell} here")
                continue
            script = f"{folder}/{shell}"
            with open(script, "w", encoding="utf-8") as file:
                subprocess.run(["qkctl", "completion", shell], stdout=file, check=True)
            if shell == "bash":
                type_at(["bash", "--norc", "-i"], f"source {script}", folder)
            elif shell == "zsh":
                type_at(["zsh", "-f", "-i"], f"autoload -U compinit; compinit -u -D; source {script}",
                        folder)
            else:
                ask_fish(script)
            print(f"{shell} completes")


if __name__ == "__main__":
    main()
