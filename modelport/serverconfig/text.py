"""Texts ⇄ messages, by protobuf's text format, and the files that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from modelport.errors import InvalidArgument, NotFound
from modelport.regular_files import read_text
from modelport.wire import messages

MOST_BYTES = 16 * 2**20  # of a configuration file: some 50,000 models at 300 bytes each

_M = TypeVar("_M", bound=Message)


def read(path: Path | str) -> str:
    """The text of a configuration file, without a byte-order mark; line ends are left as they are.

    Raises:
        NotFound, PermissionDenied: it is not there or cannot be read.
        FailedPrecondition: it is no regular file, or larger than MOST_BYTES.
        InvalidArgument: it is no UTF-8 text.
    """
    try:
        return read_text(Path(path), MOST_BYTES, "read the configuration")
    except NotFound as error:
        raise NotFound(f"{path}; No such file or directory") from error  # the real server's words


def parse(text: str, kind: type[_M], source: str) -> _M:
    """Read a message; `source` names the text in errors.

    Raises:
        InvalidArgument: the text is no such message; line and column are named.
    """
    try:
        return text_format.Parse(text, kind(), descriptor_pool=messages.POOL)
    except text_format.ParseError as error:
        raise InvalidArgument(
            f"Invalid protobuf file: {source}: expected a text proto of type {kind.DESCRIPTOR.full_name}; at "
            f"line:column {error}."
        ) from error
    except RecursionError as error:
        raise InvalidArgument(f"Invalid protobuf file: {source}: it is nested too deeply.") from error


def format_message(message: Message, *, one_line: bool = False) -> str:
    """Write a message: a field a line, or all on one."""
    text: str = text_format.MessageToString(
        message, as_utf8=True, as_one_line=one_line, descriptor_pool=messages.POOL, print_unknown_fields=False
    )
    return text
