"""A SavedModel without weights that takes and gives as many values as a request wants; its signatures are small.

`floats`, `integers` and `strings` take values `x` of any shape and answer how many there were and what they come to,
so that a large request has a small answer. `pairs` does so with `a` and `b`. `make_floats`, `make_integers` and
`make_strings` take how many `n` are wanted, as one row, and answer with so many values `y`.

Run as a script it writes the version: TensorFlow then stays out of the process that measures.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

NAME = "fairness"
FLOAT_STEP, INTEGER_STEP = 0.37, 2**34 + 12345  # of `make_…`: nine digits in JSON, and varints of 5 to 9 bytes

Array = np.ndarray[Any, np.dtype[Any]]


def write(repository: Path) -> Path:
    """Write `<repository>/fairness/1` in a process of its own; returns the base path."""
    base = repository / NAME
    subprocess.run([sys.executable, __file__, str(base / "1")], check=True, capture_output=True, timeout=120)
    return base


def made(signature: str, count: int) -> Array:
    """What `make_…` answers to `count`: float32, int64 or bytes of the shape (count,)."""
    places = np.arange(count, dtype=np.int64)
    if signature == "make_floats":
        return (places * FLOAT_STEP).astype(np.float32)
    if signature == "make_integers":
        return places * INTEGER_STEP
    return np.array([str(place).encode() for place in places.tolist()], object)


def _save(folder: str) -> None:
    import tensorflow as tf

    def spec(dtype: Any, name: str, shape: Any = None) -> Any:
        return tf.TensorSpec(shape, dtype, name)

    def sum_up(*numbers: Any) -> dict[str, Any]:
        values = tf.concat([tf.cast(tf.reshape(number, [-1]), tf.float64) for number in numbers], 0)
        return {"count": tf.size(values, tf.int64)[None], "total": tf.reduce_sum(values)[None]}

    def signature(function: Any, *specs: Any) -> Any:
        return tf.function(function, input_signature=specs)

    def places(n: Any) -> Any:
        return tf.range(n[0])

    one = spec(tf.int64, "n", [None])
    signatures = {
        "floats": signature(lambda x: sum_up(x), spec(tf.float32, "x")),
        "integers": signature(lambda x: sum_up(x), spec(tf.int64, "x")),
        "strings": signature(lambda x: sum_up(tf.strings.length(x)), spec(tf.string, "x")),
        "pairs": signature(lambda a, b: sum_up(a, b), spec(tf.float32, "a", [None]), spec(tf.float32, "b", [None])),
        "make_floats": signature(
            lambda n: {"y": tf.cast(tf.cast(places(n), tf.float64) * FLOAT_STEP, tf.float32)}, one
        ),
        "make_integers": signature(lambda n: {"y": places(n) * INTEGER_STEP}, one),
        "make_strings": signature(lambda n: {"y": tf.strings.as_string(places(n))}, one),
    }
    tf.saved_model.save(tf.Module(), folder, signatures=signatures)


if __name__ == "__main__":
    _save(sys.argv[1])
