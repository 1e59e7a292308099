"""The program of one generating process; `processes` starts it and speaks with it over its standard streams.

For each run it is told the plan, connects, and says so; it is told when to begin, and says at the end what it saw. STOP
ends a run early. The end of its input means that nobody wants it any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pickle
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from modelport.errors import ModelportError
from modelport_client.loadtest.generator.calls import Share
from modelport_client.loadtest.generator.driver import Driver
from modelport_client.loadtest.generator.precise_loop import new_loop
from modelport_client.loadtest.generator.senders import sender_for
from modelport_client.loadtest.plan import Plan
from modelport_client.loadtest.profile import Piece, arrivals

LENGTH_BYTES = 8  # before each message on the input
STOP = "stop"
_INPUT = 0
# Of Linux: by how many ns a sleep may be longer than asked for. The default of 50,000 is a quarter of a fast answer.
_TIMER_SLACK = Path("/proc/self/timerslack_ns")
_SCHEDSTAT = Path("/proc/thread-self/schedstat")  # of Linux: ns on a processor, ns of waiting for one, slices


def main() -> int:
    """Until the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides
    _raise_file_limit()
    with contextlib.suppress(OSError):
        _TIMER_SLACK.write_text("1")
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print is no answer
    loop = new_loop()
    loop.set_exception_handler(_die)
    while True:
        heard = _hear()
        if heard == STOP:  # of a run that was over by then
            continue
        try:
            plan, number = heard
            loop.run_until_complete(_run(plan, number, out))
        except ModelportError as error:
            _tell(out, error)
        finally:
            gc.enable()


async def _run(plan: Plan, number: int, out: BinaryIO) -> None:
    driver = Driver(plan, number)
    sender = sender_for(plan, driver.done)
    try:
        await sender.open()
        _tell(out, sender.name)
        begin = await asyncio.to_thread(_hear)
        if begin != STOP:
            _tell(out, await _drive(plan, number, driver, sender, begin))
    finally:
        sender.close()


async def _drive(plan: Plan, number: int, driver: Driver, sender: Any, begin: float) -> Share:
    loop = asyncio.get_running_loop()
    counting, end = begin + plan.warm_up_s, begin + plan.warm_up_s + plan.counted_s
    clocks: list[tuple[float, float | None]] = []
    for moment in (counting, end):
        loop.call_at(moment, lambda: clocks.append(_clocks()))
    loop.add_reader(_INPUT, _on_input, loop, driver)
    gc.collect()
    gc.disable()  # a collection of some hundred milliseconds would be taken for the server's
    moments = arrivals(_with_warm_up(plan), plan.arrivals, plan.seed, number, plan.processes)
    await driver.run(sender, begin, end, (begin + moment for moment in moments))
    loop.remove_reader(_INPUT)
    while len(clocks) < 2:  # it was ended early, or ended before the time with its last request
        clocks.append(_clocks())
    (cpu_before, starved_before), (cpu_after, starved_after) = clocks[:2]
    return Share(
        begin=counting,
        end=max(counting, driver.end),
        endings=driver.calls.endings,
        cpu_s=cpu_after - cpu_before,
        starved_s=None if starved_before is None or starved_after is None else starved_after - starved_before,
        retried=driver.retried,
        most_under_way=driver.most_under_way,
        sender=sender.name,
        **Share.columns(driver.calls),
    )


def _with_warm_up(plan: Plan) -> tuple[Piece, ...]:
    """The profile behind a warm-up at the rate with which it begins."""
    if not plan.pieces or not plan.warm_up_s:
        return plan.pieces
    first = plan.pieces[0].begin or plan.pieces[0].end
    return (Piece(first, first, plan.warm_up_s), *plan.pieces)


def _on_input(loop: asyncio.AbstractEventLoop, driver: Driver) -> None:
    if _hear() == STOP:
        driver.stop()


def _clocks() -> tuple[float, float | None]:
    try:
        starved: float | None = int(_SCHEDSTAT.read_text().split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        starved = None
    return time.process_time(), starved


def _die(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error that nobody expected: a run with it is none."""
    loop.default_exception_handler(context)
    os._exit(1)


def _raise_file_limit() -> None:
    """REST takes a connection for each request under way."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _hear() -> Any:
    """What comes next on the input, and not a byte of what comes after it."""
    return pickle.loads(_exactly(int.from_bytes(_exactly(LENGTH_BYTES), "big")))  # noqa: S301  # from who started this


def _exactly(size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = os.read(_INPUT, size - len(data))
        if not piece:
            os._exit(0)  # whoever started this process wants it no more, or is gone
        data += piece
    return bytes(data)


def _tell(out: BinaryIO, message: object) -> None:
    pickle.dump(message, out, pickle.HIGHEST_PROTOCOL)
    out.flush()


if __name__ == "__main__":
    sys.exit(main())
