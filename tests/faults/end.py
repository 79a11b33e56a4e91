#!/usr/bin/python3
"""The end of a server with calls in flight."""

import signal
import time

import faults
from faults import Server, error_of, expect_serves, floats, long_request, put_work


def sigterm_with_work_in_flight():
    """All calls and the upload are answered, new ones get UNAVAILABLE, and the exit code is 0."""
    folder = faults.new_path()
    server = Server(f"--key_set_dir={folder}", "--drain_timeout=2m")
    put_work(server)
    content = floats(500, 64, 3)
    halves = [content.tobytes()[:64000], content.tobytes()[64000:]]

    def chunks():
        yield halves[0]
        faults.eventually(lambda: "draining" in server.log(), "the server drains")
        yield halves[1]

    upload = server.start_upload("items", content, chunks=chunks())
    calls = [server.start_score(long_request()) for _ in range(3)]
    faults.eventually(lambda: faults.in_flight(server) >= 4, "the calls are in flight")
    server.signal(signal.SIGTERM)
    for call in calls:
        call.result()
    upload.result()
    assert server.wait() == 0, server.log()
    server = Server(f"--key_set_dir={folder}")
    expect_serves(server, "items", content)
    server.stop()


def a_drain_beyond_its_time():
    """Calls that have not ended after --drain_timeout get UNAVAILABLE, the exit code is 1, the log says
    so, and it is not much later."""
    server = Server("--workers=1", "--drain_grace=100ms", "--drain_timeout=500ms")
    put_work(server)
    calls = [server.start_score(long_request()) for _ in range(4)]
    faults.eventually(lambda: faults.in_flight(server) >= 4, "the calls are in flight")
    begin = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait() == 1, server.log()
    took = time.monotonic() - begin
    codes = [error_of(call.result)[0] for call in calls]
    assert set(codes) <= {"OK", "UNAVAILABLE"} and "UNAVAILABLE" in codes, codes
    assert "drain_timeout" in server.log(), server.log()
    print(f"ended {took:.1f} s after the signal")


if __name__ == "__main__":
    faults.main(sigterm_with_work_in_flight, a_drain_beyond_its_time)
