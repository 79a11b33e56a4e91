#!/usr/bin/python3
"""A server that the system refuses memory."""

import itertools
import random

import faults
from faults import Faults, Server, error_of, expect_error, expect_serves, floats, inline

MIB = 1 << 20
# gRPC writes a reply into pieces of 1 MiB. If there is no memory for a piece,
# gRPC ends the process.
FAILS_FROM = 2 * MIB


def large_allocations():
    """Whatever needs a large piece of memory gets RESOURCE_EXHAUSTED; small calls, pages and metrics
    are answered meanwhile; with memory again, the same calls succeed."""
    fault = Faults()
    server = Server(faults=fault)
    items = floats(2000, 64, 1)
    version = server.put("items", items)
    wide = floats(4, 64, 2)
    requests = {
        "a large request": inline(floats(4000, 512, 3), floats(4, 512, 4)),
        "a large result": inline(floats(1500, 16, 5), floats(1000, 16, 6)),
        "a large result on a key set": faults.scoring_pb2.ScoreRequest(
            queries=faults.tensor(floats(1000, 64, 7)),
            key_set=faults.scoring_pb2.KeySetReference(name="items")),
    }
    uploads = {
        "a put": lambda: server.put("large", floats(20000, 256, 8)),
        "an append": lambda: server.put("items", floats(40000, 64, 9), version),
    }
    for _ in range(3):
        # The first `left` allocations succeed, so that another one fails in
        # each round.
        for left in range(4):
            for what, request in requests.items():
                fault.set(allocations_left=left, allocation_bytes_min=FAILS_FROM)
                code, message = error_of(server.score, request)
                assert code in ("OK", "RESOURCE_EXHAUSTED"), (what, left, code, message)
                assert left > 0 or code == "RESOURCE_EXHAUSTED", what
            for what, upload in uploads.items():
                fault.set(allocations_left=0, allocation_bytes_min=FAILS_FROM)
                expect_error("RESOURCE_EXHAUSTED", "memory", upload)
        expect_serves(server, "items", items)
        assert "qkserve_requests_total" in server.get("/metrics")
        assert "qkserve" in server.get("/") and server.get("/readyz")
        fault.stop()
        for request in requests.values():
            server.score(request)
        server.scores_of("items", wide)
    assert set(server.list()) == {"items"}
    # Failed calls hold no memory.
    assert "qkserve_in_flight_bytes 0" in server.get("/metrics"), server.get("/metrics")
    server.put("large", floats(20000, 256, 8))
    server.stop()


def large_allocations_while_sets_are_loaded():
    """A set for which there is no memory answers RESOURCE_EXHAUSTED, others serve, and its files
    stay."""
    fault = Faults()
    folder = faults.new_path()
    server = Server(f"--key_set_dir={folder}")
    small, large = floats(10, 64, 1), floats(20000, 256, 2)
    server.put("small", small)
    server.put("large", large)
    server.stop()
    # OpenBLAS's buffers are larger than allocation_bytes_max. They must not
    # fail, because OpenBLAS would ask for them without end.
    fault.set(allocation_bytes_min=FAILS_FROM, allocation_bytes_max=16 * MIB)
    server = Server(f"--key_set_dir={folder}", faults=fault)
    expect_serves(server, "small", small)
    expect_error("RESOURCE_EXHAUSTED", "memory", server.scores_of, "large", large[:1])
    fault.stop()
    server.stop()
    server = Server(f"--key_set_dir={folder}")
    expect_serves(server, "large", large)
    server.stop()


def any_allocation():
    """A refused allocation of any size: the call fails with RESOURCE_EXHAUSTED, or the process ends;
    after a restart everything acknowledged is there."""
    chance = random.Random(1)
    fault = Faults()
    folder = faults.new_path()
    keys = [floats(20, 16, 1)]
    ended = refused = 0
    server = Server(f"--key_set_dir={folder}")
    version = server.put("items", keys[0])
    server.stop()
    server = None
    for seed in itertools.count(2):
        if server is None:
            fault.stop()
            server = Server(f"--key_set_dir={folder}", faults=fault)
            rows = server.list()["items"].keys.shape[0]
            acknowledged = sum(len(part) for part in keys)
            if rows == acknowledged + 3:  # an append whose reply was lost
                keys.append(part)
            expect_serves(server, "items", faults.np.concatenate(keys))
            version = server.list()["items"].version
        if seed > 30:
            break
        part = floats(3, 16, seed)
        fault.set(allocations_left=chance.randrange(400), allocation_bytes_min=1)
        code, _ = error_of(server.put, "items", part, version)
        fault.set(allocation_bytes_min=0)
        if code == "OK":
            keys.append(part)
        ended += code == "UNAVAILABLE"
        refused += code == "RESOURCE_EXHAUSTED"
        server.kill()
        server = None
    print(f"{ended} processes ended, {refused} calls were refused")
    server.stop()


if __name__ == "__main__":
    faults.main(large_allocations, large_allocations_while_sets_are_loaded, any_allocation)
