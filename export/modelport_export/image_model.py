"""A model with one image as input and whatever outputs it has: pixels and encoded files in, its own outputs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from modelport.errors import InvalidArgument
from modelport_export.calling import Call
from modelport_export.endpoint import Endpoint, trace
from modelport_export.images import ImageInput
from modelport_export.proof.image_reference import model_input
from modelport_export.proof.reference import Reference
from modelport_export.servable import Generic
from modelport_export.signatures import SERVE_IMAGE_BYTES, SERVING_DEFAULT, Array, Spec


class ImageModel:
    """A model of one image: a regression, one probability, several heads.

    `serving_default` takes uint8 pixels as `image`, `serve_image_bytes` PNG or JPEG files as `image_bytes`; both give
    the model's own outputs.

    Args:
        model: a built Keras model.
        call: how it is called.
        image: what it was trained on.

    Raises:
        InvalidArgument: the model does not fit the image.
    """

    def __init__(self, model: Any, call: Call, image: ImageInput) -> None:
        self.model = model
        self.image = image
        self.notes: list[str] = []
        self.labels: Sequence[str] = ()
        self.holders: tuple[Any, ...] = (model,)
        self.input = _check_input(call, image)
        self._plain = Generic(model, call)
        self.outputs: Mapping[str, Spec] = self._plain.endpoints[SERVING_DEFAULT].signature.outputs
        self.reference = Reference(model, list(self.outputs))

    @cached_property
    def endpoints(self) -> dict[str, Endpoint]:
        """See `Servable`; traced when they are asked for, because a classifier has others."""
        image = self.image
        return {
            SERVING_DEFAULT: trace(lambda t: self.serve(t["image"]), {"image": Spec("uint8", (-1, *image.raw_shape))}),
            SERVE_IMAGE_BYTES: trace(
                lambda t: self.serve(image.decode(t["image_bytes"])), {"image_bytes": Spec("string", (-1,))}
            ),
        }

    def serve(self, images: Any) -> dict[str, Any]:
        """Raw pixels in, the model's outputs out; eager or while tracing."""
        return self._plain.serve({self.input: self.image.preprocess(images)})

    def feeds(self, samples: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """See `Servable`; files are PNG, which loses nothing."""
        return {
            SERVING_DEFAULT: {"image": samples["image"]},
            SERVE_IMAGE_BYTES: {"image_bytes": png_files(samples["image"], self.image)},
        }

    def expected(self, samples: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """See `Servable`."""
        answer = self.raw(samples["image"])
        return {SERVING_DEFAULT: answer, SERVE_IMAGE_BYTES: answer}

    def raw(self, images: Array) -> dict[str, Array]:
        """The model's answers to raw pixels, called by itself."""
        return self.reference({self.input: model_input(images, self.image)})


def png_files(images: Array, image: ImageInput) -> Array:
    """Pixels as PNG files, shape (N,), which lose nothing."""
    pixels = images.reshape(-1, *image.pixel_shape)
    return np.array([tf.io.encode_png(one).numpy() for one in pixels], object)


def _check_input(call: Call, image: ImageInput) -> str:
    if len(call.specs) != 1:
        raise InvalidArgument(
            f"Expected a model with one input, because image= was given. Received: the inputs {list(call.specs)}. "
            "Leave image= out to export the inputs as they are."
        )
    [(name, spec)] = call.specs.items()
    shape = (-1, *image.model_shape)
    sizes = spec.shape or ()
    fits = len(sizes) == len(shape) and all(w in (-1, h) for w, h in zip(sizes, shape, strict=True))
    if not fits:
        raise InvalidArgument(
            f"Expected the model's input {name!r} to have the shape {list(shape)}, which image= describes. "
            f"Received: {list(sizes)}. Set ImageInput(shape=…) to the model's input without the batch."
        )
    return name
