"""The least that a manager can load: a loader of the test's own, since a manager takes any callable."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelport_serving.core.manager import Manager
from modelport_serving.core.servable_state import ServableId, State, StateBoard


class Tiny:
    """A servable that notes that it was closed."""

    def __init__(self, servable_id: ServableId) -> None:
        self.id = servable_id
        self.closed = threading.Event()

    def close(self) -> None:
        assert not self.closed.is_set(), "closed twice"
        self.closed.set()


class Loader:
    """Loads `Tiny` servables, fails as told, and holds loads back until they are let go.

    Args:
        broken: model → what its loads raise.
        held: models whose loads wait for `go`.
    """

    def __init__(self, broken: dict[str, BaseException] | None = None, held: Iterable[str] = ()) -> None:
        self.broken = broken or {}
        self.held = set(held)
        self.go = threading.Event()
        self.began: list[ServableId] = []
        self.loaded: dict[ServableId, Tiny] = {}

    def __call__(self, servable_id: ServableId, path: Path) -> Tiny:
        self.began.append(servable_id)
        if servable_id.name in self.held:
            assert self.go.wait(60)
        if servable_id.name in self.broken:
            raise self.broken[servable_id.name]
        tiny = self.loaded[servable_id] = Tiny(servable_id)
        return tiny


class Told:
    """What a board was told, in order, and the lines for a person."""

    def __init__(self, board: StateBoard) -> None:
        self.board = board
        self.posts: list[tuple[str, int, State]] = []
        self.lines: list[str] = []
        board.subscribe(lambda i, status: self.posts.append((i.name, i.version, status.state)))

    def state(self, name: str, version: int = 1) -> State | None:
        status = self.board.status(ServableId(name, version))
        return None if status is None else status.state


@contextmanager
def managing(load: Callable[..., object], **options: object) -> Iterator[tuple[Manager, Told]]:
    """A manager, and what it tells; stopped at the end, hanging loads left behind."""
    board = StateBoard()
    told = Told(board)
    manager = Manager(load, board, say=told.lines.append, **options)
    try:
        yield manager, told
    finally:
        manager.stop(2.0)


def paths(*versions: int) -> dict[int, Path]:
    """Aspired versions; nobody reads the paths."""
    return {version: Path(str(version)) for version in versions}


def error_of(told: Told, name: str, version: int = 1) -> tuple[str, str]:
    """Code and text that a version ended with."""
    status = told.board.status(ServableId(name, version))
    assert status is not None
    return status.code.name, status.message
