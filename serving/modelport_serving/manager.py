"""The manager: brings the versions that are served in line with those that are aspired.

One thread decides (`policy.next_action` over snapshots), a pool loads, another unloads. Requests take handles; a
version is freed only after its last handle came back, so a request always finishes on the version that it started on.
Vocabulary and order follow `aspired_versions_manager.h` of TensorFlow Serving; unlike there, a load never blocks the
deciding thread, and an unload waits for its own version's requests only.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from modelport.errors import Cancelled, Internal, ModelportError, NotFound
from modelport_serving.policy import Load, Phase, Snapshot, Unload, next_action
from modelport_serving.servable import Servable
from modelport_serving.states import ServableId, State, StateBoard, VersionStatus

Loader = Callable[[ServableId, Path], Servable]

_COLLECT_EVERY = 16
_HANDLES_S = 5.0  # that a stop waits for handles which are out


@dataclass
class _Harness:
    """One managed version; every field is guarded by the manager's lock."""

    servable_id: ServableId
    path: Path
    aspired: bool = True
    phase: Phase = Phase.NEW
    servable: Servable | None = None
    handles: int = 0
    withdrawn: threading.Event = field(default_factory=threading.Event)  # cuts the retries of a load short

    def snapshot(self) -> Snapshot:
        return Snapshot(self.servable_id, self.phase, self.aspired)


