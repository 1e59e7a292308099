"""Import time, and time to the first call, of our client against the official one, each in a fresh process."""

from __future__ import annotations

import subprocess
import sys

from rich.console import Console
from rich.table import Table

ROUNDS = 5
OURS = "import modelport_client"
PEER = "import tensorflow_serving.apis.predict_pb2, tensorflow_serving.apis.prediction_service_pb2_grpc"
OURS_FIRST = """
import numpy as np
from modelport_client import Client
client = Client("localhost:1")
try: client.predict("m", {"x": np.zeros((1, 784), np.float32)})
except ConnectionError: pass
"""
PEER_FIRST = """
import grpc, numpy as np, tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel("localhost:1"))
request = predict_pb2.PredictRequest()
request.model_spec.name = "m"
request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros((1, 784), np.float32)))
try: stub.Predict(request, timeout=10)
except grpc.RpcError: pass
"""
_TIMER = "import time; begin = time.perf_counter()\n{}\nprint(time.perf_counter() - begin)"


def seconds(code: str) -> float:
    """The best of several fresh processes."""
    command = [sys.executable, "-c", _TIMER.format(code)]
    runs = (
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout for _ in range(ROUNDS)
    )
    return min(float(run.split()[-1]) for run in runs)


def main() -> None:
    """Print the table."""
    table = Table("", "ours ms", "official ms", "ratio", title="client: ours against tensorflow-serving-api")
    for name, ours, peer in (("import", OURS, PEER), ("import and first call (refused)", OURS_FIRST, PEER_FIRST)):
        a, b = seconds(ours), seconds(peer)
        table.add_row(name, f"{a * 1000:.0f}", f"{b * 1000:.0f}", f"{b / a:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
