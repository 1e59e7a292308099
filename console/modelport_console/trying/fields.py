"""The form of a signature: a field for each input, with the ways in which it can be filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelport.dtypes import Layout
from modelport_client import SignatureSpec, TensorSpec

IMAGE_SIGNATURE = "serve_image_bytes"  # of the exporter: its one input takes encoded images
_MOST_DRAWN = 512  # pixels of a side that a person can be asked to draw into
_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Field:
    """One input of a form.

    Args:
        name: of the input.
        spec: its dtype and shape, in words.
        kind: text, number or array: what is typed.
        ways: of filling it, the first one being shown: type, file, draw.
        height: of a drawing, in pixels.
        width: of a drawing.
        channels: of a drawing; 0 for pixels without a dimension of their own.
        encoded: a drawing is sent as a PNG file.
        is_whole: its values are whole numbers, so a pixel is 0 to 255.
        example: what could stand there.
    """

    name: str
    spec: str
    kind: str
    ways: tuple[str, ...]
    height: int = 0
    width: int = 0
    channels: int = 0
    encoded: bool = False
    is_whole: bool = False
    example: str = ""


def form(name: str, signature: SignatureSpec, others: dict[str, SignatureSpec]) -> list[Field]:
    """The fields of a signature; the size of an image that is sent as a file is that of the pixels' signature."""
    if name == IMAGE_SIGNATURE and len(signature.inputs) == 1:
        [(alias, spec)] = signature.inputs.items()
        sizes = [one for other in others.values() for one in other.inputs.values() if _picture(one)]
        height, width, channels = _picture(sizes[0]) or (28, 28, 0) if sizes else (28, 28, 0)
        return [Field(alias, str(spec), "text", ("draw", "file"), height, width, channels, encoded=True)]
    is_image = IMAGE_SIGNATURE in others  # the exporter knows that its pixels are a picture
    return [_field(alias, spec, first_draw=is_image) for alias, spec in sorted(signature.inputs.items())]


def _field(name: str, spec: TensorSpec, *, first_draw: bool) -> Field:
    if spec.dtype is not None and spec.dtype.layout is Layout.STRING:
        return Field(name, str(spec), "text", ("type", "file"), example=_example(spec, '"text"'))
    is_whole = spec.dtype is not None and "int" in spec.dtype.numpy_name
    kind = "number" if spec.shape in ((), (-1,), (1,)) else "array"
    example = _example(spec, "true" if spec.dtype is not None and spec.dtype.name == "bool" else "0")
    picture = _picture(spec)
    if picture is None:
        return Field(name, str(spec), kind, ("type", "file"), is_whole=is_whole, example=example)
    ways = ("draw", "type", "file") if first_draw else ("type", "draw", "file")
    return Field(name, str(spec), kind, ways, *picture, is_whole=is_whole, example=example)


def _picture(spec: TensorSpec) -> tuple[int, int, int] | None:
    """Height, width and channels of what can be drawn; that it is a picture nobody says, so it is one way of more."""
    shape = spec.shape
    if shape is None or spec.dtype is None or spec.dtype.layout is Layout.STRING or len(shape) not in (3, 4):
        return None
    height, width = shape[1:3]
    fits = 1 < height <= _MOST_DRAWN and 1 < width <= _MOST_DRAWN
    channels = shape[3] if len(shape) == 4 else 0
    return (height, width, channels) if fits and (len(shape) == 3 or channels in _CHANNELS) else None


def _example(spec: TensorSpec, leaf: str) -> str:
    """A value of the shape, with one row; short, so of long rows the beginning."""
    made = leaf
    for size in reversed(spec.shape or ()):
        count = 1 if size < 0 else size
        made = "[" + ", ".join([made] * min(count, 3)) + (", …" if count > 3 else "") + "]"
    return made if len(made) < 80 else ""


def first(signatures: Mapping[str, SignatureSpec]) -> str:
    """The signature that is shown first: that of files where there is one, for people have pictures, not pixels."""
    for name in (IMAGE_SIGNATURE, "serving_default"):
        if name in signatures:
            return name
    return min(signatures, default="")
