"""The content digest: equal for equal content, different for any difference that a client could see."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport_export import ImageInput, calling, graph_digest
from modelport_export.classifier import ImageClassifier
from modelport_export.servable import Generic

layers = keras.layers
IMAGE = ImageInput(28, 28, shape=(784,))


@keras.saving.register_keras_serializable("test_content")
class Scale(layers.Layer):
    def __init__(self, power=1.0, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return self.factor * x**self.power

    def get_config(self):
        return {**super().get_config(), "power": self.power}


def digest(model, **kwargs):
    servable = Generic(model, calling.describe(model, **kwargs))
    return graph_digest.digest(servable.endpoints, servable.holders)


def mixed(power=2.0, vocabulary=("red", "blue"), rate=0.5):
    """Branches that merge, a custom layer, a lookup, a table of texts, control flow; always the same weights."""
    keras.utils.set_random_seed(1)
    number, word = keras.Input((3,), name="number"), keras.Input((), dtype="string", name="word")
    left = layers.Dense(2, activation="relu")(Scale(power)(number))
    right = layers.Dropout(rate)(layers.Dense(2)(number))
    one_hot = layers.StringLookup(vocabulary=list(vocabulary), output_mode="one_hot")(word)
    merged = layers.Concatenate()([layers.Add()([left, right]), one_hot])
    return keras.Model({"number": number, "word": word}, {"a": layers.Dense(1)(merged), "b": merged})


def test_the_same_model_twice_and_built_twice():
    model = mixed()
    assert digest(model) == digest(model) == digest(mixed())


def test_a_model_read_back_from_its_file(tmp_path):
    model = mixed()
    model.save(tmp_path / "model.keras")
    assert digest(keras.saving.load_model(tmp_path / "model.keras")) == digest(model)


def test_an_adapted_text_layer_read_back(tmp_path):
    text = layers.TextVectorization(output_sequence_length=3)
    text.adapt(["red fox", "blue fox"])
    model = keras.Sequential([keras.Input((), dtype="string"), text, layers.Embedding(9, 2)])
    model.save(tmp_path / "model.keras")
    assert digest(keras.saving.load_model(tmp_path / "model.keras")) == digest(model)


def test_another_process_finds_the_same(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Softmax()])
    model.save(tmp_path / "model.keras")
    program = (
        "import sys, keras\n"
        "keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])\n"  # moves Keras' counters
        "from modelport_export import calling, graph_digest\n"
        "from modelport_export.servable import Generic\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "servable = Generic(model, calling.describe(model))\n"
        "print(graph_digest.digest(servable.endpoints, servable.holders))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "model.keras")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == digest(model)


def test_loops_and_branches_are_stable():
    def looped():
        keras.utils.set_random_seed(1)
        return keras.Sequential([keras.Input((4, 3)), layers.GRU(2), layers.Dense(1)])

    assert digest(looped()) == digest(looped())


def changed_weight():
    model = mixed()
    weights = model.get_weights()
    weights[0].flat[0] += 1e-6
    model.set_weights(weights)
    return model


@pytest.mark.parametrize(
    "other",
    [changed_weight, lambda: mixed(power=3.0), lambda: mixed(vocabulary=("blue", "red"))],
    ids=["weight", "configuration of a custom layer", "vocabulary"],
)
def test_a_difference_makes_another_digest(other):
    assert digest(mixed()) != digest(other())


def test_what_only_training_sees_makes_none():
    """The rate of a Dropout is nothing that a server runs."""
    assert digest(mixed(rate=0.5)) == digest(mixed(rate=0.1))


def test_the_code_of_a_subclassed_model_counts():
    """Equal weights and an equal configuration, another `call`."""

    def make(sign):
        class Model(keras.Model):
            def call(self, x):
                return sign * x

        model = Model()
        model(np.ones((1, 3)))
        return model

    assert digest(make(1.0)) == digest(make(1.0)) != digest(make(-1.0))


def test_names_and_dynamic_sizes_of_the_signature_count():
    class Echo(keras.Model):
        def call(self, x):
            return x * 2.0

    model = Echo()
    model(np.ones((1, 3), "float32"))
    digests = {
        digest(model),
        digest(model, input_signature={"x": tf.TensorSpec([None, 3])}),
        digest(model, input_signature={"x": tf.TensorSpec([None, None])}),
    }
    assert len(digests) == 3


def test_labels_and_preprocessing_count(digits, tmp_path):
    def of(labels=None, image=IMAGE):
        model = digits()
        servable = ImageClassifier(model, calling.describe(model), image, labels, tmp_path)
        return graph_digest.digest(servable.endpoints, servable.holders)

    assert of() == of() == of(labels="0123456789")
    assert of() != of(labels="9876543210")
    assert of() != of(image=ImageInput(28, 28, scale=1 / 256, shape=(784,)))
