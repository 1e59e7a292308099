"""Which way to train: whole epochs compiled by XLA where that is possible and faster, else Keras' `fit`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport.errors import FailedPrecondition
from modelport_training.loop import philox
from modelport_training.loop.batches import Batches, InMemory
from modelport_training.loop.epochs import STEPS_PER_EXECUTION, CompiledEpochs, FitEpochs, Steps
from modelport_training.loop.streams import Streamed
from modelport_training.workers.epochs import TeamEpochs

COMPILED, FIT, SHARED = "compiled", "fit", "shared"
# Operations that XLA compiles for a CPU without oneDNN: an epoch of the convolutional recipe takes ten times as long,
# and compiling a large network takes minutes.
_SLOW_BY_XLA = {"Conv2D", "Conv3D", "DepthwiseConv2dNative"}
_LEAST_S = 0.05  # of steps, to be told from the noise
_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


@dataclass(frozen=True)
class Way:
    """How the epochs are trained; it decides the bits, so a resumed run keeps to it.

    Args:
        name: COMPILED, FIT or SHARED.
        why: a half sentence for the first line.
        generator: of random layers: "philox", or "auto_select", as Keras asks for.
        steps: the functions that were traced, of COMPILED.
        team: the epochs of SHARED.
    """

    name: str
    why: str = ""
    generator: str = "auto_select"
    steps: Steps | None = None
    team: TeamEpochs | None = None

    @property
    def workers(self) -> int:
        """How many replicas share each batch."""
        return 1 if self.team is None else self.team.size

    @property
    def told(self) -> str:
        """It as a line."""
        if self.team is not None:
            return f"Each batch is shared by {self.workers} workers; their gradients are summed."
        if self.name == COMPILED:
            return f"Each epoch is one function compiled by XLA: {self.why}. Random layers draw by {self.generator}."
        return f"Each epoch is trained by fit, {STEPS_PER_EXECUTION} steps a call: {self.why}."


def choose(reason: str | None, model: Any, batches: Batches, recorded: str | None, plain: Steps | None) -> Way:
    """The way to train: as the run began, else the faster one.

    Args:
        reason: see `refused`.
        model: compiled and built.
        batches: of its data.
        recorded: the way of the run that is resumed.
        plain: steps that XLA does not compile, of data in memory.

    Raises:
        FailedPrecondition: the run began with what cannot be compiled here.
    """
    if reason is not None:
        return Way(FIT, reason)
    if recorded == FIT:
        return Way(FIT, "as asked for, or as the run began")
    if plain is None or not isinstance(batches, InMemory):
        return Way(FIT, "the data stream from the disk")
    if not tf.config.list_physical_devices("GPU") and (slow_ops := sorted(plain.operations() & _SLOW_BY_XLA)):
        return Way(FIT, f"on a CPU, XLA makes {slow_ops[0]} several times as slow")
    compiled = Steps(model, batches, jit=True, like=plain)
    try:
        slow, fast = _seconds(plain, batches), _seconds(compiled, batches)
        compiled.evaluate(batches.validation_tensors)
    except (tf.errors.OpError, ValueError, TypeError, NotImplementedError) as error:
        if recorded == COMPILED:
            raise FailedPrecondition(f"Expected XLA to compile the model, as when the run began: {error}") from error
        reason = " ".join(str(error).split())[:160]
        return Way(FIT, f"XLA does not compile it ({type(error).__name__}: {reason})")
    if fast > slow and recorded is None:
        return Way(FIT, f"XLA makes a step {fast / slow:.1f} times as long")
    return Way(COMPILED, f"a step takes {fast / slow:.2f} of its time without XLA", philox.NAME, compiled)


def refused(model: Any, batches: Batches, batch: Any, callbacks: list[Any], jit: bool) -> str | None:
    """Why an epoch is not compiled as a whole; None where nothing is known against it."""
    hooks = [one for one in callbacks if _is_called_for_batches(one)]
    if isinstance(batches, Streamed):
        return "the data stream from the disk"
    if model.run_eagerly:
        return "the model was compiled with run_eagerly=True"
    if not jit:
        return "it has layers that Keras does not let XLA compile"
    if hooks:
        return f"the callback {type(hooks[0]).__name__} is called for every batch"
    if any(tensor.dtype == tf.string for tensor in keras.tree.flatten(batch)):
        return "its inputs are text"
    return None


def _overrides(callback: Any, name: str) -> bool:
    return getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name)


def _seconds(steps: Steps, batches: InMemory) -> float:
    """Of a training step, in the steady state."""
    size = min(batches.batch_size, batches.examples)
    full = max(1, batches.examples // size)
    order = tf.constant(np.resize(np.arange(full * size, dtype=np.int32), (full, size)))
    steps.run(order, 0, 1)
    count = 1
    while True:
        began = time.monotonic()
        keras.tree.map_structure(lambda value: value.numpy(), steps.run(order, 0, min(count, full)))
        passed = time.monotonic() - began
        if passed >= _LEAST_S or count >= full:
            return passed / min(count, full)
        count *= 4


def epochs_of(way: Way, model: Any, batches: Batches, callbacks: list[Any]) -> CompiledEpochs | FitEpochs | TeamEpochs:
    """The epochs of a way."""
    if way.team is not None:
        return way.team
    if way.steps is not None and isinstance(batches, InMemory):
        return CompiledEpochs(model, batches, way.steps)
    return FitEpochs(model, batches, [one for one in callbacks if _is_called_for_batches(one)])


def _is_called_for_batches(callback: Any) -> bool:
    return any(_overrides(callback, name) for name in _BATCH_HOOKS)
