"""Raw samples: what clients will send. They prove a version and then warm it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument
from modelport.tensors import as_array
from modelport_export.images import ImageInput
from modelport_export.proof.rows import Rows
from modelport_export.signatures import Array, Spec, fit

MAX_SAMPLES = 64  # enough to tell two models apart; each row is also answered one by one when latency is measured


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
    rows = Rows.of(inputs)
    for alias, spec in inputs.items():
        value = as_array(samples[alias]) if not isinstance(samples[alias], np.ndarray) else samples[alias]
        if image is not None and np.ndim(value) > 1 and np.size(value) == len(value) * image.size:
            value = np.reshape(value, (-1, *image.raw_shape))
        if alias in rows.aliases and spec.shape is not None:  # cut into requests of the right number afterwards
            spec = replace(spec, shape=(-1, *spec.shape[1:]))
        arrays[alias] = fit(alias, value, spec)
    rows.check(arrays)
    return rows.take(arrays, range(min(rows.count(arrays), max(1, MAX_SAMPLES // rows.unit))))
