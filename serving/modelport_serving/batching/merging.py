"""Several requests in one run: rows put together, run once, taken apart again.

Pure functions of arrays and of a callable that runs the model; when runs happen is the scheduler's business. Checks and
texts are those of TensorFlow Serving's `batching_session.cc`. Unlike there, whatever goes wrong in a shared run, each
request is run again by itself: one request's error is never another's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelport.errors import FailedPrecondition, Internal, InvalidArgument, ModelportError
from modelport_serving.servables.batch_limits import BatchLimits

Array = np.ndarray[Any, np.dtype[Any]]
Feeds = Mapping[str, Array]
RunOnce = Callable[[Feeds], list[Array]]
Outcome = list[Array] | ModelportError

_PADDED_RANKS = range(1, 7)  # of the real server


def row_count(feeds: Feeds) -> int | None:
    """The rows of a request; None when its inputs have no first dimension in common."""
    rows = -1
    for array in feeds.values():
        if not array.ndim or (rows >= 0 and len(array) != rows):
            return None
        rows = len(array)
    return rows if rows >= 0 else None


def checked_row_count(feeds: Feeds, limits: BatchLimits) -> int:
    """The rows of a request to a batched model.

    Raises:
        InvalidArgument: no inputs, scalars, unequal or too many rows.
    """
    if not feeds:
        raise InvalidArgument("Batching Run() must have at least one input tensor")
    if not all(array.ndim for array in feeds.values()):
        raise InvalidArgument("Batching Run() input tensors must have at least one dimension")
    rows = row_count(feeds)
    if rows is None:
        raise InvalidArgument("Batching Run() input tensors must have equal 0th-dimension size")
    if rows > limits.max_rows:
        raise InvalidArgument(f"Task size {rows} is larger than maximum input batch size {limits.max_rows}")
    return rows


def likeness(feeds: Feeds, *, padded: bool) -> tuple[Any, ...]:
    """What two requests must have in common to share a run: dtypes and inner shapes, or only ranks where these are
    made equal by padding."""
    return tuple((a.dtype.num, a.ndim if padded else a.shape[1:], a.size > 0) for a in feeds.values())


def run_together(run: RunOnce, requests: Sequence[Feeds], limits: BatchLimits) -> list[Outcome]:
    """Run requests of one likeness in one run, or in as few as the limits allow; one outcome a request."""
    try:
        outputs = _run_in_pieces(run, _merged(requests, pad=limits.pad), limits)
    except Exception as error:
        if len(requests) == 1:
            return [_known(error)]
        return [run_together(run, [request], limits)[0] for request in requests]
    return list(_taken_apart(outputs, [len(next(iter(feeds.values()))) for feeds in requests]))


def run_alone(run: RunOnce, feeds: Feeds) -> Outcome:
    """Run one request as it is."""
    try:
        return run(feeds)
    except Exception as error:
        return _known(error)


def _known(error: Exception) -> ModelportError:
    """Whatever a run raised, as an error that its caller can be told."""
    return error if isinstance(error, ModelportError) else Internal(f"{type(error).__name__}: {error}")


def _merged(requests: Sequence[Feeds], *, pad: bool) -> Feeds:
    if len(requests) == 1 and not pad:
        return requests[0]
    merged = {}
    for name in requests[0]:
        arrays = [feeds[name] for feeds in requests]
        merged[name] = np.concatenate(_padded(arrays) if pad else arrays)
    return merged


def _padded(arrays: Sequence[Array]) -> Sequence[Array]:
    """Arrays of equal inner shape: each filled up at the ends with its own first element."""
    if arrays[0].ndim not in _PADDED_RANKS:
        raise InvalidArgument("Only tensors with rank from 1 to 6 can be padded.")
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) == 1:
        return arrays
    inner = tuple(map(max, *shapes))
    padded = []
    for array in arrays:
        full = np.full((len(array), *inner), array.flat[0], array.dtype)
        full[tuple(map(slice, array.shape))] = array
        padded.append(full)
    return padded


def _run_in_pieces(run: RunOnce, feeds: Feeds, limits: BatchLimits) -> list[Array]:
    rows = len(next(iter(feeds.values())))
    step = limits.max_run_rows
    if rows <= step:
        return _run_sized(run, feeds, rows, limits)
    pieces = [
        _run_sized(run, {name: a[at : at + step] for name, a in feeds.items()}, min(step, rows - at), limits)
        for at in range(0, rows, step)
    ]
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def _run_sized(run: RunOnce, feeds: Feeds, rows: int, limits: BatchLimits) -> list[Array]:
    """One run, padded with its first row up to an allowed size; what the padding gave is dropped."""
    size = next((size for size in limits.sizes if size >= rows), rows) if rows else 0
    if size > rows:
        feeds = {name: np.concatenate([a, np.repeat(a[:1], size - rows, axis=0)]) for name, a in feeds.items()}
    outputs = run(feeds)
    _check_outputs(outputs, size)
    return [output[:rows] for output in outputs] if size > rows else outputs


def _check_outputs(outputs: Sequence[Array], rows: int) -> None:
    for output in outputs:
        if not output.ndim:
            raise FailedPrecondition("Batched output tensor has 0 dimensions")
        if len(output) != rows:
            raise FailedPrecondition(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors"
            )


def _taken_apart(outputs: Sequence[Array], counts: Sequence[int]) -> list[list[Array]]:
    if len(counts) == 1:
        return [list(outputs)]
    answers = []
    start = 0
    for count in counts:
        answers.append([output[start : start + count] for output in outputs])
        start += count
    return answers
