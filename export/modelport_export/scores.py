"""Whether a classifier gives probabilities or logits: by a run; by its activation only where that leaves it open.

Softmax twice gives other probabilities of the same order, which no check of accuracy notices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np

from modelport.errors import InvalidArgument
from modelport_export import naming
from modelport_export.images import ImageInput
from modelport_export.signatures import Array

_RUNS = 8  # images
_TOLERANCE = 1e-3  # of a sum of probabilities; those of half precision too

Kind = Literal["probabilities", "logits"]


def kind(model: Any, ask: Callable[[Array], Array], image: ImageInput, samples: Array | None) -> Kind:
    """Find out what the model gives.

    Args:
        model: the user's.
        ask: raw pixels → scores, shape (N, classes).
        image: of the model.
        samples: raw pixels; None for random ones.

    Raises:
        InvalidArgument: it cannot be told.
    """
    noise = np.random.default_rng(0).integers(0, 256, (_RUNS, *image.raw_shape), np.uint8)
    rows = ask(noise).astype(np.float64)
    if samples is not None:
        real = np.reshape(samples, (-1, *image.raw_shape))[:_RUNS]
        rows = np.concatenate([rows, ask(real).astype(np.float64)])
    if (rows < -_TOLERANCE).any() or (rows > 1 + _TOLERANCE).any():
        return "logits"
    if np.allclose(rows.sum(axis=-1), 1, atol=_TOLERANCE):
        return "probabilities"
    if _last_activation(model) in (keras.activations.softmax, keras.activations.sigmoid):  # several classes at once
        return "probabilities"
    raise InvalidArgument(
        "Expected to learn from the model's answers whether they are probabilities or logits. Received: values between "
        "0 and 1 whose sum is not 1, which may be either. Say which: --scores probabilities or --scores logits "
        "(scores= in Python)."
    )


def _last_activation(model: Any, index: int = 0) -> Any:
    """The activation behind an output; None when it cannot be told from the layers."""
    structure = getattr(getattr(model, "_functional", None) or model, "_outputs_struct", None)
    found = [leaf for _, leaf in naming.leaves(structure)] if structure is not None else []
    if index >= len(found):
        return None
    made_by = found[index]._keras_history
    layer = made_by.operation
    if hasattr(layer, "_outputs_struct") or hasattr(layer, "_functional"):
        return _last_activation(layer, made_by.tensor_index)
    return getattr(layer, "activation", None)
