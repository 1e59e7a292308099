"""The best setting against the defaults: both servers are up, and are searched in turns.

A search tries some rates, each a factor above another. So each begins somewhere else, by chance, and what lies between
the rates becomes part of the variation. The ratio of the rates of each pair is one figure; the setting is called better
only if Student's interval of these figures lies above 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random

from modelport_client.loadtest.found import Found
from modelport_client.loadtest.intervals import Interval, geometric
from modelport_client.tune.measuring import Measuring
from modelport_client.tune.settings import DEFAULTS, Setting

_FEWEST_PAIRS, _MOST_PAIRS = 3, 8


@dataclass(frozen=True)
class Verdict:
    """What the turns came to.

    Args:
        challenger: the setting that was held against the defaults.
        pairs: rates of the defaults and of the challenger.
        ratio: the challenger's rate over the defaults'; None when no pair has both.
        founds: the searches, of the defaults and of the challenger.
    """

    challenger: Setting
    pairs: list[tuple[float, float]]
    ratio: Interval | None
    founds: list[tuple[Found, Found]] = field(default_factory=list)

    @property
    def is_better(self) -> bool:
        """Whether the interval says so, and in no pair only the defaults hold the bound.

        Or whether only the challenger ever holds it, where that was seen to be the server's fault.
        """
        if any(one.rate and not other.rate for one, other in self.founds):
            return False
        if not self.pairs:
            fails = [other.rate and any(one.holds is False for one in ours.tries) for ours, other in self.founds]
            return bool(fails) and all(fails)
        return self.ratio is not None and self.ratio.low is not None and self.ratio.low > 1

    @property
    def winner(self) -> Setting:
        """The defaults unless the challenger was shown to be better."""
        return self.challenger if self.is_better else DEFAULTS


def fight(measuring: Measuring, challenger: Setting, end: float, say: Callable[[str], None]) -> Verdict:
    """Let both be searched in turns until the time is over, three times at least.

    Args:
        measuring: starts and searches.
        challenger: against the defaults.
        end: of the time (monotonic clock).
        say: told what happens.
    """
    founds: list[tuple[Found, Found]] = []
    with ExitStack() as stack:
        both = [stack.enter_context(measuring.served(setting)) for setting in (DEFAULTS, challenger)]
        firsts = [measurement.pilot() for measurement in both]
        left = end - time.monotonic()
        count = int(min(max(left / (2 * measuring.shortest_s), _FEWEST_PAIRS), _MOST_PAIRS))
        random = Random(measuring.seed)  # noqa: S311  # no secret
        seconds = max(measuring.shortest_s, left / (2 * count))
        say(f"the defaults and {challenger.name}, {count} times in turns, {seconds:.0f} s each")
        for number in range(count):
            told: dict[int, Found] = {}
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                if not measuring.interruption.happened:
                    first = firsts[which] * 2 ** random.uniform(-0.5, 0.5)
                    told[which] = measuring.search(both[which], seconds, first)
            if measuring.interruption.happened:
                break
            founds.append((told[0], told[1]))
            say("  " + ", ".join(f"{one.rate:.4g}/s" if one.rate else "none" for one in founds[-1]))
    pairs = [(one.rate, other.rate) for one, other in founds if one.rate and other.rate]
    ratio = geometric([other / one for one, other in pairs]) if pairs else None
    return Verdict(challenger, pairs, ratio, founds)
