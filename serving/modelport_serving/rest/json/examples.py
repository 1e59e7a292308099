"""The body of a Classify or Regress request → serialized tf.Examples.

A feature's kind follows from its JSON values, not from the model: a number with a point or exponent makes a float
list, an integer or a bool an int64 list, a string or base64 object a bytes list. So `1.0`, never `1`, for a float.
"""

from __future__ import annotations

from typing import Any, Literal

from modelport.errors import InvalidArgument
from modelport.wire import messages
from modelport_serving.rest.json.document import Document
from modelport_serving.rest.json.dump import type_name, value_error
from modelport_serving.rest.json.strings import decode_base64, is_base64_object

_INT64_MAX = 2**63 - 1
_KIND_NAMES = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def decode_examples(document: Document, method: Literal["classify", "regress"]) -> list[bytes]:
    """Read the examples, each merged with the request's `context`.

    Args:
        document: the parsed body.
        method: the method asked for; the texts say classify for both, as the real server's do.

    Returns:
        One serialized tf.Example an example: the context's bytes and then its own, so that its own features win.

    Raises:
        InvalidArgument: no examples, or a value that no feature can hold.
    """
    members = document.plain()
    context = _example(members[b"context"]) if b"context" in members else b""
    if b"examples" not in members:
        raise value_error(members, "When method is classify, key 'examples' is expected and was not found")
    examples = members[b"examples"]
    if not isinstance(examples, list):
        raise value_error(members, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise value_error(members, "'examples' value is an empty array")
    return [context + _example(value) for value in examples]


def _example(value: Any) -> bytes:
    if not isinstance(value, dict):
        raise InvalidArgument(f"Example must be JSON object but got JSON {type_name(value)}")
    example = messages.Example()
    features = example.features.feature
    for key, content in value.items():
        name = key.decode("utf-8", "replace")  # protobuf holds feature names as text
        feature = features.get_or_create(name)
        for item in content if isinstance(content, list) else [content]:
            _add(feature, name, item)
    return example.SerializeToString()


def _add(feature: messages.Feature, name: str, item: Any) -> None:
    kind, value = _kind_of(name, item)
    if feature.WhichOneof("kind") not in (None, kind):
        expected = _KIND_NAMES[feature.WhichOneof("kind") or ""]
        raise InvalidArgument(f"Unexpected element type in feature: {name} expecting type: {expected}")
    getattr(feature, kind).value.append(value)


def _kind_of(name: str, item: Any) -> tuple[str, Any]:
    if isinstance(item, bytes):
        return "bytes_list", item
    if is_base64_object(item):
        return "bytes_list", decode_base64(item[b"b64"])
    if isinstance(item, float):
        return "float_list", item
    if not isinstance(item, int):
        raise InvalidArgument(f"Feature: {name} has element with unexpected JSON type: {type_name(item)}")
    if item > _INT64_MAX:
        raise InvalidArgument(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    return "int64_list", int(item)
