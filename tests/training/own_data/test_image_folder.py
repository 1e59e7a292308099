"""Folders of images: what is made of them, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from modelport.errors import DataLoss, InvalidArgument, NotFound
from modelport_export.images import ImageInput
from modelport_training import Settings, own_data, train
from modelport_training.own_data import DataOptions
from tests.training.own_data.conftest import png


def test_classes_sizes_and_pixels(pictures: Path) -> None:
    whole, streamed = (own_data.load(DataOptions(pictures, streamed=flag)) for flag in (False, True))
    assert whole.class_names == ("left", "right")
    assert whole.image == ImageInput(12, 10)
    assert whole.train.inputs.shape == (36, 12, 10)
    assert whole.train.inputs.dtype == np.uint8
    assert (whole.train.inputs[whole.train.targets == 0][:, :, :5] >= 150).all()
    assert 0 < whole.train.targets[:8].sum() < 8, "not in the order of the folders"
    images, labels = next(iter(streamed.train.make().batch(36).as_numpy_iterator()))
    np.testing.assert_array_equal(images, whole.train.inputs)
    np.testing.assert_array_equal(labels, whole.train.targets)
    assert streamed.fingerprint == own_data.load(DataOptions(pictures, streamed=True)).fingerprint


@pytest.mark.parametrize("stream", [False, True])
def test_trained_and_published(pictures: Path, tmp_path: Path, stream: bool) -> None:
    settings = Settings("image_folder", data=pictures, output=tmp_path / "run", epochs=12, batch_size=8, stream=stream)
    trained = train(settings, stream=None)
    assert trained.metrics["accuracy"] == 1.0
    assert trained.labels == ("left", "right")
    assert trained.publish(tmp_path / "models", "pictures").version == 1


def test_a_backbone_with_weights_from_a_file(pictures: Path, tmp_path: Path) -> None:
    make = keras.applications.MobileNet
    make(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg").save_weights(
        tmp_path / "w.weights.h5"
    )
    options = {"backbone": "MobileNet", "weights": str(tmp_path / "w.weights.h5")}
    settings = Settings(
        "image_folder", data=pictures, output=tmp_path / "run", epochs=1, image_size=32, options=options
    )
    trained = train(settings, stream=None)
    assert "mobilenet_1.00_32" in [layer.name for layer in trained.model.layers]


OPTIONS = [
    ({"backbone": "MobileNet2"}, InvalidArgument, "Did you mean 'MobileNetV2'"),
    ({"backbone": "MobileNetV2", "weights": "no.h5"}, NotFound, "Expected a file of weights"),
    ({"backbones": "MobileNetV2"}, InvalidArgument, "--set with an option.*Did you mean 'backbone'"),
]


@pytest.mark.parametrize(("options", "error", "said"), OPTIONS)
def test_options_that_are_wrong(
    pictures: Path, tmp_path: Path, options: dict[str, str], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        train(Settings("image_folder", data=pictures, output=tmp_path / "run", options=options), stream=None)


def test_an_empty_class(pictures: Path) -> None:
    (pictures / "middle").mkdir()
    with pytest.raises(InvalidArgument, match="pictures/middle: the class 'middle' has no images"):
        own_data.load(DataOptions(pictures))


def test_an_image_that_is_cut_short(pictures: Path) -> None:
    file = pictures / "left/03.png"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(DataLoss, match=r"left/03.png: expected a whole image"):
        own_data.load(DataOptions(pictures))


def test_what_is_no_image(pictures: Path) -> None:
    (pictures / "left/notes.txt").write_text("left")
    with pytest.raises(InvalidArgument, match=r"left/notes.txt: expected an image \(.png"):
        own_data.load(DataOptions(pictures))


def test_several_sizes(pictures: Path) -> None:
    (pictures / "left/20.png").write_bytes(png(np.zeros((30, 20))))
    with pytest.raises(InvalidArgument, match=r"--image-size. Received: .* is 12x10, .*left/20.png is 30x20"):
        own_data.load(DataOptions(pictures))
    assert own_data.load(DataOptions(pictures, image_size=16)).image == ImageInput(16, 16)


def test_one_class(tmp_path: Path) -> None:
    (tmp_path / "images/only").mkdir(parents=True)
    with pytest.raises(InvalidArgument, match=r"a folder for each of two classes or more.*Received: only"):
        own_data.load(DataOptions(tmp_path / "images"))
