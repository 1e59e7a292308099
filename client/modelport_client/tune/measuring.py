"""How high a rate a server with some settings holds the bound at, as far as some seconds tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from modelport_client.loadtest.found import Bound, Found
from modelport_client.loadtest.measurement import Measurement
from modelport_client.loadtest.plan import Plan
from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.run import Interruption
from modelport_client.loadtest.search import Search
from modelport_client.tune.servers import Kind, OwnServer
from modelport_client.tune.settings import Setting

_SEEDS_OF_A_SERVER = 1000  # each of its runs has arrivals of its own
_SHORTEST_SEARCH_S = 8.0  # some ten runs of half a second, and what lies between them
_SEARCHES = 15  # that a small budget has to be enough for: then each is shorter
_LEAST_SEARCH_S = 3.0


class Measuring:
    """Starts servers and searches.

    Args:
        generators: the processes of the load.
        kind: of server.
        model, base_path: what it serves.
        plan_for: the plan of a load on a server's address.
        bound: to be held.
        folder: for the files of servers.
        interruption: ends all.
        seed: of arrivals.
        budget_s: of the tuning.
    """

    def __init__(
        self,
        generators: Generators,
        kind: Kind,
        model: str,
        base_path: Path,
        plan_for: Callable[[str], Plan],
        bound: Bound,
        folder: Path,
        interruption: Interruption,
        seed: int,
        budget_s: float,
    ) -> None:
        self.shortest_s = max(min(_SHORTEST_SEARCH_S, budget_s / _SEARCHES), _LEAST_SEARCH_S)
        self.bound, self.seed = bound, seed
        self.interruption = interruption
        self._kind = kind
        self._model = model
        self._base_path = base_path
        self._plan_for = plan_for
        self._folder = folder
        self._generators = generators
        self._seeds = count(seed, _SEEDS_OF_A_SERVER)
        self._servers = count(1)

    @contextmanager
    def served(self, setting: Setting) -> Iterator[Measurement]:
        """A server with these settings, for as long as the block runs."""
        folder = self._folder / f"server-{next(self._servers)}"
        server_of = OwnServer(self._kind, self._model, self._base_path, setting, folder, self._is_over)
        with server_of as server:
            plan = replace(self._plan_for(server.address), seed=next(self._seeds))
            yield Measurement(self._generators, plan, self.bound, self.interruption)

    def search(self, measurement: Measurement, seconds: float, first: float) -> Found:
        """Search on a server that is up."""
        return Search(self.bound, measurement.at_rate, seconds, first, self._is_over).find()

    def _is_over(self) -> bool:
        return self.interruption.happened
