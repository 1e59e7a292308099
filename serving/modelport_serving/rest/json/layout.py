"""How nested arrays are laid out in an answer: on one line (rows) or a value a line (columns)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

INDENT = b"    "


def inline(leaves: Sequence[bytes], shape: tuple[int, ...], separator: bytes = b", ") -> bytes:
    """The text of an array on one line: `[[1, 2], [3, 4]]`.

    Args:
        leaves: the texts of the values in row-major order.
        shape: () is the one value itself.
        separator: between elements.
    """
    texts = leaves
    for axis in reversed(range(len(shape))):
        size = shape[axis]
        texts = [
            b"[" + separator.join(texts[index * size : (index + 1) * size]) + b"]"
            for index in range(prod(shape[:axis]))
        ]
    return texts[0]


def block(leaves: Sequence[bytes], shape: tuple[int, ...], depth: int) -> bytes:
    """The text of an array with a line for each element, inside `depth` arrays and objects; empty ones are `[]`."""
    texts = leaves
    for axis in reversed(range(len(shape))):
        size = shape[axis]
        texts = [
            enclosed(b"[", texts[index * size : (index + 1) * size], b"]", depth + axis)
            for index in range(prod(shape[:axis]))
        ]
    return texts[0]


def enclosed(opening: bytes, items: Sequence[bytes], closing: bytes, depth: int) -> bytes:
    """Items between brackets, a line each, inside `depth` arrays and objects."""
    if not items:
        return opening + closing
    pad = b"\n" + INDENT * (depth + 1)
    return opening + pad + (b"," + pad).join(items) + b"\n" + INDENT * depth + closing
