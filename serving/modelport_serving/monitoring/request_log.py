"""Every request from its arrival to its answer: admission, what is counted, and the access log."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from modelport.errors import Code, Unavailable
from modelport_serving.monitoring.line_writer import LineWriter
from modelport_serving.monitoring.metrics import Metrics

_logger = logging.getLogger("modelport.serving")

_COUNTED = ("Predict", "Classify", "Regress")  # by the real server's metrics over gRPC; the others are only logged
_LONGEST_ERROR = 1024  # characters of an error text in the access log
_CLOSE_S = 2.0  # for the lines of the access log that wait at the end

Entrypoint = Literal["GRPC", "REST"]


@dataclass(slots=True)
class Call:
    """One request under way.

    Attributes:
        rpc: the method of the API, `Predict`; "" for what is none.
        path: method path or target, for the log.
        deadline: on the monotonic clock; None for no limit.
        is_large: whether writing its answer takes long.
    """

    rpc: str
    entrypoint: Entrypoint
    path: str
    peer: str = ""
    request_id: str = ""
    deadline: float | None = None
    model: str = ""
    version: int | None = None
    bytes_in: int = 0
    is_large: bool = False
    admitted: bool = False
    begin: float = field(default_factory=time.monotonic)

    @property
    def api(self) -> str:
        """The method as the real server's metrics name it."""
        return self.rpc if self.entrypoint == "GRPC" else self.rpc.lower()

    @property
    def counted(self) -> bool:
        """Whether the real server's metrics of requests count it."""
        return self.entrypoint == "REST" or self.rpc in _COUNTED


def new_request_id() -> str:
    """An id for a request that came without one."""
    return uuid.uuid4().hex


class AccessLog:
    """A line of JSON for each request.

    Args:
        target: a file, which is appended to, or `-` for standard output.
        complain: told once, in a line, when lines are lost.

    Raises:
        ModelportError: the file cannot be opened.
    """

    def __init__(self, target: str, complain: Callable[[str], None]) -> None:
        self._writer = LineWriter(1 if target == "-" else Path(target), complain)

    def write(self, call: Call, code: Code, message: str, bytes_out: int) -> None:
        """Add the line of a request that was answered."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": call.request_id,
            "peer": call.peer,
            "via": call.entrypoint,
            "path": call.path,
            "model": call.model,
            "version": call.version,
            "code": code.name,
            "ms": round((time.monotonic() - call.begin) * 1e3, 3),
            "bytes_in": call.bytes_in,
            "bytes_out": bytes_out,
        }
        if message:
            line["error"] = message[:_LONGEST_ERROR]
        self._writer.write(json.dumps(line))

    def reopen(self) -> None:
        """Go on in a new file of the same name."""
        self._writer.reopen()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._writer.close(_CLOSE_S)


class Calls:
    """Admits requests and sees them off. Belongs to the event loop's thread.

    Args:
        metrics: where requests are counted; None where nobody can read them.
        log: the access log, if there is one.
    """

    def __init__(self, metrics: Metrics | None, log: AccessLog | None) -> None:
        self._metrics = metrics
        self._log = log
        self.draining = False
        self.under_way = 0
        self.last_arrival = 0.0  # on the monotonic clock
        self.held: asyncio.Event | None = None  # refusals wait for it, while the ports are being closed

    @property
    def logged(self) -> bool:
        """Whether peers and request ids are worth finding out."""
        return self._log is not None

    def begin(self, call: Call, timeout_s: float | None = None) -> None:
        """Admit a request, which may take so many seconds; `end` must follow.

        Raises:
            Unavailable: the server is stopping; `end` must follow all the same.
        """
        self.last_arrival = call.begin
        if timeout_s is not None:
            call.deadline = call.begin + timeout_s
        if self._log is not None and not call.request_id:
            call.request_id = new_request_id()
        if self.draining:
            raise Unavailable("The server is stopping and takes no new requests.")
        call.admitted = True
        self.under_way += 1

    async def before_answer(self) -> None:
        """Wait while refusals are held back: whoever waits for an answer sends nothing into a port that closes."""
        if self.held is not None:
            await self.held.wait()

    def broken(self, call: Call, error: Exception) -> str:
        """Report a fault of the server's own; returns what the client is told."""
        _logger.error("A fault while answering %s %s", call.entrypoint, call.path, exc_info=error)
        return "Internal error" + (f" while answering request {call.request_id}." if call.request_id else ".")

    def end(self, call: Call, code: Code, message: str = "", bytes_out: int = 0) -> None:
        """See a request off that was answered with this code."""
        if call.admitted:
            self.under_way -= 1
        if self._metrics is not None and call.counted:
            seconds = time.monotonic() - call.begin
            self._metrics.answered(call.model, call.version, call.api, call.entrypoint, code, seconds)
        if self._log is not None:
            self._log.write(call, code, message, bytes_out)
