"""Sizes that vary, of a model that says nothing about them: tried, not guessed.

A subclassed model is described by its samples, whose sizes are those of one day: a detector that was shown images of
120×90 takes others as well. Each size but that of the features is left open where the model can be traced so, and where
called by itself it answers samples of another size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from modelport_export.calling import Call
from modelport_export.proof.reference import Reference
from modelport_export.servable import Generic
from modelport_export.signatures import SERVING_DEFAULT, Array, Spec


def opened(model: Any, call: Call, samples: Mapping[str, Any]) -> Generic:
    """The servable with as many sizes open as the model takes; with those of the samples where it takes no others."""
    fixed = Generic(model, call)
    free = {alias: _freed(spec) for alias, spec in call.specs.items()}
    if free == dict(call.specs):
        return fixed
    try:
        servable = Generic(model, replace(call, specs=free))
        ask = Reference(model, list(fixed.endpoints[SERVING_DEFAULT].signature.outputs))
        for larger in (False, True):
            ask({alias: _resized(np.asarray(samples[alias])[:1], call.specs[alias], larger) for alias in free})
    except Exception:  # the user's layers run here, and say in many ways that they want the size that they know
        return fixed
    return servable


def _freed(spec: Spec) -> Spec:
    """All sizes but the batch's and the last one, which is that of features; of a row of integers it is open too."""
    if spec.shape is None:
        return spec
    is_sequence = len(spec.shape) == 2 and spec.row.numpy.kind not in "fc"
    last = len(spec.shape) if is_sequence else len(spec.shape) - 1
    return replace(spec, shape=tuple(-1 if 0 < axis < last else size for axis, size in enumerate(spec.shape)))


def _resized(array: Array, spec: Spec, larger: bool) -> Array:
    array = array.astype(spec.row.numpy)
    free = _freed(spec)
    for axis, size in enumerate(array.shape):
        if axis and free.shape is not None and free.shape[axis] == -1:
            wanted = size + max(1, size // 4) if larger else max(1, size - max(1, size // 4))
            array = np.take(array, np.arange(wanted) % size, axis)
    return array
