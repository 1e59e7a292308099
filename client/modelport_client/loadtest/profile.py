"""How many requests are due when: rates over time, and arrivals drawn from them. Nothing here waits or sends.

A rate is a chain of pieces, each a straight line from one rate to another. Arrivals are first made for a rate of one a
second, evenly or at random (a Poisson process), and then carried over to the time at which the rate has summed up to
each of them. So any profile has either kind of arrivals, and a seed gives the same ones each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument

Times = np.ndarray[Any, np.dtype[np.float64]]

POISSON, STEADY = "poisson", "steady"
ARRIVALS = (POISSON, STEADY)
_CHUNK = 4096  # arrivals made at a time


@dataclass(frozen=True)
class Piece:
    """Requests a second, from `begin` to `end` in a straight line, for `seconds`."""

    begin: float
    end: float
    seconds: float

    def __post_init__(self) -> None:
        if not (self.begin >= 0 and self.end >= 0 and self.begin + self.end > 0 and self.seconds > 0):
            raise InvalidArgument(
                f"Expected a rate above 0 for more than 0 seconds. Received: {self.begin:g}-{self.end:g} requests a "
                f"second for {self.seconds:g} s"
            )

    @property
    def requests(self) -> float:
        """How many are due, on average."""
        return (self.begin + self.end) / 2 * self.seconds

    def moments(self, counts: Times) -> Times:
        """When the piece has brought that many requests, in seconds from its beginning."""
        slope = (self.end - self.begin) / self.seconds
        if slope == 0:
            return counts / self.begin
        inside = np.maximum(self.begin**2 + 2 * slope * counts, 0.0)
        return 2 * counts / (self.begin + np.sqrt(inside))


def parse(text: str) -> tuple[Piece, ...]:
    """Read `100:10,100-500:30,500:10`: steps and ramps, each with its seconds.

    Raises:
        InvalidArgument: it is something else.
    """
    pieces = []
    for word in text.split(","):
        rates, _, seconds = word.partition(":")
        begin, dash, end = rates.partition("-")
        try:
            pieces.append(Piece(float(begin), float(end if dash else begin), float(seconds)))
        except ValueError as error:
            raise InvalidArgument(
                f"Expected RATE:SECONDS or FROM-TO:SECONDS, separated by commas, such as 100:10,100-500:30. "
                f"Received: {word!r}"
            ) from error
    return tuple(pieces)


def seconds_of(pieces: Sequence[Piece]) -> float:
    """How long a profile lasts."""
    return sum(piece.seconds for piece in pieces)


def arrivals(pieces: Sequence[Piece], kind: str, seed: int, share: int = 0, shares: int = 1) -> Iterator[float]:
    """The moments at which requests are due, in seconds from the beginning.

    Args:
        pieces: the rate.
        kind: `poisson` or `steady`.
        seed: of the random ones.
        share: whose part of them, of `shares` that together have the whole rate. Steady arrivals take turns; a Poisson
            process is the sum of independent ones.
        shares: how many parts.
    """
    counts = _counts(kind, seed, share, shares)
    chunk = next(counts)
    begin, before = 0.0, 0.0  # seconds and requests of the pieces so far
    for piece in pieces:
        last = before + piece.requests
        while True:
            inside = chunk[chunk < last]
            yield from (begin + piece.moments(inside - before)).tolist()
            chunk = chunk[len(inside) :]
            if len(chunk):
                break
            chunk = next(counts)
        begin, before = begin + piece.seconds, last


def _counts(kind: str, seed: int, share: int, shares: int) -> Iterator[Times]:
    """Arrivals of one request a second in all, as far as they are of one share."""
    if kind == STEADY:
        number = share
        while True:
            yield number + shares * np.arange(_CHUNK, dtype=np.float64)
            number += shares * _CHUNK
    random = np.random.default_rng([seed, share])
    last = 0.0
    while True:
        chunk = last + np.cumsum(random.exponential(shares, _CHUNK))
        last = float(chunk[-1])
        yield chunk
