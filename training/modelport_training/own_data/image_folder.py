"""A folder of images, with a folder for each class."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from modelport.errors import DataLoss, InvalidArgument
from modelport_export.images import ImageInput
from modelport_training.datasets.dataset import Dataset
from modelport_training.datasets.examples import Examples, Stream
from modelport_training.own_data import memory
from modelport_training.own_data.options import DataOptions, is_held_out

_ENDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_LEAST = 20  # images: two are held out then
_COLOURS = 3


def load(options: DataOptions) -> Dataset:
    """Read a folder of images, decoding every one.

    Raises:
        InvalidArgument: a class without images, a file that is no image, images of several sizes and no `image_size`.
        DataLoss: an image is cut short.
    """
    folder = options.path
    classes = sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    if len(classes) < 2:
        raise InvalidArgument(
            f"Expected a folder for each of two classes or more in {str(folder)!r}. Received: "
            f"{', '.join(classes) or 'none'}."
        )
    files, labels = [], []
    for number, name in enumerate(classes):
        mine = sorted(path for path in (folder / name).iterdir() if not path.name.startswith("."))
        if not mine:
            raise InvalidArgument(
                f"{folder / name}: the class {name!r} has no images. Take the folder away, or fill it."
            )
        files += mine
        labels += [number] * len(mine)
    if len(files) < _LEAST:
        raise InvalidArgument(f"Expected {_LEAST} images or more in {str(folder)!r}. Received: {len(files)}.")
    # Mixed once and for all: a stream is shuffled within a window, which would be of one class.
    order = np.random.default_rng(0).permutation(len(files))
    files, labels = [files[row] for row in order], [labels[row] for row in order]
    with ThreadPoolExecutor() as executor:
        looked = list(executor.map(_look_at, files))
    image = _image(options, files, [shape for shape, _ in looked])
    fingerprint = hashlib.sha256(repr((image, classes, labels)).encode())
    for _, digest in looked:
        fingerprint.update(digest)
    held_out = is_held_out(np.arange(len(files)))
    streamed = options.streamed
    if streamed is None:
        streamed = not memory.has_room_for(len(files) * image.size)
    splits: list[Examples | Stream] = []
    for rows in (~held_out, held_out):
        chosen = [path for path, mine in zip(files, rows, strict=True) if mine]
        numbers = np.array(labels, np.int64)[rows]
        make = partial(_stream, image, chosen, numbers)
        splits.append(Stream(make, len(chosen), fingerprint.hexdigest()) if streamed else _read(image, chosen, numbers))
    train, test = splits
    dataset = Dataset.of(
        train,
        test,
        class_names=classes,
        name=folder.name,
        source=f"the folder {folder.name}",
        licence="the user's own",
        fingerprint=fingerprint.hexdigest(),
    )
    dataset.image = image
    return dataset


def _look_at(path: Path) -> tuple[tuple[int, ...], bytes]:
    """Height, width and channels of an image, and a digest of its file."""
    if path.suffix.lower() not in _ENDS:
        raise InvalidArgument(f"{path}: expected an image ({', '.join(_ENDS)}).")
    data = path.read_bytes()
    try:
        shape = tuple(tf.io.decode_image(data, expand_animations=False).shape)
    except tf.errors.InvalidArgumentError as error:
        raise DataLoss(
            f"{path}: expected a whole image. Received one that is cut short, or none: {error.message[:120]}"
        ) from error
    return shape, hashlib.sha256(data).digest()


def _image(options: DataOptions, files: Sequence[Path], shapes: Sequence[tuple[int, ...]]) -> ImageInput:
    sizes = {shape[:2]: path for shape, path in zip(shapes, files, strict=True)}
    if options.image_size is not None:
        height = width = options.image_size
    elif len(sizes) == 1:
        height, width = next(iter(sizes))
    else:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise InvalidArgument(
            f"Expected images of one size, or --image-size. Received: {first} is {one[0]}x{one[1]}, {second} is "
            f"{other[0]}x{other[1]}."
        )
    channels = _COLOURS if any(shape[2] >= _COLOURS for shape in shapes) else 1
    return ImageInput(height, width, channels)


def _decoded(image: ImageInput, files: Any) -> Any:
    """A batch of files as raw images, by the arithmetic that the served model has for them."""
    pixels = image.decode(tf.map_fn(tf.io.read_file, files, fn_output_signature=tf.string))
    return pixels[..., 0] if image.channels == 1 else pixels


def _read(image: ImageInput, files: Sequence[Path], labels: Any) -> Examples:
    batches = tf.data.Dataset.from_tensor_slices([str(path) for path in files]).batch(64)
    decoded = batches.map(lambda paths: _decoded(image, paths), num_parallel_calls=tf.data.AUTOTUNE)
    return Examples(np.concatenate(list(decoded.as_numpy_iterator())), labels)


def _stream(image: ImageInput, files: Sequence[Path], labels: Any) -> Any:
    pairs = tf.data.Dataset.from_tensor_slices(([str(path) for path in files], labels)).batch(64)
    decoded = pairs.map(lambda paths, mine: (_decoded(image, paths), mine), num_parallel_calls=tf.data.AUTOTUNE)
    return decoded.unbatch()
