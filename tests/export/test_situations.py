"""Situations that users reported, each published and then served over both transports, or refused with the true reason.

The table of them stands in docs/exporting.md.
"""

from __future__ import annotations

import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport import manifest
from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError
from modelport_client import Client
from modelport_export import Gate, ImageInput, publish
from modelport_export.sources import load
from modelport_serving import AUTO, Options, Server

# Keras warns of models that are built by a call; here they are what users have.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
layers, ops = keras.layers, keras.ops
X = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).integers(0, 256, (8, 8, 8, 3), np.uint8)


class TwoArguments(keras.Model):
    """Of two arguments either may be given."""

    def __init__(self):
        super().__init__()
        self.words, self.pictures = layers.Dense(2), layers.Dense(2)

    def call(self, text=None, image=None):
        return self.pictures(image) if text is None else self.words(text)


class KeywordOnly(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(1)

    def call(self, inputs, *, context):
        return self.last(ops.concatenate([inputs, context], -1))


class Masked(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(1)

    def call(self, inputs, mask=None):
        return self.last(inputs if mask is None else inputs * mask)


class Lookups(keras.Model):
    """Layers and a table in dicts and lists."""

    def __init__(self):
        super().__init__()
        self.look = {name: layers.StringLookup(vocabulary=["a", "b"]) for name in ("city", "job")}
        self.rows = {name: layers.Embedding(3, 4) for name in ("city", "job")}
        rows = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0])
        self.tables = [{"weight": tf.lookup.StaticHashTable(rows, -1.0)}]

    def call(self, x):
        both = [self.rows[name](self.look[name](x[name])) for name in ("city", "job")]
        return ops.concatenate([*both, self.tables[0]["weight"].lookup(x["city"])[:, None]], -1)


class Detector(keras.Model):
    def __init__(self):
        super().__init__()
        self.filter = layers.Conv2D(2, 3)

    def call(self, image):
        return ops.mean(self.filter(image), axis=(1, 2))


class Beside(layers.Layer):
    """Scores, and a constant text beside them."""

    def call(self, x):
        return {"scores": x, "model_version": tf.constant("v1")}


class Pair(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(2)

    def call(self, pair):
        left, right = pair
        return self.last(left), right * 2.0


def two_arguments():
    model = TwoArguments()
    model(text=X)
    return model, {"image": X}, {"output": model(image=X)}


def keyword_only():
    model = KeywordOnly()
    samples = {"inputs": X, "context": X[:, :2]}
    return model, samples, {"output": model(X, context=X[:, :2])}


def a_mask():
    model = Masked()
    samples = {"inputs": X, "mask": (X > 0).astype(np.float32)}
    return model, samples, {"output": model(X, mask=samples["mask"])}


def lookups_in_dicts():
    model = Lookups()
    samples = {"city": np.array(["a", "b", "?"]), "job": np.array(["b", "c", "a"])}
    return model, samples, {"output": model({name: tf.constant(value) for name, value in samples.items()})}


def a_text_beside():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, Beside()(layers.Dense(2)(x)))
    return model, {"x": X}, model(X)


def a_fixed_batch():
    x = keras.Input(batch_shape=(4, 3), name="x")
    model = keras.Model(x, layers.Dense(2, name="y")(x))
    return model, {"x": X[:4]}, {"y": model(X[:4])}


def minus_infinity():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Lambda(lambda x: tf.where(x > 0, x, -np.inf), name="y")(x))
    return model, {"x": X}, {"y": model(X)}


def tuples():
    """Built on a pair: the names say the order, whatever that of the samples is."""
    model = Pair()
    left, right = model((X, X + 1))
    return model, {"input_2": X + 1, "input_1": X}, {"output_1": left, "output_2": right}


def a_table_of_a_savedmodel(folder):
    word = keras.Input((1,), dtype="string", name="word")
    scores = layers.Dense(2)(ops.cast(layers.StringLookup(vocabulary=["a", "b"])(word), "float32"))
    keras.Model(word, scores).export(folder, verbose=False)
    model = keras.Model(word, layers.TFSMLayer(folder, call_endpoint="serve", name="y")(word))
    samples = np.array([["a"], ["q"]])
    return model, {"word": samples}, {"y": model(tf.constant(samples))}


