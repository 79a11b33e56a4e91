#!/usr/bin/python3
"""A server that is killed at each write, fsync, rename, mkdir and unlink of a change.

The kernel keeps what was written when only the process ends. tests/core/key_sets/storage/
key_set_directory_crash_test.cc ends the machine at each of these operations, and forgets what was not
synced."""

import signal

import faults
from faults import Faults, Server, error_of, expect_serves, floats

BASE, MORE, SMALL = floats(50, 16, 1), floats(5, 16, 2), floats(7, 16, 3)
GROWN = faults.np.concatenate([BASE, MORE])


def make(server, kind, version):
    """A change, as (code, message)."""
    return error_of({"put": lambda: server.put("new", MORE),
                     "replace": lambda: server.put("items", SMALL),
                     "append": lambda: server.put("items", MORE, version),
                     "delete": lambda: server.delete("items")}[kind])


BEFORE_AND_AFTER = {"put": ("new", None, MORE), "replace": ("items", BASE, SMALL),
                    "append": ("items", BASE, GROWN), "delete": ("items", BASE, None)}


def state_of(server, name):
    """The rows of the set, as one of those that it may have."""
    for keys in (BASE, MORE, SMALL, GROWN):
        if name in server.list() and server.list()[name].keys.shape[0] == len(keys):
            expect_serves(server, name, keys)
            return keys
    assert name not in server.list(), server.list()[name]
    return None


def kill_at(kind, left, how):
    """One change, in which the server is killed. Returns whether it was, and whether the change
    happened."""
    folder, fault = faults.new_path(), Faults()
    server = Server(f"--key_set_dir={folder}", faults=fault)
    version = server.put("items", BASE)
    fault.fail(Faults.CHANGES, left, how)
    code, message = make(server, kind, version)
    name, before, after = BEFORE_AND_AFTER[kind]
    killed = fault.counted() > left
    if killed:
        assert server.wait() == -signal.SIGKILL
        # The change may have been acknowledged before the kill, because its last steps remove
        # old files.
        assert code in ("UNAVAILABLE", "OK"), (code, message)
    else:
        assert code == "OK", message
        server.kill()
    acknowledged = code == "OK"
    # The next server is killed, too, at one of the first steps of its start.
    fault.fail(Faults.CHANGES, left % 4, Faults.KILL_AFTER)
    restarted = Server(f"--key_set_dir={folder}", faults=fault, serves=False)
    faults.eventually(lambda: restarted.process.poll() is not None or "listening" in restarted.log(),
                      "the server starts or is killed")
    restarted.kill()
    fault.stop()
    server = Server(f"--key_set_dir={folder}")
    found = state_of(server, name)
    assert found is after or (found is before and not acknowledged), (kind, left, how, code)
    if name != "items":
        expect_serves(server, "items", BASE)
    # The set can be changed again, and no version is given twice.
    assert server.put("items", SMALL) > version
    sets = set(server.list())
    server.stop()
    # Each set has only a manifest and a segment.
    assert {path.name for path in folder.iterdir()} - sets <= {".lock", ".synced", ".last_version"}
    for key_set in sets:
        files = sorted(path.name for path in (folder / key_set).iterdir())
        assert len(files) == 2 and files[0] == "manifest.json", files
    return killed, found is after


def killed_at_every_step():
    """An acknowledged change is there after a restart, whole; another one has happened whole, or not
    at all; nothing of it stays."""
    kills = lost = happened = 0
    for kind in BEFORE_AND_AFTER:
        for how in (Faults.KILL_BEFORE, Faults.KILL_AFTER):
            left = 0
            while True:
                killed, is_after = kill_at(kind, left, how)
                if not killed:
                    break
                kills += 1
                happened += is_after
                lost += not is_after
                left += 1
    print(f"{kills} kills; the change had happened after {happened}, and not after {lost}")
    assert happened > 10 and lost > 10


if __name__ == "__main__":
    faults.main(killed_at_every_step)
