"""What one run is to do, as it is told to the processes that do it."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelport.errors import InvalidArgument
from modelport_client.loadtest.profile import ARRIVALS, POISSON, Piece, seconds_of

GRPC, REST = "gRPC", "REST"


@dataclass(frozen=True)
class Samples:
    """Requests that were written beforehand; they are sent in turns.

    Args:
        protocol: `gRPC` or `REST`.
        path: of the method.
        bodies: messages, or JSON.
        origin: where they come from, for people.
    """

    protocol: str
    path: str
    bodies: tuple[bytes, ...] = field(repr=False)
    origin: str


@dataclass(frozen=True)
class Plan:
    """One run.

    Args:
        target: of the server, as `Client` takes it.
        samples: what is asked.
        pieces: the rate at which requests are due (open loop); empty for a closed loop.
        arrivals: `poisson` or `steady`.
        concurrency: of a closed loop: so many callers, each of which asks again when it was answered.
        seconds: of a closed loop; in an open one the pieces say it.
        warm_up_s: seconds before that which do not count.
        timeout_s: from the moment when a request was due.
        under_way: how many requests may be under way at a time, in all processes.
        retry: ask again until the time-out when a server that has answered before is not there.
        processes: how many generate the load.
        connections: how many each of them opens.
        seed: of random arrivals.
    """

    target: str
    samples: Samples
    pieces: tuple[Piece, ...] = ()
    arrivals: str = POISSON
    concurrency: int = 0
    seconds: float = 10.0
    warm_up_s: float = 0.0
    timeout_s: float = 10.0
    under_way: int = 1000
    retry: bool = False
    processes: int = 1
    connections: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if bool(self.pieces) == bool(self.concurrency):
            raise InvalidArgument("Expected either a rate (open loop) or a number of callers (closed loop).")
        if self.arrivals not in ARRIVALS:
            raise InvalidArgument(f"Expected arrivals {' or '.join(ARRIVALS)}. Received: {self.arrivals!r}")
        for name in ("under_way", "processes", "connections"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"Expected {name} of at least 1. Received: {getattr(self, name)}")
        if self.under_way < self.processes or 0 < self.concurrency < self.processes:
            raise InvalidArgument(
                f"Expected a request under way for each of the {self.processes} processes at least. Received: "
                f"{self.concurrency or self.under_way}"
            )
        if self.timeout_s <= 0 or self.warm_up_s < 0 or self.seconds < 0:
            raise InvalidArgument(
                f"Expected a time-out above 0 s and no negative times. Received: {self.timeout_s:g} s, warm-up "
                f"{self.warm_up_s:g} s, {self.seconds:g} s"
            )

    @property
    def is_open(self) -> bool:
        """Whether requests are due whatever the server does."""
        return bool(self.pieces)

    @property
    def counted_s(self) -> float:
        """How long it lasts, without the warm-up."""
        return seconds_of(self.pieces) if self.pieces else self.seconds

    def share(self, number: int) -> tuple[int, int]:
        """How many requests process `number` may have under way, and how many callers it plays."""
        return _part(self.under_way, number, self.processes), _part(self.concurrency, number, self.processes)


def _part(whole: int, number: int, parts: int) -> int:
    return whole // parts + (number < whole % parts)
