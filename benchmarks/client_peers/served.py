"""The models and the server that all clients of the benchmark ask, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("carat", "depth", "table", "x", "y", "z")


class Addresses(NamedTuple):
    """Where the server answers."""

    grpc: str
    rest: str


def write_models(root: Path) -> None:
    """`row` (x float[?,4] -> y the same), `large` (x float[?] -> y float[?,5000000]) and `table` (a sum of columns)."""
    import tensorflow as tf

    def save(name: str, specs: list[tf.TensorSpec], call: object) -> None:
        module = tf.Module()
        module.call = tf.function(call, input_signature=specs)
        tf.saved_model.save(module, str(root / name / "1"), {"serving_default": module.call})

    save("row", [tf.TensorSpec([None, 4], tf.float32, name="x")], lambda x: {"y": tf.identity(x)})
    wide = tf.TensorSpec([None], tf.float32, name="x")
    save("large", [wide], lambda x: {"y": x[:, None] + tf.zeros([5_000_000])})
    columns = [tf.TensorSpec([None, 1], tf.float32, name=name) for name in COLUMNS]
    save("table", columns, lambda *values: {"price": tf.add_n(list(values))})


@contextmanager
def serving(root: Path) -> Iterator[Addresses]:
    """A server of the models, on free ports of the loopback address, until the block is left."""
    command = [sys.executable, "-m", "modelport", "serve", str(root), "--port=auto", "--rest_api_port=auto"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            lines = []
            for line in process.stdout or ():
                lines.append(line)
                if "Stop with Ctrl-C." in line:
                    break
            words = " ".join(lines).split()
            grpc = words[words.index("gRPC") + 1]
            rest = next(word for word in words if word.startswith("http://"))
            yield Addresses(grpc, rest)
        finally:
            process.terminate()
