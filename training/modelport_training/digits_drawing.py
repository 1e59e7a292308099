"""Grey images as text, a few side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_SHADES = " ░▒▓█"
_ROWS, _COLUMNS = 8, 16  # a character is about twice as tall as it is wide
_PER_LINE = 4


def draw_digits(images: np.ndarray[Any, np.dtype[np.uint8]], captions: Sequence[str]) -> str:
    """Draw images of shape (n, height, width) with values 0..255, each above its caption, four to a line."""
    drawings = [[*_drawing(image), caption] for image, caption in zip(images, captions, strict=True)]
    lines = []
    for begin in range(0, len(drawings), _PER_LINE):
        group = drawings[begin : begin + _PER_LINE]
        lines += ["  ".join(part.ljust(_COLUMNS) for part in parts).rstrip() for parts in zip(*group, strict=True)]
    return "\n".join(lines)


def _drawing(image: np.ndarray[Any, np.dtype[np.uint8]]) -> list[str]:
    height, width = image.shape
    rows = (np.arange(_ROWS) * height + height // 2) // _ROWS
    columns = (np.arange(_COLUMNS) * width + width // 2) // _COLUMNS
    levels = image[np.ix_(rows, columns)].astype(int) * len(_SHADES) // 256
    return ["".join(_SHADES[level] for level in row) for row in levels]
