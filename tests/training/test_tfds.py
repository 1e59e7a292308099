"""TensorFlow Datasets, with sets that lie on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import InvalidArgument, NotFound
from modelport_training import Settings, load_dataset, train

tfds = pytest.importorskip("tensorflow_datasets", reason="TensorFlow Datasets is not installed")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a set as TensorFlow Datasets lays it out: records by the features, then the metadata."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    def write(name: str, features: dict[str, Any], splits: dict[str, list[dict[str, Any]]]) -> None:
        folder = tmp_path / name / "1.0.0"
        folder.mkdir(parents=True)
        features = tfds.features.FeaturesDict(features)
        infos = []
        for split, examples in splits.items():
            template = tfds.core.ShardedFileTemplate(
                data_dir=folder, dataset_name=name, split=split, filetype_suffix="tfrecord"
            )
            records = [features.serialize_example(features.encode_example(example)) for example in examples]
            with tf.io.TFRecordWriter(str(template.sharded_filepath(shard_index=0, num_shards=1))) as writer:
                for record in records:
                    writer.write(record)
            infos.append(
                tfds.core.SplitInfo(
                    name=split,
                    shard_lengths=[len(records)],
                    num_bytes=sum(map(len, records)),
                    filename_template=template,
                )
            )
        tfds.folder_dataset.write_metadata(data_dir=str(folder), features=features, split_infos=infos)

    return write


def features(channels: int = 1) -> dict[str, Any]:
    return {
        "image": tfds.features.Image(shape=(28, 28, channels)),
        "label": tfds.features.ClassLabel(names=["circle", "square", "star"]),
    }


def examples(count: int, channels: int = 1) -> list[dict[str, Any]]:
    images = np.random.default_rng(count).integers(0, 256, (count, 28, 28, channels), np.uint8)
    return [{"image": image, "label": index % 3} for index, image in enumerate(images)]


def test_a_set_on_the_disk(store: Any) -> None:
    train_examples, test_examples = examples(12), examples(6)
    store("shapes", features(), {"train": train_examples, "test": test_examples})
    shapes = load_dataset("tfds:shapes")
    assert shapes.class_names == ("circle", "square", "star")
    assert shapes.source == "TensorFlow Datasets, shapes/1.0.0"
    np.testing.assert_array_equal(shapes.train.inputs, [example["image"][..., 0] for example in train_examples])
    np.testing.assert_array_equal(shapes.test.targets, [0, 1, 2, 0, 1, 2])
    assert (shapes.train.inputs.dtype, shapes.test.targets.dtype) == (np.uint8, np.int64)


def test_train_on_it(store: Any, tmp_path: Path) -> None:
    store("shapes", features(), {"train": examples(24), "test": examples(6)})
    trained = train(
        Settings(recipe="sequential", dataset="tfds:shapes", epochs=1, output=tmp_path / "run"), stream=None
    )
    assert trained.model.output_shape == (None, 3)
    assert trained.labels == ("circle", "square", "star")


def test_the_last_fifth_is_held_out_when_there_is_no_test_split(store: Any) -> None:
    store("lone", features(), {"train": examples(10)})
    lone = load_dataset("tfds:lone")
    assert (len(lone.train.inputs), len(lone.test.inputs)) == (8, 2)


def test_colour_keeps_its_channels(store: Any) -> None:
    store("colour", features(3), {"train": examples(4, 3), "validation": examples(2, 3)})
    colour = load_dataset("tfds:colour")
    assert colour.test.inputs.shape == (2, 28, 28, 3)
    with pytest.raises(InvalidArgument, match=r"Received: uint8 \(4, 28, 28, 3\) from the dataset 'tfds:colour'"):
        train(Settings(recipe="sequential", dataset="tfds:colour"), stream=None)


def test_a_set_without_images(store: Any) -> None:
    store("words", {"text": tfds.features.Text()}, {"train": [{"text": "a"}]})
    with pytest.raises(InvalidArgument, match=r"one image and one class label in 'tfds:words'.*text: Text"):
        load_dataset("tfds:words")


def test_images_of_many_sizes(store: Any) -> None:
    ragged = {**features(), "image": tfds.features.Image(shape=(None, None, 1))}
    store("ragged", ragged, {"train": examples(3)})
    with pytest.raises(InvalidArgument, match="uint8 images of one size"):
        load_dataset("tfds:ragged")


def test_no_such_set(store: Any) -> None:
    with pytest.raises(NotFound, match=r"Received: 'fashion_mnits'\. Near names: fashion_mnist"):
        load_dataset("tfds:fashion_mnits")


def test_no_such_version() -> None:
    with pytest.raises(InvalidArgument, match=r"9\.9\.9"):
        load_dataset("tfds:mnist:9.9.9")
