"""How nested arrays are laid out in an answer: on one line (rows) or a value a line (columns).

Answers may have a hundred megabytes: their texts are kept in pieces until all are joined, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

INDENT = b"    "

Marks = Callable[[int], tuple[bytes, bytes, bytes]]  # level of an array → what opens, separates and closes it


def inline(level: int) -> tuple[bytes, bytes, bytes]:
    """The marks of arrays on one line: `[[1, 2], [3, 4]]`."""
    return b"[", b", ", b"]"


def block(depth: int) -> Marks:
    """The marks of arrays with a line for each element, inside `depth` arrays and objects."""

    def marks(level: int) -> tuple[bytes, bytes, bytes]:
        begin = b"\n" + INDENT * (depth + level + 1)
        return b"[" + begin, b"," + begin, b"\n" + INDENT * (depth + level) + b"]"

    return marks


def nested(texts: Iterator[bytes], shape: Sequence[int], marks: Marks, out: list[bytes], level: int = 0) -> None:
    """Append the text of nested arrays; empty ones are `[]`.

    Args:
        texts: of what is inside the innermost arrays, in row-major order.
        shape: of the arrays; () is one text itself.
        marks: how they are laid out.
        out: takes the pieces.
        level: of the outermost array.
    """
    if not shape:
        out.append(next(texts))
        return
    if not shape[0]:
        out.append(b"[]")
        return
    opening, separator, closing = marks(level)
    out.append(opening)
    for index in range(shape[0]):
        if index:
            out.append(separator)
        nested(texts, shape[1:], marks, out, level + 1)
    out.append(closing)


def enclosed(opening: bytes, items: Sequence[bytes], closing: bytes, depth: int) -> bytes:
    """Items between brackets, a line each, inside `depth` arrays and objects."""
    if not items:
        return opening + closing
    pad = b"\n" + INDENT * (depth + 1)
    return opening + pad + (b"," + pad).join(items) + b"\n" + INDENT * depth + closing
