"""A set four times larger than the memory that its process takes for it trains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

LIMIT = 256 * 2**20  # bytes that the process may take beyond what it took for a small set
VALUES = 50_000  # of a row, in float32
ROWS = 4 * LIMIT // (4 * VALUES)

RECIPE = """
import keras

def build_for(dataset):
    x = keras.Input((50_000,), name="x")
    model = keras.Model({"x": x}, keras.layers.Dense(1)(keras.layers.AveragePooling1D(100)(x[..., None])[..., 0]))
    model.compile("sgd", "mse")
    return model
"""
LIMITED = """
from pathlib import Path
from modelport_training import Settings, own_data, train

def settings(name, **others):
    return Settings(
        "wide", data=Path(name), target="y", features=Path("features.json"), batch_size=16, learning_rate=0.01,
        stream=True, **others
    )

def memory(name):
    return int(Path("/proc/self/status").read_text().split(name)[1].split()[0]) * 1024

train(settings("small.tfrecord", epochs=1, output=Path("small")), stream=None)
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
before = memory("VmRSS:")
trained = train(settings("large.tfrecord", epochs=1, output=Path("large")), stream=None)
print(memory("VmHWM:") - before, trained.data["train_examples"] + trained.data["test_examples"])
"""


def write(path: Path, rows: int) -> None:
    random = np.random.default_rng(0)
    block = random.normal(size=VALUES + rows).astype(np.float32)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(rows):  # each begins elsewhere in the same noise
            values = block[row : row + VALUES]
            target = np.float32(values[:1000].mean() * 100)
            features = field(1, feature(b"x", values.tobytes()) + feature(b"y", target.tobytes()))
            writer.write(features)


def feature(name: bytes, floats: bytes) -> bytes:
    """One entry of a tf.Example's map; as messages of Python they would take a minute."""
    return field(1, field(1, name) + field(2, field(2, field(1, floats))))


def field(number: int, data: bytes) -> bytes:
    """A field of length-delimited bytes in the wire format of protobuf."""
    size, length = len(data), b""
    while size > 127:
        length, size = length + bytes([size % 128 + 128]), size // 128
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


@pytest.mark.skipif(sys.platform != "linux", reason="reads what a process has from /proc")
def test_it_streams(tmp_path: Path) -> None:
    described = {"x": {"dtype": "float32", "shape": [VALUES]}, "y": {"dtype": "float32"}}
    (tmp_path / "features.json").write_text(json.dumps(described))
    (tmp_path / "wide.py").write_text(RECIPE)
    write(tmp_path / "small.tfrecord", 100)
    write(tmp_path / "large.tfrecord", ROWS)
    command = [sys.executable, "-c", LIMITED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    peak, rows = map(int, done.stdout.split())
    assert rows == ROWS
    assert peak < LIMIT, f"{peak:,} bytes more than after a small run"
