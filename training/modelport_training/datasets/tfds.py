"""`tfds:NAME`: a set of TensorFlow Datasets with one image and one label an example, read whole into memory.

A set that lies on the disk is read without a network; its folder is TFDS_DATA_DIR or ~/tensorflow_datasets.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
import sys
from typing import Any

import numpy as np

from modelport.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from modelport_training.datasets.dataset import Array, Dataset

PREFIX = "tfds:"


def load(name: str) -> Dataset:
    """Load `tfds:NAME`, `tfds:NAME/CONFIG` or `tfds:NAME:VERSION`.

    The splits `train` and `test` (or `validation`) are used as published; of a set with `train` alone the last fifth
    is held out.

    Raises:
        NotFound: TensorFlow Datasets knows no such set; near names are listed.
        FailedPrecondition: TensorFlow Datasets, or something that it needs, is not installed.
        Unavailable: it is not on the disk and cannot be downloaded.
        InvalidArgument: its examples are not one image (uint8, one size) and one label.
    """
    try:
        import tensorflow_datasets as tfds

        builder = _builder(tfds, name.removeprefix(PREFIX))
        image, label = _features(name, builder.info)
        train_split, test_split = _splits(name, list(builder.info.splits))
        parts = tfds.as_numpy(builder.as_dataset(split=[train_split, test_split], batch_size=-1))
    except ImportError as error:
        raise FailedPrecondition(
            f"Expected TensorFlow Datasets for {name!r}; {error.name!r} is not installed. Run: pip install {error.name}"
        ) from error
    (train_images, train_labels), (test_images, test_labels) = (_arrays(part[image], part[label]) for part in parts)
    return Dataset(
        name=name,
        source=f"TensorFlow Datasets, {builder.info.full_name}",
        licence=builder.info.redistribution_info.license or "as stated by its publisher",
        class_names=tuple(builder.info.features[label].names),
        train_inputs=train_images,
        train_targets=train_labels,
        test_inputs=test_images,
        test_targets=test_labels,
    )


def _builder(tfds: Any, name: str) -> Any:
    try:
        builder = tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"), try_gcs=False)
    except tfds.core.DatasetNotFoundError as error:
        near = difflib.get_close_matches(name, tfds.list_builders(), 3)
        hint = f" Near names: {', '.join(near)}." if near else ""
        raise NotFound(
            f"Expected the name of a set that TensorFlow Datasets knows or that lies in its folder "
            f"({os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'}). Received: {name!r}.{hint}"
        ) from error
    except (ValueError, AssertionError) as error:  # a config or version that the set has not
        raise InvalidArgument(f"Expected tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:VERSION. {error}") from error
    try:
        tfds.disable_progress_bar()
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of each try to connect
        with contextlib.redirect_stdout(sys.stderr):  # it tells its progress there
            builder.download_and_prepare()
    except ImportError:
        raise
    except Exception as error:  # downloads and hand-written builders raise anything
        raise Unavailable(
            f"Expected {name!r} on the disk, in {builder.data_path}, or a network to download it from: {error}\n"
            "Without a network there is '--dataset digits', which ships inside scikit-learn."
        ) from error
    return builder


def _features(name: str, info: Any) -> tuple[str, str]:
    """The keys of the image and of the label."""
    import tensorflow_datasets as tfds

    # A set that can be read from the disk alone comes back with features of the same classes.
    found = dict(info.features.items())
    images = [key for key, feature in found.items() if isinstance(feature, tfds.features.Image)]
    labels = [key for key, feature in found.items() if isinstance(feature, tfds.features.ClassLabel)]
    if len(images) != 1 or len(labels) != 1:
        raise InvalidArgument(
            f"Expected examples of one image and one class label in {name!r}. Received the features "
            f"{', '.join(f'{key}: {type(feature).__name__}' for key, feature in found.items())}."
        )
    feature = found[images[0]]
    if np.dtype(feature.np_dtype) != np.uint8 or None in feature.shape:
        raise InvalidArgument(
            f"Expected uint8 images of one size in {name!r}. Received: {feature.np_dtype} of the shape {feature.shape}."
        )
    return images[0], labels[0]


def _splits(name: str, splits: list[str]) -> tuple[str, str]:
    if "train" not in splits:
        raise InvalidArgument(f"Expected a split 'train' in {name!r}. Received the splits {', '.join(splits)}.")
    held_out = next((split for split in ("test", "validation") if split in splits), None)
    return ("train", held_out) if held_out else ("train[:80%]", "train[80%:]")


def _arrays(images: Array, labels: Array) -> tuple[Array, Array]:
    """Grey images lose their last axis, as everywhere here."""
    grey = images.ndim == 4 and images.shape[-1] == 1
    return (images[..., 0] if grey else images), labels.astype(np.int64)
