"""numpy ⇄ TensorProto, without a Python object for each number.

A TensorProto carries its values either as `tensor_content` (the array's bytes) or in a typed field (`float_val`, …).
Clients may send either; the real server answers with typed fields. In our descriptors (`wire/protos/tensor.proto`) the
packed typed fields are plain bytes, so fixed-width values pass through `numpy.frombuffer`, and varints through
`modelport.varint`.
"""

from modelport.tensors.decoding import MAX_BYTES, decode
from modelport.tensors.encoding import Array, as_array, encode, encode_apart, encode_into
from modelport.tensors.fields import WHOLE_NUMBERS, Apart

__all__ = [
    "MAX_BYTES",
    "WHOLE_NUMBERS",
    "Apart",
    "Array",
    "as_array",
    "decode",
    "encode",
    "encode_apart",
    "encode_into",
]
