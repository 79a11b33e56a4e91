"""What the tests of faults share: a real server, its faults, and calls by gRPC.

A test is a script whose checks are functions with a docstring. `main` runs them in order and prints
a line for each. A check fails with an exception."""

import contextlib
import itertools
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import grpc
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/release/bin"
PATIENCE_S = 120
WORK = tempfile.TemporaryDirectory(prefix="qkserve-fault-")
WORK_PATH = pathlib.Path(WORK.name)
_paths = (WORK_PATH / f"{number}" for number in itertools.count())

subprocess.run(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={WORK_PATH}",
                *(ROOT / "proto/qkserve/v1").glob("*.proto")], check=True)
sys.path.insert(0, str(WORK_PATH))
from qkserve.v1 import key_set_pb2, scoring_pb2, tensor_pb2  # pylint: disable=all


def new_path():
    """A path in a folder that ends with the test."""
    return next(_paths)


def eventually(condition, what):
    """The first true answer of `condition`, which is asked again until patience ends."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"not in {PATIENCE_S} s: {what}")


class Faults:
    """Faults of the system, for the servers that get it: preload.c has what the numbers mean."""

    WRITE, SYNC, RENAME, MAKE_DIRECTORY, REMOVE, READ = 1, 2, 4, 8, 16, 32
    CHANGES = WRITE | SYNC | RENAME | MAKE_DIRECTORY | REMOVE
    KILL_BEFORE, KILL_AFTER = -1, -2
    _NAMES = ("calls", "left", "fault", "lasts", "counted", "allocation_bytes_min",
              "allocation_bytes_max", "allocations_left", "wall_clock_offset_s")
    _library = None

    def __init__(self):
        if Faults._library is None:
            Faults._library = new_path()
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", Faults._library,
                            ROOT / "tests/faults/preload.c", "-ldl"], check=True)
        self._path = new_path()
        self._path.write_bytes(bytes(8 * len(self._NAMES)))
        self.environment = {"LD_PRELOAD": str(Faults._library), "FAULTS_CONTROL": str(self._path)}

    def set(self, **numbers):
        """Sets the numbers; others stay. `calls` must be last where several make a fault."""
        with self._path.open("r+b") as file:
            for name, number in numbers.items():
                file.seek(8 * self._NAMES.index(name))
                file.write(struct.pack("<q", number))
                file.flush()

    def fail(self, calls, left, fault, lasts=False):
        """`left` of these calls go well, then one has the fault, or all later ones."""
        self.set(calls=0)
        self.set(left=left, fault=fault, lasts=int(lasts), counted=0, calls=calls)

    def stop(self):
        """No more faults."""
        self.set(calls=0, allocation_bytes_min=0, wall_clock_offset_s=0)

    def counted(self):
        """How many calls counted since the last `fail`."""
        return struct.unpack_from("<q", self._path.read_bytes(), 8 * self._NAMES.index("counted"))[0]


class Server:
    """A server that the test starts, stops and kills. Its log is in `log_path`."""

    running = []

    def __init__(self, *flags, faults=None, serves=True, credentials=None):
        """Returns when it listens, or, without `serves`, at once. `credentials` are gRPC's, for TLS."""
        self.log_path, port, http_port = new_path(), new_path(), new_path()
        environment = dict(os.environ, **(faults.environment if faults else {}))
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "qkserve", "--listen_address=127.0.0.1:0", f"--port_file={port}",
                 "--http_address=127.0.0.1:0", f"--http_port_file={http_port}", *flags],
                stdout=subprocess.DEVNULL, stderr=log, env=environment)
        Server.running.append(self)
        if not serves:
            return
        eventually(lambda: self.process.poll() is not None or port.exists(), "the server listens")
        assert self.process.poll() is None, f"qkserve ended: {self.log()}"
        self.address = f"127.0.0.1:{port.read_text().strip()}"
        self.url = f"http://127.0.0.1:{http_port.read_text().strip()}"
        options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1),
                   ("grpc.max_send_message_length", -1)]
        self.channel = (grpc.secure_channel(self.address, credentials, options) if credentials else
                        grpc.insecure_channel(self.address, options))
        grpc.channel_ready_future(self.channel).result(PATIENCE_S)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """The exit code, or minus the signal that ended it."""
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            if self.process.returncode is None:
                self.process.kill()

    def stop(self):
        """Ends it with SIGTERM, as a supervisor does."""
        self.channel.close()
        self.signal(signal.SIGTERM)
        code = self.wait()
        assert code == 0, f"the server ended with {code}: {self.log()}"

    def kill(self):
        self.process.kill()
        self.wait()

    def memory_bytes(self):
        """Memory that it holds now."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.split("VmRSS:")[1].split()[0])

    def get(self, path):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=PATIENCE_S) as response:
            return response.read().decode()

    # Calls, which raise grpc.RpcError if they fail.

    def _unary(self, method, response_type):
        return self.channel.unary_unary(method, lambda message: message.SerializeToString(),
                                        response_type.FromString)

    def start_score(self, request, timeout=PATIENCE_S):
        """A call under way: a future."""
        score = self._unary("/qkserve.v1.ScoringService/Score", scoring_pb2.ScoreResponse)
        return score.future(request, timeout=timeout)

    def score(self, request, timeout=PATIENCE_S):
        return self.start_score(request, timeout).result()

    def scores_of(self, name, queries):
        """The scores on a key set, and its version."""
        response = self.score(scoring_pb2.ScoreRequest(
            queries=tensor(queries), key_set=scoring_pb2.KeySetReference(name=name)))
        scores = np.frombuffer(response.result.data, "<f4").reshape(response.result.shape)
        return scores, response.receipt.key_set_version

    def start_upload(self, name, keys, expected_version=None, chunks=None, timeout=PATIENCE_S):
        """A put, or an append to the version: a future of the version that it makes. `chunks` may
        yield the bytes of the keys in place of `keys`."""
        method, request_type, response_type, fields = (
            ("PutKeySet", key_set_pb2.PutKeySetRequest, key_set_pb2.PutKeySetResponse, {})
            if expected_version is None else
            ("AppendKeySet", key_set_pb2.AppendKeySetRequest, key_set_pb2.AppendKeySetResponse,
             {"expected_version": expected_version}))

        def requests():
            yield request_type(header=request_type.Header(
                name=name, keys=key_set_pb2.TensorSpec(data_type=tensor_pb2.FLOAT32,
                                                       shape=keys.shape), **fields))
            for chunk in chunks or [keys.tobytes()]:
                for at in range(0, len(chunk), 1 << 20):
                    yield request_type(chunk=key_set_pb2.KeySetChunk(keys=chunk[at:at + (1 << 20)]))

        call = self.channel.stream_unary(f"/qkserve.v1.KeySetService/{method}",
                                         lambda message: message.SerializeToString(),
                                         response_type.FromString)
        return call.future(requests(), timeout=timeout)

    def put(self, name, keys, expected_version=None):
        """Puts or appends, and returns the version."""
        return self.start_upload(name, keys, expected_version).result().key_set.version

    def delete(self, name):
        self._unary("/qkserve.v1.KeySetService/DeleteKeySet", key_set_pb2.DeleteKeySetResponse)(
            key_set_pb2.DeleteKeySetRequest(name=name), timeout=PATIENCE_S)

    def list(self):
        """{name: its entry in the list of key sets}."""
        response = self._unary(
            "/qkserve.v1.KeySetService/ListKeySets", key_set_pb2.ListKeySetsResponse)(
                key_set_pb2.ListKeySetsRequest(), timeout=PATIENCE_S)
        return {key_set.name: key_set for key_set in response.key_sets}


def error_of(call, *arguments, **named):
    """The code and the message of a call that fails; ("OK", "") if it does not."""
    try:
        call(*arguments, **named)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""


def expect_error(code, text, call, *arguments, **named):
    got = error_of(call, *arguments, **named)
    assert got[0] == code and text in got[1], f"expected {code} with '{text}', got {got}"


def floats(rows, columns, seed):
    """Random elements that are small whole numbers: their dot products are exact."""
    return np.random.default_rng(seed).integers(-8, 9, (rows, columns)).astype("<f4")


def tensor(array):
    return tensor_pb2.Tensor(data_type=tensor_pb2.FLOAT32, shape=array.shape, data=array.tobytes())


def inline(queries, keys):
    """A request with inline keys."""
    return scoring_pb2.ScoreRequest(queries=tensor(queries),
                                    inline=scoring_pb2.InlineKeys(keys=tensor(keys)))


def put_work(server):
    """Puts the key set that `long_request` asks."""
    server.put("work", np.ones((40000, 256), "<f4"))


def long_request():
    """About half a second of work for one worker, in a small request with a small reply."""
    return scoring_pb2.ScoreRequest(
        queries=tensor(np.ones((2048, 256), "<f4")), output=scoring_pb2.TOP_K, top_k=1,
        key_set=scoring_pb2.KeySetReference(name="work"))


def expect_serves(server, name, keys):
    """The set has these keys, and no others."""
    queries = floats(3, keys.shape[1], 99)
    scores, _ = server.scores_of(name, queries)
    assert np.array_equal(scores, queries @ keys.T), f"{name} has other keys"


def expect_log(server, text):
    """The log has this text, or gets it: lines are written by a thread of their own."""
    eventually(lambda: text in server.log(), f"the log has '{text}'")


def in_flight(server):
    """The number of calls that are not fully answered, uploads among them."""
    for line in server.get("/metrics").splitlines():
        if line.startswith("qkserve_in_flight_requests "):
            return int(line.split()[1])
    raise AssertionError("the metric is missing")


def own_mounts():
    """Runs the script again with mounts of its own, which end with it. Needs root or namespaces of
    users."""
    if os.environ.get("FAULTS_OWN_MOUNTS") == "yes":
        return
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-Ur", "--mount"]
    os.environ["FAULTS_OWN_MOUNTS"] = "yes"
    WORK.cleanup()
    os.execvp(command[0], [*command, "--", sys.executable, *sys.argv])


@contextlib.contextmanager
def small_disk(size):
    """A folder on a file system of `size` bytes, such as 4m."""
    path = new_path()
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def files_below(path):
    """{path: size} of the files in a folder, but for the lock."""
    return {str(file.relative_to(path)): file.stat().st_size
            for file in path.rglob("*") if file.is_file() and file.name != ".lock"}


def main(*checks):
    for check in checks:
        begin = time.monotonic()
        try:
            check()
        finally:
            for server in Server.running:
                if server.process.poll() is None:
                    server.process.kill()
                    server.process.wait()
            Server.running.clear()
        text = " ".join(check.__doc__.split())
        print(f"{check.__name__}: {text} ({time.monotonic() - begin:.1f} s)", flush=True)
