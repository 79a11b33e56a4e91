#!/usr/bin/python3
"""A server that does not run for 10 seconds: SIGSTOP, a paused container, a suspended machine."""

import signal
import time

import faults
from faults import Server, error_of, expect_serves, floats, inline, long_request, put_work

STOPPED_S = 10


def stopped_for_ten_seconds():
    """Calls whose deadline passed meanwhile get DEADLINE_EXCEEDED, others their answer; nothing late is
    computed; uploads, key sets and the connection go on."""
    folder = faults.new_path()
    server = Server(f"--key_set_dir={folder}", "--workers=1")
    reader = Server(f"--key_set_dir={folder}", "--key_set_dir_read_only")
    keys = floats(100, 64, 1)
    server.put("items", keys)
    faults.eventually(lambda: "items" in reader.list(), "the reader follows")
    small = inline(floats(2, 8, 1), floats(2, 8, 2))
    put_work(server)
    begun = server.start_score(long_request())

    def chunks():
        content = floats(60, 64, 5).tobytes()
        yield content[:5000]
        faults.eventually(lambda: stopped_at, "the server is stopped")
        yield content[5000:]

    stopped_at = 0.0
    upload = server.start_upload("slow", floats(60, 64, 5), chunks=chunks())
    faults.eventually(lambda: faults.in_flight(server) >= 2, "the call and the upload are in flight")
    queued = [server.start_score(long_request(), timeout=3) for _ in range(3)]
    server.signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    late = [server.start_score(small, timeout=3) for _ in range(20)]
    patient = [server.start_score(small) for _ in range(20)]
    # The reader is not stopped and serves what it has.
    while time.monotonic() < stopped_at + STOPPED_S:
        expect_serves(reader, "items", keys)
        time.sleep(0.2)
    for call in late:
        assert error_of(call.result)[0] == "DEADLINE_EXCEEDED", call
    for call in queued:  # on a fast machine some are answered before the stop
        assert error_of(call.result)[0] in ("OK", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"), call
    server.signal(signal.SIGCONT)
    awake = time.monotonic()
    for call in patient:
        call.result()
    begun.result()
    upload.result()
    print(f"answers {time.monotonic() - awake:.1f} s after the end of the stop")
    expect_serves(server, "slow", floats(60, 64, 5))
    expect_serves(server, "items", keys)
    faults.eventually(lambda: "slow" in reader.list(), "the reader follows")
    faults.eventually(lambda: faults.in_flight(server) == 0, "nothing is in flight")
    reader.stop()
    server.stop()


if __name__ == "__main__":
    faults.main(stopped_for_ten_seconds)
