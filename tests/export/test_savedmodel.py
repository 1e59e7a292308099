"""What is written answers as Keras does, for models of every kind, and holds nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound
from modelport_export import calling, savedmodel
from modelport_export.proof import drawing
from modelport_export.proof.rows import Rows
from modelport_export.servable import Generic

layers = keras.layers
TEXTS = np.array(["red", "blue", "green", "red fox"], object)


def normalization():
    layer = layers.Normalization()
    layer.adapt(np.array([[1.0, 2.0], [3.0, 6.0]]))
    return keras.Sequential([keras.Input((2,)), layer, layers.Dense(1)])


def text_vectorization():
    layer = layers.TextVectorization(output_sequence_length=3)
    layer.adapt(["red fox", "blue fox"])
    return keras.Sequential([keras.Input((), dtype="string"), layer, layers.Embedding(9, 2), layers.Flatten()])


def lookups_and_numbers():
    colour, size = keras.Input((), dtype="string", name="colour"), keras.Input((1,), name="size")
    one_hot = layers.StringLookup(vocabulary=["red", "blue"], output_mode="one_hot")(colour)
    whole = layers.IntegerLookup(vocabulary=[1, 2], output_mode="one_hot")(keras.ops.cast(size, "int64"))
    both = layers.Concatenate()([one_hot, whole, size])
    return keras.Model({"colour": colour, "size": size}, {"price": layers.Dense(1)(both), "both": both})


def dynamic_sizes():
    image = keras.Input((None, None, 3))
    return keras.Model(image, layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(image)))


def dropout_and_batch_norm():
    model = keras.Sequential([keras.Input((3,)), layers.Dropout(0.9), layers.BatchNormalization(), layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.random.rand(8, 3), np.random.rand(8, 2), verbose=0)
    return model


def fixed_batch():
    return keras.Sequential([keras.Input(batch_shape=(8, 3)), layers.Dense(2)])


def integers():
    return keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(2, 3)])


def passes_through():
    x = keras.Input((3,), name="x")
    return keras.Model(x, {"same": x, "again": x, "twice": x * 2.0})


def unused_input():
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    return keras.Model([x, y], {"x": layers.Dense(1)(x), "zero": y * 0.0})


class Table(layers.Layer):
    def __init__(self):
        super().__init__()
        rows = tf.lookup.KeyValueTensorInitializer(["red", "blue"], [1.0, 2.0])
        self.table = tf.lookup.StaticHashTable(rows, -1.0)

    def call(self, x):
        return self.table.lookup(x)


def own_table():
    text = keras.Input((), dtype="string")
    return keras.Model(text, Table()(text))


class Branches(keras.Model):
    """Control flow on values, a nested tf.function, several outputs."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    @tf.function
    def inner(self, x):
        return self.dense(x)

    def call(self, x, training=False):
        if training:
            return [x, x]
        total = tf.cond(tf.reduce_sum(x) > 0, lambda: self.inner(x), lambda: -self.inner(x))
        return [total, tf.strings.as_string(x)]


def subclassed():
    model = Branches()
    model(np.ones((1, 3), "float32"))
    return model


@pytest.mark.parametrize(
    "make",
    [
        normalization,
        text_vectorization,
        lookups_and_numbers,
        dynamic_sizes,
        dropout_and_batch_norm,
        fixed_batch,
        integers,
        passes_through,
        unused_input,
        own_table,
        subclassed,
    ],
)
def test_answers_are_those_of_keras(make, write, run):
    model = make()
    servable = Generic(model, calling.describe(model))
    signature = servable.endpoints["serving_default"].signature
    feeds = drawing.random(signature.inputs)
    rows = 4 if Rows.of(signature.inputs).is_open else Rows.of(signature.inputs).unit
    feeds = {
        alias: TEXTS if spec.dtype == "string" else feeds[alias][:rows] for alias, spec in signature.inputs.items()
    }
    expected = servable.expected(feeds)["serving_default"]
    folder = write(servable)
    answers = run(folder, "serving_default", feeds)
    assert set(answers) == set(signature.outputs)
    for alias, answer in answers.items():
        if answer.dtype.kind == "f":
            np.testing.assert_allclose(answer, expected[alias], rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(answer, expected[alias])
    written = savedmodel.read_signatures(folder)[0]
    assert {name: s.to_dict() for name, s in written.items()} == {"serving_default": signature.to_dict()}


def test_the_optimizer_is_left_out(write):
    model = dropout_and_batch_norm()
    folder = write(Generic(model, calling.describe(model)))
    variables = tf.train.list_variables(str(folder / "variables" / "variables"))
    sizes = [np.prod(shape) for name, shape in variables if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    assert sorted(sizes) == sorted(np.prod(weight.shape) for weight in model.weights)


def test_the_fingerprint_is_that_of_what_lies_there(write):
    model = fixed_batch()
    folder = write(Generic(model, calling.describe(model)))
    before = tf.saved_model.experimental.read_fingerprint(str(folder)).saved_model_checksum
    from tensorflow.python.saved_model.fingerprinting_utils import write_fingerprint

    write_fingerprint(str(folder))
    assert tf.saved_model.experimental.read_fingerprint(str(folder)).saved_model_checksum == before


def test_a_table_that_no_layer_holds_is_refused(write):
    hidden = [tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1.0]), 0.0)]

    class Hidden(layers.Layer):
        def call(self, x):
            return hidden[0].lookup(x)

    text = keras.Input((), dtype="string")
    model = keras.Model(text, Hidden()(text))
    with pytest.raises(FailedPrecondition, match=r"self\.table = tf\.lookup"):
        write(Generic(model, calling.describe(model)))


def call_layer(function):
    class Custom(layers.Layer):
        def call(self, x):
            return function(x)

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    x = keras.Input((3,))
    return keras.Model(x, Custom()(x))


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda x: tf.numpy_function(np.sin, [x], tf.float32), FailedPrecondition, "tf.numpy_function"),
        (tf.function(lambda x: x + 1, jit_compile=True), FailedPrecondition, "jit_compile=True"),
        (lambda x: tf.constant(np.asarray(x)), FailedPrecondition, "traced into a TensorFlow graph"),
        (lambda x: tf.RaggedTensor.from_tensor(x), InvalidArgument, r"RaggedTensor.*to_tensor"),
        (lambda x: None, InvalidArgument, "NoneType"),
    ],
)
def test_what_no_server_can_run_is_refused(function, error, text):
    model = call_layer(function)
    with pytest.raises(error, match=text):
        Generic(model, calling.describe(model))


def test_sparse_inputs_are_refused():
    x = keras.Input((3,), sparse=True)
    model = keras.Model(x, layers.Dense(1)(x))
    with pytest.raises(InvalidArgument, match=r"dense.*Received: a sparse input"):
        calling.describe(model)


def test_folders_that_are_no_savedmodel(tmp_path):
    with pytest.raises(NotFound, match=r"saved_model\.pb"):
        savedmodel.read_signatures(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(DataLoss, match="does not parse"):
        savedmodel.read_signatures(tmp_path)


def test_a_savedmodel_without_signatures_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(FailedPrecondition, match="signatures"):
        savedmodel.read_signatures(tmp_path)
