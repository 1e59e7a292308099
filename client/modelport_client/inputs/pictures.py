"""Images: PIL's, as encoded files or as pixels, and folders of files. Who has images of PIL has imported it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from modelport.errors import InvalidArgument, from_os_error
from modelport_client.prediction import Array

# The formats that TensorFlow's decode_image knows.
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM")
# Channels of an input -> PIL's mode for it, and the modes that become it without a loss.
_MODES = {
    1: ("L", {"1", "L"}),
    3: ("RGB", {"1", "L", "P", "RGB"}),
    4: ("RGBA", {"1", "L", "P", "RGB", "RGBA", "LA", "PA"}),
}


def is_picture(value: Any) -> bool:
    """Whether it is an image of PIL."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def encoded(picture: Any) -> bytes:
    """The image as a PNG, which loses nothing.

    Raises:
        InvalidArgument: PNG has no such mode, or the image's file is cut off.
    """
    buffer = io.BytesIO()
    try:
        picture.save(buffer, "PNG")
    except OSError as error:
        raise InvalidArgument(
            f"Expected an image that can be read and that PNG can carry. Received the mode {picture.mode}: {error}"
        ) from error
    return buffer.getvalue()


def pixels(picture: Any, shape: tuple[int, ...] | None, name: str) -> Array:
    """The image as uint8 of a row of an input: (height, width, channels), or (height, width).

    Args:
        picture: of PIL.
        shape: of the input, with the rows first.
        name: of the input.

    Raises:
        InvalidArgument: the input is none for images, or for others; images are not resized, for that changes answers.
    """
    if shape is None or len(shape) not in (3, 4):
        raise InvalidArgument(
            f"Expected an input of images, [?, height, width, channels], for one. {name!r} is {shape}"
        )
    channels = shape[3] if len(shape) == 4 else 1
    mode, fitting = _MODES.get(channels, (picture.mode, {"L", "RGB", "RGBA"}))
    if picture.mode not in fitting or (
        picture.mode in ("P", "PA") and "transparency" in picture.info and channels != 4
    ):
        raise InvalidArgument(
            f"Input {name!r}: expected an image that becomes {_words(channels)} without a loss. Received the mode "
            f"{picture.mode}; say how with its convert()."
        )
    try:
        array = np.asarray(picture.convert(mode))
    except OSError as error:
        raise InvalidArgument(f"Input {name!r}: expected an image that can be read. Received: {error}") from error
    if len(shape) == 4 and array.ndim == 2:
        array = array[..., np.newaxis]
    if any(want not in (-1, have) for want, have in zip(shape[1:], array.shape, strict=True)):
        raise InvalidArgument(
            f"Input {name!r}: expected an image of {list(shape[1:])}. Received one of {list(array.shape)}; resize() it "
            "as in training."
        )
    return array


def _words(channels: int) -> str:
    return "pixels" if channels < 0 else f"{channels} channels"


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        NotFound, PermissionDenied: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise from_os_error(error, "read the image", path) from error


def read_image(path: Path) -> bytes:
    """The bytes of a file that is an image.

    Raises:
        InvalidArgument: it begins as none.
        NotFound, PermissionDenied: it cannot be read.
    """
    content = read(path)
    if not content.startswith(_BEGINNINGS):
        raise InvalidArgument(
            f"Expected an image file (PNG, JPEG, GIF or BMP). Received: {str(path)!r}, which begins with "
            f"{content[:8]!r}."
        )
    return content


def files_of(folder: Path) -> list[Path]:
    """The files of a folder by their names, without hidden ones.

    Raises:
        InvalidArgument: it has folders in it, or no files.
        NotFound, PermissionDenied: it cannot be read.
    """
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise from_os_error(error, "read the folder", folder) from error
    inner = [path.name for path in found if path.is_dir()]
    if inner or not found:
        received = f"the folders {inner[:3]} in it" if inner else "none"
        raise InvalidArgument(f"Expected a folder with image files at {str(folder)!r}. Received: {received}")
    return found
