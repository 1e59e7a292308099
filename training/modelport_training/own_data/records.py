"""TFRecords of tf.Example, with their features described in a file of JSON.

{"height": {"dtype": "float32", "shape": []}, "species": {"dtype": "string", "shape": []}}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from modelport.errors import DataLoss, InvalidArgument, from_os_error
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Examples, Stream
from modelport_training.own_data import memory
from modelport_training.own_data.options import DataOptions, digest, is_held_out

_DTYPES = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}  # those of tf.Example
_BYTES_OF_A_TEXT = 60
_LEAST = 20
_MOST_CLASSES = 1000


def load(options: DataOptions) -> Dataset:
    """Read TFRecords, parsing every one.

    Raises:
        InvalidArgument: no description of the features, no such target, a record that does not fit it.
        DataLoss: the file is cut short.
    """
    path, features = options.path, _features(options)
    if options.target not in features:
        raise InvalidArgument(
            f"Expected --target as a feature of {options.features}: {', '.join(features)}. Received: {options.target!r}"
        )
    if features[options.target].shape:
        raise InvalidArgument(
            f"Expected --target as a single value of each record. Received: {options.target!r}, of the shape "
            f"{features[options.target].shape}."
        )
    count, size, seen = _look_at(path, features, options.target)
    if count < _LEAST:
        raise InvalidArgument(f"Expected {_LEAST} records or more in {str(path)!r}. Received: {count}.")
    if len(seen) < 2:
        raise InvalidArgument(f"{path}: the target {options.target!r} is {next(iter(seen))!r} in every record.")
    is_number = features[options.target].dtype != tf.string
    task = options.task or ("regression" if features[options.target].dtype == tf.float32 else "classification")
    if task == "regression" and not is_number:
        raise InvalidArgument(f"{path}: the target {options.target!r} is text, and no number.")
    if task == "classification" and len(seen) >= _MOST_CLASSES:
        raise InvalidArgument(
            f"{path}: the target {options.target!r} has {_MOST_CLASSES} different values or more: no classes."
        )
    classes = sorted(seen) if task == "classification" else None
    table = None
    if classes is not None and not (is_number and classes == list(range(len(classes)))):
        keys = tf.constant(classes, features[options.target].dtype)
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, tf.range(len(classes), dtype=tf.int64)), -1
        )

    def parse(record: Any) -> Any:
        found = tf.io.parse_single_example(record, features)
        target = found.pop(options.target)
        if classes is None:
            return found, tf.cast(target, tf.float32)
        return found, target if table is None else table.lookup(target)

    def stream(held_out: bool) -> Any:
        records = tf.data.TFRecordDataset([str(path)]).enumerate()
        mine = records.filter(lambda place, _: is_held_out(place) == held_out)
        return mine.map(lambda _, record: parse(record))

    held_out = int(is_held_out(np.arange(count)).sum())
    fingerprint = digest(path, sorted(features), options.target, options.task)
    parts = [
        Stream(lambda: stream(False), count - held_out, fingerprint),
        Stream(lambda: stream(True), held_out, fingerprint),
    ]
    streamed = options.streamed if options.streamed is not None else not memory.has_room_for(size)
    train, test = parts if streamed else [_whole(part) for part in parts]
    names = [one.decode() if isinstance(one, bytes) else str(one) for one in classes or ()]
    return Dataset.of(
        train,
        test,
        class_names=names,
        name=path.name,
        source=f"the file {path.name}",
        licence="the user's own",
        fingerprint=fingerprint,
    )


def _whole(part: Stream) -> Examples:
    return Examples(*next(iter(part.make().batch(len(part)).as_numpy_iterator())))


def _features(options: DataOptions) -> dict[str, Any]:
    if options.features is None:
        raise InvalidArgument(
            'Expected --features FILE, which describes the features of the TFRecords: {"height": {"dtype": "float32", '
            '"shape": []}, …}. Received: none.'
        )
    try:
        described = json.loads(options.features.read_text("utf-8"))
        return {
            name: tf.io.FixedLenFeature(one.get("shape", []), _DTYPES[one["dtype"]]) for name, one in described.items()
        }
    except OSError as error:
        raise from_os_error(error, "read the features", options.features) from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidArgument(
            f"{options.features}: expected an object of name to {{dtype, shape}}, dtype one of {', '.join(_DTYPES)}. "
            f"Received: {type(error).__name__}: {error}"
        ) from error


def _look_at(path: Path, features: dict[str, Any], target: str) -> tuple[int, int, set[Any]]:
    """The number of records, the bytes that they take in memory, the different values of the target."""
    count, size = 0, 0
    seen: set[Any] = set()
    records = iter(tf.data.TFRecordDataset([str(path)]))
    while True:
        try:
            record = next(records, None)
        except tf.errors.DataLossError as error:
            raise DataLoss(f"{path}, record {count + 1}: cut short or changed: {error.message[:120]}") from error
        if record is None:
            return count, size, seen
        count += 1
        try:
            found = tf.io.parse_single_example(record, features)
        except tf.errors.InvalidArgumentError as error:
            raise InvalidArgument(f"{path}, record {count}: {error.message[:200]}") from error
        size += sum(one.shape.num_elements() * (one.dtype.size or _BYTES_OF_A_TEXT) for one in found.values())
        if len(seen) < _MOST_CLASSES and not found[target].shape.rank:
            seen.add(found[target].numpy())
