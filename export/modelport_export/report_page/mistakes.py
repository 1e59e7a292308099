"""The worst answers to held-out rows, as pictures for images and as numbers for all else."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelport_export.signatures import Array

_MOST_PIXELS = 128  # of a side: larger ones are thinned out
_MOST_VALUES = 12  # of a row that is no picture


def render(mistakes: Sequence[Mapping[str, Any]], rows: Mapping[str, Array], labels: Sequence[str]) -> str:
    """Figures of the worst answers."""
    inputs = {name: array for name, array in rows.items() if name != "label" and not name.startswith("target_")}
    return "".join(
        f"<figure>{_row(inputs, one['row'])}<figcaption>{_words(one, labels)}</figcaption></figure>" for one in mistakes
    )


def _words(one: Mapping[str, Any], labels: Sequence[str]) -> str:
    if "off" in one:
        return f"row {one['row']}: off by {one['off']:.4g}"
    sure = f", {one['confidence']:.0%} sure" if one["confidence"] else ""
    return html.escape(f"row {one['row']}: is {_name(one['truth'], labels)}, told {_name(one['told'], labels)}{sure}")


def _name(number: int, labels: Sequence[str]) -> str:
    return labels[number] if number < len(labels) else str(number)


def _row(inputs: Mapping[str, Array], row: int) -> str:
    if len(inputs) == 1:
        [array] = inputs.values()
        picture = np.asarray(array[row])
        if picture.dtype == np.uint8 and picture.ndim in (2, 3) and (picture.ndim == 2 or picture.shape[2] in (1, 3)):
            data = base64.b64encode(_png(picture)).decode()
            return f'<img alt="row {row}" src="data:image/png;base64,{data}">'
    told = "; ".join(f"{name} {_values(array[row])}" for name, array in inputs.items())
    return f"<code>{html.escape(told)}</code>"


def _values(value: Any) -> str:
    flat = np.ravel(value)[:_MOST_VALUES].tolist()
    texts = [
        one.decode("utf-8", "replace")[:80]
        if isinstance(one, bytes)
        else one[:80]
        if isinstance(one, str)
        else f"{one:.4g}"
        for one in flat
    ]
    return ", ".join(texts) + (" …" if np.size(value) > _MOST_VALUES else "")


def _png(pixels: Array) -> bytes:
    """A PNG file of uint8 pixels, (height, width) or (height, width, 1 or 3)."""
    import tensorflow as tf  # where there is a report to be made, it is loaded

    step = max(1, -(-max(pixels.shape[:2]) // _MOST_PIXELS))
    return bytes(tf.io.encode_png(np.atleast_3d(pixels[::step, ::step]), compression=9).numpy())