class Handle:
    """Keeps a version loaded while a request uses it: `with manager.handle("m") as servable: …`."""

    def __init__(self, manager: Manager, harness: _Harness, servable: Servable) -> None:
        self._manager = manager
        self._harness: _Harness | None = harness
        self.servable = servable

    def __enter__(self) -> Servable:
        return self.servable

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the handle back; a second call does nothing."""
        harness, self._harness = self._harness, None
        if harness is not None:
            self._manager._release(harness)


class Manager:
    """Loads, keeps and unloads versions.

    Args:
        load: makes a Servable, warm-up included; called from a load thread, may take long.
        board: where states are posted.
        load_threads, unload_threads: how many versions may load or unload at a time; at least 1.
        retries: further attempts after a failed load.
        retry_interval_s: pause between attempts; ended early when the version is no longer aspired.
        say: takes a line for a person about each attempt that failed and is repeated.
    """

    def __init__(
        self,
        load: Loader,
        board: StateBoard,
        load_threads: int = 1,
        unload_threads: int = 1,
        retries: int = 5,
        retry_interval_s: float = 60.0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.board = board
        self._load = load
        self._retries = retries
        self._say = say
        self._retry_interval_s = retry_interval_s
        self._lock = threading.Condition()
        self._models: dict[str, dict[int, _Harness]] = {}
        self._pending: dict[str, Mapping[int, Path]] = {}
        self._serving: dict[str, dict[int, _Harness]] = {}  # what answers, highest first; replaced, never changed
        self._stopping = False
        self._ended = False
        self._unloads = 0
        self._load_pool = ThreadPoolExecutor(max(load_threads, 1), "load")
        self._unload_pool = ThreadPoolExecutor(max(unload_threads, 1), "unload")
        self._thread = threading.Thread(target=self._decide, name="manager", daemon=True)
        self._thread.start()

    def set_aspired(self, name: str, versions: Mapping[int, Path]) -> None:
        """Say which versions of a model ought to be served: all of them, not the change."""
        with self._lock:
            self._pending[name] = dict(versions)
            self._lock.notify_all()

    def names(self) -> list[str]:
        """The models that are managed now."""
        with self._lock:
            return [name for name, harnesses in self._models.items() if harnesses]

    def settled(self, name: str) -> bool:
        """Whether a model has an aspired version that answers, or one that has failed."""
        with self._lock:
            harnesses = self._models.get(name, {}).values()
            done = (Phase.READY, Phase.ENDED)
            return name not in self._pending and any(h.aspired and h.phase in done for h in harnesses)

    def available(self, name: str) -> list[int]:
        """The versions that answer now, highest first."""
        return list(self._serving.get(name, ()))

    def handle(self, name: str, version: int | None = None) -> Handle:
        """Take a handle on a version, by default the highest that is available.

        Raises:
            NotFound: it is not available; the text is the real server's.
        """
        with self._lock:
            versions = self._serving.get(name, {})
            harness = next(iter(versions.values()), None) if version is None else versions.get(version)
            if harness is None or harness.servable is None:
                which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise NotFound(f"Servable not found for request: {which}")
            harness.handles += 1
            return Handle(self, harness, harness.servable)

    def stop(self) -> None:
        """Unload everything; handles that are out are waited for, a few seconds."""
        with self._lock:
            self._stopping = True
            for harness in self._all():
                harness.withdrawn.set()
            self._lock.notify_all()
        self._thread.join()
        self._load_pool.shutdown()
        with self._lock:
            remaining = [harness for harness in self._all() if harness.phase is Phase.READY]
        for harness in remaining:
            self._begin_unload(harness)
        with self._lock:
            leaving = [harness for harness in self._all() if harness.phase is Phase.UNLOADING]
            self._lock.wait_for(lambda: all(h.phase is Phase.ENDED for h in leaving), _HANDLES_S)
            self._ended = True
        self._unload_pool.shutdown()

    def _release(self, harness: _Harness) -> None:
        with self._lock:
            harness.handles -= 1
            if not harness.handles and harness.phase is Phase.UNLOADING and not self._ended:
                self._unload_pool.submit(self._run_unload, harness)

    def _all(self) -> Iterable[_Harness]:
        return [harness for harnesses in self._models.values() for harness in harnesses.values()]

    def _decide(self) -> None:
        """The deciding thread: wakes when something changed, acts until there is nothing to do, sleeps."""
        while True:
            with self._lock:
                if self._stopping:
                    return
                self._forget_ended()
                self._apply_pending()
                action = self._choose()
                if action is None:
                    self._lock.wait()
                    continue
                harness = self._models[action.servable.name][action.servable.version]
            match action:
                case Unload():
                    self._begin_unload(harness)
                case Load():
                    self._begin_load(harness)

    def _forget_ended(self) -> None:
        """Drop what ended (or never began) and is no longer aspired, so that it can be aspired anew."""
        for harnesses in self._models.values():
            for version, harness in list(harnesses.items()):
                if not harness.aspired and harness.phase in (Phase.NEW, Phase.ENDED):
                    del harnesses[version]
                    if harness.phase is Phase.NEW:
                        self._post(harness, State.END)

    def _apply_pending(self) -> None:
        for name, versions in list(self._pending.items()):
            harnesses = self._models.setdefault(name, {})
            # As in the real server, a set that brings back a version which is still on its way out has to wait.
            if any(not h.aspired and h.servable_id.version in versions for h in harnesses.values()):
                continue
            del self._pending[name]
            for version, harness in harnesses.items():
                if version not in versions:
                    harness.aspired = False
                    harness.withdrawn.set()
            for version, path in versions.items():
                if version not in harnesses:
                    harnesses[version] = _Harness(ServableId(name, version), path)
                    self._post(harnesses[version], State.START)
        self._forget_ended()

    def _choose(self) -> Load | Unload | None:
        actions = [next_action(h.snapshot() for h in harnesses.values()) for harnesses in self._models.values()]
        found = [action for action in actions if action is not None]
        return min(found, key=lambda action: isinstance(action, Load), default=None)  # unloads before loads

    def _begin_load(self, harness: _Harness) -> None:
        with self._lock:
            harness.phase = Phase.LOADING
        self._post(harness, State.LOADING)
        self._load_pool.submit(self._run_load, harness)

    def _run_load(self, harness: _Harness) -> None:
        try:
            servable = self._load_with_retries(harness)
            if harness.withdrawn.is_set():  # nobody wants it any more: it is not shown for a moment
                servable.close()
                raise Cancelled("Loading of servable cancelled")
        except Exception as error:
            known = error if isinstance(error, ModelportError) else Internal(f"{type(error).__name__}: {error}")
            self._post(harness, State.END, known)
            with self._lock:
                harness.phase = Phase.ENDED
                self._lock.notify_all()
            return
        with self._lock:
            harness.servable = servable
            self._publish(harness.servable_id.name)
        self._post(harness, State.AVAILABLE)
        with self._lock:
            harness.phase = Phase.READY  # only now may the old version go
            self._lock.notify_all()

    def _load_with_retries(self, harness: _Harness) -> Servable:
        for attempts_left in range(self._retries, -1, -1):
            if harness.withdrawn.is_set():
                raise Cancelled("Loading of servable cancelled")
            try:
                return self._load(harness.servable_id, harness.path)
            except Exception as error:
                if not attempts_left:
                    raise
                number, pause = self._retries - attempts_left + 1, self._retry_interval_s
                self._say(
                    f"{harness.servable_id.name} version {harness.servable_id.version}: attempt {number} of "
                    f"{self._retries + 1} to load it failed, the next is in {pause:g} s. {_first_line(error)}"
                )
                if harness.withdrawn.wait(pause):
                    raise
        raise Internal("Expected at least one attempt to load")

    def _begin_unload(self, harness: _Harness) -> None:
        self._post(harness, State.UNLOADING)
        with self._lock:
            harness.phase = Phase.UNLOADING
            self._publish(harness.servable_id.name)
            if not harness.handles:
                self._unload_pool.submit(self._run_unload, harness)

    def _run_unload(self, harness: _Harness) -> None:
        """Free a version; begun when its last handle is back, so that no thread waits for requests."""
        with self._lock:
            servable, harness.servable = harness.servable, None
        try:
            if servable is not None:
                servable.close()
            del servable
            self._collect()
        finally:
            self._post(harness, State.END)
            with self._lock:
                harness.phase = Phase.ENDED
                self._lock.notify_all()

    def _collect(self) -> None:
        """Free the unloaded graph, which is full of cycles and would lie about until a full collection.

        That takes milliseconds where the process has put aside what it started with (`cli._spare_the_collector`), and
        0.3 s elsewhere: there only one unload in sixteen pays for it.
        """
        with self._lock:
            self._unloads += 1
            due = self._unloads % _COLLECT_EVERY == 0
        if due or gc.get_freeze_count():
            gc.collect()

    def _publish(self, name: str) -> None:
        """Show requests the versions that answer now; called under the lock."""
        ready = [h for h in self._models[name].values() if h.servable and h.phase is not Phase.UNLOADING]
        ready.sort(key=lambda harness: harness.servable_id.version, reverse=True)
        self._serving = {**self._serving, name: {harness.servable_id.version: harness for harness in ready}}

    def _post(self, harness: _Harness, state: State, error: ModelportError | None = None) -> None:
        status = VersionStatus(state) if error is None else VersionStatus(state, error.code, error.message)
        self.board.post(harness.servable_id, status)


def _first_line(error: Exception) -> str:
    kind = error.code.name if isinstance(error, ModelportError) else type(error).__name__
    return f"{kind}: {str(error).partition(chr(10))[0]}"
