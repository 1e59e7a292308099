"""TFRecords of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import DataLoss, InvalidArgument
from modelport_training import Settings, own_data, train
from modelport_training.own_data import DataOptions

FEATURES = {"height": {"dtype": "float32", "shape": []}, "kind": {"dtype": "string"}}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Heights below 0 of kind b, others of kind a."""
    with tf.io.TFRecordWriter(str(tmp_path / "plants.tfrecord")) as writer:
        for height in np.random.default_rng(0).normal(size=100):
            kind = b"b" if height < 0 else b"a"
            features = {
                "height": tf.train.Feature(float_list=tf.train.FloatList(value=[height])),
                "kind": tf.train.Feature(bytes_list=tf.train.BytesList(value=[kind])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    (tmp_path / "features.json").write_text(json.dumps(FEATURES))
    return tmp_path / "plants.tfrecord"


def options(records: Path, **others: object) -> DataOptions:
    return DataOptions(records, **{"target": "kind", "features": records.parent / "features.json", **others})


def test_streamed_and_in_memory(records: Path) -> None:
    whole, streamed = (own_data.load(options(records, streamed=flag)) for flag in (False, True))
    assert whole.class_names == streamed.class_names == ("a", "b")
    np.testing.assert_array_equal(whole.train.targets, whole.train.inputs["height"] < 0)
    inputs, targets = next(iter(streamed.train.make().batch(90).as_numpy_iterator()))
    np.testing.assert_array_equal(inputs["height"], whole.train.inputs["height"])
    np.testing.assert_array_equal(targets, whole.train.targets)


def test_trained(records: Path, tmp_path: Path) -> None:
    settings = Settings(
        "tabular", data=records, target="kind", features=tmp_path / "features.json", output=tmp_path / "run", epochs=40
    )
    assert train(settings, stream=None).metrics["accuracy"] >= 0.9


def test_whole_numbers_as_a_regression(tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "n.tfrecord")) as writer:
        for number in range(60):
            value = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
            features = tf.train.Features(feature={"x": value, "y": value, "z": value})
            writer.write(tf.train.Example(features=features).SerializeToString())
    described = {name: {"dtype": "int64", "shape": []} for name in "xyz"} | {"z": {"dtype": "int64", "shape": [1]}}
    (tmp_path / "f.json").write_text(json.dumps(described))
    given = {"target": "y", "features": tmp_path / "f.json", "task": "regression"}
    dataset = own_data.load(DataOptions(tmp_path / "n.tfrecord", **given))
    assert (dataset.classes, dataset.train.targets.dtype) == (0, np.float32)
    with pytest.raises(InvalidArgument, match=r"a single value of each record.*'z'"):
        own_data.load(DataOptions(tmp_path / "n.tfrecord", **{**given, "target": "z"}))


def test_what_is_wrong(records: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"--features FILE"):
        own_data.load(options(records, features=None))
    with pytest.raises(InvalidArgument, match=r"--target as a feature.*height, kind"):
        own_data.load(options(records, target="kin"))
    (tmp_path / "wrong.json").write_text(json.dumps({"kind": {"dtype": "float16"}}))
    with pytest.raises(InvalidArgument, match="dtype one of float32, int64, string"):
        own_data.load(options(records, features=tmp_path / "wrong.json"))
    (tmp_path / "wrong.json").write_text(json.dumps({**FEATURES, "kind": {"dtype": "int64"}}))
    with pytest.raises(InvalidArgument, match=r"plants.tfrecord, record 1: .*kind"):
        own_data.load(options(records, features=tmp_path / "wrong.json"))
    records.write_bytes(records.read_bytes()[:-5])
    with pytest.raises(DataLoss, match="record 100: cut short"):
        own_data.load(options(records))
