"""The tensor codec against tensorflow-serving-api's way (`tf.make_tensor_proto`, `tf.make_ndarray`), as ratios.

Decode: from the bytes of a server's answer (typed fields, as the real server writes them) to a numpy array.
Encode: from a numpy array to the bytes of a request.
A ratio above 1 is how many times faster ours is; both are measured in this run, alternately, best of several rounds.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from modelport import tensors
from modelport.quiet import native_notes_held_back
from modelport.wire import messages

with native_notes_held_back():
    import tensorflow as tf
    from tensorflow.core.framework import tensor_pb2

ROUNDS = 7
ROUND_S = 0.05


def cases() -> list[tuple[str, np.ndarray]]:
    """What is measured: name and array."""
    rng = np.random.default_rng(0)
    words = np.array([f"label-{number}".encode() for number in rng.integers(0, 10**6, 1000)], object)
    return [
        ("float32 (1, 10)", rng.random((1, 10), np.float32)),
        ("float32 (32, 1000)", rng.random((32, 1000), np.float32)),
        ("float32 (1, 224, 224, 3)", rng.random((1, 224, 224, 3), np.float32)),
        ("float32 (32, 224, 224, 3)", rng.random((32, 224, 224, 3), np.float32)),
        ("int64 (32, 1000), values < 128", rng.integers(0, 128, (32, 1000))),
        ("int64 (32, 1000), values < 1000", rng.integers(0, 1000, (32, 1000))),
        ("int64 (32, 1000), values of 63 bits", rng.integers(0, 2**63 - 1, (32, 1000))),
        ("bool (32, 1000)", rng.random((32, 1000)) < 0.5),
        ("string (1000,)", words),
    ]


def best_of(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    """Seconds a call of each, measured alternately so that a noisy moment hits both."""
    timers = [timeit.Timer(function) for function in (ours, peer)]
    counts = [max(1, int(ROUND_S / timer.timeit(1))) for timer in timers]
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for index, (timer, count) in enumerate(zip(timers, counts, strict=True)):
            best[index] = min(best[index], timer.timeit(count) / count)
    return best[0], best[1]


def measure(array: np.ndarray) -> tuple[float, float, float, float]:
    """Seconds of decode (ours, peer) and encode (ours, peer)."""
    answer = tensors.encode(array, typed=True).SerializeToString()

    def decode_ours() -> np.ndarray:
        return tensors.decode(messages.TensorProto.FromString(answer))

    def decode_peer() -> np.ndarray:
        return tf.make_ndarray(tensor_pb2.TensorProto.FromString(answer))

    def encode_ours() -> bytes:
        return tensors.encode(array).SerializeToString()

    def encode_peer() -> bytes:
        return tf.make_tensor_proto(array).SerializeToString()

    assert decode_ours().tolist() == decode_peer().tolist()
    assert tf.make_ndarray(tensor_pb2.TensorProto.FromString(encode_ours())).tolist() == array.tolist()
    return *best_of(decode_ours, decode_peer), *best_of(encode_ours, encode_peer)


def main() -> None:
    """Print the table."""
    table = Table("tensor", title="codec: ours against tensorflow-serving-api; ratio = peer / ours")
    for column in ("decode µs", "peer µs", "ratio", "encode µs", "peer µs", "ratio"):
        table.add_column(column, justify="right")
    for name, array in cases():
        decode, decode_peer, encode, encode_peer = measure(array)
        table.add_row(
            name,
            f"{decode * 1e6:,.1f}",
            f"{decode_peer * 1e6:,.1f}",
            f"{decode_peer / decode:,.1f}",
            f"{encode * 1e6:,.1f}",
            f"{encode_peer * 1e6:,.1f}",
            f"{encode_peer / encode:,.1f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
