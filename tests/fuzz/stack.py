"""Python's stack as a server leaves it to a decoder."""

from collections.abc import Callable

# asyncio, the protocol and the routes take about twenty; an embedding program may have more.
FRAMES = 60


def on_a_used_stack(call: Callable[[bytes], None], data: bytes, frames: int = FRAMES) -> None:
    """Call with so many frames below, so that who recurses as deep as the input is nested is found out."""
    if frames:
        on_a_used_stack(call, data, frames - 1)
    else:
        call(data)
