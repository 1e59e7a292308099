"""Bad versions of many kinds, offered to `publish` or dropped into a repository that is served under load.

python -m tests.system.bad_versions      the table of docs/bad-versions.md
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport import layout
from modelport.errors import ModelportError
from modelport.repository import Repository
from modelport_client import Client
from modelport_client.loadtest import SteadyLoad
from modelport_export import Gate, ImageInput, publish
from modelport_serving import AUTO, Options, Server
from tests.support.waiting import eventually
from tests.system.damages import DROPPED

NAME, RATE = "m", 100  # requests a second while all of it happens
LABELS = ["dark", "light"]
IMAGES = np.random.default_rng(5).integers(0, 255, (300, 4, 4), np.uint8)
IMAGES[::2] //= 3  # every other one is dark
CLASS = np.arange(300) % 2
IMAGE = ImageInput(4, 4, shape=(16,))
GIVEN: dict[str, Any] = {
    "name": NAME,
    "image": IMAGE,
    "labels": LABELS,
    "samples": {"image": IMAGES[:16]},
    "evaluation": {"image": IMAGES, "label": CLASS},
}
GATE = Gate(max_p50_ms=25.0, max_resident_mib=700.0)


@dataclass(frozen=True)
class Outcome:
    """What came of one kind: the reason in a sentence."""

    kind: str
    how: str  # offered or dropped
    reason: str


def good() -> Any:
    """Brightness decides."""
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(2, activation="softmax", name="scores")])
    kernel = np.stack([-np.ones(16), np.ones(16)], 1).astype(np.float32)
    model.layers[0].set_weights([kernel, np.array([5.3, -5.3], np.float32)])
    return model


def _weights(change: Callable[[list[Any]], list[Any]]) -> Any:
    model = good()
    model.layers[0].set_weights(change(model.layers[0].get_weights()))
    return model


def _wrapped(make: Callable[[Any], Any]) -> Any:
    given = keras.Input((16,), name="pixels")
    return keras.Model(given, make(given))


class Reading(keras.layers.Layer):
    """Reads a file of the server's with every request."""

    def call(self, given: Any) -> Any:
        text = tf.io.read_file("/etc/hostname")
        return given + tf.cast(tf.strings.length(text) * 0, given.dtype)


class Python(keras.layers.Layer):
    """Calls back into this process."""

    def call(self, given: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(lambda x: x, [given], tf.float32), given.shape)


class Slow(keras.layers.Layer):
    """Multiplies large matrices before it answers."""

    def call(self, given: Any) -> Any:
        large = tf.ones((1600, 1600)) * tf.reduce_mean(given)
        for _ in range(4):
            large = tf.matmul(large, large) * 1e-9
        return given + tf.reduce_sum(large) * 0.0


class Counting(keras.layers.Layer):
    """Writes a variable with every request."""

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(), trainable=False)

    def call(self, given: Any) -> Any:
        self.seen.assign_add(1.0)
        return given


def _saved(folder: Path, signatures: bool) -> Path:
    module = tf.Module()
    if signatures:
        module.run = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures=module.run if signatures else None)
    return folder


def _plain(model: Any, **more: Any) -> dict[str, Any]:
    """As a model of plain numbers, in the place of the image classifier."""
    name = model.inputs[0].name
    return {
        "model": model,
        "image": None,
        "labels": None,
        "evaluation": None,
        "samples": {name: np.ones((4, 16))},
        **more,
    }


