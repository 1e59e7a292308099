"""Runs in ovmsclient's environment, without anything of ours: `with_ovmsclient.py GRPC REST COUNT`; prints JSON."""

import json
import statistics
import sys
import time

import numpy as np
from ovmsclient import make_grpc_client, make_http_client

COLUMNS = ("carat", "depth", "table", "x", "y", "z")


def seconds(call, count):
    """The median of so many calls."""
    call()
    found = []
    for _ in range(count):
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


grpc_client, http_client, count = make_grpc_client(sys.argv[1]), make_http_client(sys.argv[2]), int(sys.argv[3])
row = {"x": np.zeros((1, 4), np.float32)}
table = {name: np.random.default_rng(0).random((10_000, 1)).astype(np.float32) for name in COLUMNS}
print(
    json.dumps(
        {
            "row, gRPC": seconds(lambda: grpc_client.predict(row, "row", 1), count),
            "row, REST": seconds(lambda: http_client.predict(row, "row", 1), count),
            "table, gRPC": seconds(lambda: grpc_client.predict(table, "table", 1), 7),
            "table, REST": seconds(lambda: http_client.predict(table, "table", 1), 7),
        }
    )
)
