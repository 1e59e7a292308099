"""All that one run showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from modelport.errors import Code
from modelport_client.loadtest.generator.calls import Share
from modelport_client.loadtest.plan import Plan
from modelport_client.loadtest.results.generator_cost import GeneratorCost
from modelport_client.loadtest.results.histogram import Histogram
from modelport_client.loadtest.results.timeline import Second, timeline

_MOST_REASONS = 5  # of `reasons`; `errors` has all kinds


@dataclass(frozen=True)
class ErrorKind:
    """Errors with one code and one text."""

    code: str
    message: str
    count: int


@dataclass(frozen=True)
class Result:
    """One run without its warm-up. Latencies are those of answered requests, from the moment when each was due.

    Args:
        plan: what was to be done.
        seconds: how long requests were due; less than planned when the run was ended early.
        requests: that were due.
        offered: requests due a second.
        answered: answers that came in these seconds, a second.
        errors: kinds of them, the most frequent first.
        answered_by: version → answers; None where the server does not tell.
        latency: of answered requests.
        held_back: requests that waited because as many as allowed were under way.
        most_under_way: at a time.
        retried: requests that were asked for again.
        warm_up_requests: that do not count.
        cost: of the generator.
        timeline: second by second.
        bottleneck: why this is no result, when the generator was the bottleneck.
    """

    plan: Plan
    seconds: float
    requests: int
    offered: float
    answered: float
    errors: Sequence[ErrorKind]
    answered_by: dict[int | None, int]
    latency: Histogram
    held_back: int
    most_under_way: int
    retried: int
    warm_up_requests: int
    cost: GeneratorCost
    timeline: Sequence[Second]
    bottleneck: str | None

    @property
    def failed(self) -> int:
        """Requests that got an error."""
        return sum(error.count for error in self.errors)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        latency = {f"{name}_ms": value for name, value in self.latency.in_ms().items()}
        late = {f"{name}_ms": value for name, value in self.cost.lateness.in_ms().items()}
        plan = self.plan
        return {
            "is_result": self.bottleneck is None,
            "bottleneck": self.bottleneck,
            "requests": self.requests,
            "failed": self.failed,
            "reasons": {error.message: error.count for error in self.errors[:_MOST_REASONS]},
            "errors": [asdict(error) for error in self.errors],
            "answered_by": {str(version): count for version, count in self.answered_by.items()},
            **latency,
            "loop": "open" if plan.is_open else "closed",
            "arrivals": plan.arrivals if plan.is_open else None,
            "concurrency": plan.concurrency or None,
            "profile": [asdict(piece) for piece in plan.pieces],
            "samples": {"origin": plan.samples.origin, "count": len(plan.samples.bodies)},
            "seconds": round(self.seconds, 3),
            "offered_per_s": round(self.offered, 2),
            "answered_per_s": round(self.answered, 2),
            "under_way": {"limit": plan.under_way, "most": self.most_under_way, "held_back": self.held_back},
            "retried": self.retried,
            "warm_up": {"seconds": plan.warm_up_s, "requests": self.warm_up_requests},
            "generator": {
                "sender": self.cost.sender,
                "processes": self.cost.processes,
                "cpu_share": round(self.cost.cpu_share, 3),
                "waited_for_processor_share": self.cost.starved_share and round(self.cost.starved_share, 3),
                "sent_late": late,
            },
            "timeline": [asdict(second) for second in self.timeline],
            "histogram": self.latency.encoded(),
        }


def result_of(plan: Plan, shares: Sequence[Share]) -> Result:
    """Put together what the processes of a run noted."""
    begin = shares[0].begin
    seconds = max(1e-9, max(share.end for share in shares) - begin)
    tables = [_counted(share) for share in shares]
    due, sent, ended, held = (np.concatenate([table[column] for table in tables]) for column in range(4))
    is_ok = np.concatenate([table[4] for table in tables])
    errors: Counter[tuple[str, str]] = Counter()
    versions: Counter[int | None] = Counter()
    for share, table in zip(shares, tables, strict=True):
        for number, count in zip(*np.unique(table[5], return_counts=True), strict=True):
            ending = share.endings[number]
            if ending.code == Code.OK:
                versions[ending.version] += int(count)
            else:
                errors[(_name(ending.code), ending.message)] += int(count)
    latency = Histogram((ended - due)[is_ok])
    cost = _cost(plan, shares, Histogram((sent - due)[(sent > 0) & ~held]), seconds)
    return Result(
        plan=plan,
        seconds=seconds,
        requests=len(due),
        offered=len(due) / seconds,
        answered=int(np.sum(is_ok & (ended <= begin + seconds))) / seconds,
        errors=[ErrorKind(*kind, count) for kind, count in errors.most_common()],
        answered_by=dict(sorted(versions.items(), key=lambda item: item[0] or 0)),
        latency=latency,
        held_back=int(held.sum()),
        most_under_way=sum(share.most_under_way for share in shares),
        retried=sum(share.retried for share in shares),
        warm_up_requests=sum(len(share.due) for share in shares) - len(due),
        cost=cost,
        timeline=timeline(due, ended, is_ok, begin, seconds),
        bottleneck=cost.bottleneck(plan.is_open, latency),
    )


def _counted(share: Share) -> tuple[Any, ...]:
    """The calls behind the warm-up."""
    is_ok = np.array([ending.code == Code.OK for ending in share.endings], np.bool_)
    chosen = share.due >= share.begin
    ending = share.ending[chosen]
    return share.due[chosen], share.sent[chosen], share.ended[chosen], share.held[chosen], is_ok[ending], ending


def _cost(plan: Plan, shares: Sequence[Share], lateness: Histogram, seconds: float) -> GeneratorCost:
    starved = [share.starved_s for share in shares if share.starved_s is not None]
    return GeneratorCost(
        sender=shares[0].sender,
        processes=plan.processes,
        cpu_share=max(share.cpu_s for share in shares) / seconds,
        starved_share=max(starved) / seconds if starved else None,
        busiest=max(share.cpu_s + (share.starved_s or 0.0) for share in shares) / seconds,
        lateness=lateness,
    )


def _name(code: int) -> str:
    return Code(code).name if code in Code._value2member_map_ else str(code)
