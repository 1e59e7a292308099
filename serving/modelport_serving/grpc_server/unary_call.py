"""A unary call as the shells see it, whichever way it came."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from modelport.errors import Code


class UnaryCall(Protocol):
    """One call under way; belongs to the event loop."""

    @property
    def data(self) -> bytes:
        """The request's bytes."""

    @property
    def peer(self) -> str:
        """The client's address, as gRPC writes it."""

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """What came with the request, by lower-case name."""

    def seconds_left(self) -> float | None:
        """Until the client's deadline; None where it set none."""

    def answer(self, code: Code, text: str, body: bytes, trailing: Sequence[tuple[str, str | bytes]] = ()) -> None:
        """Send the answer and end the call; nothing happens where the client is gone.

        Args:
            code: its status; the body is sent with OK alone.
            text: of an error.
            body: the serialised message.
            trailing: metadata.
        """


Handler = Callable[[Any], Coroutine[Any, Any, None]]  # of a UnaryCall; answers it, and does not raise


def requires_one_message(method: str) -> str:
    """What is said to a client that sent no message to a unary method; of several the first counts, as in C++."""
    return f"{method} requires exactly one request message."
