"""Held-out rows that go along with a model: inputs by name, and what it ought to answer as `label` or `target_OUTPUT`.

Training writes them into a run folder, a version carries them, and later versions are held against it on the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelport.errors import InvalidArgument
from modelport.run_record import is_target

Array = NDArray[Any]

MOST_ROWS = 10_000  # an accuracy near 0.9 is then known to 0.006, with 95 % certainty
MOST_BYTES = 16 * 2**20  # of all arrays, unpacked: what a version may weigh for it
_SEED = 20_210  # of the choice among more rows: the same rows of the same data, always


def bounded(arrays: Mapping[str, Array]) -> tuple[dict[str, Array], str]:
    """As many rows as may go along, chosen at random where there are more, in their order.

    Returns:
        The rows, and which bound cut them; empty where none did.

    Raises:
        InvalidArgument: arrays of other numbers of rows, no target, a row that is too large, or texts that end with a
            zero byte, which would be lost.
    """
    chosen, why = choice(arrays)
    return (dict(arrays), "") if chosen is None else ({name: array[chosen] for name, array in arrays.items()}, why)


def choice(arrays: Mapping[str, Array]) -> tuple[Array | None, str]:
    """The numbers of the rows that may go along, None for all of them; and which bound cut them.

    Raises:
        InvalidArgument: see `bounded`.
    """
    rows = count(arrays)
    size = sum(_bytes(array) for array in arrays.values())
    most = min(MOST_ROWS, int(MOST_BYTES / (size / rows))) if size else rows
    if not most:
        raise InvalidArgument(
            f"Expected evaluation rows of at most {MOST_BYTES // 2**20} MiB each. Received: {size // rows:,} bytes."
        )
    if rows <= most:
        return None, ""
    chosen = np.sort(np.random.default_rng(_SEED).choice(rows, most, replace=False))
    why = f"{MOST_ROWS:,} rows" if most == MOST_ROWS else f"{MOST_BYTES // 2**20} MiB"
    return chosen, f"{most:,} of {rows:,} rows, because of {why}"


def count(arrays: Mapping[str, Array]) -> int:
    """The number of rows.

    Raises:
        InvalidArgument: arrays of other numbers of rows, or no target.
    """
    if not any(map(is_target, arrays)) or all(map(is_target, arrays)):
        raise InvalidArgument(
            "Expected evaluation rows with inputs by name and what the model ought to answer, as 'label' or "
            f"'target_OUTPUT'. Received: {sorted(arrays)}"
        )
    counts = {name: len(array) if array.ndim else -1 for name, array in arrays.items()}
    if len(set(counts.values())) != 1 or -1 in counts.values():
        raise InvalidArgument(f"Expected evaluation rows in equal number in every array. Received: {counts}")
    found = next(iter(counts.values()))
    if not found:
        raise InvalidArgument("Expected evaluation rows, one at least. Received: none.")
    return found


def _bytes(array: Array) -> int:
    """What an array takes when it is stored; texts are stored as wide as the longest."""
    if array.dtype != object:
        return array.nbytes
    values = list(array.ravel())
    if any(isinstance(value, bytes) and value.endswith(b"\0") for value in values):
        raise InvalidArgument(
            "Expected evaluation rows whose texts do not end with a zero byte, which would be lost when they are "
            "stored. Leave the rows out, or the zero bytes."
        )
    return max(map(len, values), default=0) * len(values)


def parts(arrays: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """The inputs, and the targets."""
    inputs = {name: array for name, array in arrays.items() if not is_target(name)}
    return inputs, {name: array for name, array in arrays.items() if is_target(name)}
