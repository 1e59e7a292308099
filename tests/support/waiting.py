"""Waiting for what comes to pass, instead of for a time."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], timeout: float = 30.0, what: str = "it") -> None:
    """Return when the condition holds; fail when it does not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to pass within {timeout} s"
        time.sleep(0.01)  # between two looks, not for an event
