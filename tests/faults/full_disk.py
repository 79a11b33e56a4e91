#!/usr/bin/python3
"""A disk that is full, that becomes read-only, or that fails."""

import errno
import os
import subprocess

import faults
from faults import Faults, Server, error_of, expect_error, expect_serves, floats, np

PAGE = os.sysconf("SC_PAGE_SIZE")


def free_pages(disk):
    return os.statvfs(disk).f_bfree


def fill(disk, pages_left):
    """Fills the disk, but for so many pages."""
    with (disk / "filler").open("ab") as file:
        while free_pages(disk) > pages_left:
            file.write(bytes(PAGE * (free_pages(disk) - pages_left)))
            file.flush()


def a_full_disk():
    """A put and an append that do not fit get RESOURCE_EXHAUSTED, whatever lacked the space; no file
    of theirs stays, the old versions serve, and a delete makes room."""
    with faults.small_disk("4m") as disk:
        server = Server(f"--key_set_dir={disk / 'sets'}")
        base, more = floats(100, 64, 1), floats(20, 64, 2)
        version = server.put("items", base)
        large = floats(3000, 64, 3)
        server.put("large", large)
        refused = 0
        # Each round leaves one more page free, so that the disk is full at a later step.
        for pages in range(12):
            fill(disk, pages)
            if free_pages(disk) < pages:
                (disk / "filler").unlink()
                fill(disk, pages)
            for name, change in (("items", lambda: server.put("items", more, version)),
                                 ("items", lambda: server.put("items", floats(30, 64, 4))),
                                 ("new", lambda: server.put("new", more))):
                before = faults.files_below(disk)
                code, message = error_of(change)
                if code == "OK":
                    break
                assert code == "RESOURCE_EXHAUSTED" and str(disk) not in message, (code, message)
                after = faults.files_below(disk)
                assert after == before, f"{pages} pages left, {name}: {before} became {after}"
                expect_serves(server, "items", base)
                refused += 1
            else:
                continue
            break
        assert refused > 6, f"{refused} changes were refused"
        faults.expect_log(server, "No space left on device")
        expect_serves(server, "large", large)
        # A restart and a delete need no space.
        fill(disk, 0)
        before = {name: entry.keys.shape[0] for name, entry in server.list().items()}
        server.stop()
        server = Server(f"--key_set_dir={disk / 'sets'}")
        assert {name: entry.keys.shape[0] for name, entry in server.list().items()} == before
        server.delete("large")
        server.put("again", more)
        expect_serves(server, "again", more)
        server.stop()


def a_disk_that_becomes_read_only():
    """Changes get INTERNAL and the log has the cause; scores go on; writable again, changes succeed."""
    fault = Faults()
    with faults.small_disk("4m") as disk:
        server = Server(f"--key_set_dir={disk / 'sets'}", faults=fault)
        keys = floats(100, 64, 1)
        version = server.put("items", keys)
        # The kernel makes a disk read-only after an error. The fault is simulated, because mount
        # refuses to do so while the lock file is open.
        fault.fail(Faults.CHANGES, 0, errno.EROFS, lasts=True)
        for change in (lambda: server.put("items", keys), lambda: server.put("new", keys),
                       lambda: server.put("items", keys, version), lambda: server.delete("items")):
            expect_error("INTERNAL", "Read-only file system", change)
        faults.expect_log(server, "Read-only file system")
        expect_serves(server, "items", keys)
        # On a read-only disk, a server that writes does not start. A read-only server does.
        server.stop()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        server = Server(f"--key_set_dir={disk / 'sets'}", serves=False)
        assert server.wait() == 1, server.log()
        assert "key_set_dir" in server.log() and "Read-only file system" in server.log(), server.log()
        server = Server(f"--key_set_dir={disk / 'sets'}", "--key_set_dir_read_only")
        expect_serves(server, "items", keys)
        server.stop()
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        server = Server(f"--key_set_dir={disk / 'sets'}")
        server.put("items", keys, version)
        server.stop()


def every_call_fails_once():
    """EIO or ENOSPC at each write, fsync, rename, mkdir and unlink of a put, an append and a delete:
    INTERNAL or RESOURCE_EXHAUSTED, the old version serves, the next try succeeds, and a restart finds
    what was acknowledged."""
    fault = Faults()
    folder = faults.new_path()
    server = Server(f"--key_set_dir={folder}", faults=fault)
    base, more = floats(50, 16, 1), floats(5, 16, 2)
    failed = 0
    for number, code in ((errno.EIO, "INTERNAL"), (errno.ENOSPC, "RESOURCE_EXHAUSTED")):
        for kind in ("put", "replace", "append", "delete"):
            left = 0
            while True:
                if kind == "put":
                    change, before, after = lambda: server.put("new", more), None, more
                    name = "new"
                else:
                    name = "items"
                    version = server.put(name, base)
                    before = base
                    change, after = {
                        "replace": (lambda: server.put(name, more), more),
                        "append": (lambda: server.put(name, more, version),
                                   np.concatenate([base, more])),
                        "delete": (lambda: server.delete(name), None)}[kind]
                fault.fail(Faults.CHANGES, left, number)
                got, message = error_of(change)
                hit = fault.counted() > left
                fault.stop()
                now = after if got == "OK" else before
                assert got in ("OK", code) and (got == "OK" or hit), (kind, left, got, message)
                if now is None:
                    expect_error("NOT_FOUND", "", server.scores_of, name, base[:1])
                else:
                    expect_serves(server, name, now)
                if kind == "put" and got == "OK":
                    server.delete("new")
                if not hit:
                    break
                failed += got != "OK"
                left += 1
    assert failed > 40, f"{failed} changes failed"
    expected = {name: entry.version for name, entry in server.list().items()}
    server.stop()
    server = Server(f"--key_set_dir={folder}")
    assert {name: entry.version for name, entry in server.list().items()} == expected
    server.stop()


def a_file_that_cannot_be_read():
    """EIO while a set is read at the start: only that set answers DATA_LOSS, and the next start serves
    it again."""
    fault = Faults()
    folder = faults.new_path()
    server = Server(f"--key_set_dir={folder}")
    keys = {name: floats(100, 16, seed) for seed, name in enumerate(("a", "b", "c"))}
    for name in keys:
        server.put(name, keys[name])
    server.stop()
    losses = 0
    left = 0
    while True:
        fault.fail(Faults.READ, left, errno.EIO)
        server = Server(f"--key_set_dir={folder}", "--key_set_dir_read_only", faults=fault)
        errors = [error_of(server.scores_of, name, keys[name][:1]) for name in keys]
        lost = [error for error in errors if error[0] != "OK"]
        assert len(lost) <= 1, lost
        for code, message in lost:
            assert code == "DATA_LOSS" and "cannot read" in message, (code, message)
            losses += 1
        hit = fault.counted() > left
        server.stop()
        if not hit:
            break
        left += 1
    assert losses >= 3, losses
    server = Server(f"--key_set_dir={folder}")
    for name in keys:
        expect_serves(server, name, keys[name])
    server.stop()


if __name__ == "__main__":
    faults.own_mounts()
    faults.main(a_full_disk, a_disk_that_becomes_read_only, every_call_fails_once,
                a_file_that_cannot_be_read)
