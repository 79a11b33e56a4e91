"""Prints the best answers to questions:

search.py QUESTIONS.txt QUESTIONS.npy ANSWERS.txt [HOST:PORT]"""
import pathlib
import sys

import grpc
import numpy as np
from qkserve.v1 import scoring_pb2 as api, scoring_pb2_grpc, tensor_pb2

questions = pathlib.Path(sys.argv[1]).read_text().splitlines()
queries = np.load(sys.argv[2])
answers = pathlib.Path(sys.argv[3]).read_text().splitlines()
address = sys.argv[4] if len(sys.argv) > 4 else "127.0.0.1:50051"

request = api.ScoreRequest(
    key_set=api.KeySetReference(name="answers"), output=api.TOP_K, top_k=2,
    queries=tensor_pb2.Tensor(data_type=tensor_pb2.FLOAT32, shape=queries.shape,
                              data=queries.tobytes()))
with grpc.insecure_channel(address) as channel:
    scoring = scoring_pb2_grpc.ScoringServiceStub(channel)
    try:
        reply = scoring.Score(request, timeout=5, metadata=[("qkserve-key-set", "answers")])
    except grpc.RpcError as error:
        sys.exit(f"error: {error.code().name}: {error.details()}")

scores = np.frombuffer(reply.result.data, "<f4").reshape(reply.result.shape)
indices = np.frombuffer(reply.indices.data, "<i4").reshape(reply.indices.shape)
for question, best, of_best in zip(questions, indices, scores):
    print(question)
    for index, score in zip(best, of_best):
        print(f"  {score:.2f}  {answers[index]}")
