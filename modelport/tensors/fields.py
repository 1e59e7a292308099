"""The fields of a TensorProto that carry values."""

from __future__ import annotations

from typing import NamedTuple

from modelport import dtypes
from modelport.dtypes import Layout
from modelport.wire import messages

FIELD_NUMBERS = {field.name: field.number for field in messages.TensorProto.DESCRIPTOR.fields}
CONTENT_NUMBER = FIELD_NUMBERS["tensor_content"]
_NUMERIC = [row for row in dtypes.BY_NUMBER.values() if row.layout is not Layout.STRING]
# Of fields with the values of a whole tensor in one piece.
WHOLE_NUMBERS = frozenset({CONTENT_NUMBER, *(FIELD_NUMBERS[row.field] for row in _NUMERIC)})


class Apart(NamedTuple):
    """Values that are kept beside their message.

    Attributes:
        number: of the field that they belong to, one of `WHOLE_NUMBERS`.
        value: its bytes.
    """

    number: int
    value: memoryview
