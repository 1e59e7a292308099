"""Epochs of several replicas: each batch is shared out, gradients are summed, metrics too.

Keras' own `fit` does not run under MultiWorkerMirroredStrategy (keras issue 20585), so the step is written out. The
mean over a batch is that of the whole batch whatever the parts are, so the number of workers does not change what is
learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modelport.errors import FailedPrecondition
from modelport_training.loop.batches import Batches, InMemory
from modelport_training.loop.epochs import Measured, Told
from modelport_training.workers.team import Team


class TeamEpochs:
    """Epochs of a model that was built in a strategy's scope.

    Args:
        model: compiled and built.
        batches: the same on every worker.
        team: what shares the work.

    Raises:
        FailedPrecondition: the model has a training step of its own.
    """

    def __init__(self, model: Any, batches: Batches, team: Team) -> None:
        own = [
            name for name in ("train_step", "test_step") if getattr(type(model), name) is not getattr(keras.Model, name)
        ]
        if own:
            raise FailedPrecondition(
                "Expected a model that is trained by Keras' own step, because several workers share each batch. "
                f"Received: {type(model).__name__} with a {own[0]} of its own. Train it by one."
            )
        least = min(batches.examples, batches.validation_examples, batches.test_examples)
        if least < team.size:
            raise FailedPrecondition(
                f"Expected an example for each of {team.size} workers in training, validation and held-out examples. "
                f"Received: {batches.examples}, {batches.validation_examples} and {batches.test_examples}. Train it by "
                "one."
            )
        clipped = [
            name for name in ("clipnorm", "global_clipnorm", "clipvalue") if getattr(model.optimizer, name, None)
        ]
        if clipped:
            raise FailedPrecondition(
                f"Expected an optimizer without {clipped[0]}, because several workers share each batch: each would "
                "clip its own part of the gradient, before they are summed. Train it by one, or without."
            )
        self._model, self._batches, self._team = model, batches, team
        self.size = team.size
        with team.strategy.scope():
            self._loss = keras.metrics.Mean(name="loss")
        self._train = tf.function(self._on_all(self._train_step), autograph=False)
        self._test = tf.function(self._on_all(self._test_step), autograph=False)

    def train(self, epoch: int, told: Told) -> Measured:
        """Train an epoch."""
        self._reset()
        for step, batch in enumerate(self._training(epoch), 1):
            self._train(*self._shared(batch))
            told(step)
        return self._measured()

    def one(self, batch: Any) -> Measured:
        """A single step, on a batch; not as a function, which could not make the variables of metrics."""
        self._reset()
        self._team.strategy.run(self._train_step, args=self._shared(batch))
        return self._measured()

    def check(self, batch: Any, shared: float) -> None:
        """See that the loss of the parts is that of the whole batch.

        Args:
            batch: of evaluation.
            shared: its loss, by all workers.

        Raises:
            FailedPrecondition: it is not: the loss is no mean over the rows, by a mask or by its reduction.
        """
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(batch)
        answers = self._model(inputs, training=False)
        whole = float(
            self._model.compute_loss(x=inputs, y=targets, y_pred=answers, sample_weight=weights, training=False)
        )
        if not np.isclose(whole, shared, rtol=1e-3, atol=1e-5):
            raise FailedPrecondition(
                f"Expected a loss that is a mean over the rows, because several workers share each batch. Received: "
                f"{shared:.6g} of the parts and {whole:.6g} of the whole batch: a mask, or another reduction. Train it "
                "by one."
            )

    def validate(self) -> Measured:
        """Loss and metrics on the validation examples."""
        return self.evaluate(self._batches.validation)

    def evaluate(self, batches: Any) -> Measured:
        """Loss and metrics on the batches of a tf.data.Dataset."""
        self._reset()
        waiting = None
        for batch in batches:
            if waiting is not None and self._rows(batch) < self._team.size:
                batch, waiting = _joined(waiting, batch), None
            if waiting is not None:
                self._test(*self._shared(waiting))
            waiting = batch
        if waiting is not None:
            self._test(*self._shared(waiting))
        return self._measured()

    def _training(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch; a last one that has no row for somebody is joined to the one before."""
        if isinstance(self._batches, InMemory):
            size, order = self._batches.batch_size, self._batches.order(epoch)
            cuts = list(range(size, len(order), size))
            if cuts and len(order) - cuts[-1] < self._team.size:
                cuts.pop()
            for rows in np.split(order, cuts):
                yield self._batches.gather(tf.constant(rows))
            return
        waiting = None
        for batch in self._batches.epoch(epoch):
            if waiting is not None and self._rows(batch) < self._team.size:
                batch, waiting = _joined(waiting, batch), None
            if waiting is not None:
                yield waiting
            waiting = batch
        if waiting is not None:
            yield waiting

    def _shared(self, batch: Any) -> tuple[Any, Any]:
        """The part of each replica of this process, and the rows of the whole batch."""
        rows, size = self._rows(batch), self._team.size
        cuts = np.linspace(0, rows, size + 1).astype(int)

        def part(context: Any) -> Any:
            mine = slice(cuts[context.replica_id_in_sync_group], cuts[context.replica_id_in_sync_group + 1])
            return keras.tree.map_structure(lambda one: one[mine], batch)

        return self._team.strategy.experimental_distribute_values_from_function(part), tf.constant(rows, tf.float32)

    def _on_all(self, step: Any) -> Any:
        return lambda batch, rows: self._team.strategy.run(step, args=(batch, rows))

    def _train_step(self, batch: Any, rows: Any) -> None:
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(batch)
        model = self._model
        with tf.GradientTape() as tape:
            answers = model(inputs, training=True)
            loss, mean, mine = self._losses(inputs, targets, answers, weights, rows, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_weights)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        self._loss.update_state(mean, sample_weight=mine)
        model.compute_metrics(inputs, targets, answers, sample_weight=weights)

    def _test_step(self, batch: Any, rows: Any) -> None:
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(batch)
        answers = self._model(inputs, training=False)
        _, mean, mine = self._losses(inputs, targets, answers, weights, rows, training=False)
        self._loss.update_state(mean, sample_weight=mine)
        self._model.compute_metrics(inputs, targets, answers, sample_weight=weights)

    def _losses(self, inputs: Any, targets: Any, answers: Any, weights: Any, rows: Any, *, training: bool) -> Any:
        """This part's share of the batch's loss, whose gradients are summed; the mean of its rows; their number."""
        model, size = self._model, float(self._team.size)
        total = model.compute_loss(x=inputs, y=targets, y_pred=answers, sample_weight=weights, training=training)
        # Keras divides all by the number of replicas, as if the parts were equal.
        other = tf.add_n(model.losses) / size if model.losses else tf.zeros_like(total)
        mine = tf.cast(tf.shape(keras.tree.flatten(inputs)[0])[0], tf.float32)
        factor = tf.cast(size * mine / rows, total.dtype)
        return (total - other) * factor + other, total * size, mine

    def _measured(self) -> Measured:
        found = {name: float(value) for name, value in self._model.get_metrics_result().items()}
        return {**found, "loss": float(self._loss.result())}

    def _reset(self) -> None:
        self._model.reset_metrics()
        self._loss.reset_state()

    @staticmethod
    def _rows(batch: Any) -> int:
        return int(keras.tree.flatten(batch)[0].shape[0])


def _joined(one: Any, other: Any) -> Any:
    return keras.tree.map_structure(lambda *pair: tf.concat(pair, 0), one, other)
