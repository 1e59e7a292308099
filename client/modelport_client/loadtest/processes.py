"""Several generating processes: started together, begun at one moment, ended by one word, their notes gathered."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, Queue
from types import TracebackType
from typing import IO, Any

from modelport.errors import DeadlineExceeded, Internal, ModelportError
from modelport_client.loadtest.generator.calls import Share
from modelport_client.loadtest.plan import Plan

_PROGRAM = "modelport_client.loadtest.generator.program"
_LENGTH_BYTES = 8  # before each message to it
_STOP = "stop"
_READY_WITHIN_S = 60.0  # of a process: Python's start, imports, and connections
_BEGIN_AFTER_S = 0.02  # so that the word has reached all
# After the last time-out: the notes of a million calls are some 30 MB to be written and read.
_NOTES_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.1


@dataclass
class _Process:
    process: subprocess.Popen[bytes]
    to: IO[bytes]
    told: IO[bytes]


class Generators:
    """Processes for one run after the other; use as a context manager, which leaves none behind.

    Args:
        count: how many; plans must be for as many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._told: Queue[tuple[int, Any]] = Queue()
        self._processes: list[_Process] = []
        self._is_running = self._is_stopped = False

    def __enter__(self) -> Generators:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        try:
            for number in range(self._count):
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", _PROGRAM],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for the one that started them
                )
                if process.stdin is None or process.stdout is None:
                    raise Internal("A process without its pipes.")
                self._processes.append(_Process(process, process.stdin, process.stdout))
                threading.Thread(target=self._listen, args=(number, process.stdout), daemon=True).start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._processes:
            if one.process.poll() is None:
                one.process.kill()
            one.process.wait()
            for stream in (one.to, one.told):
                try:
                    stream.close()
                except BrokenPipeError:  # what was not written any more
                    continue

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [one.process.pid for one in self._processes]

    def run(self, plan: Plan, progress: Callable[[float], None] = lambda _: None) -> list[Share]:
        """Connect, let all begin at one moment, and wait until all have ended.

        Args:
            plan: the run.
            progress: told now and then how many seconds have passed, warm-up included.

        Raises:
            Unavailable: one could not connect.
            Internal: a process died; its requests are missing.
        """
        for number in range(self._count):
            self._say(number, (plan, number))
        try:
            self._await(_READY_WITHIN_S)
        except ModelportError:
            self._say_all(_STOP)  # to those that wait for the beginning
            raise
        begin = time.monotonic() + _BEGIN_AFTER_S
        self._say_all(begin)
        self._is_running = True
        if self._is_stopped:
            self._say_all(_STOP)
        allowed = _BEGIN_AFTER_S + plan.warm_up_s + plan.counted_s + plan.timeout_s + _NOTES_WITHIN_S
        try:
            told = self._await(allowed, lambda: progress(max(0.0, time.monotonic() - begin)))
        finally:
            self._is_running = False
        return [share for _, share in sorted(told.items())]

    def stop(self) -> None:
        """Make no more due, in this run and in later ones; `run` returns when what is under way has ended.

        May be called from a signal's handler.
        """
        self._is_stopped = True
        if self._is_running:
            self._say_all(_STOP)

    def _await(self, seconds: float, look: Callable[[], None] = lambda: None) -> dict[int, Any]:
        """A message of each process."""
        told: dict[int, Any] = {}
        deadline = time.monotonic() + seconds
        while len(told) < self._count:
            try:
                number, message = self._told.get(timeout=_LOOK_EVERY_S)
            except Empty:
                look()
                if time.monotonic() > deadline:
                    raise DeadlineExceeded(f"A generating process said nothing for {seconds:g} s.") from None
                continue
            if message is None:
                code = self._processes[number].process.wait()
                how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
                raise Internal(
                    f"The generating process {number + 1} of {self._count} ended {how}. Its requests are missing: "
                    "there is no result."
                )
            told[number] = message
        for message in told.values():
            if isinstance(message, ModelportError):
                raise message
        return told

    def _listen(self, number: int, told: IO[bytes]) -> None:
        try:
            while True:
                self._told.put((number, pickle.load(told)))  # noqa: S301  # from a process of our own
        except (EOFError, pickle.UnpicklingError, ValueError, OSError):
            self._told.put((number, None))

    def _say_all(self, message: object) -> None:
        for number in range(self._count):
            self._say(number, message)

    def _say(self, number: int, message: object) -> None:
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        to = self._processes[number].to
        try:
            to.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
            to.flush()
        except BrokenPipeError:
            return  # it has ended; `_listen` tells
