"""The bodies of Classify and Regress answers, and of errors."""

from __future__ import annotations

import numpy as np

from modelport.errors import InvalidArgument
from modelport_serving.rest.json.layout import INDENT, inline, nested
from modelport_serving.rest.json.number_texts import float_texts
from modelport_serving.rest.json.strings import quoted
from modelport_serving.rest.json.tensor_values import Array


def encode_classifications(classes: Array | None, scores: Array | None) -> bytes:
    """Write `results`: for each example a list of [label, score].

    Args:
        classes: labels, an object array of bytes of shape (n, classes); None writes empty labels.
        scores: float32 of the same shape; None writes zeros.

    Raises:
        InvalidArgument: both are missing, or there are no examples.
    """
    shape = next((array.shape for array in (classes, scores) if array is not None), (0,))
    if not shape[0]:
        raise InvalidArgument("Cannot convert empty ClassificationResults to JSON")
    labels = np.full(shape, b"", object) if classes is None else classes
    values = np.zeros(shape, np.float32) if scores is None else scores
    texts = zip(labels.ravel().tolist(), float_texts(values.ravel().tolist()), strict=True)
    pairs = (b"[%b, %b]" % (quoted(label), score) for label, score in texts)
    out = [b'{\n    "results": ']
    nested(pairs, shape, inline, out)
    out[-1] = b"\n" + INDENT + b"]\n}"
    return b"".join(out)


def encode_regressions(values: Array) -> bytes:
    """Write `results`: a number for each example.

    Args:
        values: float32 of shape (n,) or (n, 1).

    Raises:
        InvalidArgument: there are no values.
    """
    if not values.size:
        raise InvalidArgument("Cannot convert empty RegressionResults to JSON")
    return b'{\n    "results": [' + b", ".join(float_texts(values.ravel().tolist())) + b"]\n}"


def encode_error(message: str) -> bytes:
    """Write the body of an error; lone surrogates of `dump` become the bytes that they stand for."""
    return b'{\n    "error": ' + quoted(message.encode("utf-8", "surrogateescape")) + b"\n}"
