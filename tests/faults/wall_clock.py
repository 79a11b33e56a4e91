#!/usr/bin/python3
"""A wall clock that jumps an hour, forward and back, while a server works."""

import signal

import faults
from faults import Faults, Server, expect_error, floats, inline, long_request, put_work

HOUR_S = 3600


def the_wall_clock_jumps():
    """No call fails, early or late: deadlines, drains and looks at a directory follow the monotonic
    clock. Versions still grow over a restart."""
    folder, fault = faults.new_path(), Faults()
    server = Server(f"--key_set_dir={folder}", "--workers=1", faults=fault)
    reader = Server(f"--key_set_dir={folder}", "--key_set_dir_read_only", faults=fault)
    keys = floats(100, 64, 1)
    version = server.put("items", keys)
    small = inline(floats(2, 8, 1), floats(2, 8, 2))
    put_work(server)
    large = long_request()
    for hours in (1, 0, -1, 0):
        begun = server.start_score(large)
        waiting = [server.start_score(large, timeout=1000) for _ in range(2)]
        faults.eventually(lambda: faults.in_flight(server) == 3,
                          "the calls are in flight")
        fault.set(wall_clock_offset_s=hours * HOUR_S)
        for _ in range(20):
            server.score(small, timeout=1000)
        for call in [begun, *waiting]:
            call.result()
        # The work takes longer than this deadline, so the call ends at the
        # deadline, whatever the clock shows.
        expect_error("DEADLINE_EXCEEDED", "", server.score, large, timeout=0.05)
        faults.eventually(lambda: faults.in_flight(server) == 0,
                          "nothing is in flight")
        newer = server.put("items", floats(3, 64, 5), version)
        assert newer > version
        version = newer
        faults.eventually(lambda: reader.list()["items"].version == version, "the reader follows")
    # The clock jumps during a drain, with a call in flight.
    for hours in (-1, 1):
        begun = server.start_score(large)
        faults.eventually(lambda: faults.in_flight(server) == 1,
                          "the call is in flight")
        server.signal(signal.SIGTERM)
        faults.eventually(lambda: "draining" in server.log(), "the server drains")
        fault.set(wall_clock_offset_s=hours * HOUR_S)
        begun.result()
        assert server.wait() == 0, server.log()
        assert server.log().rstrip().endswith("drained"), server.log()
        server = Server(f"--key_set_dir={folder}", "--workers=1", faults=fault)
        newer = server.put("items", floats(3, 64, 5), version)
        assert newer > version
        version = newer
    # Without a directory, versions begin at the current time.
    memory = Server(faults=fault)
    first = memory.put("items", keys)
    memory.stop()
    memory = Server(faults=fault)
    assert memory.put("items", keys) > first
    memory.stop()
    reader.stop()
    server.stop()


if __name__ == "__main__":
    faults.main(the_wall_clock_jumps)