def check(model, samples, expected, tmp_path, only=("grpc", "rest"), **given):
    """Publish, serve, ask over both transports, and hold the answers against Keras' own."""
    publish(model, name="m", repository=tmp_path / "models", samples=samples, **given)
    options = Options(model_name="m", model_base_path=str(tmp_path / "models" / "m"), port=AUTO, rest_api_port=AUTO)
    with Server(options) as server:
        addresses = {"grpc": server.grpc_address, "rest": server.rest_address}
        for transport in only:
            with Client(addresses[transport]) as client:
                answer = client.predict("m", samples)
            for alias, want in expected.items():
                hold(np.asarray(want.numpy()), np.asarray(answer[alias]))


def hold(want, have):
    if want.dtype.kind == "f":
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=1e-5)
    else:
        assert have.tolist() == want.tolist()


@pytest.mark.parametrize(
    "make",
    [two_arguments, keyword_only, a_mask, lookups_in_dicts, a_fixed_batch, tuples],
    ids=lambda make: make.__name__,
)
def test_it_is_served_as_it_is_in_keras(tmp_path, make):
    check(*make(), tmp_path)


def test_a_text_beside_the_scores(tmp_path):
    check(*a_text_beside(), tmp_path, only=("grpc",))


def test_infinity_on_purpose(tmp_path):
    model, samples, expected = minus_infinity()
    with pytest.raises(FailedPrecondition, match="--allow-non-finite y"):
        publish(model, name="m", repository=tmp_path / "models", samples=samples, allow_lambda=True)
    given = {"allow_lambda": True, "allow_non_finite": ["y"]}
    check(model, samples, expected, tmp_path, only=("grpc",), **given)
    with pytest.raises(InvalidArgument, match=r"name an output, one of \['y'\].*'z'"):
        publish(model, name="o", repository=tmp_path / "models", allow_lambda=True, allow_non_finite=["z"])


def test_a_table_within_a_savedmodel_that_is_wrapped(tmp_path):
    check(*a_table_of_a_savedmodel(str(tmp_path / "saved")), tmp_path)


