"""Companies of rows: the same samples alone, in other orders, and among rows that a model may trip over."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from modelport_export.proof.parity import is_float
from modelport_export.signatures import Array

MAX_REQUEST_BYTES = 8 * 2**20  # small models have small rows; a request of large ones is held to a fraction of a second
MAX_REQUEST_S = 0.25  # as far as it can be told from the time of one row: ten such requests fit the budget
SAMPLES = 8  # rows whose answers are compared: enough that each has others of its kind beside it
MANY = 65  # rows of the largest request: more than the 32 that warm a version, and no round number
FEWEST = 3  # rows that every proof runs together, however large they are


@dataclass(frozen=True)
class Company:
    """Rows that are asked for together.

    Args:
        name: for the reason that a person reads.
        inputs: input alias → array.
        samples: for each row the number of the sample that it is, or None for a neighbour that is not compared.
    """

    name: str
    inputs: Mapping[str, Array]
    samples: tuple[int | None, ...]


def row_limit(inputs: Mapping[str, Array], row_s: float = 0.0) -> int:
    """How many rows of this kind go into a request, when one alone takes `row_s` seconds."""
    rows = len(next(iter(inputs.values())))
    size = sum(_bytes(array) for array in inputs.values()) / rows
    return max(FEWEST, min(MANY, int(MAX_REQUEST_BYTES / max(size, 1.0)), int(MAX_REQUEST_S / max(row_s, 1e-6))))


def pick(inputs: Mapping[str, Array], limit: int) -> dict[str, Array]:
    """The samples whose answers are compared, when so many rows go into a request."""
    count = max(2, min(SAMPLES, limit // 2))
    return {alias: array[:count] for alias, array in inputs.items()}


def companies(inputs: Mapping[str, Array], limit: int) -> Iterator[Company]:
    """Companies of the samples, the most telling first: the first four have two rows, three, many, and other values.

    Args:
        inputs: what `pick` gave.
        limit: rows of the largest request.
    """
    count = len(next(iter(inputs.values())))
    last = count - 1
    yield _of_samples("two samples", inputs, [0, last])
    yield _of_samples("three samples", inputs, [last, 0, last // 2])
    many = np.random.default_rng(0).permutation(np.arange(limit) % count).tolist()
    yield _of_samples(f"{limit} samples", inputs, many)
    neighbours = list(_neighbours(inputs))
    for name, others in neighbours:
        yield _among(f"samples among rows of {name}", inputs, others, range(count)[: limit // 2])
    yield _of_samples("two samples in the other order", inputs, [last, 0])
    yield _of_samples("copies of one sample", inputs, [0] * 5)
    yield _of_samples("all samples in the other order", inputs, list(range(count))[::-1])
    for name, others in neighbours:
        yield _among(f"one sample before a row of {name}", inputs, others, [0], before=False)
        yield _among(f"one sample behind a row of {name}", inputs, others, [last], behind=False)


def _of_samples(name: str, inputs: Mapping[str, Array], rows: list[int]) -> Company:
    return Company(name, {alias: array[rows] for alias, array in inputs.items()}, tuple(rows))


def _among(
    name: str,
    inputs: Mapping[str, Array],
    others: Mapping[str, Array],
    rows: range | list[int],
    *,
    before: bool = True,
    behind: bool = True,
) -> Company:
    """Each sample between two neighbours, which are those made of the samples next to it."""
    count = len(next(iter(inputs.values())))
    order: list[tuple[int, bool]] = [(rows[0] - 1, False)] if before else []
    for row in rows:
        order += [(row, True), *([((row + 1) % count, False)] if behind else [])]
    taken = {
        alias: np.stack([array[row] if is_sample else others[alias][row] for row, is_sample in order])
        for alias, array in inputs.items()
    }
    return Company(name, taken, tuple(row if is_sample else None for row, is_sample in order))


def _neighbours(inputs: Mapping[str, Array]) -> Iterator[tuple[str, dict[str, Array]]]:
    """Rows of other values, made of the samples; of each kind as many."""
    yield "other values", {alias: _other(array) for alias, array in inputs.items()}
    yield "zeros", {alias: _filled(array, 0, b"") for alias, array in inputs.items()}
    if any(is_float(array) for array in inputs.values()):
        for value in (np.nan, np.inf, -np.inf):
            yield (
                str(value),
                {alias: _filled(a, value, b"") if is_float(a) else _other(a) for alias, a in inputs.items()},
            )
    yield "the largest values", {alias: _largest(array) for alias, array in inputs.items()}


def _other(array: Array) -> Array:
    """Other rows of the kind, their elements backwards; floats of the other sign and thrice the size."""
    backwards = array.reshape(-1)[::-1].reshape(array.shape)
    if array.dtype == object:
        twice = np.empty(array.size, object)
        twice[:] = [item + b" " + item for item in backwards.reshape(-1).tolist()]
        return twice.reshape(array.shape)
    if not is_float(array):
        return backwards
    with np.errstate(over="ignore"):  # infinity is as good a neighbour
        return (backwards * -3).astype(array.dtype)


def _filled(array: Array, number: float, text: bytes) -> Array:
    if array.dtype == object:
        return np.full(array.shape, text, object)
    return np.full(array.shape, number).astype(array.dtype)


def _largest(array: Array) -> Array:
    """The end of the range of numbers; for strings, bytes that are no UTF-8."""
    if array.dtype == object:
        return np.full(array.shape, b"\xff\xfe" * 20, object)
    if array.dtype.kind in "iu":
        return np.full(array.shape, np.iinfo(array.dtype).max, array.dtype)
    if array.dtype.kind == "f":
        return np.full(array.shape, np.finfo(array.dtype).max, array.dtype)
    return _filled(array, 1, b"")


def _bytes(array: Array) -> int:
    if array.dtype == object:
        return sum(map(len, itertools.chain(array.reshape(-1).tolist())))
    return array.nbytes
