"""The requests of a proof: few rows and many, in several orders, and of other lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from modelport_export.proof.rows import Rows
from modelport_export.signatures import Array, Spec

SLICE_BYTES = 32 * 2**20  # of a request with its answer
SLICE_S = 0.5  # of a request, as far as it can be told from one unit; it bounds what the model holds meanwhile, too
MANY = 65  # rows of the largest request: more than the 32 that warm a version, and no round number


@dataclass(frozen=True)
class Batch:
    """A request.

    Args:
        name: what it is, for a person.
        samples: as `serving_default` takes them.
        is_other: of sizes that the samples do not have: that the model takes them is not known.
    """

    name: str
    samples: Mapping[str, Array]
    is_other: bool = False


def batches(
    inputs: Mapping[str, Spec], samples: Mapping[str, Array], unit_bytes: float, unit_s: float
) -> Iterator[Batch]:
    """The requests, the most telling first.

    Args:
        inputs: of `serving_default`.
        samples: its inputs.
        unit_bytes: of one unit of them with its answer.
        unit_s: that the model takes for it, called by itself.
    """
    rows = Rows.of(inputs)
    count = rows.count(samples)
    if not rows.is_open:
        for unit in range(count):
            yield Batch(f"samples {unit * rows.unit + 1} to {(unit + 1) * rows.unit}", rows.take(samples, [unit]))
        return
    most = slice_rows(MANY, unit_bytes, unit_s)
    yield Batch("one row", rows.take(samples, [0]))
    if most > 1:
        yield Batch("two rows", rows.take(samples, [count - 1, 0]))
        shuffled = np.random.default_rng(0).permutation(np.arange(most) % count).tolist()
        yield Batch(f"{most} rows in mixed company", rows.take(samples, shuffled))
    first = rows.take(samples, range(min(count, most)))
    for name, change in (("shorter rows", _shorter), ("longer rows", _longer)):
        other = {alias: change(array, inputs[alias]) for alias, array in first.items()}
        if any(array.shape != first[alias].shape for alias, array in other.items()):
            yield Batch(name, other, is_other=True)
    for begin in range(0, count, most):
        end = min(begin + most, count)
        yield Batch(f"samples {begin + 1} to {end}", rows.take(samples, range(begin, end)))


def slice_rows(most: int, unit_bytes: float, unit_s: float) -> int:
    """How many units go into a request, at most so many; see `batches`."""
    return max(1, min(most, int(SLICE_BYTES / max(unit_bytes, 1.0)), int(SLICE_S / max(unit_s, 1e-6))))


def _open_axes(array: Array, spec: Spec) -> Iterator[int]:
    if spec.shape is not None:
        yield from (axis for axis, size in enumerate(spec.shape) if axis and size == -1)


def _shorter(array: Array, spec: Spec) -> Array:
    for axis in _open_axes(array, spec):
        array = np.take(array, range(max(1, array.shape[axis] // 2)), axis)
    return array


def _longer(array: Array, spec: Spec) -> Array:
    """Longer by half and one, with the values from the beginning again."""
    for axis in _open_axes(array, spec):
        size = array.shape[axis]
        if size:
            array = np.take(array, np.arange(size + size // 2 + 1) % size, axis)
    return array
