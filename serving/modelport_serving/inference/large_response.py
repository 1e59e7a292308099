"""A PredictResponse of many numbers, written without protobuf, which copies them twice.

Protobuf holds the interpreter while it copies: a fifth of a second for 100 MB. Here each value is copied once, and
other threads run meanwhile. The result is the same message: protobuf's encoding says that the parts of an embedded
message may be written one after the other, in any order. Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelport import dtypes, tensors, varint
from modelport.dtypes import Layout
from modelport.wire import messages
from modelport_serving.inference.off_loop import LARGE_BYTES
from modelport_serving.servables.plain_memory import Piece, joined

Array = np.ndarray[Any, np.dtype[Any]]

_OUTPUTS = messages.PredictResponse.DESCRIPTOR.fields_by_name["outputs"].number
_KEY, _VALUE = 1, 2  # of an entry of a map
_LENGTH_DELIMITED = 2  # wire type


def is_large(array: Array) -> bool:
    """Whether an output is worth it: numbers of more than a MiB."""
    return array.nbytes > LARGE_BYTES and dtypes.of_array(array).layout is not Layout.STRING


class LargeResponse:
    """The response as it is sent.

    Args:
        response: the message with its small outputs; has no large ones.
        outputs: alias → array; see `is_large`.
        typed: as for `tensors.encode`.
    """

    def __init__(self, response: messages.PredictResponse, outputs: Mapping[str, Array], *, typed: bool) -> None:
        self._response = response
        self._outputs = outputs
        self._typed = typed

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's own name
        """The message's bytes."""
        pieces: list[Piece] = [self._response.SerializeToString()]
        for alias, array in self._outputs.items():
            proto = messages.TensorProto()
            number, values = tensors.encode_apart(proto, array, typed=self._typed)
            tensor = [proto.SerializeToString(), *_field(number, values)]
            entry = [*_field(_KEY, [alias.encode()]), *_field(_VALUE, tensor)]
            pieces += _field(_OUTPUTS, entry)
        return joined(pieces)


def _field(number: int, content: Sequence[Piece]) -> list[Piece]:
    tag, size = number << 3 | _LENGTH_DELIMITED, sum(map(len, content))
    return [varint.encode_one(tag), varint.encode_one(size), *content]
