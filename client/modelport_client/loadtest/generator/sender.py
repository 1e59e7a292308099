"""What the driver of a load asks of the connections to a server."""

from __future__ import annotations

from typing import Protocol


class Sender(Protocol):
    """The connections of one process. Each call that was sent is told to `Done` once, unless it was forgotten."""

    name: str
    """What sends, for people."""

    @property
    def room(self) -> int:
        """How many more calls may be sent now."""

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable: nobody answers.
        """

    def send(self, call: int, sample: int) -> None:
        """Send a call with the next `flush`."""

    def flush(self) -> None:
        """Hand what is to be sent to the sockets."""

    def forget(self, call: int) -> None:
        """The time of a call is over."""

    def close(self) -> None:
        """Close all connections."""
