from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return make


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    """A table of 200 rows: price is 100 for each room, half of it in the town called Low."""
    random = np.random.default_rng(0)
    rooms, towns = random.integers(1, 9, 200), random.choice(["High", "Low"], 200)
    prices = rooms * np.where(towns == "Low", 50.0, 100.0)
    lines = [
        f"{room},{town},{price},{str(town == 'Low').lower()}"
        for room, town, price in zip(rooms, towns, prices, strict=False)
    ]
    path = tmp_path / "houses.csv"
    path.write_text("rooms,town,price,cheap\n" + "\n".join(lines) + "\n")
    return path


def png(pixels: np.ndarray) -> bytes:
    """A grey PNG file, written here so that what reads it is not what wrote it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels.astype(np.uint8))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Forty images of 12 x 10 pixels, of a bright left or a bright right half."""
    random = np.random.default_rng(0)
    for side in ("left", "right"):
        folder = tmp_path / "pictures" / side
        folder.mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 90, (12, 10))
            pixels[:, slice(0, 5) if side == "left" else slice(5, 10)] += 150
            (folder / f"{number:02}.png").write_bytes(png(pixels))
    return tmp_path / "pictures"
