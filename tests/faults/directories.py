#!/usr/bin/python3
"""Directories of key sets that two servers want, that disappear, or that hold files of others."""

import signal

import faults
from faults import Server, expect_error, expect_serves, floats


def two_servers_on_one_directory():
    """The second writer ends with code 1 and names the way out, also while the first is stopped; a
    killed writer leaves no lock behind."""
    folder = faults.new_path()
    first = Server(f"--key_set_dir={folder}")
    keys = floats(10, 8, 1)
    first.put("items", keys)
    for stop in (False, True):
        if stop:
            first.signal(signal.SIGSTOP)
        second = Server(f"--key_set_dir={folder}", serves=False)
        assert second.wait() == 1
        assert "has a writer already" in second.log(), second.log()
        assert "--key_set_dir_read_only" in second.log(), second.log()
    first.signal(signal.SIGCONT)
    expect_serves(first, "items", keys)
    first.put("more", keys)
    first.kill()
    third = Server(f"--key_set_dir={folder}")
    assert set(third.list()) == {"items", "more"}
    third.stop()


def is_behind(server, names, text):
    listed = server.list()
    return all(name in listed and text in listed[name].problem for name in names)


def the_directory_of_a_reader_disappears():
    """What was loaded is served on, ListKeySets names the problem, and the reader follows again when the
    directory is back. /readyz stays 200, because the sets can be served."""
    with faults.small_disk("4m") as disk:
        folder = disk / "sets"
        writer = Server(f"--key_set_dir={folder}")
        keys = {"a": floats(10, 8, 1), "b": floats(20, 8, 2)}
        for name in keys:
            writer.put(name, keys[name])
        reader = Server(f"--key_set_dir={folder}", "--key_set_dir_read_only")

        def moved():
            folder.rename(disk / "elsewhere")
            return lambda: (disk / "elsewhere").rename(folder)

        def replaced_by_an_empty_one():
            back = moved()
            folder.mkdir()
            return lambda: (folder.rmdir(), back())

        def replaced_by_a_file():
            back = moved()
            folder.write_text("not a directory")
            return lambda: (folder.unlink(), back())

        for disappears in (moved, replaced_by_an_empty_one, replaced_by_a_file):
            back = disappears()
            faults.eventually(lambda: is_behind(reader, keys, "is not followed"), "the problem is told")
            for name in keys:
                expect_serves(reader, name, keys[name])
            assert reader.get("/readyz")
            faults.expect_log(reader, "what was loaded goes on being served")
            back()
            faults.eventually(lambda: not any(entry.problem for entry in reader.list().values()),
                              "the directory is followed again")
            faults.expect_log(reader, "is followed again")
        writer.kill()
        writer = Server(f"--key_set_dir={folder}")
        writer.put("c", keys["a"])
        faults.eventually(lambda: "c" in reader.list(), "the reader follows")
        reader.stop()
        writer.stop()


def the_directory_of_a_writer_disappears():
    """Changes get INTERNAL and nothing is written elsewhere; scores go on; when the directory is back,
    changes succeed."""
    with faults.small_disk("4m") as disk:
        folder = disk / "sets"
        server = Server(f"--key_set_dir={folder}")
        keys = floats(10, 8, 1)
        version = server.put("items", keys)
        for put_in_place in (lambda: None, folder.mkdir):
            folder.rename(disk / "elsewhere")
            put_in_place()
            before = faults.files_below(disk)
            for change in (lambda: server.put("items", keys), lambda: server.put("new", keys),
                           lambda: server.put("items", keys, version),
                           lambda: server.delete("items")):
                expect_error("INTERNAL", "key_set_dir: ", change)
            assert faults.files_below(disk) == before
            expect_serves(server, "items", keys)
            if folder.exists():
                folder.rmdir()
            (disk / "elsewhere").rename(folder)
        version = server.put("items", keys, version)
        server.stop()
        server = Server(f"--key_set_dir={folder}")
        assert server.list()["items"].version == version
        server.stop()


def damaged_files():
    """Each region of each file, cut or with a flipped bit: only that set answers DATA_LOSS, to its
    callers, in the list and in the log; nothing is removed; mended, it serves again."""
    folder = faults.new_path()
    server = Server(f"--key_set_dir={folder}")
    good, bad = floats(10, 8, 1), floats(200, 8, 2)
    server.put("good", good)
    version = server.put("bad", bad)
    server.put("bad", floats(3, 8, 3), version)
    server.stop()
    bad = faults.np.concatenate([bad, floats(3, 8, 3)])
    damages = 0
    for path in sorted((folder / "bad").iterdir()):
        whole = path.read_bytes()
        places = (0, 9, len(whole) // 3, len(whole) // 2, len(whole) - 1)
        contents = [whole[:place] for place in places] + [b"", whole + b"x"]
        contents += [whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1:]
                     for place in places]
        for content in contents:
            path.write_bytes(content)
            before = faults.files_below(folder / "bad")
            server = Server(f"--key_set_dir={folder}")
            expect_serves(server, "good", good)
            expect_error("DATA_LOSS", path.name, server.scores_of, "bad", bad[:1])
            listed = server.list()["bad"]
            assert path.name in listed.problem, listed
            faults.expect_log(server, f"key set bad is not served: bad/{path.name}")
            server.stop()
            assert faults.files_below(folder / "bad") == before
            damages += 1
        path.write_bytes(whole)
    server = Server(f"--key_set_dir={folder}")
    expect_serves(server, "bad", bad)
    server.stop()
    assert damages == 36, damages


def files_of_a_newer_version():
    """A set in a format that this version does not know answers DATA_LOSS with both formats; its files
    stay, and other sets serve."""
    folder = faults.new_path()
    server = Server(f"--key_set_dir={folder}")
    keys = floats(10, 8, 1)
    for name in ("old", "new"):
        server.put(name, keys)
    server.stop()
    manifest = folder / "new" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"format": 1', '"format": 2'))
    assert manifest.read_text() != text
    for flags in ([], ["--key_set_dir_read_only"]):
        server = Server(f"--key_set_dir={folder}", *flags)
        expect_serves(server, "old", keys)
        expect_error("DATA_LOSS", "is of format 2, this version reads format 1",
                     server.scores_of, "new", keys[:1])
        server.stop()
    manifest.write_text(text)
    server = Server(f"--key_set_dir={folder}")
    expect_serves(server, "new", keys)
    server.stop()


if __name__ == "__main__":
    faults.own_mounts()
    faults.main(two_servers_on_one_directory, the_directory_of_a_reader_disappears,
                the_directory_of_a_writer_disappears, damaged_files, files_of_a_newer_version)