def test_sizes_are_open_where_the_model_takes_others(tmp_path):
    """A detector that was shown images of 12 by 9 was declared to take no others."""
    model = Detector()
    samples = np.random.default_rng(0).standard_normal((4, 12, 9, 3)).astype(np.float32)
    model(samples)
    published = publish(model, name="m", repository=tmp_path, samples={"image": samples})
    assert shape_of(published, "image") == [-1, -1, -1, 3]
    flat = keras.Sequential([layers.Flatten(), layers.Dense(2)])
    flat(samples)

    class Flat(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = flat

        def call(self, image):
            return self.inner(image)

    closed = Flat()
    closed(samples)
    published = publish(closed, name="closed", repository=tmp_path, samples={"image": samples})
    assert shape_of(published, "image") == [-1, 12, 9, 3]


def shape_of(published, alias):
    facts = manifest.read(published.path)
    return facts.signatures["serving_default"]["inputs"][alias]["shape"]


@pytest.mark.parametrize("size", [20, 2000])
def test_samples_are_made_of_a_length_that_the_layers_take(tmp_path, size):
    """A table of positions has an end, a spectrogram a beginning."""
    x = keras.Input((None,), name="x", dtype="int32" if size == 20 else "float32")
    if size == 20:

        class Positions(layers.Layer):
            def __init__(self):
                super().__init__()
                self.rows = self.add_weight(shape=(size, 4), name="rows")

            def call(self, ids):
                length = ops.shape(ids)[1]
                where = ops.arange(length)
                tf.debugging.assert_less(length, size)
                return ops.take(self.rows, where, axis=0)[None] + ops.cast(ids, "float32")[..., None]

        y = Positions()(x)
    else:
        y = layers.MelSpectrogram(fft_length=512, sequence_stride=128, sampling_rate=8000, num_mel_bins=20)(x)
    published = publish(keras.Model(x, layers.GlobalAveragePooling1D(name="y")(y)), name="m", repository=tmp_path)
    assert published.new


@pytest.mark.parametrize("kind", ["one probability", "a regression", "two heads"])
def test_an_image_model_that_is_no_classifier(tmp_path, kind):
    image = keras.Input((8, 8, 3), name="image")
    flat = layers.Flatten()(image)
    outputs = {
        "one probability": {"defect": layers.Dense(1, "sigmoid")(flat)},
        "a regression": {"age": layers.Dense(1)(flat)},
        "two heads": {"kind": layers.Dense(3, "softmax")(flat), "size": layers.Dense(1)(flat)},
    }[kind]
    model = keras.Model(image, outputs)
    expected = model(IMAGES / np.float32(255))
    given = {"image": ImageInput(8, 8, 3)}
    check(model, {"image": IMAGES}, expected, tmp_path, **given)


def test_channels_first(tmp_path):
    image = keras.Input((3, 8, 8), name="image")
    x = layers.Conv2D(4, 3, activation="relu")(layers.Permute((2, 3, 1))(image))
    model = keras.Model(image, layers.Dense(5, "softmax")(layers.Flatten()(x)))
    expected = {"probabilities": model(IMAGES.transpose(0, 3, 1, 2) / np.float32(255))}
    given = {"image": ImageInput(8, 8, 3, shape=(3, 8, 8))}
    check(model, {"image": IMAGES}, expected, tmp_path, **given)


@pytest.mark.parametrize("shape", [(8, 3, 8), (3, 64), (8, 8, 3, 1, 2)])
def test_pixels_are_not_reshaped_into_other_places(shape):
    with pytest.raises(InvalidArgument, match=r"change places|values, because"):
        ImageInput(8, 8, 3, shape=shape)


@pytest.mark.parametrize("activation", [tf.nn.softmax, lambda x: keras.activations.softmax(x)])
def test_softmax_is_not_applied_twice(tmp_path, activation):
    model = keras.Sequential([keras.Input((8, 8, 3), name="image"), layers.Flatten(), layers.Dense(4, activation)])
    expected = {"probabilities": model(IMAGES / np.float32(255))}
    given = {"image": ImageInput(8, 8, 3)}
    check(model, {"image": IMAGES}, expected, tmp_path, **given)


def test_scores_that_may_be_either_are_asked_about(tmp_path):
    model = keras.Sequential(
        [keras.Input((8, 8, 3), name="image"), layers.Flatten(), layers.Dense(4, lambda x: ops.sigmoid(x))]
    )
    given = {"name": "m", "repository": tmp_path, "image": ImageInput(8, 8, 3), "samples": {"image": IMAGES}}
    with pytest.raises(InvalidArgument, match="--scores probabilities or --scores logits"):
        publish(model, **given)
    assert publish(model, **given, scores="probabilities").new


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


def test_a_logarithm_without_samples_is_proven_with_positive_ones(tmp_path):
    x = keras.Input((3,), name="price")
    model = keras.Model(x, layers.Dense(1)(ops.log(x)))
    assert publish(model, name="m", repository=tmp_path).new
    with pytest.raises(FailedPrecondition, match="give samples that the model is made for"):
        publish(model, name="n", repository=tmp_path, samples={"price": -np.abs(X)})


def test_a_model_that_answers_nothing_made_up_wants_samples(tmp_path):
    class Never(layers.Layer):
        def call(self, x):
            tf.debugging.assert_equal(x[0, 0], 12345.0)
            return x

    x = keras.Input((3,), name="code")
    model = keras.Model(x, Never()(x))
    with pytest.raises(FailedPrecondition, match=r"made-up samples.*--samples FILE\.npz.*\['code'\]"):
        publish(model, name="m", repository=tmp_path)


def test_a_graph_that_differs_from_the_model_is_told_as_that(tmp_path):
    class Which(layers.Layer):
        def call(self, x):
            return x * (2.0 if tf.executing_eagerly() else 3.0)

    x = keras.Input((3,), name="x")
    with pytest.raises(FailedPrecondition, match="when Keras runs it as a graph"):
        publish(keras.Model(x, Which()(x)), name="m", repository=tmp_path, samples={"x": X})


def test_later_samples_prove_again(tmp_path):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(1)(ops.sqrt(x)))
    first = publish(model, name="m", repository=tmp_path)
    facts = manifest.read(first.path)
    assert facts.proof["verdict"] == "proven on random samples"
    again = publish(model, name="m", repository=tmp_path, samples={"x": np.abs(X)})
    assert (again.version, again.new) == (first.version, False)
    facts = manifest.read(again.path)
    assert facts.proof["verdict"] == "proven"
    assert facts.proof["samples"] == "8 real"
    report = (again.path / "assets.extra" / "report.md").read_text("utf-8")
    assert report.startswith("# m: proven\n")
    assert "Proven again" in report
    manifest.verify(again.path)
    with pytest.raises(FailedPrecondition, match="NaN"):
        publish(model, name="m", repository=tmp_path, samples={"x": X})


