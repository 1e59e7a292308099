import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import InvalidArgument
from modelport_export import ImageInput, calling, savedmodel
from modelport_export.classifier import ImageClassifier

IMAGE = ImageInput(28, 28, shape=(784,))
LABELS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "größer"]
ENCODED = [name.encode() for name in LABELS]


@pytest.fixture
def classify(tmp_path):
    def classify(model, image=IMAGE, labels=None):
        return ImageClassifier(model, calling.describe(model), image, labels, tmp_path)

    return classify


def test_the_signatures_of_an_image_classifier(classify, digits, write):
    folder = write(classify(digits(), labels=LABELS))
    answer = {
        "probabilities": {"dtype": "float32", "shape": [-1, 10]},
        "class_id": {"dtype": "int64", "shape": [-1]},
        "label": {"dtype": "string", "shape": [-1]},
    }
    text = {"dtype": "string", "shape": [-1]}
    found = {name: signature.to_dict() for name, signature in savedmodel.read_signatures(folder)[0].items()}
    assert found == {
        "serving_default": {"inputs": {"image": {"dtype": "uint8", "shape": [-1, 28, 28]}}, "outputs": answer},
        "serve_image_bytes": {"inputs": {"image_bytes": text}, "outputs": answer},
        "classify": {
            "inputs": {"inputs": text},
            "outputs": {
                "classes": {"dtype": "string", "shape": [-1, 10]},
                "scores": {"dtype": "float32", "shape": [-1, 10]},
            },
        },
    }
    methods = {name: d.method_name for name, d in savedmodel.read(folder).meta_graphs[0].signature_def.items()}
    assert methods["classify"] == "tensorflow/serving/classify"
    assert methods["serving_default"] == "tensorflow/serving/predict"


def test_every_signature_answers_as_keras_does(classify, digits, write, run, images):
    model = digits()
    folder = write(classify(model, labels=LABELS))
    scores = model(images.reshape(-1, 784).astype("float32") / 255, training=False).numpy()
    files = [tf.io.encode_png(image[..., None]).numpy() for image in images]
    for signature, feed in (("serving_default", {"image": images}), ("serve_image_bytes", {"image_bytes": files})):
        answer = run(folder, signature, feed)
        np.testing.assert_allclose(answer["probabilities"], scores, atol=1e-6)
        np.testing.assert_array_equal(answer["class_id"], scores.argmax(-1))
        np.testing.assert_array_equal(answer["label"], np.array(ENCODED, object)[scores.argmax(-1)])
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))}
            )
        ).SerializeToString()
        for file in files
    ]
    answer = run(folder, "classify", {"inputs": examples})
    np.testing.assert_allclose(answer["scores"], scores, atol=1e-6)
    np.testing.assert_array_equal(answer["classes"], np.array([ENCODED] * len(images), object))


def test_jpeg_answers_as_keras_does_on_the_decoded_pixels(classify, digits, write, run, images):
    model = digits()
    folder = write(classify(model))
    files = [tf.io.encode_jpeg(image[..., None]).numpy() for image in images]
    pixels = np.stack([tf.io.decode_jpeg(file).numpy() for file in files]).reshape(-1, 784)
    got = run(folder, "serve_image_bytes", {"image_bytes": files})["probabilities"]
    np.testing.assert_allclose(got, model(pixels.astype("float32") / 255), atol=1e-6)


def test_colour_images_with_another_range(classify, write, run):
    model = keras.Sequential([keras.Input((4, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    folder = write(classify(model, ImageInput(4, 5, 3, scale=1 / 127.5, offset=-1.0)))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    got = run(folder, "serving_default", {"image": pixels})
    np.testing.assert_allclose(got["probabilities"], model(pixels.astype("float32") / 127.5 - 1), atol=1e-6)
    assert got["label"].tolist() == [str(number).encode() for number in got["class_id"]], "classes are numbered"


def test_the_label_file_is_what_the_graph_reads(classify, digits, write, run, images):
    folder = write(classify(digits(), labels=LABELS))
    file = folder / "assets" / "labels.txt"
    assert file.read_text("utf-8").splitlines() == LABELS
    file.write_text("".join(f"new {label}\n" for label in LABELS), "utf-8")
    answer = run(folder, "serving_default", {"image": images})
    assert answer["label"].tolist() == [f"new {LABELS[number]}".encode() for number in answer["class_id"]]


@pytest.mark.parametrize(
    ("activation", "noted"), [("softmax", False), ("sigmoid", False), ("linear", True), (None, True)]
)
def test_logits_get_a_softmax_and_scores_do_not(classify, digits, images, activation, noted):
    model = digits(activation=activation)
    servable = classify(model)
    assert any("softmax is applied" in note for note in servable.notes) == noted
    raw = model(images.reshape(-1, 784).astype("float32") / 255).numpy()
    got = servable.expected({"image": images})["serving_default"]["probabilities"]
    np.testing.assert_allclose(got, tf.nn.softmax(raw) if noted else raw, atol=1e-6)


def test_softmax_is_found_behind_other_last_steps(classify, digits):
    x = keras.Input((784,))
    as_operation = keras.Model(x, keras.ops.softmax(keras.layers.Dense(10)(x)))
    as_inner_model = keras.Model(x, digits()(x))
    average = keras.Model(x, keras.layers.Average()([digits(seed=2)(x), digits(seed=3)(x)]))
    for model in (as_operation, as_inner_model, average):
        assert classify(model).notes == []


def scalar_score():
    return keras.Sequential([keras.Input((784,)), keras.layers.Dense(1, "sigmoid")])


def two_inputs():
    x, y = keras.Input((784,)), keras.Input((1,))
    return keras.Model([x, y], keras.layers.Dense(10)(keras.layers.Concatenate()([x, y])))


def two_outputs():
    x = keras.Input((784,))
    return keras.Model(x, [keras.layers.Dense(10)(x), keras.layers.Dense(2)(x)])


def other_size():
    return keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (scalar_score, "two classes or more"),
        (two_inputs, r"one input.*'input_2'"),
        (two_outputs, r"one output.*'dense_2'"),
        (other_size, r"\[-1, 784\].*Received: \[-1, 64\]"),
    ],
)
def test_models_that_are_no_image_classifiers_are_refused(classify, make, text):
    with pytest.raises(InvalidArgument, match=text):
        classify(make())


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (LABELS[:9], "10 labels.*Received 9"),
        ([*LABELS[:9], "zero"], "distinct.*'zero'"),
        ([*LABELS[:9], "a\nb"], "'a\\\\nb'"),
        ([*LABELS[:9], ""], "''"),
    ],
)
def test_labels_that_do_not_fit_are_refused(classify, digits, labels, text):
    with pytest.raises(InvalidArgument, match=text):
        classify(digits(), labels=labels)
