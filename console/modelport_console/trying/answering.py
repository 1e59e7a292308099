"""Asking a server what was typed, and its answer as a page can show it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument, ModelportError
from modelport_client import Client, Prediction, SignatureSpec

TIMEOUT_S = 30.0  # of one answer, for a person waits for it
_MOST_ROWS, _MOST_CELLS = 20, 1000  # shown; more is for a program
_MOST_PIXELS = 512 * 512
_SUM_ERROR = 1e-3  # by which probabilities of half precision may miss their sum


@dataclass(frozen=True)
class Which:
    """The version that is asked: a number, a label, or neither."""

    version: int | None = None
    label: str | None = None

    @classmethod
    def of(cls, text: str) -> Which:
        """`3`, `stable`, or nothing.

        Raises:
            InvalidArgument: a number that no version can have.
        """
        if not text.isdecimal():
            return cls(None, text or None)
        if int(text) >= 2**63:
            raise InvalidArgument(f"Expected a version, a whole number below 2**63. Received: {text[:30]}")
        return cls(int(text), None)


def ask(
    client: Client, model: str, which: Which, signature: str, spec: SignatureSpec, inputs: Mapping[str, Any]
) -> Any:
    """An answer with its latency, or the server's words and the fields that do not fit the signature."""
    begin = time.monotonic()
    try:
        answer = client.predict(
            model, dict(inputs), version=which.version, label=which.label, signature=signature, timeout=TIMEOUT_S
        )
    except ModelportError as error:
        wrong = misfits(spec, inputs) or (list(spec.inputs) if len(spec.inputs) == 1 and error.code == 3 else [])
        return {"error": error.message, "code": error.code.name, "fields": wrong}
    took = (time.monotonic() - begin) * 1000
    return {"version": answer.version, "ms": round(took, 1), "outputs": outputs(answer)}


def misfits(spec: SignatureSpec, inputs: Mapping[str, Any]) -> list[str]:
    """The inputs whose shape is not the signature's."""
    wrong = []
    for name, value in inputs.items():
        shape = spec.inputs[name].shape
        have = np.shape(np.asarray(value, object) if isinstance(value, list) and _is_ragged(value) else value)
        if shape is not None and (
            len(have) != len(shape) or any(want not in (-1, size) for want, size in zip(shape, have, strict=True))
        ):
            wrong.append(name)
    return wrong


def outputs(answer: Prediction) -> list[dict[str, Any]]:
    """Each output with the rows that are shown, and the way that suits its values."""
    return [{"name": name, **_shown(np.asarray(array))} for name, array in sorted(answer.items())]


def _shown(array: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"shape": list(array.shape), "kind": _kind(array)}
    rows = array if array.ndim else array[None]
    most = max(
        1, min(_MOST_ROWS, (_MOST_PIXELS if found["kind"] == "picture" else _MOST_CELLS) // max(rows[:1].size, 1))
    )
    found["more"] = max(0, len(rows) - most)
    found["rows"] = [_plain(row) for row in rows[:most]]
    return found


def _kind(array: Any) -> str:
    """Bars for rows that are probabilities by their values, a picture for what has height, width, perhaps colours."""
    if array.dtype.kind in "fiub" and array.ndim in (3, 4) and array.size:
        height, width = array.shape[1:3]
        channels = array.shape[3] if array.ndim == 4 else 1
        if min(height, width) > 1 and channels in (1, 3) and height * width * channels <= _MOST_PIXELS:
            return "picture"
    if array.dtype.kind == "f" and array.ndim == 2 and array.shape[1] > 1 and len(array):
        values = array.astype(np.float64)
        if np.isfinite(values).all() and (values >= 0).all() and np.allclose(values.sum(1), 1, atol=_SUM_ERROR):
            return "bars"
    return "table"


def _plain(value: Any) -> Any:
    """JSON that a browser reads: bytes as text, numbers that JSON does not have as text."""
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    return value if isinstance(value, int | str | bool) else str(value)


def _is_ragged(value: list[Any]) -> bool:
    try:
        np.asarray(value)
    except ValueError:
        return True
    return False
