"""GetModelStatus and GetModelMetadata answers as the real server prints them: protobuf's JSON, one space a level.

Field names are those of the proto, defaults are printed, 64 bit integers are strings, enums are names. In our
descriptors the packed fields of a TensorProto are bytes (`modelport.tensors` says why), so the tensors among a
signature's defaults are printed here field by field.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import Message

from modelport import varint
from modelport.wire import messages
from modelport_serving.rest.json import number_texts


def encode_status(response: messages.GetModelStatusResponse) -> bytes:
    """Write the body of a status answer."""
    return _printed(_fields(response)) + b"\n"


def encode_metadata(response: messages.GetModelMetadataResponse) -> bytes:
    """Write the body of a metadata answer, the signatures unpacked from their `Any`."""
    signatures = messages.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    printed = _fields(signatures)
    for name, signature in signatures.signature_def.items():
        for alias, proto in signature.defaults.items():
            printed["signature_def"][name]["defaults"][alias] = _tensor_fields(proto)
    spec = _printed(_fields(response.model_spec))
    return b'{\n"model_spec":%b\n,\n"metadata": {"signature_def": %b\n}\n}\n' % (spec, _printed(printed))


def _fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return fields


def _printed(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _tensor_fields(proto: messages.TensorProto) -> dict[str, Any]:
    """The official JSON of a TensorProto, in the order of its field numbers."""
    fixed = {name: np.frombuffer(b"".join(getattr(proto, name)), dtype) for name, dtype in _FIXED.items()}
    printed: dict[str, Any] = {
        "dtype": _fields(messages.TensorProto(dtype=proto.dtype))["dtype"],
        "tensor_shape": _fields(proto.tensor_shape),
        "version_number": proto.version_number,
        "tensor_content": _base64(proto.tensor_content),
    }
    for name in _ORDER:
        if name in fixed:
            printed[name] = [_number(value, fixed[name].itemsize) for value in fixed[name].tolist()]
        elif name in _VARINTS:
            values = varint.decode(b"".join(getattr(proto, name)))
            printed[name] = [_VARINTS[name](value) for value in values.tolist()]
        else:
            printed[name] = [_base64(string) for string in proto.string_val] if name == "string_val" else []
    printed["float8_val"] = _base64(proto.float8_val)
    return printed


def _number(value: float, itemsize: int) -> Any:
    """A float of proto JSON: shortest digits, whole numbers without a point, non-finite ones as strings."""
    if not isfinite(value):
        return number_texts.double_texts([value])[0].decode()
    if value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value if itemsize == 8 else float(str(np.float32(value)))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_FIXED = {"float_val": "<f4", "double_val": "<f8", "scomplex_val": "<f4", "dcomplex_val": "<f8"}
_VARINTS: dict[str, Callable[[int], Any]] = {
    "int_val": int,
    "int64_val": str,
    "bool_val": bool,
    "half_val": int,
    "uint32_val": int,
    "uint64_val": lambda value: str(value % 2**64),
}
_ORDER = (
    "float_val",
    "double_val",
    "int_val",
    "string_val",
    "scomplex_val",
    "int64_val",
    "bool_val",
    "dcomplex_val",
    "half_val",
    "resource_handle_val",
    "variant_val",
    "uint32_val",
    "uint64_val",
)
