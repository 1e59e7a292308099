"""A closed loop by gRPC's own package, as its documentation has it: `future()` and callbacks.

python benchmarks/load_peers/futures.py TARGET CALLERS SECONDS    prints the answers
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import grpc

PATH = "/tensorflow.serving.PredictionService/Predict"
REQUEST_BYTES = 3200


def main() -> int:
    """Ask, and print how many answers came."""
    target, callers, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    call = grpc.insecure_channel(target).unary_unary(PATH)
    message = bytes(REQUEST_BYTES)
    answered = 0
    under_way = callers
    ended = threading.Event()
    end = time.monotonic() + seconds

    def done(future: Any) -> None:
        nonlocal answered, under_way
        future.result()
        if time.monotonic() < end:
            answered += 1
            call.future(message).add_done_callback(done)
            return
        under_way -= 1
        if not under_way:
            ended.set()

    for _ in range(callers):
        call.future(message).add_done_callback(done)
    ended.wait(seconds + 10)
    print(answered)
    return 0


if __name__ == "__main__":
    sys.exit(main())
