"""Sends what is due when it is due, and notes what becomes of it.

Open loop: requests are due by the plan, whatever the server does; none is skipped, and each one's time counts from the
moment when it was due. More than the limit are not sent at once: they wait, that is told, and their time goes on.

Closed loop: a number of callers, each of which is due again when it was answered.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Iterator

from modelport.errors import Code
from modelport_client.loadtest.generator.calls import UNENDED, Calls
from modelport_client.loadtest.generator.endings import Ending, no_answer
from modelport_client.loadtest.generator.sender import Sender
from modelport_client.loadtest.plan import Plan

_LOOK_EVERY_S = 0.02  # for requests whose time is over: how much later than that they are told at most
# Between two tries of a call, doubling, and drawn from the upper half: as the client does.
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


class Driver:
    """Of one process.

    Args:
        plan: the run.
        number: of the process.
    """

    def __init__(self, plan: Plan, number: int) -> None:
        self.calls = Calls()
        self.retried = 0
        self.most_under_way = 0
        self._plan = plan
        self._limit, self._callers = plan.share(number)
        self._is_open = plan.is_open
        self.end = 0.0
        self._timeout_s = plan.timeout_s
        self._samples = len(plan.samples.bodies)
        self._first_sample = number
        self._step = plan.processes
        self._waiting: deque[int] = deque()
        self._again: list[tuple[float, int]] = []
        self._tries: dict[int, int] = {}
        self._sent_now: set[int] = set()
        self._unended = 0
        self._oldest = 0
        self._answered = False
        self._stopped = False
        self._is_ticking = self._will_flush = False
        self._next_due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, sender: Sender, begin: float, end: float, moments: Iterator[float]) -> None:
        """Until all that was due has ended; `stop` makes no more due.

        Args:
            sender: tells `done` of each call.
            begin, end: of the time in which requests are due (monotonic clock); `end` becomes earlier with `stop`.
            moments: when they are due, in an open loop.
        """
        self._sender, self._moments, self.end = sender, moments, end
        self._loop = asyncio.get_running_loop()
        self._all_ended: asyncio.Future[None] = self._loop.create_future()
        if self._is_open:
            self._advance()
        else:
            for _ in range(self._callers):
                self._make_due(begin)
        self._loop.call_later(max(0.0, begin - time.monotonic()), self._tick)
        self._look()
        await self._all_ended

    def stop(self) -> None:
        """Nothing more is due from now on."""
        self._stopped = True
        self.end = min(self.end, time.monotonic())
        self._next_due = None
        self._check_end()

    def done(self, call: int, now: float, ending: Ending) -> None:
        """A call has ended; see `Done`."""
        self._sent_now.discard(call)
        if now >= self.calls.due[call] + self._timeout_s:  # `_look` comes a little later; servers look, too
            ending = no_answer(self._plan.target, self._timeout_s)
        if ending.code == Code.UNAVAILABLE and self._plan.retry and self._answered and not self._stopped:
            if self._try_again(call, now):
                return
        else:
            self._answered = True
        self._end_call(call, now, ending)
        if not self._is_ticking:
            self._fill(now)
            self._flush_soon()

    def _flush_soon(self) -> None:
        """Once for all answers that came together."""
        if not self._will_flush:
            self._will_flush = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._will_flush = False
        self._sender.flush()

    def _end_call(self, call: int, now: float, ending: Ending) -> None:
        self.calls.end(call, now, ending)
        self._unended -= 1
        self._tries.pop(call, None)
        if not self._is_open and now < self.end and not self._stopped:
            self._make_due(now)
        self._check_end()

    def _make_due(self, moment: float) -> None:
        self._waiting.append(self.calls.begin(moment))
        self._unended += 1

    def _advance(self) -> None:
        moment = next(self._moments, None)
        self._next_due = moment if moment is not None and moment < self.end else None

    def _tick(self) -> None:
        """Send all that is due, and come back when the next is."""
        self._timer = None
        self._is_ticking = True
        now = time.monotonic()
        while self._again and self._again[0][0] <= now:
            self._waiting.appendleft(heapq.heappop(self._again)[1])  # `_fill` leaves out those whose time is over
        while self._next_due is not None and self._next_due <= now:
            self._make_due(self._next_due)
            self._advance()
        self._fill(now)
        self._sender.flush()
        self._is_ticking = False
        self._set_timer()
        self._check_end()

    def _set_timer(self) -> None:
        moments = [moment for moment in (self._next_due, self._again[0][0] if self._again else None) if moment]
        if moments:
            self._timer = self._loop.call_at(min(moments), self._tick)  # asyncio's clock is the monotonic one

    def _fill(self, now: float) -> None:
        """Send what waits, as far as there is room."""
        waiting, calls = self._waiting, self.calls
        while waiting:
            if calls.ending[waiting[0]] != UNENDED:  # its time was over while it waited
                waiting.popleft()
                continue
            if len(self._sent_now) >= self._limit or self._sender.room < 1:
                for call in reversed(waiting):
                    if calls.held[call]:
                        break
                    calls.held[call] = 1
                break
            call = waiting.popleft()
            if not calls.sent[call]:
                calls.sent[call] = now
            self._sent_now.add(call)
            self._sender.send(call, (self._first_sample + self._step * call) % self._samples)
        self.most_under_way = max(self.most_under_way, len(self._sent_now))

    def _try_again(self, call: int, now: float) -> bool:
        """Whether there is time for it."""
        tries = self._tries.get(call, 0)
        pause = min(_FIRST_PAUSE_S * 2**tries, _LONGEST_PAUSE_S) * random.uniform(0.5, 1)  # noqa: S311  # no secret
        if now + pause >= self.calls.due[call] + self._timeout_s:
            return False
        self.retried += not tries
        self._tries[call] = tries + 1
        heapq.heappush(self._again, (now + pause, call))
        if not self._is_ticking:
            if self._timer is not None:
                self._timer.cancel()
            self._set_timer()
        return True

    def _look(self) -> None:
        """End the calls whose time is over; they are due in the order of their numbers."""
        calls, now = self.calls, time.monotonic()
        while self._oldest < len(calls.due):
            call = self._oldest
            if calls.ending[call] == UNENDED:
                if now < calls.due[call] + self._timeout_s:
                    break
                self._expire(call, now)
            self._oldest += 1
        self._check_end()
        if not self._all_ended.done():
            self._loop.call_later(_LOOK_EVERY_S, self._look)

    def _expire(self, call: int, now: float) -> None:
        reason = ""
        if call in self._sent_now:
            self._sent_now.discard(call)
            self._sender.forget(call)
        elif call in self._tries:
            reason = "the server was not there"
        else:
            reason = f"{self._limit} others were under way"
        self._end_call(call, now, no_answer(self._plan.target, self._timeout_s, reason))
        self._fill(now)
        self._flush_soon()

    def _check_end(self) -> None:
        if self._next_due is not None or self._unended:
            return
        if (self._stopped or self._is_open or time.monotonic() >= self.end) and not self._all_ended.done():
            self._all_ended.set_result(None)
