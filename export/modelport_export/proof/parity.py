"""Whether a server answers as the user's model does.

Tolerance of float outputs: `|served - keras| <= TOLERANCE * (1 + largest |keras| of the output)`. Both sides run the
same operations in float32; the server's graph optimiser may fuse and reorder them, which moves a sum by a few units in
the last place (2**-24, 6e-8, relative to the largest terms, not to a result near zero). 1e-5 leaves room for some
hundred such roundings and is far below what a wrong scale, a missing cast or a stale weight does. Models that compute
in half precision are given eight units of that precision. Integers, booleans and strings must be equal, but for the
class of rows whose two best scores are closer than the tolerance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from modelport.errors import FailedPrecondition
from modelport_export.keras_layers import layers_of
from modelport_export.signatures import Array

TOLERANCE = 1e-5
_COARSE = {"float16": 8 * 2**-10, "bfloat16": 8 * 2**-7}  # eight units in the last place
_SCORES = ("probabilities", "scores")


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
    expected: Mapping[str, Array], received: Mapping[str, Array], tolerance: float, *, ties: bool = False
) -> dict[str, float]:
    """Compare two answers to the same rows.

    Args:
        expected: output alias → array.
        received: the same.
        tolerance: see above.
        ties: whether `class_id` and `label` say which of `probabilities` or `scores` is the best, so that either of two
            that are equal is right.

    Returns:
        Output alias → largest absolute difference; 0.0 for outputs that are no floats.

    Raises:
        Different: names, shapes or dtypes differ, or a value differs by more than the tolerance.
    """
    if set(expected) != set(received):
        raise Different(f"the outputs {sorted(expected)}", f"{sorted(received)}")
    scores = next((expected[alias] for alias in _SCORES if ties and alias in expected), None)
    errors = {}
    for alias, want in expected.items():
        have = received[alias]
        if want.shape != have.shape or want.dtype.kind != have.dtype.kind:
            raise Different(f"{alias!r} of shape {want.shape} and dtype {want.dtype}", f"{have.shape}, {have.dtype}")
        if is_float(want):
            errors[alias] = _compare_floats(alias, want, have, tolerance)
        else:
            equal = want == have
            if scores is not None and scores.ndim == 2 and alias in ("class_id", "label"):
                equal = equal | _close_race(scores, tolerance)
            if not np.all(equal):
                row = int(np.argwhere(~np.atleast_1d(equal))[0][0])
                wanted, had = np.atleast_1d(want)[row], np.atleast_1d(have)[row]
                raise Different(f"{alias!r} to be {wanted!r} for sample {row}", f"{had!r}")
            errors[alias] = 0.0
    return errors


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


def _compare_floats(alias: str, want: Array, have: Array, tolerance: float) -> float:
    finite = np.isfinite(want)
    if not np.array_equal(want[~finite], have[~finite], equal_nan=True) or not np.all(np.isfinite(have[finite])):
        raise Different(f"{alias!r} to be NaN or infinite in the same places", "others")
    if not np.any(finite):
        return 0.0
    want, have = np.where(finite, want, 0), np.where(finite, have, 0)
    kind = np.complex128 if want.dtype.kind == "c" else np.float64
    difference = np.abs(want.astype(kind) - have.astype(kind))
    largest = float(difference.max())
    allowed = tolerance * (1 + float(np.abs(want.astype(kind)).max()))
    if not largest <= allowed:
        row = int(np.unravel_index(difference.argmax(), difference.shape)[0]) if difference.ndim else 0
        raise Different(
            f"{alias!r} to differ by {allowed:.2g} at most", f"a difference of {largest:.2g} for sample {row}"
        )
    return largest


def _close_race(scores: Array, tolerance: float) -> Array:
    """Rows whose best class is not decided within the tolerance."""
    best = np.sort(scores.astype(np.float64), axis=-1)
    return np.diff(best[:, -2:]).sum(axis=-1) <= 2 * tolerance


def is_finite(array: Array) -> bool:
    """Whether it holds neither NaN nor infinity."""
    return not is_float(array) or bool(np.all(np.isfinite(array)))


def is_float(array: Array) -> bool:
    """Whether an array holds floats of any kind, complex ones too."""
    return array.dtype.kind in "fc" or str(array.dtype) in _COARSE or str(array.dtype).startswith("float8")


def _finite(weight: Any) -> bool:
    return is_finite(np.asarray(weight))
