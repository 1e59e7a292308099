"""What an image model gets for raw pixels, in numpy: the other side of the proof of the preprocessing in the graph."""

from __future__ import annotations

import numpy as np

from modelport_export.images import ImageInput
from modelport_export.signatures import Array


def model_input(images: Array, image: ImageInput) -> Array:
    """Raw pixels (N, …) as the model takes them: scaled, and with the channels where the model has them."""
    pixels = np.reshape(np.asarray(images), (-1, image.height, image.width, image.channels))
    values = pixels.astype(np.float32) * np.float32(image.scale) + np.float32(image.offset)
    if image.is_channels_first:
        values = np.moveaxis(values, -1, 1)
    return np.reshape(values, (len(pixels), *image.model_shape))


def softmax(scores: Array) -> Array:
    """Over the last axis, in double precision."""
    wide = scores.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
