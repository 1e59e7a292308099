"""The runs of a search on one server: one after the other by the same processes, each with arrivals of its own."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from modelport_client.loadtest.found import Bound
from modelport_client.loadtest.plan import Plan
from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.profile import POISSON, Piece
from modelport_client.loadtest.results.result import Result
from modelport_client.loadtest.run import Interruption, run

# Of the pilot: enough callers to keep a server busy, for long enough to be past what it does at first.
_CALLERS, _PILOT_S = 16, 0.7
_LEAST_RATE = 1.0
_MOMENT_S = 0.001  # of a closed loop: each caller asks once
# A request that takes so many times the bound fails, and with it the run: what is queued then is not waited for.
_FAR_TOO_LONG = 10
_SHORTEST_TIMEOUT_S = 1.0


class Measurement:
    """Of one server.

    Args:
        generators: the processes.
        plan: what is asked of whom; the rates are the search's.
        bound: to be held.
        interruption: ends a run.
    """

    def __init__(self, generators: Generators, plan: Plan, bound: Bound, interruption: Interruption) -> None:
        timeout_s = min(plan.timeout_s, max(_FAR_TOO_LONG * bound.seconds, _SHORTEST_TIMEOUT_S))
        self._generators = generators
        self._patience_s = plan.timeout_s
        self._plan = replace(plan, warm_up_s=0.0, timeout_s=timeout_s, retry=False)
        self._interruption = interruption
        self._seeds = count(plan.seed)

    def at_rate(self, rate: float, seconds: float) -> Result:
        """An open loop of Poisson arrivals, of which none is asked twice.

        What the run before has left in the server's queue is waited for: one request is asked behind it.
        """
        processes = self._plan.processes
        behind = replace(self._plan, pieces=(), concurrency=processes, seconds=_MOMENT_S, timeout_s=self._patience_s)
        run(self._generators, behind, self._interruption)
        pieces = (Piece(rate, rate, seconds),)
        plan = replace(self._plan, pieces=pieces, concurrency=0, arrivals=POISSON, seed=next(self._seeds))
        return run(self._generators, plan, self._interruption)

    def pilot(self) -> float:
        """Where a search begins: half of what a closed loop gets. It warms the server up, too."""
        callers = max(_CALLERS, self._plan.processes)
        plan = replace(self._plan, pieces=(), concurrency=callers, seconds=_PILOT_S)
        return max(run(self._generators, plan, self._interruption).answered / 2, _LEAST_RATE)
