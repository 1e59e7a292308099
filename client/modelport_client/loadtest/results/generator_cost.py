"""What the generator itself cost, and whether it was the bottleneck: then a run says nothing about the server.

Open loop: a request that is sent late waits for the generator, and that is part of its latency. When more than half of
the latency is lateness, at p99 or the highest percentile below that has enough requests beyond it, it is the generator
that was measured. A run that holds a bound says so only if lateness is below a quarter of the bound: a verdict on
arrivals that were not those asked for would be none. Requests that the limit of requests under way held back are not
the generator's fault; they are told apart.

Closed loop: nothing is due before it can be sent. A generator that had something to do for nine tenths of the time,
running or waiting for a processor, set the pace itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelport_client.loadtest.results.histogram import Histogram, name_of

_JUDGED = 99.0  # the highest percentile by which a run is judged
_LARGEST_SHARE = 0.5  # of a latency that may be lateness
_LARGEST_SHARE_OF_BOUND = 0.25  # of a bound: a verdict on the bound needs more room than a figure
_BUSIEST = 0.9  # share of the time in a closed loop


@dataclass(frozen=True)
class GeneratorCost:
    """Of all processes of a run.

    Args:
        sender: by what was sent.
        processes: how many.
        cpu_share: processor time of the busiest, as a share of the run.
        starved_share: the largest share of the run that one waited for a processor; None where nobody tells.
        busiest: the largest sum of both in one process.
        lateness: between due and sent, of requests that no limit held back.
    """

    sender: str
    processes: int
    cpu_share: float
    starved_share: float | None
    busiest: float
    lateness: Histogram

    def bottleneck(self, is_open: bool, latency: Histogram) -> str | None:
        """Why the run is no result; None when it is one."""
        if not is_open:
            if self.busiest <= _BUSIEST:
                return None
            return (
                f"a generating process was busy for {self.busiest:.0%} of the time (at most {_BUSIEST:.0%}): it, not "
                f"the server, set the pace. More --processes or another machine help."
            )
        percentile = min(latency.founded, _JUDGED)
        late, took = self.lateness.at(percentile), latency.at(percentile)
        if late is None or took is None or late <= _LARGEST_SHARE * took:
            return None
        return self._late(percentile, late, f"more than half of the {took * 1e3:.3g} ms that answers took")

    def too_late_for(self, percentile: float, seconds: float | None, holds: bool) -> str | None:
        """Why the run says nothing about a bound; None when it does.

        Args:
            percentile: of the bound.
            seconds: the bound for a run that held it; what was measured for one that did not, None without an answer.
            holds: whether it was held.
        """
        late = self.lateness.at(percentile)
        if late is None or seconds is None:
            return None
        if late <= (_LARGEST_SHARE_OF_BOUND if holds else _LARGEST_SHARE) * seconds:
            return None
        measure = "more than a quarter of the bound" if holds else "more than half of what was measured,"
        return self._late(percentile, late, f"{measure} of {seconds * 1e3:.3g} ms")

    def _late(self, percentile: float, late: float, measure: str) -> str:
        starved = "" if not self.starved_share else f"; it waited for a processor {self.starved_share:.0%} of the time"
        return (
            f"the generator sent {late * 1e3:.3g} ms late at {name_of(percentile)}, {measure}{starved}. More "
            "--processes, a lower rate or another machine help."
        )
