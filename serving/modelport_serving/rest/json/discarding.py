"""Freeing millions of parsed values a few at a time: at once, it would hold the interpreter for as long as it takes."""

from __future__ import annotations

from typing import Any

_FEW = 1024  # values that are freed at a time


def discard(value: Any) -> None:
    """Empty a parsed value, which nobody uses any more, from the inside."""
    waiting = [value]
    while waiting:
        container = waiting[-1]
        if isinstance(container, list) and container:
            last = container[-_FEW:]
            del container[-_FEW:]
        elif isinstance(container, dict) and container:
            last = [container.popitem()[1] for _ in range(min(_FEW, len(container)))]
        else:
            waiting.pop()
            continue
        waiting += [item for item in last if isinstance(item, list | dict) and len(item) > 0]
