import numpy as np
import pytest
import tensorflow as tf

from modelport import tensors
from modelport.errors import InvalidArgument
from modelport.wire import messages
from modelport_export import ImageInput, warmup
from modelport_export.proof import drawing, samples
from modelport_export.signatures import Signature, Spec

INPUTS = {"x": Spec("float32", (-1, 3)), "word": Spec("string", (-1,)), "ids": Spec("int32", (-1, -1))}
SIGNATURES = {"serving_default": Signature({"x": INPUTS["x"]}, {}), "other": Signature({"word": INPUTS["word"]}, {})}
GOOD = {"x": np.ones((2, 3)), "word": np.array(["a", "b"]), "ids": np.zeros((2, 5), "int64")}


def test_samples_become_arrays_of_the_signature():
    got = samples.check(GOOD, INPUTS, None)
    assert {name: (array.dtype.kind, array.shape) for name, array in got.items()} == {
        "x": ("f", (2, 3)),
        "word": ("O", (2,)),
        "ids": ("i", (2, 5)),
    }
    assert got["x"].dtype == np.float32
    assert got["ids"].dtype == np.int32


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"y": np.ones(2)}, r"inputs \['x', 'word', 'ids'\] and no others. Received: .*'y'"),
        ({"x": np.ones((2, 4))}, r"'x' to have the shape \[-1, 3\].*Received: shape \[2, 4\]"),
        ({"x": np.ones(2)}, r"shape \[2\]"),
        ({"x": np.array([["a"] * 3] * 2)}, "'x'.*numbers"),
        ({"word": np.ones(2)}, "'word'.*strings"),
        ({"ids": np.full((2, 5), 0.5)}, "'ids'.*without loss"),
        ({"x": np.ones((3, 3))}, r"as many samples.*'x': 3"),
        ({"x": np.ones((0, 3)), "word": [], "ids": np.ones((0, 1))}, "one at least|strings"),
        ({"x": [[1, 2, 3], [1]]}, "ragged"),
    ],
)
def test_samples_that_do_not_fit_are_refused(change, text):
    with pytest.raises(InvalidArgument, match=text):
        samples.check({**GOOD, **change}, INPUTS, None)


def test_samples_must_be_named():
    with pytest.raises(InvalidArgument, match="mapping of input name"):
        samples.check(np.ones((2, 3)), INPUTS, None)
    with pytest.raises(InvalidArgument, match="Received: \\['x'\\]"):
        samples.check({"x": np.ones((2, 3))}, INPUTS, None)


@pytest.mark.parametrize("shape", [(5, 2, 2), (5, 2, 2, 1), (5, 4)])
def test_images_come_in_any_raw_layout(shape):
    inputs = {"image": Spec("uint8", (-1, 2, 2))}
    pixels = np.arange(20, dtype=np.uint8)
    got = samples.check({"image": pixels.reshape(shape)}, inputs, ImageInput(2, 2))
    np.testing.assert_array_equal(got["image"], pixels.reshape(5, 2, 2))


def test_images_must_be_raw_pixels():
    with pytest.raises(InvalidArgument, match="uint8"):
        samples.check({"image": np.full((5, 2, 2), 0.5)}, {"image": Spec("uint8", (-1, 2, 2))}, ImageInput(2, 2))


def test_only_the_first_rows_are_taken():
    got = samples.check({"x": np.ones((500, 3))}, {"x": INPUTS["x"]}, None)
    assert got["x"].shape == (samples.MAX_SAMPLES, 3)


def test_random_samples_fit_and_repeat():
    inputs = {**INPUTS, "half": Spec("bfloat16", (-1, 2)), "flag": Spec("bool", (-1,)), "image": Spec("uint8", (-1, 4))}
    first, second = drawing.random(inputs), drawing.random(inputs)
    for alias, array in samples.check(first, inputs, None).items():
        assert np.array_equal(array, second[alias])
        assert len(array) == 8
    assert set(np.unique(first["ids"])) <= {0, 1}, "an index that every table has"


def test_warm_up_has_a_row_and_a_batch_for_each_signature(tmp_path):
    x, words = np.arange(120, dtype=np.float32).reshape(40, 3), np.array([b"a", b"b"], object)
    assert warmup.write(tmp_path, "m", {"serving_default": {"x": x}, "other": {"word": words}}, SIGNATURES) == 4
    path = tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    logs = [messages.PredictionLog.FromString(r) for r in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    requests = [log.predict_log.request for log in logs]
    assert [r.model_spec.signature_name for r in requests] == ["serving_default"] * 2 + ["other"] * 2
    np.testing.assert_array_equal(tensors.decode(requests[0].inputs["x"]), x[:1])
    np.testing.assert_array_equal(tensors.decode(requests[1].inputs["x"]), x[:32])
    assert tensors.decode(requests[3].inputs["word"]).tolist() == [b"a", b"b"]


def test_warm_up_is_what_the_official_api_reads(tmp_path):
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    warmup.write(tmp_path, "m", {"serving_default": {"x": np.ones((1, 3), np.float32)}}, SIGNATURES)
    path = tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    [record] = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
    assert request.model_spec.name == "m"
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["x"]), np.ones((1, 3)))
