"""Every kind of Keras model that people train, from the data to a version that is served."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modelport.errors import FailedPrecondition
from modelport_training import Settings, train
from tests.support.recipes import DENSE, HEAD

Module = Callable[[str, str], str]

TASKS = {
    "regression": (DENSE, {"x": (20, 4), "label": (20,)}),
    "dicts of inputs and targets": (
        """
def load_data():
    def split(rows):
        return {"left": X[rows, :2], "right": X[rows, 2:]}, {"sum": Y[rows], "sign": K[rows]}
    return Dataset.of(split(slice(0, 40)), split(slice(40, 60)))
def build(classes):
    inputs = {"left": keras.Input((2,), name="left"), "right": keras.Input((2,), name="right")}
    both = keras.layers.Concatenate()(list(inputs.values()))
    model = keras.Model(inputs, {"sum": keras.layers.Dense(1)(both), "sign": keras.layers.Dense(2)(both)})
    loss = {"sum": "mse", "sign": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    model.compile("adam", loss)
    return model
""",
        {"left": (20, 2), "right": (20, 2), "target_sum": (20,), "target_sign": (20,)},
    ),
    "lists of inputs, tuples of targets": (
        """
def load_data():
    def split(rows):
        return (X[rows, :2], X[rows, 2:]), (Y[rows], K[rows])
    return split(slice(0, 40)), split(slice(40, 60))
def build(classes):
    inputs = [keras.Input((2,), name="left"), keras.Input((2,), name="right")]
    both = keras.layers.Concatenate()(inputs)
    outputs = [keras.layers.Dense(1, name="sum")(both), keras.layers.Dense(2, activation="softmax", name="sign")(both)]
    model = keras.Model(inputs, outputs)
    model.compile("adam", ["mse", "sparse_categorical_crossentropy"])
    return model
""",
        {"left": (20, 2), "right": (20, 2), "target_sum": (20,), "target_sign": (20,)},
    ),
    "a subclassed model": (
        """
@keras.saving.register_keras_serializable()
class Own(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(1)
    def call(self, x):
        return self.dense(x)
def build(classes):
    return Own()
""",
        {"input": (20, 4), "label": (20,)},
    ),
    "no Input": (
        "def build(classes): return keras.Sequential([keras.layers.Dense(1)])",
        {"input": (20, 4), "label": (20,)},
    ),
    "text": (
        """
T = np.array(["good day", "bad night", "good", "bad"] * 15, object)
def load_data():
    return Dataset.of((T[:40], K[:40]), (T[40:], K[40:]), class_names=("no", "yes"))
def build(classes):
    text = keras.Input((), dtype="string", name="text")
    x = keras.layers.TextVectorization(vocabulary=["good", "bad", "day", "night"], output_sequence_length=3)(text)
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(6, 4)(x))
    return keras.Model(text, keras.layers.Dense(classes, activation="softmax")(x))
""",
        {"text": (20,), "label": (20,)},
    ),
    "a sequence": (
        """
def load_data():
    return (X[:40, :, None], Y[:40]), (X[40:, :, None], Y[40:])
def build(classes):
    return keras.Sequential([keras.Input((None, 1), name="steps"), keras.layers.LSTM(4), keras.layers.Dense(1)])
""",
        {"steps": (20, 4, 1), "label": (20,)},
    ),
    "tf.data": (
        """
def load_data():
    def split(rows):
        return tf.data.Dataset.from_tensor_slices((X[rows], Y[rows])).batch(7)
    return split(slice(0, 40)), split(slice(40, 60))
"""
        + DENSE,
        {"x": (20, 4), "label": (20,)},
    ),
    "sample weights": (
        "def load_data(): return (X[:40], Y[:40], np.ones(40)), (X[40:], Y[40:])\n" + DENSE,
        {"x": (20, 4), "label": (20,)},
    ),
    "a train_step with two optimizers": (
        """
@keras.saving.register_keras_serializable()
class Two(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = keras.layers.Dense(2), keras.layers.Dense(4)
        self.one, self.two = keras.optimizers.Adam(), keras.optimizers.SGD()
    def call(self, x):
        return self.second(self.first(x))
    def train_step(self, data):
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = tf.reduce_mean((self(x, training=True) - x) ** 2)
        for layer, optimizer in ((self.first, self.one), (self.second, self.two)):
            optimizer.apply_gradients(zip(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables))
        return {"loss": loss}
    def test_step(self, data):
        return {"loss": tf.reduce_mean((self(data[0]) - data[0]) ** 2)}
def load_data():
    return (X[:40], X[:40]), (X[40:], X[40:])
def build(classes):
    model = Two()
    model.compile()
    return model
""",
        {"input": (20, 4), "label": (20, 4)},
    ),
    "bfloat16": (
        "def build(c): return keras.Sequential([keras.Input((4,), name='x'), keras.layers.Dense(1, dtype='bfloat16')])",
        {"x": (20, 4), "label": (20,)},
    ),
    "eagerly": (
        DENSE.replace("return keras", "model = keras")
        + '    model.compile("adam", "mse", run_eagerly=True)\n    return model',
        {"x": (20, 4), "label": (20,)},
    ),
}


# The kinds that publishing sees: names of inputs and outputs, what is known of a model, text.
PUBLISHED = ("dicts of inputs and targets", "lists of inputs, tuples of targets", "a subclassed model", "text")


@pytest.mark.parametrize("task", TASKS)
def test_it_is_trained_and_published(module: Module, tmp_path: Path, task: str) -> None:
    text, samples = TASKS[task]
    name = module(f"task_{list(TASKS).index(task)}", HEAD + text)
    trained = train(Settings(recipe=name, output=tmp_path / "run"), stream=None)
    assert len(trained.history) == 2
    assert {key: array.shape for key, array in (*trained.samples.items(), *trained.targets.items())} == samples
    if task in PUBLISHED:
        assert trained.publish(tmp_path / "models", "m").version == 1


def test_what_a_model_is_compiled_for_is_seen_by_its_answers(module: Module, tmp_path: Path) -> None:
    """Logits are no probabilities, and one sigmoid is a yes or no."""
    text = "def load_data(): return (X[:40], K[:40]), (X[40:], K[40:])\nEPOCHS = 30\nLEARNING_RATE = 0.05\n"
    for name, layer, loss in (("logits", "2", "logits"), ("yes_no", "1, activation='sigmoid'", "one probability")):
        said = io.StringIO()
        code = f"def build(c): return keras.Sequential([keras.Input((4,)), keras.layers.Dense({layer})])"
        recipe = module(f"plain_{name}", HEAD + text + code)
        trained = train(Settings(recipe=recipe, output=tmp_path / name, patience=0), stream=said)
        assert loss in said.getvalue()
        assert trained.metrics["accuracy"] > 0.7


def test_what_goes_wrong_afterwards_costs_no_epoch(module: Module, tmp_path: Path) -> None:
    name = module(
        "late",
        HEAD
        + DENSE
        + """
class Late(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        import pathlib
        pathlib.Path("run/model.keras").mkdir()
def callbacks():
    return [Late()]
""",
    )
    with pytest.raises(FailedPrecondition, match=r"Nothing is lost: the weights of all 2 epochs .*--resume"):
        train(Settings(recipe=name, output=tmp_path / "run"), stream=None)
    (tmp_path / "run/model.keras").rmdir()
    (tmp_path / "late.py").write_text((tmp_path / "late.py").read_text().replace(".mkdir()", ""))
    import sys

    sys.modules.pop("late")
    settings = Settings(recipe=name, output=tmp_path / "run", resume=True, changed_code="mended")
    assert len(train(settings, stream=None).history) == 2


def test_weights_that_are_no_numbers_are_told_where_the_loss_hides_them(module: Module, tmp_path: Path) -> None:
    """relu makes 0 of NaN: the mean of a text without words left NaN in the weights, and the loss went on."""
    text = """
@keras.saving.register_keras_serializable()
class Torn(keras.layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(), initializer="ones")
    def call(self, x):
        return keras.ops.where(x > 100.0, keras.ops.sqrt(-x) * self.w, x)
def build(classes):
    return keras.Sequential([keras.Input((4,)), Torn(), keras.layers.Dense(1)])
"""
    name = module("torn", HEAD + text)
    with pytest.raises(FailedPrecondition, match=r"finite weights after epoch 1.*torn/variable"):
        train(Settings(recipe=name, output=tmp_path / "run"), stream=None)


def test_an_image_recipe_without_names_of_classes(module: Module, tmp_path: Path) -> None:
    text = """
from modelport_export.images import ImageInput
IMAGE = ImageInput(4, 4)
P = R.integers(0, 255, (60, 4, 4)).astype("uint8")
def load_data():
    return (P[:40], K[:40]), (P[40:], K[40:])
def build(classes):
    return keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")])
"""
    trained = train(Settings(recipe=module("nameless", HEAD + text), output=tmp_path / "run"), stream=None)
    assert trained.metrics["accuracy"] < 1, "there are mistakes to be shown"


def test_class_weights_count(module: Module, tmp_path: Path) -> None:
    """A class that counts nothing is never answered."""
    text = """
def load_data():
    return Dataset.of((X[:40], K[:40]), (X[40:], K[40:]), class_names=("no", "yes"))
CLASS_WEIGHT = {0: 0.0, 1: 1.0}
def build(classes):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(classes, activation="softmax")])
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""
    name = module("weighted", HEAD.replace("EPOCHS = 2", "EPOCHS = 20\nMONITOR = 'loss'") + text)
    trained = train(Settings(recipe=name, output=tmp_path / "run"), stream=None)
    assert set(trained.model.predict(trained.samples["input"], verbose=0).argmax(axis=1)) == {1}
    balanced = train(Settings(recipe=name, output=tmp_path / "two", class_weight="balanced"), stream=None)
    assert set(balanced.model.predict(trained.samples["input"], verbose=0).argmax(axis=1)) == {0, 1}


def test_callbacks_are_told_of_epochs_and_batches(module: Module, tmp_path: Path) -> None:
    text = """
SEEN = []
class Watch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        SEEN.append("batch")
    def on_epoch_end(self, epoch, logs=None):
        SEEN.append((epoch, sorted(logs)))
        self.model.stop_training = epoch == 1
EPOCHS = 9
def callbacks():
    return [Watch()]
"""
    name = module("called_back", HEAD + DENSE + text)
    trained = train(Settings(recipe=name, output=tmp_path / "run"), stream=None)
    import called_back

    logs = ["loss", "mean_absolute_error", "val_loss", "val_mean_absolute_error"]
    assert [one for one in called_back.SEEN if one != "batch"] == [(0, logs), (1, logs)]
    assert "batch" in called_back.SEEN
    assert trained.settings["way"] == "fit"


def test_a_schedule_goes_on_where_it_stopped(module: Module, tmp_path: Path) -> None:
    text = """
def build(classes):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 8)), "mse")
    return model
"""
    name = module("scheduled", HEAD + text)
    trained = train(Settings(recipe=name, output=tmp_path / "run", epochs=4), stream=None)
    rates = [epoch["learning_rate"] for epoch in trained.history]
    np.testing.assert_allclose(rates, [0.0085, 0.005, 0.0015, 0.0], atol=1e-4)
    constant = train(Settings(recipe=name, output=tmp_path / "two", learning_rate=0.5), stream=None)
    assert [epoch["learning_rate"] for epoch in constant.history] == [0.5, 0.5]


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(tmp_path: Path, precision: str) -> None:
    trained = train(
        Settings(recipe="sequential", output=tmp_path / "run", precision=precision, epochs=5, batch_size=128),
        stream=None,
    )
    assert trained.metrics["accuracy"] > 0.85
    assert trained.model.layers[0].compute_dtype == precision.removeprefix("mixed_")
