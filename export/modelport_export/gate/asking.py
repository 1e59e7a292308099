"""The answers of one or two servers to held-out rows, in turns, within a budget of time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelport.errors import ModelportError
from modelport_client import Client
from modelport_export.signatures import SERVING_DEFAULT, Array

BUDGET_S = 20.0  # for all rows and both versions; what is left then is said
_MOST_ROWS, _MOST_BYTES = 256, 4 * 2**20  # of one request
_REQUEST_S = 1.0  # that a request is to take, for both versions
_MOST_KEPT_BYTES = 2**28  # of all answers, which are held in memory
_TIMEOUT_S = 60.0  # of one request
_SEED = 20_212  # of the order: a budget that ends early has then seen rows of everywhere


@dataclass(frozen=True)
class Answers:
    """What came of it.

    Args:
        rows: the numbers of the rows that were asked.
        outputs: of each version, output → array; None of one that did not answer.
        faults: of each version, why it did not.
    """

    rows: Array
    outputs: Sequence[Mapping[str, Array] | None]
    faults: Sequence[str]


def ask(clients: Sequence[Client], model: str, inputs: Mapping[str, Array]) -> Answers:
    """Ask every client for the same rows.

    Args:
        clients: of a server each.
        model: its name at all of them.
        inputs: of `serving_default`, one row each.
    """
    count = len(next(iter(inputs.values())))
    order = np.random.default_rng(_SEED).permutation(count)
    size = sum(_bytes(array) for array in inputs.values()) / max(count, 1)
    at_a_time, most = 1, int(max(1, min(_MOST_ROWS, _MOST_BYTES / max(size, 1))))
    pieces: list[list[Mapping[str, Array]]] = [[] for _ in clients]
    faults = [""] * len(clients)
    deadline, asked, kept = time.monotonic() + BUDGET_S, 0, 0
    while asked < count:
        begin = time.monotonic()
        chosen = order[asked : asked + at_a_time]
        rows = {name: array[chosen] for name, array in inputs.items()}
        for place, client in enumerate(clients):
            if faults[place]:
                continue
            try:
                pieces[place].append(client.predict(model, rows, signature=SERVING_DEFAULT, timeout=_TIMEOUT_S).raw)
            except ModelportError as error:
                faults[place] = error.message
        asked += len(chosen)
        answered = sum(_bytes(array) for piece in pieces if piece for array in piece[-1].values())
        kept += answered
        if time.monotonic() > deadline or kept > _MOST_KEPT_BYTES or all(faults):
            break
        # One row first: then as many as take a second, and whose answers are no larger than they may be.
        by_time = len(chosen) * _REQUEST_S / max(time.monotonic() - begin, 1e-6)
        by_bytes = len(chosen) * _MOST_BYTES / max(answered, 1)
        at_a_time = int(max(1, min(most, by_time, by_bytes, 8 * at_a_time)))
    outputs: list[Mapping[str, Array] | None] = []
    for place, piece in enumerate(pieces):
        try:
            outputs.append(None if faults[place] else _joined(piece))
        except ValueError as error:  # outputs whose size follows the batch
            faults[place] = f"its answers to several requests do not fit together ({error})"
            outputs.append(None)
    return Answers(order[:asked], outputs, faults)


def _joined(pieces: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
    names = pieces[0].keys() if pieces else ()
    return {name: np.concatenate([np.atleast_1d(piece[name]) for piece in pieces]) for name in names}


def _bytes(array: Array) -> int:
    return sum(map(len, array.ravel())) if array.dtype == object else array.nbytes
