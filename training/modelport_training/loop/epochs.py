"""The ways to train an epoch: as one compiled function, or by Keras' `fit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport_training.loop.batches import Batches, InMemory
from modelport_training.loop.philox import philox
from modelport_training.loop.rows import EVALUATION_BATCH

STEPS_PER_EXECUTION = 64  # in one call of `fit`'s compiled function: fewer ways back into Python
CALLS_AN_EPOCH = 20  # of the compiled function: so often an epoch can be watched, and ended by Ctrl-C

Measured = dict[str, float]
Told = Callable[[int], None]  # of so many steps that are done


class Steps:
    """Training and evaluation steps as functions of rows of the data in memory, looped in TensorFlow.

    Args:
        model: compiled and built.
        batches: of data in memory.
        jit: compile by XLA.
        like: others of the same model, which a step was made with.
    """

    def __init__(self, model: Any, batches: InMemory, *, jit: bool, like: Steps | None = None) -> None:
        self._model, self._batches, self.jit = model, batches, jit
        # Without AutoGraph, as Keras traces its steps.
        self._run = tf.function(self._loop, jit_compile=jit, autograph=False)
        self._one = tf.function(self._step, autograph=False)
        self._evaluate = tf.function(self._evaluation_loop, jit_compile=jit, autograph=False)
        self._evaluate_one = tf.function(self._test, autograph=False)
        self._begin: Any = None if like is None else like._begin  # what a step returns, all zeros

    def one(self, rows: Any) -> Any:
        """One training step, not compiled by XLA; what it returns."""
        with philox():
            logs = self._one(tf.constant(rows, tf.int32))
        if self._begin is None:
            self._begin = tf.nest.map_structure(tf.zeros_like, logs)
        return logs

    def operations(self) -> set[str]:
        """The kinds of operations of a training step that was made."""
        rows = tf.TensorSpec((min(self._batches.batch_size, self._batches.examples),), tf.int32)
        with philox():
            found = self._one.get_concrete_function(rows)
        return {operation.type for operation in found.graph.get_operations()}

    def run(self, order: Any, begin: int, end: int) -> Any:
        """The training steps of an order of rows (steps, batch), from one to before another; what the last returns."""
        with philox():  # while it is traced, so at the first call
            return self._run(order, tf.constant(begin), tf.constant(end), self._begin)

    def evaluate(self, tensors: Any) -> Measured:
        """Loss and metrics on all rows of some tensors in memory."""
        count = int(keras.tree.flatten(tensors)[0].shape[0])
        full = count // EVALUATION_BATCH
        self._model.reset_metrics()
        logs: Any = {}
        if full:
            logs = self._evaluate(tensors, tf.constant(full), self._zeros(tensors))
        if count % EVALUATION_BATCH:
            logs = self._evaluate_one(keras.tree.map_structure(lambda one: one[full * EVALUATION_BATCH :], tensors))
        return measured(self._model, logs)

    def _zeros(self, tensors: Any) -> Any:
        first = keras.tree.map_structure(lambda tensor: tensor[:1], tensors)
        logs = tf.nest.map_structure(tf.zeros_like, self._evaluate_one(first))
        self._model.reset_metrics()
        return logs

    def _loop(self, order: Any, begin: Any, end: Any, logs: Any) -> Any:
        def body(step: Any, _: Any) -> Any:
            return step + 1, self._step(order[step])

        return tf.while_loop(lambda step, _: step < end, body, (begin, logs), parallel_iterations=1)[1]

    def _step(self, rows: Any) -> Any:
        return self._model.train_step(self._batches.gather(rows))

    def _evaluation_loop(self, tensors: Any, full: Any, logs: Any) -> Any:
        def body(step: Any, _: Any) -> Any:
            rows = step * EVALUATION_BATCH + tf.range(EVALUATION_BATCH)  # XLA has no slice of an open begin
            return step + 1, self._test(keras.tree.map_structure(lambda one: tf.gather(one, rows), tensors))

        return tf.while_loop(lambda step, _: step < full, body, (tf.constant(0), logs), parallel_iterations=1)[1]

    def _test(self, batch: Any) -> Any:
        return self._model.test_step(self._batches.preprocess(batch))


class CompiledEpochs:
    """A whole epoch as one function that XLA compiled; several times as fast as `fit` where a step is short."""

    def __init__(self, model: Any, batches: InMemory, steps: Steps) -> None:
        self._model, self._batches, self._steps = model, batches, steps

    def train(self, epoch: int, told: Told) -> Measured:
        """Train an epoch: every example once, the last, smaller batch too."""
        size, order = self._batches.batch_size, self._batches.order(epoch).astype(np.int32)
        full = len(order) // size
        self._model.reset_metrics()
        logs: Any = {}
        rows = tf.constant(order[: full * size].reshape(full, size))
        each = max(1, -(-full // CALLS_AN_EPOCH))
        for begin in range(0, full, each):
            logs = self._steps.run(rows, begin, min(begin + each, full))
            told(min(begin + each, full))
        if len(order) % size:
            logs = self._steps.one(order[full * size :])
            told(full + 1)
        return measured(self._model, logs)

    def validate(self) -> Measured:
        """Loss and metrics on the validation examples."""
        return self._steps.evaluate(self._batches.validation_tensors)

    def evaluate(self, batches: Any) -> Measured:
        """Loss and metrics on the batches of a tf.data.Dataset."""
        return evaluate(self._model, batches)


class FitEpochs:
    """An epoch by Keras' `fit`, several steps a call."""

    def __init__(self, model: Any, batches: Batches, callbacks: list[Any]) -> None:
        self._model, self._batches, self._callbacks = model, batches, callbacks
        self._validation = batches.validation if batches.streamed else batches.validation.cache()
        if not model.run_eagerly:
            model.steps_per_execution = STEPS_PER_EXECUTION
            model.make_train_function(force=True)
            model.make_test_function(force=True)  # it would take every call for one step

    def train(self, epoch: int, told: Told) -> Measured:
        """Train an epoch."""
        steps = self._batches.steps
        # Several steps run in one call, and Keras counts the last call as if it were full.
        counting = [_Counting(lambda done: told(min(done, steps))), *map(_OnBatches, self._callbacks)]
        fitted = self._model.fit(self._batches.epoch(epoch), shuffle=False, callbacks=counting, verbose=0)
        return {name: float(values[-1]) for name, values in fitted.history.items()}

    def validate(self) -> Measured:
        """Loss and metrics on the validation examples."""
        return evaluate(self._model, self._validation)

    def evaluate(self, batches: Any) -> Measured:
        """Loss and metrics on the batches of a tf.data.Dataset."""
        return evaluate(self._model, batches)


def evaluate(model: Any, batches: Any) -> Measured:
    """Loss and metrics on the batches of a tf.data.Dataset."""
    found: Mapping[str, Any] = model.evaluate(batches, return_dict=True, verbose=0)
    return {name: float(value) for name, value in found.items()}


def measured(model: Any, logs: Any) -> Measured:
    """The values of the model's metrics; of a step of its own that has none, what the last one returned."""
    metrics = model.get_metrics_result()
    return {name: float(value) for name, value in (metrics if set(metrics) == set(logs) else logs).items()}


class _OnBatches(keras.callbacks.Callback):
    """A callback that is told of batches alone: of epochs it is told once, whatever trains them."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self._told = told

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._told.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._told.on_train_batch_end(batch, logs)


class _Counting(keras.callbacks.Callback):
    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._told(batch + 1)
