"""The strategy of a cluster, and what its workers tell each other beside gradients."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from modelport.errors import FailedPrecondition, ModelportError, Unavailable
from modelport_training.workers.cluster import Cluster, cluster

_CHUNK = 2**24  # numbers that are told at a time
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError, tf.errors.InternalError)


class Team:
    """This process among those that train together.

    Args:
        strategy: of TensorFlow, in whose scope the model is made.
        place: in the cluster; None where one process has several devices.
    """

    def __init__(self, strategy: Any, place: Cluster | None) -> None:
        self.strategy, self.place = strategy, place
        self.size = int(strategy.num_replicas_in_sync)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder."""
        return self.place is None or self.place.is_chief

    def tell(self, data: bytes) -> bytes:
        """What the chief has, on every worker. All of them call it at the same point."""
        length = int(self._sum(tf.constant(len(data) if self.is_chief else 0, tf.int64)))
        values = tf.io.decode_raw(data, tf.uint8) if self.is_chief else tf.zeros(length, tf.uint8)
        parts = []
        for begin in range(0, length, _CHUNK):
            mine = tf.cast(values[begin : begin + _CHUNK], tf.int32)
            parts.append(tf.cast(self._sum(mine if self.is_chief else tf.zeros_like(mine)), tf.uint8).numpy().tobytes())
        return b"".join(parts)

    def _sum(self, mine: Any) -> Any:
        if self.place is None:
            return mine
        one = self.strategy.experimental_distribute_values_from_function(lambda _: mine)
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, one, axis=None)


@contextmanager
def own_folder(crew: Team | None, path: Path) -> Iterator[Path]:
    """The run folder of the chief; for every other worker a folder of its own that goes away."""
    if crew is None or crew.is_chief:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="modelport-worker-") as folder:
        yield Path(folder)


@contextmanager
def together(crew: Team | None) -> Iterator[None]:
    """Let what the chief refuses end the others, too. Nothing within may need them.

    Raises:
        FailedPrecondition: the chief refused; its reason is in the text, for whoever reads this worker's log alone.
    """
    error: ModelportError | None = None
    try:
        yield
    except ModelportError as raised:
        error = raised
    refusal = "" if error is None else f"The chief does not train: {error.message}"
    told = b"" if crew is None else crew.tell(refusal.encode())
    if error is not None:
        raise error
    if told:
        raise FailedPrecondition(told.decode())


def told_by_chief(crew: Team | None, yes: bool) -> bool:
    """Whether the chief says yes."""
    return yes if crew is None else crew.tell(b"y" if yes else b"n") == b"y"


def share(crew: Team | None, path: Path) -> None:
    """Give every worker the file that the chief has, where it has one."""
    if crew is None:
        return
    data = crew.tell(path.read_bytes() if crew.is_chief and path.exists() else b"")
    if data and not crew.is_chief:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def team() -> Team | None:
    """The team of this process; None where it trains alone, on one device.

    To be called before anything else is asked of TensorFlow.
    """
    place = cluster()
    if place is not None:
        with lost_workers(place):
            return Team(tf.distribute.MultiWorkerMirroredStrategy(), place)
    devices = tf.config.list_logical_devices("GPU")
    if len(devices) < 2 and os.environ.get("MODELPORT_DEVICES") == "CPU":  # as a test has several
        devices = tf.config.list_logical_devices("CPU")
    return Team(tf.distribute.MirroredStrategy([one.name for one in devices]), None) if len(devices) > 1 else None


@contextmanager
def lost_workers(place: Cluster | None) -> Iterator[None]:
    """Say in a line that another worker is gone.

    Raises:
        Unavailable: it is.
    """
    try:
        yield
    except _LOST as error:
        if place is None:
            raise
        raise Unavailable(
            f"Worker {place.rank} of {len(place.workers)} lost another one ({type(error).__name__}). What was trained "
            "up to the last whole epoch is in the run folder: start all of them again with --resume."
        ) from error
