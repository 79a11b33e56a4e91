#!/usr/bin/python3
"""Peers that are many, slow, silent or loud, on raw sockets. Others are served meanwhile."""

import contextlib
import pathlib
import math
import resource
import socket
import struct
import threading
import time

import numpy as np

import faults
from faults import Server, error_of, eventually, floats, inline

SERVED_WITHIN_S = 2
DATA, HEADERS, RESET, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
SCORE = "/qkserve.v1.ScoringService/Score"


def frame(kind, payload=b"", flags=0, stream=0):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name, value):
    """A header as HPACK has it without its tables."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


CALL = b"".join(header(name, value) for name, value in (
    (":method", "POST"), (":scheme", "http"), (":path", SCORE), (":authority", "test"),
    ("te", "trailers"), ("content-type", "application/grpc")))


def message(content):
    return b"\0" + struct.pack(">I", len(content)) + content


class Peer:
    """A connection that speaks HTTP/2 as far as a check wants it to."""

    def __init__(self, server, settings=b""):
        host, port = server.address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=faults.PATIENCE_S)
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, settings))

    def send(self, content):
        """Sends as much as the server takes."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(content)

    def has_ended(self):
        """The server has closed the connection; what it sent before is thrown away."""
        self.socket.settimeout(0)
        try:
            while self.socket.recv(1 << 16):
                pass
            return True
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        finally:
            self.socket.settimeout(faults.PATIENCE_S)

    def close(self):
        self.socket.close()


def expect_served(server, seconds_max=SERVED_WITHIN_S):
    """A call on the connection that the server has since its start."""
    begin = time.monotonic()
    server.score(inline(floats(2, 8, 1), floats(2, 8, 2)))
    took = time.monotonic() - begin
    assert took < seconds_max, f"another caller waited {took:.1f} s"
    return took


