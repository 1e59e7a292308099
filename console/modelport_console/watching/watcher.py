"""The one who looks: a thread that asks the servers and the repository again and again, for all viewers."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from modelport_console.settings import Settings
from modelport_console.watching.asking import Asker, Told
from modelport_console.watching.published import Shelf
from modelport_console.watching.snapshot import Snapshot
from modelport_console.watching.traffic import Traffic, difference, together

PACE_S = 2.0  # between two looks while somebody watches
SLOW_PACE_S = 15.0  # while nobody does: the curves go on, and a server is hardly asked
_SHARE = 9  # a look rests this many times as long as it took: at most a tenth of a core, however many models there are


class Watcher:
    """Looks until it is stopped.

    Args:
        settings: whom to ask.
    Attributes:
        snapshot: the last look.
        on_look: is told after each look, on the watcher's thread.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._askers = [Asker(server) for server in settings.servers]
        self._shelf = None if settings.repository is None else Shelf(settings.repository, settings.config)
        self._before: dict[str, Told] = {}
        self._traffic: dict[str, Traffic] = defaultdict(Traffic)
        self._viewers = 0
        self._wake, self._stopped = threading.Event(), threading.Event()
        self.snapshot = Snapshot()
        self.on_look: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> None:
        """Look once, and go on beside."""
        self._try_to_look()
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(10)
        for asker in self._askers:
            asker.close()

    def viewer(self, change: int) -> None:
        """One more viewer, or one less."""
        self._viewers += change
        if change > 0 and self._viewers == change:
            self._wake.set()

    def hurry(self) -> None:
        """Look now: something was changed."""
        self._wake.set()

    def traffic(self, model: str) -> Traffic:
        """What came in for a model."""
        return self._traffic.get(model) or Traffic()

    def _watch(self) -> None:
        took = 0.0
        while not self._stopped.is_set():
            pace = PACE_S if self._viewers else SLOW_PACE_S
            self._wake.wait(max(pace, _SHARE * took))
            self._wake.clear()
            if self._stopped.is_set():
                return
            begin = time.monotonic()
            self._try_to_look()
            took = time.monotonic() - begin
            self.on_look()

    def _try_to_look(self) -> None:
        try:
            self._look()
        except Exception as error:  # whatever it is, the pages must not go on showing what was
            fault = f"The console could not look: {type(error).__name__}: {error}. Please report it."
            print(f"console: {fault}", file=sys.stderr, flush=True)
            self.snapshot = Snapshot(self.snapshot.number + 1, time.time(), repository_fault=fault)

    def _look(self) -> None:
        fault, published = ("", {}) if self._shelf is None else self._shelf.look()
        models = sorted({*published, *self._settings.models, *self._named_by_servers()})
        with ThreadPoolExecutor(len(self._askers), "asking") as executor:
            told = dict(
                zip(
                    (asker.server.address for asker in self._askers),
                    executor.map(lambda asker: asker.ask(models), self._askers),
                    strict=True,
                )
            )
        wall = time.time()
        self._count(told, wall)
        served = {model for one in told.values() for model in one.states}
        shown = [model for model in models if model in published or model in served or model in self._settings.models]
        self._forget(shown)
        self.snapshot = Snapshot(self.snapshot.number + 1, wall, shown, published, fault, told)

    def _named_by_servers(self) -> set[str]:
        """Models that a server has answered for: a name that clients made up has no answer."""
        return {model for told in self._before.values() for model, totals in told.totals.items() if totals.answered}

    def _count(self, told: Mapping[str, Told], wall: float) -> None:
        now = {address: one for address, one in told.items() if not (one.fault or one.page_fault)}
        pairs = [(self._before[address], one) for address, one in now.items() if address in self._before]
        self._before = now
        if not pairs:
            return
        seconds = max(after.at - before.at for before, after in pairs)
        for model in {model for _, after in pairs for model in after.totals}:
            parts = [
                difference(before.totals.get(model), after.totals[model])
                for before, after in pairs
                if model in after.totals
            ]
            self._traffic[model].add(together(wall, seconds, parts))

    def _forget(self, models: Sequence[str]) -> None:
        """Names that clients made up take no room for good."""
        for gone in set(self._traffic) - set(models):
            del self._traffic[gone]
