"""The manager: brings the versions that are served in line with those that are aspired.

One thread decides (`version_policy.next_action` over snapshots), others load and unload. Requests take handles; a
version is freed only after its last handle came back, so a request always finishes on the version that it started on.
Vocabulary and order follow `aspired_versions_manager.h` of TensorFlow Serving; unlike there, a load never blocks the
deciding thread, a load that is to be tried again waits without a thread, and an unload waits for its own version's
requests only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Generic

from modelport.errors import Cancelled, Internal, ModelportError, NotFound
from modelport_serving.core.daemon_executor import DaemonExecutor
from modelport_serving.core.harness import Handle, Harness, S
from modelport_serving.core.servable_state import ServableId, State, StateBoard, VersionStatus
from modelport_serving.core.version_policy import Load, Phase, Unload, next_action

Loader = Callable[[ServableId, Path], S]


class Manager(Generic[S]):
    """Loads, keeps and unloads versions.

    Args:
        load: makes a servable, warm-up included; called from a load thread, may take long.
        board: where states are posted.
        load_threads, unload_threads: how many versions may load or unload at a time; at least 1.
        retries: further attempts after a failed load.
        retry_interval_s: pause between attempts; ended early when the version is no longer aspired.
        say: takes a line for a person about each attempt that failed and is repeated.
    """

    def __init__(
        self,
        load: Loader[S],
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
        self._models: dict[str, dict[int, Harness[S]]] = {}
        self._pending: dict[str, Mapping[int, Path]] = {}
        self._serving: dict[str, dict[int, Harness[S]]] = {}  # what answers, highest first; replaced, never changed
        self._stopping = False
        self._loads = DaemonExecutor(load_threads, "load")
        self._unloads = DaemonExecutor(unload_threads, "unload")
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

    def settled(self, name: str, *, tried: bool = False) -> bool:
        """Whether a model has an aspired version that answers, or one that has failed; or, if it is enough to have
        `tried`, whose load failed and is to be tried again."""
        with self._lock:
            harnesses = self._models.get(name, {}).values()
            done = (Phase.READY, Phase.ENDED)
            return name not in self._pending and any(
                h.aspired and (h.phase in done or (tried and h.failure is not None)) for h in harnesses
            )

    def available(self, name: str) -> list[int]:
        """The versions that answer now, highest first."""
        return list(self._serving.get(name, ()))

    def handle(self, name: str, version: int | None = None) -> Handle[S]:
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
            return Handle(self._release, harness, harness.servable)

    def stop(self, seconds: float) -> bool:
        """Unload everything, and wait for it so long at most; a load or a request that hangs is left behind.

        Returns:
            Whether everything is unloaded and all threads have ended.
        """
        deadline = time.monotonic() + seconds
        with self._lock:
            self._stopping = True
            for harness in self._all():
                harness.withdrawn = True
            ready = [harness for harness in self._all() if harness.phase is Phase.READY]
            self._lock.notify_all()
        self._thread.join(seconds)
        for harness in ready:
            self._begin_unload(harness)
        with self._lock:
            leaving = [h for h in self._all() if h.phase in (Phase.UNLOADING, Phase.LOADING) and h.retry_at is None]
            ended = self._lock.wait_for(
                lambda: all(h.phase is Phase.ENDED for h in leaving), max(deadline - time.monotonic(), 0.0)
            )
        for pool in (self._loads, self._unloads):
            pool.shutdown()
            ended &= pool.join(deadline - time.monotonic() if ended else 0.0)
        return ended

    def _release(self, harness: Harness[S]) -> None:
        with self._lock:
            harness.handles -= 1
            if not harness.handles and harness.phase is Phase.UNLOADING:
                self._unloads.submit(self._run_unload, harness)

    def _all(self) -> Iterable[Harness[S]]:
        return [harness for harnesses in self._models.values() for harness in harnesses.values()]

    def _decide(self) -> None:
        """The deciding thread: wakes when something changed, acts until there is nothing to do, sleeps."""
        while True:
            with self._lock:
                if self._stopping:
                    return
                self._give_up_withdrawn()
                self._forget_ended()
                self._apply_pending()
                action = self._choose()
                if action is None and not self._begin_due_retries():
                    self._lock.wait(self._until_next_retry())
                    continue
                harness = None if action is None else self._models[action.servable.name][action.servable.version]
            match action:
                case Unload():
                    assert harness is not None  # noqa: S101  # an action names a harness
                    self._begin_unload(harness)
                case Load():
                    assert harness is not None  # noqa: S101  # an action names a harness
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
            # As in the real server, a set that brings back a version which is on its way out has to wait. One that
            # answers, kept because nothing better came up, is taken back at once: there the set would wait for ever.
            back = [h for h in harnesses.values() if not h.aspired and h.servable_id.version in versions]
            if any(h.phase is not Phase.READY or h.path != versions[h.servable_id.version] for h in back):
                continue
            for harness in back:
                harness.aspired, harness.withdrawn = True, False
            del self._pending[name]
            for version, harness in harnesses.items():
                if version not in versions:
                    harness.aspired = False
                    harness.withdrawn = True
            for version, path in versions.items():
                if version not in harnesses:
                    harnesses[version] = Harness(ServableId(name, version), path, self._retries + 1)
                    self._post(harnesses[version], State.START)
        self._give_up_withdrawn()
        self._forget_ended()

    def _choose(self) -> Load | Unload | None:
        actions = [next_action(h.snapshot() for h in harnesses.values()) for harnesses in self._models.values()]
        found = [action for action in actions if action is not None]
        return min(found, key=lambda action: isinstance(action, Load), default=None)  # unloads before loads

    def _begin_load(self, harness: Harness[S]) -> None:
        with self._lock:
            harness.phase = Phase.LOADING
        self._post(harness, State.LOADING)
        self._loads.submit(self._run_load, harness)

    def _begin_due_retries(self) -> bool:
        """Hand the loads whose pause is over to the load threads; called under the lock."""
        now = time.monotonic()
        due = [h for h in self._all() if h.retry_at is not None and h.retry_at <= now]
        for harness in due:
            harness.retry_at = None
            self._loads.submit(self._run_load, harness)
        return bool(due)

    def _until_next_retry(self) -> float | None:
        waiting = [harness.retry_at for harness in self._all() if harness.retry_at is not None]
        return max(min(waiting) - time.monotonic(), 0.0) if waiting else None

    def _give_up_withdrawn(self) -> None:
        """End the loads that wait for another attempt and that nobody wants any more; called under the lock."""
        for harness in self._all():
            if harness.withdrawn and harness.retry_at is not None and harness.failure is not None:
                harness.retry_at = None
                self._end_load(harness, harness.failure)

    def _run_load(self, harness: Harness[S]) -> None:
        """One attempt, on a load thread."""
        try:
            if harness.withdrawn:
                raise Cancelled("Loading of servable cancelled")
            servable = self._load(harness.servable_id, harness.path)
            if harness.withdrawn:  # nobody wants it any more: it is not shown for a moment
                servable.close()
                raise Cancelled("Loading of servable cancelled")
        except Exception as error:
            known = error if isinstance(error, ModelportError) else Internal(f"{type(error).__name__}: {error}")
            with self._lock:
                harness.attempts_left -= 1
                if harness.attempts_left and not harness.withdrawn:
                    self._plan_retry(harness, known)
                else:
                    self._end_load(harness, known)
                self._lock.notify_all()
            return
        with self._lock:
            harness.servable = servable
            self._publish(harness.servable_id.name)
        self._post(harness, State.AVAILABLE)
        with self._lock:
            harness.phase = Phase.READY  # only now may the old version go
            missed_the_stop = self._stopping
            self._lock.notify_all()
        if missed_the_stop:  # it was still loading when the stop looked at what there is to unload
            self._begin_unload(harness)

    def _plan_retry(self, harness: Harness[S], error: ModelportError) -> None:
        harness.failure = error
        self._post(harness, State.LOADING, error)
        harness.retry_at = time.monotonic() + self._retry_interval_s
        number = self._retries + 1 - harness.attempts_left
        self._say(
            f"{harness.servable_id.name} version {harness.servable_id.version}: attempt {number} of "
            f"{self._retries + 1} to load it failed, the next is in {self._retry_interval_s:g} s. "
            f"{error.code.name}: {error.message.partition(chr(10))[0]}"
        )

    def _end_load(self, harness: Harness[S], error: ModelportError) -> None:
        self._post(harness, State.END, error)
        harness.phase = Phase.ENDED

    def _begin_unload(self, harness: Harness[S]) -> None:
        self._post(harness, State.UNLOADING)
        with self._lock:
            harness.phase = Phase.UNLOADING
            self._publish(harness.servable_id.name)
            if not harness.handles:
                self._unloads.submit(self._run_unload, harness)

    def _run_unload(self, harness: Harness[S]) -> None:
        """Free a version; begun when its last handle is back, so that no thread waits for requests."""
        with self._lock:
            servable, harness.servable = harness.servable, None
        try:
            if servable is not None:
                servable.close()
        finally:
            self._post(harness, State.END)
            with self._lock:
                harness.phase = Phase.ENDED
                self._lock.notify_all()

    def _publish(self, name: str) -> None:
        """Show requests the versions that answer now; called under the lock."""
        ready = [h for h in self._models[name].values() if h.servable is not None and h.phase is not Phase.UNLOADING]
        ready.sort(key=lambda harness: harness.servable_id.version, reverse=True)
        self._serving = {**self._serving, name: {harness.servable_id.version: harness for harness in ready}}

    def _post(self, harness: Harness[S], state: State, error: ModelportError | None = None) -> None:
        status = VersionStatus(state) if error is None else VersionStatus(state, error.code, error.message)
        self.board.post(harness.servable_id, status)