def test_a_savedmodel_of_unknown_rank(tmp_path):
    spec = tf.TensorSpec(None, tf.float32, name="x")
    double = tf.function(lambda x: {"y": x * 2}, input_signature=[spec])
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"), {"serving_default": double})
    check(tmp_path / "saved", {"x": X}, {"y": tf.constant(X * 2)}, tmp_path, only=("grpc",))


def test_a_savedmodel_of_sparse_inputs_is_published_only_as_unproven(tmp_path):
    saved, v1 = str(tmp_path / "saved"), tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.sparse_placeholder(tf.float32, shape=[None, 4], name="x")
        y = tf.sparse.sparse_dense_matmul(x, tf.ones([4, 2]))
        infos = [{name: v1.saved_model.utils.build_tensor_info(tensor)} for name, tensor in (("x", x), ("y", y))]
        definition = v1.saved_model.signature_def_utils.build_signature_def(*infos, "tensorflow/serving/predict")
        builder = v1.saved_model.Builder(saved)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": definition})
        builder.save()
    with pytest.raises(FailedPrecondition, match=r"'x' is a sparse tensor.*--unproven"):
        publish(saved, name="m", repository=tmp_path / "models")
    published = publish(saved, name="m", repository=tmp_path / "models", unproven="asked by hand")
    assert (published.path / "assets.extra" / "report.md").read_text("utf-8").startswith("# m: unproven: asked by hand")


def keras_file(path, version):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["metadata.json"] = b'{"keras_version": "%s", "date_saved": "2023"}' % version.encode()
    parts["config.json"] = (
        parts["config.json"].replace(b"keras.layers", b"keras.src.nowhere").replace(b"Dense", b"Tense")
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(("version", "text"), [("2.15.0", "tf_keras"), ("99.1.0", "keras==99.1.0")])
def test_a_file_of_another_keras_is_told_as_that(tmp_path, version, text):
    path = tmp_path / "model.keras"
    keras_file(path, version)
    with pytest.raises(FailedPrecondition, match=f"was written by Keras {version}.*{text}") as caught:
        load(path)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("allow_h5", [True, False])
def test_weights_are_no_model(tmp_path, allow_h5):
    path = tmp_path / "m.weights.h5"
    keras.Sequential([keras.Input((3,)), layers.Dense(1)]).save_weights(path)
    with pytest.raises(FailedPrecondition, match=r"holds weights and no model.*model.save"):
        load(path, allow_h5=allow_h5)


def test_somebody_elses_class_is_named_by_its_place(tmp_path):
    class Foreign(layers.Layer):
        def call(self, x):
            return x * 2

    x = keras.Input((3,))
    path = tmp_path / "model.keras"
    keras.Model(x, Foreign()(x)).save(path)
    with pytest.raises(ModelportError, match="--custom Foreign=module:Class"):
        load(path)
    globals()["Elsewhere"] = Foreign
    assert load(path, custom={"Foreign": f"{__name__}:Elsewhere"}).model is not None
    with pytest.raises(ModelportError, match="Nowhere"):
        load(path, custom={"Foreign": f"{__name__}:Nowhere"})


def image_model(outputs):
    image = keras.Input((8, 8, 3), name="image")
    return keras.Model(image, outputs(layers.Flatten()(image)))


def test_the_activation_of_another_output_says_nothing(tmp_path):
    """Of a nested model with probabilities and logits, the logits were published as probabilities."""
    x = keras.Input((192,))
    logits = layers.Dense(4)(x)
    inner = keras.Model(x, [layers.Activation("softmax")(logits), logits])
    given = {"name": "m", "repository": tmp_path, "image": ImageInput(8, 8, 3), "samples": {"image": IMAGES}}
    published = publish(image_model(lambda flat: inner(flat)[1]), **given, labels=["a", "b", "c", "d"])
    assert any("softmax is applied" in note for note in manifest.read(published.path).proof["notes"])


def test_numbers_of_an_image_are_no_logits_by_themselves(tmp_path):
    """The two coordinates of a landmark were put through softmax."""
    given = {"name": "m", "repository": tmp_path, "image": ImageInput(8, 8, 3), "samples": {"image": IMAGES}}
    landmark = image_model(lambda flat: layers.Dense(2, name="place")(flat))
    with pytest.raises(InvalidArgument, match=r"--labels FILE or --scores logits.*--scores none"):
        publish(landmark, **given)
    published = publish(landmark, **given, scores="none")
    assert list(manifest.read(published.path).signatures["serving_default"]["outputs"]) == ["place"]


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


def test_heads_that_keras_named(tmp_path):
    """Names of layers count over the process, ours over the model: `dense_1` is another head in each."""
    x = keras.Input((3,))
    heads = [layers.Dense(1, name="dense"), layers.Dense(1, name="dense_1")]
    assert publish(keras.Model(x, [head(x) for head in heads]), name="m", repository=tmp_path).new
    inputs = [keras.Input((3,), name="input_2"), keras.Input((3,))]
    assert publish(keras.Model(inputs, layers.Subtract()(inputs)), name="n", repository=tmp_path).new


def test_a_model_of_open_size_that_wants_positive_pixels(tmp_path):
    """Images of 16,000 by 16,000 were drawn before positive numbers were tried."""
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, layers.GlobalAveragePooling2D()(ops.log(image)))
    assert publish(model, name="m", repository=tmp_path).new


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (X, "mapping of input name to array"),
        ({"x": [[1.0, 2.0, 3.0], [1.0]]}, "equal length"),
        ({"x": 3.0}, "batch dimension|shape|rows"),
    ],
    ids=["an array", "ragged", "a scalar"],
)
@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_samples_that_are_none_are_refused_in_a_sentence(tmp_path, kind, samples, text):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(1)(x))
    if kind == "subclassed":
        model = TwoArguments()
        model(text=X)
        samples = {"text": samples["x"]} if isinstance(samples, dict) else samples
    with pytest.raises(InvalidArgument, match=text):
        publish(model, name="m", repository=tmp_path, samples=samples)


