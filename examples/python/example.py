"""Scores queries against keys that travel with the request. Then puts a key set on the server and
searches it.

usage: example.py [HOST:PORT [CA_FILE [CERT_FILE KEY_FILE]]]

The variable QKCTL_TOKEN_FILE names a file with a token, for servers that know their callers."""

import os
import pathlib
import sys

import grpc
import numpy as np

from qkserve.v1 import key_set_pb2, key_set_pb2_grpc, scoring_pb2, scoring_pb2_grpc, tensor_pb2

MESSAGE_BYTES_MAX = 256 << 20  # the server's limit; gRPC's own for replies is 4 MiB
CHUNK_BYTES = 1 << 20
TYPES = {tensor_pb2.FLOAT32: "<f4", tensor_pb2.FLOAT16: "<f2", tensor_pb2.INT32: "<i4"}


def to_tensor(array):
    array = np.ascontiguousarray(array, "<f4")
    return tensor_pb2.Tensor(data_type=tensor_pb2.FLOAT32, shape=array.shape, data=array.tobytes())


def to_array(tensor):
    return np.frombuffer(tensor.data, TYPES[tensor.data_type]).reshape(tensor.shape)


def score_inline(scoring):
    queries = np.array([[1, 2], [3, 4]])
    keys = np.array([[1, 0], [0, 1], [1, 1]])
    reply = scoring.Score(
        scoring_pb2.ScoreRequest(attention=scoring_pb2.Attention(scale=0.5),
                                 queries=to_tensor(queries),
                                 inline=scoring_pb2.InlineKeys(keys=to_tensor(keys))),
        timeout=30)
    for i, row in enumerate(to_array(reply.result)):
        print(f"scores of query {i}:", *row)


def put_key_set(key_sets, name, keys):
    """Makes or replaces a key set. The server has it whole, or not at all."""
    def messages():
        tensor = to_tensor(keys)
        spec = key_set_pb2.TensorSpec(data_type=tensor.data_type, shape=tensor.shape)
        yield key_set_pb2.PutKeySetRequest(
            header=key_set_pb2.PutKeySetRequest.Header(name=name, keys=spec))
        for begin in range(0, len(tensor.data), CHUNK_BYTES):
            yield key_set_pb2.PutKeySetRequest(
                chunk=key_set_pb2.KeySetChunk(keys=tensor.data[begin:begin + CHUNK_BYTES]))

    # Proxies route by the metadata.
    reply = key_sets.PutKeySet(messages(), timeout=600, metadata=[("qkserve-key-set", name)])
    print(f"key set {reply.key_set.name}: {reply.key_set.keys.shape[0]} keys")


def search(scoring, name, query, count):
    reply = scoring.Score(
        scoring_pb2.ScoreRequest(queries=to_tensor(query[np.newaxis]),
                                 key_set=scoring_pb2.KeySetReference(name=name),
                                 output=scoring_pb2.TOP_K, top_k=count),
        timeout=30, metadata=[("qkserve-key-set", name)])
    for key, score in zip(to_array(reply.indices)[0], to_array(reply.result)[0]):
        print(f"key {key}: score {score}")


def open_channel(address, ca_file=None, cert_file=None, key_file=None):
    """Plain text unless there is a CA file. A server that asks for certificates wants all three."""
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
               ("grpc.max_send_message_length", MESSAGE_BYTES_MAX)]
    if ca_file is None:
        return grpc.insecure_channel(address, options)
    ca, key, cert = (pathlib.Path(path).read_bytes() if path else None
                     for path in (ca_file, key_file, cert_file))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, key, cert), options)


class AddToken(grpc.UnaryUnaryClientInterceptor, grpc.StreamUnaryClientInterceptor):
    """Sends the token of a file with each call. It reads the file each time, so the token can be
    replaced while the program runs."""

    def __init__(self, path):
        self.path = path

    def _with_token(self, details):
        token = ("authorization", "Bearer " + pathlib.Path(self.path).read_text().strip())
        return details._replace(metadata=[*(details.metadata or ()), token])

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(self._with_token(details), request)

    def intercept_stream_unary(self, continuation, details, requests):
        return continuation(self._with_token(details), requests)


def main():
    with open_channel(*(sys.argv[1:] or ["127.0.0.1:50051"])) as channel:
        if path := os.environ.get("QKCTL_TOKEN_FILE"):
            channel = grpc.intercept_channel(channel, AddToken(path))
        scoring = scoring_pb2_grpc.ScoringServiceStub(channel)
        score_inline(scoring)
        keys = np.zeros((100_000, 4))
        keys[:, 0] = np.arange(100_000)
        put_key_set(key_set_pb2_grpc.KeySetServiceStub(channel), "example", keys)
        search(scoring, "example", np.array([1, 0, 0, 0]), 3)


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        sys.exit(f"error: {error.code().name}: {error.details()}")
