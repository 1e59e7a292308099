"""The open connections of the REST port: how many there may be, how long each may be silent, how they end.

A connection that waits for its client costs a descriptor and nothing else, so what bounds it is time: for the rest of a
request's head, for more of its body, for the next request, for reading an answer. When there are as many as may be, the
one that has been silent longest makes room for the next.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

_SWEEP_S = 0.5  # between two looks at the connections
_LINGER_S = 2.0  # that a connection is read from after its last answer, so that the answer is not lost to a reset
_SPARE_DESCRIPTORS = 64  # for models, logs and the gRPC port
_MOST = 10_000  # connections, where the descriptors allow it
_TELL_S = 60.0  # between two lines about the same trouble


class Waiting(Enum):
    """What a connection waits for."""

    REQUEST = auto()  # the next one
    HEAD = auto()  # the rest of a request's head
    BODY = auto()  # more of its body
    ANSWER = auto()  # ours
    READER = auto()  # the client, to read what was written before more is
    END = auto()  # the client's, after the last answer


_SILENT = (Waiting.REQUEST, Waiting.HEAD, Waiting.BODY, Waiting.END)


@dataclass(frozen=True)
class Timeouts:
    """Seconds that a connection may wait."""

    head: float
    body: float  # for another kilobyte, or for the end
    idle: float
    read: float  # for the client to read something of what was written


class Connection(Protocol):
    """What the table knows of a connection."""

    waits_for: Waiting
    since: float  # on the monotonic clock

    @property
    def unsent(self) -> int:
        """Bytes that were written and that the client's side has not taken yet."""

    def note_reading(self) -> None:
        """Begin the wait anew if the client has read something since the last look."""

    def time_out(self) -> None:
        """Tell the client that it took too long, and end."""

    def drain(self) -> None:
        """End after what is under way."""

    def end(self) -> None:
        """Close our side, without an answer."""

    def abort(self) -> None:
        """End at once."""


class Connections:
    """The table; belongs to the event loop.

    Args:
        timeouts: how long each wait may be.
        limit: the most connections; 0 for what the descriptors allow.
        say: told in a line when the limit is reached.
    """

    def __init__(self, timeouts: Timeouts, limit: int, say: Callable[[str], None]) -> None:
        self._open: dict[Connection, None] = {}
        self._timeouts = timeouts
        self._limits = {
            Waiting.HEAD: timeouts.head,
            Waiting.BODY: timeouts.body,
            Waiting.REQUEST: timeouts.idle,
            Waiting.READER: timeouts.read,
            Waiting.END: _LINGER_S,
        }
        self._limit = limit or limit_by_descriptors()
        self._say = say
        self._told = -_TELL_S
        self._sweep: asyncio.TimerHandle | None = None
        self._draining = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def answering(self) -> bool:
        """Whether a request is under way, or an answer to be read by its client."""
        return any(c.waits_for in (Waiting.ANSWER, Waiting.READER) or c.unsent for c in self._open)

    def enter(self, connection: Connection) -> bool:
        """Take a new connection in; False where there are too many, all with a request under way."""
        if len(self._open) >= self._limit and not self.make_room(
            f"{len(self._open)} REST connections are open, as many as may be (--rest_api_max_connections, or what "
            "'ulimit -n' leaves)"
        ):
            return False
        self._open[connection] = None
        if self._draining:
            connection.drain()
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP_S, self._look)
        return True

    def leave(self, connection: Connection) -> None:
        """Forget one that is closed."""
        self._open.pop(connection, None)

    def drain(self) -> None:
        """Let each end after what is under way, and those that come yet."""
        self._draining = True
        for connection in list(self._open):
            connection.drain()

    def end_idle(self) -> None:
        """End those that wait for a request."""
        for connection in [c for c in self._open if c.waits_for is Waiting.REQUEST]:
            connection.end()

    def abort(self) -> None:
        """End all at once."""
        for connection in list(self._open):
            connection.abort()

    def _look(self) -> None:
        self._sweep = None
        now = time.monotonic()
        for connection in list(self._open):
            connection.note_reading()
            limit = self._timeouts.read if _is_reading(connection) else self._limits.get(connection.waits_for)
            if limit is not None and now - connection.since > limit:
                connection.time_out()
        if self._open:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP_S, self._look)

    def make_room(self, trouble: str) -> bool:
        """Close the connection that has been silent longest, of those without a request under way.

        Args:
            trouble: why; told in a line, once in a while.

        Returns:
            Whether there was one.
        """
        silent = [c for c in self._open if c.waits_for in _SILENT and not _is_reading(c)]
        now = time.monotonic()
        if now - self._told >= _TELL_S:
            self._told = now
            self._say(f"{trouble}: {'the longest silent ones are closed' if silent else 'more have to wait'}.")
        if not silent:
            return False
        oldest = min(silent, key=lambda connection: connection.since)
        self.leave(oldest)
        oldest.abort()
        return True


def _is_reading(connection: Connection) -> bool:
    """Whether the client has yet to read the end of its answer, before it sends the next request or goes."""
    return connection.waits_for in (Waiting.REQUEST, Waiting.END) and connection.unsent > 0


def limit_by_descriptors() -> int:
    """Half of the descriptors that the process may open, less a few: the other half is for gRPC's connections."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST
    return max(min((soft - _SPARE_DESCRIPTORS) // 2, _MOST), 16)
