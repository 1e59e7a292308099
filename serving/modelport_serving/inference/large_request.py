"""A PredictRequest of many numbers, read without protobuf, which copies them twice.

Protobuf holds the interpreter while it copies. Here the bytes of large values stay where they came, and only what is
left of the message is parsed. Whatever is unusual (an input that is named twice, values in two fields, malformed bytes)
is left to protobuf as a whole. Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from modelport import tensors, varint
from modelport.tensors import Apart
from modelport.wire import messages
from modelport_serving.inference.off_loop import LARGE_BYTES
from modelport_serving.servables.plain_memory import joined

_INPUTS = messages.PredictRequest.DESCRIPTOR.fields_by_name["inputs"].number
_KEY, _VALUE = 1, 2  # of an entry of a map
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5  # wire types
_MOST_FIELDS = 1000  # of one message: looked at in a millisecond; a usual request has a few
_LONGEST_VARINT = 10  # bytes


class Request(NamedTuple):
    """A request: the message, and by alias the values that are not in it."""

    message: messages.PredictRequest
    apart: dict[str, Apart]


class _Unusual(Exception):
    """Not for us."""


class _Field(NamedTuple):
    number: int
    wire_type: int
    content: memoryview
    whole: memoryview  # with the tag


def parse(data: bytes) -> Request:
    """Parse a message.

    Raises:
        google.protobuf.message.DecodeError: malformed.
    """
    if len(data) > LARGE_BYTES:
        try:
            return _cut(memoryview(data))
        except (_Unusual, UnicodeDecodeError):
            pass
    return Request(messages.PredictRequest.FromString(data), {})


def _cut(data: memoryview) -> Request:
    kept: list[bytes] = []
    aliases: set[str] = set()
    apart: dict[str, Apart] = {}
    for field in _fields(data):
        if field.number != _INPUTS or field.wire_type != _LENGTH_DELIMITED:
            kept.append(bytes(field.whole))
            continue
        alias, entry, value = _entry(field)
        if alias in aliases:
            raise _Unusual
        aliases.add(alias)
        kept.append(entry)
        if value is not None:
            apart[alias] = value
    return Request(messages.PredictRequest.FromString(joined([*kept])), apart)


def _entry(field: _Field) -> tuple[str, bytes, Apart | None]:
    """The alias of an entry of `inputs`, the entry without its large value, and that."""
    fields = {part.number: part for part in _fields(field.content)}
    key, value = fields.get(_KEY), fields.get(_VALUE)
    if len(fields) != 2 or key is None or value is None:
        raise _Unusual
    if len(key.whole) + len(value.whole) != len(field.content):  # one of them came twice
        raise _Unusual
    alias = str(key.content, "utf-8")
    if len(value.content) <= LARGE_BYTES:
        return alias, bytes(field.whole), None
    kept, large = [], []
    for part in _fields(value.content):
        if part.number in tensors.WHOLE_NUMBERS and part.wire_type == _LENGTH_DELIMITED:
            large.append(part)
        else:
            kept.append(bytes(part.whole))
    if len(large) > 1:
        raise _Unusual
    entry = _message(_INPUTS, bytes(key.whole) + _message(_VALUE, b"".join(kept)))
    return alias, entry, Apart(large[0].number, large[0].content) if large else None


def _message(number: int, content: bytes) -> bytes:
    return b"".join([varint.encode_one(number << 3 | _LENGTH_DELIMITED), varint.encode_one(len(content)), content])


def _fields(message: memoryview) -> Iterator[_Field]:
    at = 0
    for _ in range(_MOST_FIELDS):
        if at == len(message):
            return
        begin = at
        tag, at = _varint(message, at)
        wire_type = tag & 7
        if wire_type == _LENGTH_DELIMITED:
            size, at = _varint(message, at)
        elif wire_type == _VARINT:
            size = _varint(message, at)[1] - at
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
        else:
            raise _Unusual
        if at + size > len(message):
            raise _Unusual
        yield _Field(tag >> 3, wire_type, message[at : at + size], message[begin : at + size])
        at += size
    raise _Unusual


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for place, byte in enumerate(message[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise _Unusual
