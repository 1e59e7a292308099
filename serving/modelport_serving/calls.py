"""Every request from its arrival to its answer: admission, what is counted, and the access log."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from modelport.errors import Code, Unavailable, from_os_error
from modelport_serving.metrics import Metrics

_logger = logging.getLogger("modelport.serving")


@dataclass(slots=True)
class Call:
    """One request under way."""

    api: str  # as the metrics name it: Predict, predict, …; "" for what is not inference
    entrypoint: str  # GRPC or REST
    path: str  # method path or target, for the log
    peer: str = ""
    request_id: str = ""
    deadline: float | None = None  # on the monotonic clock
    counted: bool = True  # in the metrics of requests
    model: str = ""
    version: int | None = None
    bytes_in: int = 0
    admitted: bool = False
    begin: float = field(default_factory=time.monotonic)


def new_request_id() -> str:
    """An id for a request that came without one."""
    return uuid.uuid4().hex


class AccessLog:
    """A line of JSON for each request.

    Args:
        target: a file, which is appended to, or `-` for standard output.

    Raises:
        ModelportError: the file cannot be opened.
    """

    def __init__(self, target: str) -> None:
        self._complained = False
        self._file: TextIO
        if target == "-":
            self._file = sys.stdout
        else:
            try:
                self._file = Path(target).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115  # closed by close()
            except OSError as error:
                raise from_os_error(error, "write the access log", target) from error

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
            line["error"] = message[:1024]
        try:
            print(json.dumps(line), file=self._file, flush=True)
        except (OSError, ValueError) as error:  # a full disk or a reader that went must not fail requests
            if not self._complained:
                self._complained = True
                _logger.warning("The access log cannot be written, and lines are lost: %s", error)

    def close(self) -> None:
        """Close the file."""
        if self._file is not sys.stdout:
            with contextlib.suppress(OSError):
                self._file.close()


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

    @property
    def logged(self) -> bool:
        """Whether peers and request ids are worth finding out."""
        return self._log is not None

    def begin(self, call: Call) -> None:
        """Admit a request; `end` must follow.

        Raises:
            Unavailable: the server is stopping; `end` must follow all the same.
        """
        if self._log is not None and not call.request_id:
            call.request_id = new_request_id()
        if self.draining:
            raise Unavailable("The server is stopping and takes no new requests.")
        call.admitted = True
        self.under_way += 1

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
