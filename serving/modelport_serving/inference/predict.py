"""Predict: a request's tensors held against a signature.

The order of checks and the texts are the real server's (`predict_impl.cc`, `predict_util.cc`), because clients match
on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from modelport import tensors
from modelport.errors import FailedPrecondition, Internal, InvalidArgument, ModelportError
from modelport.tensor_shapes import shape_and_size
from modelport.tensors import Apart
from modelport.wire import messages
from modelport_serving.inference.large_response import LargeResponse, is_large
from modelport_serving.inference.run import (
    CLASSIFY_METHOD,
    DEFAULT_SIGNATURE,
    PREDICT_METHOD,
    REGRESS_METHOD,
    Answer,
    Array,
    Rules,
    Run,
    fill_spec,
    planned,
    tensor_of,
)
from modelport_serving.servables.servable import Servable, Signature

# TensorFlow walks arrays of strings with an iterator of numpy's that has room for so many, and does not check.
_MAX_STRING_RANK = 32
NOTHING: Mapping[str, Apart] = {}
_LARGE_COUNT = 2**18  # elements that are filled in a millisecond

Response = messages.PredictResponse | LargeResponse


def plan_predict(
    servable: Servable, request: messages.PredictRequest, rules: Rules, apart: Mapping[str, Apart] = NOTHING
) -> Run[Response]:
    """Check a Predict request against a version.

    Args:
        servable: the version.
        request: the message.
        rules: the server's.
        apart: by alias, values of inputs that are not in the message; see `large_request`.

    Raises:
        FailedPrecondition: the signature does not exist.
        InvalidArgument: inputs or outputs do not fit it, or a tensor cannot be read.
        Internal: its method name is checked and is none of the API's.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise FailedPrecondition(f'Serving signature key "{name}" not found.')
    check_method_name(signature, rules)
    inputs = _inputs(signature, request.inputs, apart)
    check_ranks(inputs.values(), rules)
    aliases = _output_aliases(signature, request.output_filter)

    def finish(arrays: Sequence[Array]) -> Response:
        response = messages.PredictResponse()
        content = rules.tensor_content
        large: dict[str, Array] = {}
        for alias, array in zip(aliases, arrays, strict=True):
            if is_large(array):
                large[alias] = array
                continue
            tensors.encode_into(
                response.outputs.get_or_create(alias), array, typed=not content, strings_as_content=content
            )
        fill_spec(response.model_spec, servable.id, name)
        return LargeResponse(response, large, typed=not content) if large else response

    fetches = [tensor_of(signature, alias, signature.outputs[alias]) for alias in aliases]
    return planned(signature, inputs, fetches, finish)


def expands(request: messages.PredictRequest) -> bool:
    """Whether a few values stand for a large tensor, which takes its time to fill: the last one is repeated."""
    try:
        return any(shape_and_size(proto.tensor_shape)[1] > _LARGE_COUNT for proto in request.inputs.values())
    except ModelportError:  # told when the tensor is read
        return False


def plan_columns(
    servable: Servable, signature: Signature, inputs: Mapping[str, Array], rules: Rules
) -> Run[Answer[dict[str, Array]]]:
    """The run of arrays that were already checked against a signature, by alias; fetches all outputs.

    Raises:
        InvalidArgument: more dimensions than the rules allow.
    """
    check_method_name(signature, rules)
    check_ranks(inputs.values(), rules)
    fetches = [tensor_of(signature, alias, info) for alias, info in signature.outputs.items()]

    def finish(arrays: Sequence[Array]) -> Answer[dict[str, Array]]:
        return Answer(servable.id, signature.name, dict(zip(signature.outputs, arrays, strict=True)))

    return planned(signature, inputs, fetches, finish)


def check_ranks(arrays: Iterable[Array], rules: Rules) -> None:
    """Refuse tensors of more dimensions than the server was told to take, and strings that would end the process."""
    for array in arrays:
        if array.ndim > _MAX_STRING_RANK and array.dtype == object:
            raise InvalidArgument(f"Expected strings in at most {_MAX_STRING_RANK} dimensions. Received: {array.ndim}")
        if array.ndim > rules.max_rank:
            raise InvalidArgument(
                f"Expected tensors of at most {rules.max_rank} dimensions (--max_tensor_rank). Received: {array.ndim}"
            )


def check_method_name(signature: Signature, rules: Rules) -> None:
    """Refuse a signature that is not for inference, where the server was told to check."""
    known = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)
    if rules.check_method_name and signature.method_name not in known:
        raise Internal(
            f"Expected prediction signature method_name to be one of {{{', '.join(known)}}}. "
            f"Was: {signature.method_name}"
        )


def _inputs(
    signature: Signature, inputs: Mapping[str, messages.TensorProto], apart: Mapping[str, Apart]
) -> dict[str, Array]:
    """The arrays of a request and of the defaults, by alias."""
    expected = signature.inputs
    if len(inputs) > len(expected) or (len(inputs) < len(expected) and not signature.defaults):
        raise InvalidArgument(_size_mismatch(inputs, expected))
    arrays = {}
    used = 0
    for alias, info in expected.items():
        if alias in inputs:
            proto = inputs[alias]
            used += 1
        elif alias in signature.defaults:
            proto = signature.defaults[alias]
        else:
            raise InvalidArgument(
                f"Signature input alias: {alias}(feed name: {info.tensor}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {{{_listed(inputs)}}}, or default input alias set: "
                f"{_listed(signature.defaults)}"
            )
        try:
            arrays[alias] = tensors.decode(proto, apart.get(alias))
        except ModelportError as error:
            raise InvalidArgument(f"tensor parsing error: {alias}") from error
    if used != len(inputs):
        known = ",".join(sorted(alias for alias in inputs if alias in expected))
        raise InvalidArgument(
            f"Inputs contains invalid name. Used request inputs: {known}, request input: {_listed(inputs)}"
        )
    return arrays


def _output_aliases(signature: Signature, wanted: Sequence[str]) -> list[str]:
    if not wanted:
        return list(signature.outputs)
    seen: set[str] = set()
    for alias in wanted:
        if alias not in signature.outputs:
            raise InvalidArgument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{_listed(signature.outputs)}}}."
            )
        if alias in seen:
            raise InvalidArgument(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(wanted)


def _size_mismatch(inputs: Iterable[str], expected: Iterable[str]) -> str:
    sent, wanted = set(inputs), set(expected)
    return (
        f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{_listed(sent)}}}) != "
        f"len({{{_listed(wanted)}}}). Sent extra: {{{_listed(sent - wanted)}}}. Missing but required: "
        f"{{{_listed(wanted - sent)}}}."
    )


def _listed(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
