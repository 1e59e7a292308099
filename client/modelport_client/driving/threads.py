"""Calls in threads that hold up nobody: neither Ctrl-C nor the end of the program waits for them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


def in_thread(function: Callable[..., T], *arguments: Any) -> Future[T]:
    """A call in a thread of its own, in the context of the caller."""
    future: Future[T] = Future()
    context = copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(function, *arguments))
        except BaseException as error:  # it is the future's
            future.set_exception(error)

    threading.Thread(target=work, name="modelport", daemon=True).start()
    return future


def in_order(calls: Iterable[Callable[[], T]], under_way: int) -> Iterator[T]:
    """What the calls return, in order; so many are under way at most, and no more are taken from the iterable.

    Raises:
        What the first call raises that does; no further one is begun then. What the iterable raises, after the answers
        to what it gave before.
    """
    waiting: deque[Future[T]] = deque()
    source = iter(calls)
    ended: Exception | None = None
    while ended is None:
        if len(waiting) == under_way:
            yield waiting.popleft().result()
        try:
            waiting.append(in_thread(next(source)))
        except Exception as error:  # of the iterable, StopIteration too
            ended = error
    while waiting:
        yield waiting.popleft().result()
    if not isinstance(ended, StopIteration):
        raise ended
