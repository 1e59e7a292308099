"""What an image model takes: size, channels, and the arithmetic from pixel values to the model's input.

The same `preprocess` runs in the training pipeline and inside the exported graph, so the two cannot drift apart.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelport.errors import InvalidArgument


@dataclass(frozen=True)
class ImageInput:
    """The image that a model was trained on.

    Args:
        height: pixels.
        width: pixels.
        channels: 1 (grey) or 3 (RGB).
        scale: factor on the pixel values 0..255.
        offset: added after scaling.
        shape: the model's own input shape without the batch; () stands for (height, width, channels). It may join axes
            that stand side by side, such as (784,), add axes of 1, or have the channels first.

    Raises:
        InvalidArgument: the sizes are not positive, the channels not 1 or 3, or no such shape.
    """

    height: int
    width: int
    channels: int = 1
    scale: float = 1 / 255
    offset: float = 0.0
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        sizes = (self.height, self.width, *self.shape)
        if not all(isinstance(size, int) and size > 0 for size in sizes) or self.channels not in (1, 3):
            raise InvalidArgument(
                "Expected an image of positive height and width, 1 or 3 channels and a shape of positive sizes. "
                f"Received: {self}"
            )
        if not (math.isfinite(self.scale) and math.isfinite(self.offset)):
            raise InvalidArgument(f"Expected a finite scale and offset. Received: {self.scale} and {self.offset}")
        if math.prod(self.model_shape) != self.size:
            raise InvalidArgument(
                f"Expected a shape of {self.size} values, because the image is "
                f"{self.height}x{self.width}x{self.channels}. Received: {self.shape}"
            )
        if not self.is_channels_first and not _joins(self.pixel_shape, self.model_shape):
            raise InvalidArgument(
                f"Expected a shape that is {self.pixel_shape} (height, width, channels), has the channels first, or "
                f"joins axes that stand side by side. Received: {self.shape}, in which pixels would change places."
            )

    @property
    def is_channels_first(self) -> bool:
        """Whether the model takes (channels, height, width)."""
        first = (self.channels, self.height, self.width)
        return self.channels > 1 and self.model_shape == first and self.model_shape != self.pixel_shape

    @property
    def pixel_shape(self) -> tuple[int, int, int]:
        """One decoded image: (height, width, channels)."""
        return (self.height, self.width, self.channels)

    @property
    def model_shape(self) -> tuple[int, ...]:
        """One input of the model."""
        return self.shape or self.pixel_shape

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """One raw image as clients send it: (height, width) when grey, else (height, width, channels)."""
        return self.pixel_shape if self.channels > 1 else (self.height, self.width)

    @property
    def size(self) -> int:
        """The number of values of one image."""
        return math.prod(self.pixel_shape)

    def preprocess(self, images: Any) -> Any:
        """Turn raw pixel values 0..255 into the model's input: `images * scale + offset`.

        Args:
            images: uint8 or float, (N, H, W), (N, H, W, C) or (N, H*W*C); array or tensor.

        Returns:
            A float32 tensor (N, *model_shape).

        Raises:
            InvalidArgument: the images have another size.
        """
        import tensorflow as tf

        images = tf.convert_to_tensor(images)
        rest = tuple(images.shape[1:])
        if None not in rest and (images.shape.rank == 0 or math.prod(rest) != self.size):
            raise InvalidArgument(
                f"Expected images of {self.height}x{self.width}x{self.channels}, so an array of (N, "
                f"{', '.join(map(str, self.raw_shape))}). Received: the shape {tuple(images.shape)}"
            )
        values = tf.cast(images, tf.float32) * self.scale + self.offset
        if self.is_channels_first:
            values = tf.transpose(tf.reshape(values, (-1, *self.pixel_shape)), (0, 3, 1, 2))
        return tf.reshape(values, (-1, *self.model_shape))

    def decode(self, encoded: Any) -> Any:
        """Decode PNG, JPEG, BMP or GIF files (the first frame), made grey or RGB and resized when they need it.

        Colour becomes grey by the weights of ITU-R BT.601; transparency is dropped; resizing is bilinear with
        antialiasing, rounded to whole pixel values.

        Args:
            encoded: string (N,), one file each.

        Returns:
            A uint8 tensor (N, H, W, C). Bytes that are no image fail when the graph runs.
        """
        import tensorflow as tf

        spec = tf.TensorSpec(self.pixel_shape, tf.uint8)
        return tf.map_fn(self._decode_one, tf.convert_to_tensor(encoded, tf.string), fn_output_signature=spec)

    def _decode_one(self, encoded: Any) -> Any:
        import tensorflow as tf

        # The channels are those of the file: asked for one channel, the op refuses BMP and GIF.
        image = tf.io.decode_image(encoded, expand_animations=False)
        colour = tf.shape(image)[-1] >= 3
        if self.channels == 3:
            image = tf.cond(colour, lambda: image[..., :3], lambda: tf.image.grayscale_to_rgb(image[..., :1]))
        else:
            image = tf.cond(colour, lambda: tf.image.rgb_to_grayscale(image[..., :3]), lambda: image[..., :1])
        fits = tf.reduce_all(tf.shape(image)[:2] == (self.height, self.width))
        image = tf.cond(fits, lambda: image, lambda: self._resize(image))
        return tf.ensure_shape(image, self.pixel_shape)

    def _resize(self, image: Any) -> Any:
        import tensorflow as tf

        resized = tf.image.resize(image, (self.height, self.width), antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` reads it back."""
        return {**dataclasses.asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ImageInput:
        """Read what `to_dict` wrote.

        Raises:
            InvalidArgument: a key is missing, unknown or of another type.
        """
        try:
            return cls(**{**data, "shape": tuple(data.get("shape", ()))})
        except TypeError as error:
            raise InvalidArgument(
                f"Expected the fields of an ImageInput (height, width, channels, scale, offset, shape). Received: "
                f"{data!r} ({error})"
            ) from error


def _joins(sizes: tuple[int, ...], joined: tuple[int, ...]) -> bool:
    """Whether a shape comes from another one by joining neighbours, but for axes of 1."""
    rest = [size for size in sizes if size > 1]
    for wanted in (size for size in joined if size > 1):
        product = 1
        while product < wanted and rest:
            product *= rest.pop(0)
        if product != wanted:
            return False
    return not rest
