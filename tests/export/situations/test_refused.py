"""Models that are refused, with the true reason."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_export import publish
from tests.export.situations.support import (
    X,
    layers,
)

# Keras warns of models that are built by a call; here they are what users have.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda: layers.SimpleRNN(2, stateful=True, name="memory"), r"state between calls.*\['memory'\]"),
        (lambda: Counter(), r"changes nothing when it answers.*Assign\w*VariableOp"),
    ],
    ids=["a stateful layer", "a counter"],
)
def test_state_between_calls_is_refused(tmp_path, layer, text):
    x = keras.Input(batch_shape=(4, 5, 3), name="x")
    with pytest.raises(FailedPrecondition, match=text):
        publish(keras.Model(x, layer()(x)), name="m", repository=tmp_path)


class Counter(layers.Layer):
    def __init__(self):
        super().__init__()
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.calls.assign_add(1.0)
        return x + self.calls


def test_an_optional_input_is_refused_by_name(tmp_path):
    class Add(layers.Layer):
        def call(self, x, y=None):
            return x if y is None else x + y

        def compute_output_shape(self, x_shape, y_shape=None):
            return x_shape

    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b", optional=True)
    model = keras.Model({"a": a, "b": b}, layers.Dense(1)(Add()(a, b)))
    with pytest.raises(InvalidArgument, match=r"every input must be sent.*optional input 'b'"):
        publish(model, name="m", repository=tmp_path, samples={"a": X})


def test_a_graph_that_differs_from_the_model_is_told_as_that(tmp_path):
    class Which(layers.Layer):
        def call(self, x):
            return x * (2.0 if tf.executing_eagerly() else 3.0)

    x = keras.Input((3,), name="x")
    with pytest.raises(FailedPrecondition, match="when Keras runs it as a graph"):
        publish(keras.Model(x, Which()(x)), name="m", repository=tmp_path, samples={"x": X})


def test_a_list_of_inputs_wants_its_order_said(tmp_path):
    class Difference(keras.Model):
        def call(self, pair):
            one, other = pair
            return one - other

    model = Difference()
    model([X, X + 1])
    with pytest.raises(InvalidArgument, match=r"to say the order.*input_1"):
        publish(model, name="m", repository=tmp_path, samples={"context": X, "query": X})
    assert publish(model, name="m", repository=tmp_path, samples={"input_2": X, "input_1": X + 3}).new
