#!/usr/bin/env python3
"""Calls servers with 64 calls in flight until standard input ends, then prints how many calls ended
with each code.

usage: client.py ADDRESSES SERVICE_CONFIG_FILE|- REQUEST_FILE ..."""

import collections
import sys
import threading
import time

import grpc

CALLERS = 64


def main():
    addresses, config, *files = sys.argv[1:]
    options = [("grpc.max_reconnect_backoff_ms", 2000), ("grpc.enable_http_proxy", 0)]
    if config == "-":
        options.append(("grpc.lb_policy_name", "round_robin"))
    else:
        with open(config, encoding="utf-8") as file:
            options.append(("grpc.service_config", file.read()))
        options.append(("grpc.per_rpc_retry_buffer_size", 16 << 20))
    requests = []
    for path in files:
        with open(path, "rb") as file:
            requests.append(file.read())
    counts = collections.Counter()
    messages = set()
    lock = threading.Lock()
    stop = threading.Event()
    channel = grpc.insecure_channel("ipv4:" + addresses, options=options)
    score = channel.unary_unary("/qkserve.v1.ScoringService/Score")

    def call(request):
        while not stop.is_set():
            code = grpc.StatusCode.OK
            try:
                score(request, timeout=30)
            except grpc.RpcError as error:
                code = error.code()
                messages.add(error.details())
                time.sleep(0.005)
            with lock:
                counts[code.name] += 1

    threads = [threading.Thread(target=call, args=(requests[i % len(requests)],))
               for i in range(CALLERS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    for code, count in sorted(counts.items()):
        print(code, count)
    for message in messages:
        print(message, file=sys.stderr)


main()
