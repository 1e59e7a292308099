"""Unary calls, from a completion queue of gRPC's C core to the event loop and back.

The methods of the API are registered with the core of a `grpc.Server`, but on a queue of our own, because the layers
that gRPC for Python puts above its core cost more than all the rest of a request (`benchmarks/echo.py`). The core's
Python face, `cygrpc`, is private, and what `grpc.server` itself is written on; this is the only file that knows it. Of
a core that it does not know, its import or the making of a port fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from grpc._cython.cygrpc import (
    CompletionQueue,
    CompletionType,
    ReceiveCloseOnServerOperation,
    ReceiveMessageOperation,
    SendInitialMetadataOperation,
    SendMessageOperation,
    SendStatusFromServerOperation,
)

from modelport.errors import Code
from modelport_serving.grpc_server.unary_call import Handler, requires_one_message

_logger = logging.getLogger("modelport.serving")

_AHEAD = 16  # calls of each method that the core may hand out before it is asked for more
_BUNCH = 64  # calls that are handed over at a time
_LOOK_S = 0.05  # between two looks at what is still under way
_NOW = 0.0
_ENDLESS_S = 1e9  # the core's clock ends later, and more is not to be told from no deadline
_NO_FLAGS = 0


class CoreCall:
    """One call under way; see `unary_call.UnaryCall`.

    Attributes:
        method: its path.
        data: the request's bytes.
        is_whole: whether the client sent them; not when it sent none, or is gone.
        task: what answers it.
        is_answered: whether an answer is on its way.
        is_watched: whether the core will tell when the client is gone.
    """

    __slots__ = ("_event", "_gate", "data", "is_answered", "is_watched", "is_whole", "method", "task")

    def __init__(self, method: str, event: Any, gate: _Gate) -> None:
        self.method = method
        self.data = b""
        self.is_whole = False
        self.task: asyncio.Task[None] | None = None
        self.is_answered = self.is_watched = False
        self._event = event
        self._gate = gate

    @property
    def peer(self) -> str:
        """The client's address, as gRPC writes it."""
        return str(self._event.call.peer().decode())

    @property
    def metadata(self) -> dict[str, str | bytes]:
        """What came with the request, by lower-case name."""
        return dict(self._event.invocation_metadata)

    def seconds_left(self) -> float | None:
        """Until the client's deadline; None where it set none."""
        left: float = self._event.call_details.deadline - time.time()  # cygrpc converts it to the wall clock
        return max(left, 0.0) if left < _ENDLESS_S else None

    def receive(self) -> None:
        """Ask the core for the request's bytes; on the thread that takes calls."""
        with self._gate:
            self._start((ReceiveMessageOperation(_NO_FLAGS),), self)

    def watch(self) -> None:
        """Ask the core to tell when the call is over, for whatever reason."""
        self.is_watched = True
        self._start((ReceiveCloseOnServerOperation(_NO_FLAGS),), _Over(self))

    def answer(self, code: Code, text: str, body: bytes, trailing: Sequence[tuple[str, str | bytes]] = ()) -> None:
        """See `UnaryCall`."""
        operations = [SendInitialMetadataOperation((), _NO_FLAGS)]
        if code is Code.OK:
            operations.append(SendMessageOperation(body, _NO_FLAGS))
        details = text.encode(errors="replace")
        operations.append(SendStatusFromServerOperation(tuple(trailing), int(code), details, _NO_FLAGS))
        if not self.is_watched:  # the core wants to be asked once for every call
            operations.append(ReceiveCloseOnServerOperation(_NO_FLAGS))
        self._start(operations, None)
        self.is_answered = True

    def _start(self, operations: Sequence[Any], tag: object) -> None:
        """Start a batch, unless its queue is closed: the core would end the process."""
        if self._gate.is_open and self._event.call.start_server_batch(operations, tag):
            raise RuntimeError(f"gRPC's core refuses {[type(operation).__name__ for operation in operations]}")


class _Gate:
    """Held while the queue is closed, and by whoever starts a batch on another thread than the one that closes it."""

    def __init__(self) -> None:
        self.is_open = True
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class _Over:
    """Tag of the event that says that a call is over."""

    __slots__ = ("call",)

    def __init__(self, call: CoreCall) -> None:
        self.call = call