# kind → what is given to `publish` in the place of the good model
OFFERED: dict[str, Callable[[Path], dict[str, Any]]] = {
    "renamed input": lambda folder: _plain(_wrapped(lambda x: good()(x))),
    "another size of images": lambda folder: {"image": ImageInput(8, 2, shape=(16,))},
    "NaN weights": lambda folder: {"model": _weights(lambda w: [w[0] * np.nan, w[1]])},
    "infinite weights": lambda folder: {"model": _weights(lambda w: [w[0] * np.inf, w[1]])},
    "random weights": lambda folder: {"model": _weights(lambda w: [w[0] * 0, w[1] * 0])},
    "trained on swapped labels": lambda folder: {"model": _weights(lambda w: [-w[0], -w[1]])},
    "swapped names of classes": lambda folder: {"labels": LABELS[::-1]},
    "changed preprocessing": lambda folder: {"image": ImageInput(4, 4, 1, 1.0, shape=(16,)), "model": good()},
    "a class more": lambda folder: {
        "model": keras.Sequential([keras.Input((16,)), keras.layers.Dense(3, activation="softmax")]),
        "labels": [*LABELS, "blue"],
    },
    "ten times slower": lambda folder: {"model": _wrapped(lambda x: good()(Slow()(x)))},
    "memory hog": lambda folder: {
        "model": _wrapped(lambda x: good()(keras.layers.Dense(16)(keras.layers.Dense(40_000_000 // 16)(x))))
    },
    "reads files": lambda folder: {"model": _wrapped(lambda x: good()(Reading()(x)))},
    "calls Python": lambda folder: {"model": _wrapped(lambda x: good()(Python()(x)))},
    "Lambda layer": lambda folder: {"model": _wrapped(lambda x: good()(keras.layers.Lambda(lambda y: y)(x)))},
    "keeps state": lambda folder: {"model": _wrapped(lambda x: good()(Counting()(x)))},
    "no signature": lambda folder: {
        **_plain(good()),
        "model": _saved(folder / "saved", signatures=False),
        "samples": None,
    },
    "a SavedModel of other signatures": lambda folder: {
        **_plain(good()),
        "model": _saved(folder / "saved", signatures=True),
        "samples": None,
    },
}


def outcomes(root: Path, told: Callable[[Outcome], None] = lambda outcome: None) -> tuple[list[Outcome], int, int]:
    """Offer and drop all of them; what came of each, the number of requests, and of those that failed.

    Raises:
        AssertionError: a bad version was published, or answered.
    """
    repository = Repository(root / "models")
    first = publish(good(), repository=repository, **GIVEN)
    found: list[Outcome] = []
    with _serving(repository.root) as client:

        def ask() -> Any:
            return client.predict(NAME, {"image": IMAGES[:1]}, timeout=10)

        with SteadyLoad(ask, RATE) as load:
            for kind, make in OFFERED.items():
                found.append(_offer(kind, {**GIVEN, "model": good(), **make(root)}, repository))
                shutil.rmtree(root / "saved", ignore_errors=True)
                told(found[-1])
            for number, (kind, damage) in enumerate(DROPPED.items(), 1000):
                found.append(_drop(kind, damage, first.path, number, client))
                told(found[-1])
    assert repository.versions(NAME) == [1]
    assert {outcome.version for outcome in load.outcomes if outcome.error is None} == {1}
    failed = [outcome.error for outcome in load.outcomes if outcome.error is not None]
    return found, len(load.outcomes), len(failed)


def _offer(kind: str, given: dict[str, Any], repository: Repository) -> Outcome:
    try:
        publish(given.pop("model"), repository=repository, gate=GATE, **given)
    except ModelportError as error:
        text = error.message.removeprefix(f"Refused by the gate: this version of {NAME!r} is not published. ")
        return Outcome(kind, "offered", " ".join(text.split()).split(" To publish it all the same")[0])
    raise AssertionError(f"{kind} was published")


def _drop(kind: str, damage: Callable[[Path], object], whole: Path, number: int, client: Client) -> Outcome:
    aside, place = whole.parent / f".dropped-{number}", whole.parent / str(number)
    shutil.copytree(whole, aside)
    (aside / layout.MANIFEST).unlink()
    damage(aside)
    aside.rename(place)
    reasons: list[str] = []

    def given_up() -> bool:
        reasons[:] = [one.message for one in client.status(NAME) if one.version == number and one.state == "END"]
        return bool(reasons)

    try:
        eventually(given_up)
    finally:
        shutil.rmtree(place)
    assert reasons[0], f"{kind} was unloaded, and not refused"
    return Outcome(kind, "dropped", " ".join(reasons[0].replace(str(place), "…").split()).partition(" [[")[0])


@contextmanager
def _serving(root: Path) -> Iterator[Client]:
    options = Options(model_repository=str(root), port=AUTO, file_system_poll_wait_seconds=1, max_num_load_retries=0)
    with Server(options) as server, Client(server.grpc_address, retry=False) as client:
        client.wait_until_available(NAME, 1, 60)
        yield client


def main() -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="modelport-bad-") as folder:
        found, asked, failed = outcomes(Path(folder), lambda one: print(json.dumps(one.kind), file=sys.stderr))
    print("| kind | | what keeps it from being served |\n| --- | --- | --- |")
    for one in found:
        cell = one.reason.replace("|", "\\|")
        print(f"| {one.kind} | {one.how} | {cell} |")
    print(f"\n{asked} requests came in meanwhile, {RATE} a second; {failed} failed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
