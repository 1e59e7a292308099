"""Raw samples: what clients will send. They prove a version and then warm it up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument
from modelport_export.images import ImageInput
from modelport_export.signatures import Array, Spec, fit

MAX_SAMPLES = 64  # enough to tell two models apart; each row is also answered one by one when latency is measured
_RANDOM_ROWS = 8
_RANDOM_SIZE = 32  # for a dimension that varies: large enough for a few strides of pooling


def check(samples: Mapping[str, Any], inputs: Mapping[str, Spec], image: ImageInput | None) -> dict[str, Array]:
    """The first rows of the user's samples, of the signature's dtypes and shapes.

    Args:
        samples: input name → array of raw values, one row each.
        inputs: the inputs of `serving_default`.
        image: of an image model, whose pixels may also come as (N, H, W, C) or (N, H*W*C).

    Raises:
        InvalidArgument: a name is missing or unknown, rows differ in number or are none, or values do not fit.
    """
    if not isinstance(samples, Mapping):
        raise InvalidArgument(
            f"Expected samples as a mapping of input name to array, for {list(inputs)}. Received: "
            f"{type(samples).__name__}"
        )
    if set(samples) != set(inputs):
        raise InvalidArgument(
            f"Expected samples for the inputs {list(inputs)} and no others. Received: {list(samples)}. "
            "Rename the arrays, or the model's inputs."
        )
    arrays = {}
    for alias, spec in inputs.items():
        value = samples[alias]
        if image is not None and np.ndim(value) > 1 and np.size(value) == len(value) * image.size:
            value = np.reshape(value, (-1, *image.raw_shape))
        arrays[alias] = fit(alias, value, spec)
    rows = {alias: len(array) for alias, array in arrays.items()}
    if len(set(rows.values())) != 1 or 0 in rows.values():
        raise InvalidArgument(f"Expected as many samples of one input as of the others, one at least. Received: {rows}")
    return {alias: array[:MAX_SAMPLES] for alias, array in arrays.items()}


def random(inputs: Mapping[str, Spec]) -> dict[str, Array]:
    """Samples made up from the signature alone, the same at every call.

    Floats are drawn from the normal distribution, uint8 from 0..255; other integers are 0 or 1, which every table of
    indices has; strings are short words.
    """
    generator = np.random.default_rng(0)
    arrays: dict[str, Array] = {}
    for alias, spec in inputs.items():
        shape = (_RANDOM_ROWS, *(_RANDOM_SIZE if size == -1 else size for size in spec.shape[1:]))
        dtype = spec.row.numpy
        if spec.dtype == "string":
            words = np.array([b"a", b"b", b"modelport"], object)
            arrays[alias] = words[generator.integers(0, len(words), shape)]
        elif dtype == np.uint8:
            arrays[alias] = generator.integers(0, 256, shape, np.uint8)
        elif dtype.kind in "iub":
            arrays[alias] = generator.integers(0, 2, shape).astype(dtype)
        else:  # float and complex, and those of ml_dtypes
            arrays[alias] = generator.standard_normal(shape).astype(dtype)
    return arrays