def allow_files(count):
    """Lets this process open so many files, or as many as it may."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    soft = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def many_idle_connections():
    """They take less than 64 KiB each, more of them are closed at once, and their places are free
    again when they end."""
    count = min(3000, allow_files(3500) - 500)
    server = Server(f"--connections_max={count}", f"--connections_per_peer_max={count}")
    expect_served(server)
    before = server.memory_bytes()
    peers = [Peer(server) for _ in range(count - 1)]
    eventually(lambda: metric(server, "qkserve_connections") == count, "all are open")
    each = (server.memory_bytes() - before) / count
    print(f"{each / 1024:.1f} KiB for each of {count} connections")
    assert each < 64 << 10, f"{each} bytes"
    expect_served(server)
    begin = time.monotonic()
    more = Peer(server)
    eventually(more.has_ended, "a connection beyond the limit is closed")
    assert time.monotonic() - begin < SERVED_WITHIN_S
    assert metric(server, 'qkserve_connections_refused_total{reason="connections"}') >= 1
    for peer in peers:
        peer.close()
    eventually(lambda: metric(server, "qkserve_connections") == 1, "all have ended")
    assert takes_a_connection(server)
    server.stop()


def metric(server, name):
    for line in server.get("/metrics").splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    raise AssertionError(f"there is no {name}")


def takes_a_connection(server):
    peer = Peer(server)
    try:
        return peer.socket.recv(9) != b""
    except ConnectionError:
        return False
    finally:
        peer.close()


def descriptors_run_out():
    """Connections are closed at once while there is none, and accepted when there is one again."""
    server = Server("--connections_per_peer_max=8192")
    files = len(list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir()))
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (files + 10, hard))
    peers = [Peer(server) for _ in range(100)]
    eventually(lambda: sum(peer.has_ended() for peer in peers) >= 80, "most are closed")
    eventually(lambda: "Too many open files" in server.log(), "the log says why")
    expect_served(server)
    for peer in peers:
        peer.close()
    eventually(lambda: takes_a_connection(server), "it accepts again")
    server.stop()


def requests_that_do_not_end():
    """They hold the bytes that they have sent, until the age and the grace of their connections."""
    server = Server("--connection_age=2s", "--connection_grace=3s")
    expect_served(server)
    before = server.memory_bytes()
    peers = [Peer(server) for _ in range(200)]
    for peer in peers:
        peer.send(frame(HEADERS, CALL, END_HEADERS, 1) +
                  frame(DATA, message(bytes(100 << 20))[:16000], 0, 1))
    expect_served(server)
    grown = server.memory_bytes() - before
    print(f"{grown / len(peers) / 1024:.0f} KiB for each request of which 16 KiB came")
    assert grown < 64 << 20, f"{grown} bytes"
    eventually(lambda: all(peer.has_ended() for peer in peers), "all are cut")
    expect_served(server)
    server.stop()


def replies_that_are_not_read():
    """They are counted in flight until --reply_timeout. Meanwhile other large replies are refused,
    small ones are not."""
    server = Server("--in_flight_bytes_max=256MiB", "--reply_timeout=10s")
    expect_served(server)
    before = server.memory_bytes()
    column = np.ones((1000, 1), "<f4")
    call = (frame(HEADERS, CALL, END_HEADERS, 1) +
            frame(DATA, message(inline(column, column).SerializeToString()), END_STREAM, 1))
    no_window = struct.pack(">HI", 4, 0)
    peers = [Peer(server, no_window) for _ in range(60)]
    for peer in peers:
        peer.send(call)
    eventually(lambda: faults.in_flight(server) > 20, "calls have all of the memory")
    eventually(lambda: error_of(server.score, inline(column, column))[0] == "RESOURCE_EXHAUSTED",
               "the bytes in flight are taken")
    expect_served(server)
    assert server.memory_bytes() - before < 356 << 20
    eventually(lambda: faults.in_flight(server) == 0, "the calls are cancelled")
    server.score(inline(column, column))
    server.stop()


def floods():
    """Others are answered: within two seconds beside frames of one byte and headers without end, later
    beside resets, which occupy the threads of gRPC. Frames of one byte take no memory. What headers
    and resets take is given back."""
    def resets(peer, streams):
        stream = next(streams)
        peer.send(b"".join(frame(HEADERS, CALL, END_HEADERS, number) +
                           frame(RESET, struct.pack(">I", 8), 0, number)
                           for number in range(stream, stream + 200, 2)))

    def headers_without_end(peer, streams):
        if next(streams) == 1:
            peer.send(frame(HEADERS, CALL, 0, 1))
        peer.send(frame(CONTINUATION, header("x-more", "a" * 100) * 140, 0, 1))

    def frames_of_one_byte(peer, streams):
        if next(streams) == 1:
            peer.send(frame(HEADERS, CALL, END_HEADERS, 1) + frame(DATA, message(bytes(1 << 20))[:5], 0, 1))
        peer.send(frame(DATA, b"\0", 0, 1) * 100)

    server = Server()
    expect_served(server)
    before = server.memory_bytes()

    def grown():
        return server.memory_bytes() - before

    def run(flood, end):
        peer, streams = Peer(server), iter(range(1, 1 << 30, 200))
        while time.monotonic() < end and not peer.has_ended():
            flood(peer, streams)
        peer.socket.close()

    for flood, memory_bytes_max, seconds_max in (
            (frames_of_one_byte, 64 << 20, SERVED_WITHIN_S),
            (headers_without_end, math.inf, SERVED_WITHIN_S),
            (resets, math.inf, faults.PATIENCE_S)):
        end = time.monotonic() + 3
        thread = threading.Thread(target=run, args=(flood, end))
        thread.start()
        waits = [expect_served(server, seconds_max)]
        while time.monotonic() < end:
            waits.append(expect_served(server, seconds_max))
        thread.join()
        print(f"{flood.__name__}: {len(waits)} calls meanwhile, the slowest took {max(waits):.2f} s; "
              f"memory grew by {grown() / (1 << 20):.0f} MiB")
        assert grown() < memory_bytes_max, grown()
        faults.eventually(lambda: grown() < 64 << 20, "memory is given back")
    server.stop()


def slow_requests_of_http():
    """They keep no scrape out, and are cut after five seconds."""
    server = Server()
    host, port = server.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(200)]
    for connection in slow:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET /metrics HT")
    begin = time.monotonic()
    assert server.get("/readyz") == "ready\n"
    assert time.monotonic() - begin < SERVED_WITHIN_S
    for connection in slow:
        connection.settimeout(faults.PATIENCE_S)
        with contextlib.suppress(ConnectionError):
            while connection.recv(1 << 16):
                pass
    assert time.monotonic() - begin < 10
    server.stop()


if __name__ == "__main__":
    faults.main(many_idle_connections, descriptors_run_out, requests_that_do_not_end,
                replies_that_are_not_read, floods, slow_requests_of_http)
