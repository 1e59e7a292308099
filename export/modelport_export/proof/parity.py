"""Whether a server answers as the user's model does.

Tolerance of float outputs: `|served - keras| <= TOLERANCE * largest |keras| + 1e-6`, where the largest is that of the
same place of the last axis, over all samples. Both sides run the same operations in float32; the server's graph
optimiser may fuse and reorder them, which moves a sum by a few units in the last place (2**-24, 6e-8, relative to the
largest terms, not to a result near zero). 1e-5 leaves room for some hundred such roundings and is far below what a
wrong scale, a missing cast or a stale weight does; 1e-6 is what is left of terms of some ones that cancel each other
out. Models that compute in half precision are given eight units of that precision. Integers, booleans and strings must
be equal, but for the class of rows whose two best scores are closer than the tolerance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from modelport.errors import FailedPrecondition
from modelport_export.keras_layers import layers_of
from modelport_export.signatures import Array

TOLERANCE = 1e-5
_COARSE = {"float16": 8 * 2**-10, "bfloat16": 8 * 2**-7}  # eight units in the last place
_FLOOR = 1e-6


class Different(Exception):
    """Two answers differ: what was expected, and what was received instead."""

    def __init__(self, expected: str, received: str) -> None:
        super().__init__(f"expected {expected}, received {received}")
        self.expected = expected
        self.received = received


def tolerance_of(model: Any | None, dtypes: Iterable[str]) -> float:
    """The tolerance for a model: that of the coarsest float type in which a layer computes or an output is given.

    Args:
        model: the Keras model, None where there is none.
        dtypes: the names of the outputs' dtypes.
    """
    names = set(dtypes)
    if model is not None:
        names |= {layer.compute_dtype for layer in (model, *layers_of(model))}
    return max([TOLERANCE, *(_COARSE[name] for name in names if name in _COARSE)])


def differences(
    expected: Mapping[str, Array],
    received: Mapping[str, Array],
    tolerance: float,
    *,
    labels: Sequence[str] = (),
    scales: Mapping[str, Array] | None = None,
) -> dict[str, float]:
    """Compare two answers to the same rows.

    Args:
        expected: output alias → array.
        received: the same.
        tolerance: see above.
        labels: of an image classifier, whose `class_id` and `label` say which of `probabilities` is the best: either of
            two that are equal within the tolerance is right.
        scales: see `scale`, of more rows than these.

    Returns:
        Output alias → largest absolute difference; 0.0 for outputs that are no floats.

    Raises:
        Different: names, shapes or dtypes differ, or a value differs by more than the tolerance.
    """
    if set(expected) != set(received):
        raise Different(f"the outputs {sorted(expected)}", f"{sorted(received)}")
    errors = {}
    for alias, want in expected.items():
        have = received[alias]
        if want.shape != have.shape or want.dtype.kind != have.dtype.kind:
            raise Different(f"{alias!r} of shape {want.shape} and dtype {want.dtype}", f"{have.shape}, {have.dtype}")
        if is_float(want):
            known = (scales or {}).get(alias)
            errors[alias] = _compare_floats(alias, want, have, tolerance, known)
        else:
            equal = want == have
            if labels and alias in ("class_id", "label") and {"probabilities", "class_id", "label"} <= set(expected):
                equal = _is_best(alias, expected, received, labels, tolerance)
            if not np.all(equal):
                row = int(np.argwhere(~np.atleast_1d(equal))[0][0])
                wanted, had = np.atleast_1d(want)[row], np.atleast_1d(have)[row]
                raise Different(f"{alias!r} to be {wanted!r} for sample {row}", f"{had!r}")
            errors[alias] = 0.0
    return errors


def scale(array: Array) -> Array:
    """How large the values of an output are, for each place of the last axis: what rounding is measured by."""
    kind = np.complex128 if array.dtype.kind == "c" else np.float64
    sizes = np.abs(np.where(np.isfinite(array), array, 0).astype(kind))
    return np.asarray(sizes.max(axis=tuple(range(max(1, sizes.ndim - 1))), initial=0.0) if sizes.ndim else sizes)


def refuse_non_finite(signature: str, outputs: Mapping[str, Array], model: Any, allowed: Collection[str] = ()) -> None:
    """Refuse answers that hold NaN or infinity, but in the outputs where it is allowed.

    Raises:
        FailedPrecondition: naming the output and the weights that are to blame.
    """
    for alias, array in outputs.items():
        if alias in allowed or is_finite(array):
            continue
        bad = [weight.path for weight in model.weights if not _finite(weight)] if model is not None else []
        cause = f"These weights are not finite: {', '.join(bad[:5])}." if bad else "All weights are finite."
        raise FailedPrecondition(
            f"Expected finite numbers in output {alias!r} of {signature!r}. Received: NaN or infinity for "
            f"{int(np.sum(~np.isfinite(array)))} of {array.size} values. {cause} Train again with a lower learning "
            "rate or clipped gradients, or look for a logarithm or division that meets zero; or give samples that the "
            f"model is made for. If it is meant, allow it: --allow-non-finite {alias}."
        )


def _compare_floats(alias: str, want: Array, have: Array, tolerance: float, known: Array | None) -> float:
    finite = np.isfinite(want)
    if not np.array_equal(want[~finite], have[~finite], equal_nan=True) or not np.all(np.isfinite(have[finite])):
        raise Different(f"{alias!r} to be NaN or infinite in the same places", "others")
    if not np.any(finite):
        return 0.0
    kind = np.complex128 if want.dtype.kind == "c" else np.float64
    difference = np.abs(np.where(finite, want, 0).astype(kind) - np.where(finite, have, 0).astype(kind))
    sizes = scale(want)
    if known is not None and known.shape == sizes.shape:
        sizes = np.maximum(sizes, known)
    allowed = np.broadcast_to(tolerance * sizes + _FLOOR, difference.shape)
    if np.any(difference > allowed):
        place = np.unravel_index((difference / allowed).argmax(), difference.shape)
        row = int(place[0]) if difference.ndim else 0
        raise Different(
            f"{alias!r} to differ by {allowed[place]:.2g} at most",
            f"a difference of {difference[place]:.2g} for sample {row}",
        )
    return float(difference.max())


def _is_best(
    alias: str, expected: Mapping[str, Array], received: Mapping[str, Array], labels: Sequence[str], tolerance: float
) -> Array:
    """Rows whose class is one of the best, and whose label is that class's."""
    scores, classes = expected["probabilities"].astype(np.float64), received["class_id"]
    known = (classes >= 0) & (classes < scores.shape[-1])
    picked = np.take_along_axis(scores, np.where(known, classes, 0)[:, None], axis=-1)[:, 0]
    best = scores.max(axis=-1)
    if alias == "class_id":
        return np.asarray(known & (picked >= best - 2 * (tolerance * best + _FLOOR)))
    names = np.array([label.encode() for label in labels], object)
    return np.asarray(known & (received["label"] == names[np.where(known, classes, 0)]))


def is_finite(array: Array) -> bool:
    """Whether it holds neither NaN nor infinity."""
    return not is_float(array) or bool(np.all(np.isfinite(array)))


def is_float(array: Array) -> bool:
    """Whether an array holds floats of any kind, complex ones too."""
    return array.dtype.kind in "fc" or str(array.dtype) in _COARSE or str(array.dtype).startswith("float8")


def _finite(weight: Any) -> bool:
    return is_finite(np.asarray(weight))