@pytest.mark.parametrize(
    "pixels",
    [IMAGES[0], IMAGES[:, :7], np.array(["a", "b"]), IMAGES / 255, IMAGES[0, 0, 0, 0]],
    ids=lambda p: str(p.shape),
)
def test_pixels_that_are_none_are_refused_in_a_sentence(tmp_path, pixels):
    model = image_model(lambda flat: layers.Dense(2)(flat))
    given = {"image": ImageInput(8, 8, 3), "labels": ["a", "b"], "samples": {"image": pixels}}
    with pytest.raises(InvalidArgument):
        publish(model, name="m", repository=tmp_path, **given)


def test_a_savedmodel_with_a_scalar_beside_its_rows(tmp_path):
    specs = [tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([], name="factor")]
    scale = tf.function(lambda x, factor: {"y": x * factor}, input_signature=specs)
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"), {"serving_default": scale})
    check(
        str(tmp_path / "saved"), {"x": X, "factor": np.float32(2)}, {"y": tf.constant(X * 2)}, tmp_path, only=("grpc",)
    )


def test_the_first_line_names_what_was_not_asked(tmp_path):
    one = tf.function(lambda x: {"y": x * 2}, input_signature=[tf.TensorSpec([None, 3], name="x")])
    parse = tf.function(
        lambda text: {"y": tf.io.decode_raw(text, tf.float32, fixed_length=8) + tf.strings.to_number(text)[:, None]},
        input_signature=[tf.TensorSpec([None], tf.string, name="text")],
    )
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"), {"serving_default": one, "raw": parse})
    published = publish(str(tmp_path / "saved"), name="m", repository=tmp_path / "models", samples={"x": X})
    assert manifest.read(published.path).proof["verdict"] == "proven; not asked: raw"


def test_eight_samples_for_a_batch_of_four(tmp_path):
    model, samples, _ = a_fixed_batch()
    published = publish(model, name="m", repository=tmp_path, samples={"x": X})
    assert len(samples["x"]) == 4
    assert manifest.read(published.path).proof["samples"] == "8 real"


def test_the_gate_holds_for_a_proof_that_is_made_again(tmp_path):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(1)(x))
    publish(model, name="m", repository=tmp_path)
    with pytest.raises(FailedPrecondition, match="p99"):
        publish(model, name="m", repository=tmp_path, samples={"x": X + 1}, gate=Gate(max_p99_ms=1e-9))
    assert manifest.read(tmp_path / "m" / "1").proof["verdict"] == "proven on random samples"


@pytest.mark.parametrize("version", ["", "nightly"])
def test_a_file_that_does_not_say_which_keras(tmp_path, version):
    path = tmp_path / "model.keras"
    keras_file(path, version)
    with pytest.raises(ModelportError, match="cannot load"):
        load(path)