class UnaryCalls:
    """Takes the calls of some methods from a server's core, and starts a task on the event loop for each.

    A call that is still under way after a moment is watched: its task is cancelled when the client goes.

    Args:
        server: not started yet.
        handlers: path → what answers its calls, by `answer` and in any case.
        loop: runs the handlers.
    """

    def __init__(self, server: grpc.Server, handlers: Mapping[str, Handler], loop: asyncio.AbstractEventLoop) -> None:
        self._handlers = handlers
        self._loop = loop
        self._queue = CompletionQueue()
        self._core = server._state.server
        self._core.register_completion_queue(self._queue)
        for path in handlers:
            self._core.register_method(path)
        self._gate = _Gate()
        self._under_way: set[CoreCall] = set()
        self._look_due = False
        self._thread = threading.Thread(target=self._serve, name="grpc", daemon=True)

    def start(self) -> None:
        """Begin, once the server is started."""
        for path in self._handlers:
            for _ in range(_AHEAD):
                self._ask(path)
        self._thread.start()

    def close(self) -> None:
        """End, once the server has stopped; on the event loop. Whatever is still under way is given up."""
        if self._thread.ident is None:
            return
        for call in self._under_way:
            if call.task is not None:
                call.task.cancel()
        with self._gate:
            self._gate.is_open = False
            self._queue.shutdown()
        self._thread.join()

    def _ask(self, path: str) -> None:
        with contextlib.suppress(ValueError):  # the server is being stopped
            self._core.request_registered_call(self._queue, self._queue, path, path)

    def _serve(self) -> None:
        """Hand events to the event loop until the queue is closed."""
        while True:
            begun: list[CoreCall] = []
            over: list[CoreCall] = []
            try:
                if not self._gather(begun, over):
                    return
            except Exception:  # no memory, say: the calls that follow are to be answered
                _logger.exception("A fault while taking calls")
            if begun or over:
                with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                    self._loop.call_soon_threadsafe(self._take, begun, over)

    def _gather(self, begun: list[CoreCall], over: list[CoreCall]) -> bool:
        """Wait for an event, and take along what has come with it: each hand-over wakes the event loop.

        Returns:
            False at the end of the queue.
        """
        kinds = CompletionType
        event = self._queue.poll()
        while event.completion_type != kinds.queue_timeout:
            if event.completion_type == kinds.queue_shutdown:
                return False
            tag = event.tag
            if isinstance(tag, str):
                self._ask(tag)
                if event.success:
                    CoreCall(tag, event, self._gate).receive()
            elif isinstance(tag, CoreCall):
                message = event.batch_operations[0].message()
                tag.is_whole, tag.data = message is not None, message or b""
                begun.append(tag)
            elif isinstance(tag, _Over):
                over.append(tag.call)
            if len(begun) >= _BUNCH:
                break
            event = self._queue.poll(deadline=_NOW)
        return True

    def _take(self, begun: Sequence[CoreCall], over: Sequence[CoreCall]) -> None:
        for call in begun:
            self._under_way.add(call)
            call.task = self._loop.create_task(self._answer(call))
        for call in over:
            if call.task is not None and not call.is_answered:
                call.task.cancel()
        if self._under_way and not self._look_due:
            self._look_due = True
            self._loop.call_later(_LOOK_S, self._look)

    async def _answer(self, call: CoreCall) -> None:
        try:
            if not call.is_whole:
                call.answer(Code.UNIMPLEMENTED, requires_one_message(call.method), b"")
            else:
                await self._handlers[call.method](call)
        except Exception:  # handlers do not raise; a client is answered even if one does
            _logger.exception("A fault while answering %s", call.method)
            if not call.is_answered:
                call.answer(Code.INTERNAL, "Internal error.", b"")
        finally:
            self._under_way.discard(call)

    def _look(self) -> None:
        """Watch what is under way: most calls are answered sooner than it would pay."""
        self._look_due = False
        for call in self._under_way:
            if not call.is_watched:
                call.watch()
        if self._under_way:
            self._look_due = True
            self._loop.call_later(_LOOK_S, self._look)
