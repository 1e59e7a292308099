"""Names of inputs and outputs, for every shape of model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport_export import naming

layers = keras.layers


def functional(inputs, outputs):
    """A model from lists or dicts of (name or None) → Input, and a function from inputs to outputs."""
    return keras.Model(inputs, outputs(inputs))


def sequential():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2)])


def sequential_built_later():
    model = keras.Sequential([layers.Dense(2)])
    model.build((None, 3))
    return model


def named():
    return functional(keras.Input((3,), name="features"), lambda x: layers.Dense(2, name="scores")(x))


def automatic_lists():
    return functional(
        [keras.Input((3,)), keras.Input((3,), name="second"), keras.Input((3,))],
        lambda x: [layers.Dense(1)(x[0]), layers.Dense(2, name="heads")(x[1]), layers.Softmax()(x[2])],
    )


def dicts():
    return functional(
        {"b": keras.Input((3,), name="b"), "a": keras.Input((2,), name="a")},
        lambda x: {"total": layers.Dense(1)(x["b"]), "part": layers.Dense(1, name="ignored")(x["a"])},
    )


def nested_outputs():
    return functional(
        keras.Input((3,)),
        lambda x: {"boxes": [layers.Dense(4)(x), layers.Dense(4)(x)], "scores": {"best": layers.Dense(1)(x)}},
    )


def taken_number():
    return functional([keras.Input((3,), name="input_2"), keras.Input((3,))], lambda x: layers.Add()(x))


def inner_model_last():
    inner = sequential()
    return functional(keras.Input((3,)), lambda x: inner(x))


def operation_last():
    return functional(keras.Input((3,)), lambda x: [layers.Dense(2)(x) + 1.0, keras.ops.softmax(x)])


def one_layer_twice():
    shared = layers.Dense(2, name="shared")
    return functional([keras.Input((3,)), keras.Input((3,))], lambda x: [shared(x[0]), shared(x[1])])


class Plain(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


class Dict(Plain):
    def call(self, x):
        return {"sum": self.dense(x["u"]) + self.dense(x["v"]), "only": self.dense(x["u"])}


class Listed(Plain):
    def call(self, x):
        return [self.dense(x[0]), self.dense(x[1])]


class TwoArguments(Plain):
    def call(self, left, right, training=False):
        return self.dense(left) - self.dense(right)


def called(model, *args):
    model(*args)
    return model


ONES = np.ones((2, 3), "float32")


@pytest.mark.parametrize(
    ("make", "inputs", "outputs"),
    [
        (sequential, ["input"], ["output"]),
        (sequential_built_later, ["input"], ["output"]),
        (named, ["features"], ["scores"]),
        (automatic_lists, ["input_1", "second", "input_3"], ["dense_1", "heads", "softmax_3"]),
        (dicts, ["b", "a"], ["total", "part"]),
        (nested_outputs, ["input"], ["boxes_1", "boxes_2", "scores_best"]),
        (taken_number, ["input_2", "input_4"], ["output"]),
        (inner_model_last, ["input"], ["output"]),
        (operation_last, ["input"], ["add_1", "softmax_2"]),
        (one_layer_twice, ["input_1", "input_2"], ["shared_1", "shared_2"]),
        (lambda: called(Plain(), ONES), ["input"], ["output"]),
        (lambda: called(Dict(), {"u": ONES, "v": ONES}), ["u", "v"], ["sum", "only"]),
        (lambda: called(Listed(), [ONES, ONES]), ["input_1", "input_2"], ["output_1", "output_2"]),
    ],
)
def test_names_depend_on_the_model_alone(describe, make, inputs, outputs):
    for _ in range(2):  # built twice in a process, Keras gives other names of its own
        signature = describe(make())
        assert sorted(signature.inputs) == sorted(inputs)
        assert sorted(signature.outputs) == sorted(outputs)
        assert all(spec.shape[0] == -1 for spec in (*signature.inputs.values(), *signature.outputs.values()))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(1),
        layers.Conv2DTranspose(1, 1),
        layers.LSTM(1),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.ReLU(),
        layers.UpSampling2D(),
        layers.InputLayer((1,)),
    ],
    ids=lambda layer: layer.name,
)
def test_automatic_layer_names_are_told_as_keras_makes_them(layer):
    assert naming.is_automatic(layer)
    layer.name = "mine"
    assert not naming.is_automatic(layer)


def test_samples_name_the_inputs_of_a_subclassed_model(describe):
    model = called(Plain(), ONES)
    assert list(describe(model, {"x": ONES}).inputs) == ["x"]
    model = called(TwoArguments(), ONES, ONES)
    signature = describe(model, {"right": ONES, "left": np.ones((2, 3))})
    assert {name: spec.dtype for name, spec in signature.inputs.items()} == {"left": "float32", "right": "float32"}
    listed = called(Listed(), [ONES, ONES])
    assert list(describe(listed, {"input_2": ONES, "input_1": ONES}).inputs) == ["input_1", "input_2"]
    with pytest.raises(InvalidArgument, match="to say the order"):
        describe(listed, {"first": ONES, "second": ONES})


def test_an_input_signature_frees_dimensions_and_keeps_dtypes(describe):
    model = called(Plain(), np.ones((2, 5, 3), "float32"))
    assert describe(model).inputs["input"].shape == (-1, 5, 3)
    freed = describe(model, input_signature={"x": tf.TensorSpec([None, None, 3], tf.float32)})
    assert freed.inputs["x"].shape == (-1, -1, 3)
    assert freed.outputs["output"].shape == (-1, -1, 2)


def test_several_arguments_cannot_be_guessed(describe):
    with pytest.raises(FailedPrecondition, match=r"samples=.*input_signature="):
        describe(called(TwoArguments(), ONES, ONES))


def test_the_dtype_of_an_index_cannot_be_guessed(describe):
    class Words(keras.Model):
        def __init__(self):
            super().__init__()
            self.embedding = layers.Embedding(5, 2)

        def call(self, x):
            return self.embedding(x)

    model = called(Words(), np.ones((2, 3), "int64"))
    with pytest.raises(FailedPrecondition, match=r"'embedding.*does not take float32.*samples="):
        describe(model)
    assert describe(model, {"words": np.ones((2, 3), "int64")}).inputs["words"].dtype == "int64"


def test_samples_must_name_what_a_dict_model_was_built_on(describe):
    with pytest.raises(InvalidArgument, match=r"\['u', 'v'\].*Received: \['u', 'w'\]"):
        describe(called(Dict(), {"u": ONES, "v": ONES}), {"u": ONES, "w": ONES})


@pytest.mark.parametrize("name", ["petal length (cm)", "größe", "class", "self", "1st", "a/b:0", "_x"])
def test_free_text_names_reach_the_signature_and_the_answer(describe, write, run, name):
    from modelport_export import calling, savedmodel
    from modelport_export.servable import Generic

    class Echo(keras.Model):
        def call(self, x):
            return {name: x[name] * 2.0}

    model = called(Echo(), {name: ONES})
    servable = Generic(model, calling.describe(model))
    folder = write(servable)
    signature = savedmodel.read_signatures(folder)[0]["serving_default"]
    assert (list(signature.inputs), list(signature.outputs)) == ([name], [name])
    np.testing.assert_array_equal(run(folder, "serving_default", {name: ONES})[name], ONES * 2)


@pytest.mark.parametrize("key", ["", "line\nbreak", "x" * 129])
def test_names_that_cannot_be_typed_are_refused(describe, key):
    model = called(Plain(), ONES)
    with pytest.raises(InvalidArgument, match="printable"):
        describe(model, input_signature={key: tf.TensorSpec([None, 3], tf.float32)})


def test_one_name_for_two_inputs_is_refused():
    from modelport_export.signatures import check_aliases

    with pytest.raises(InvalidArgument, match=r"'a' 2 times"):
        check_aliases(["a", "b", "a"], "input")
