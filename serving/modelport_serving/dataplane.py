"""The data plane: one function an RPC, speaking the API's own messages. gRPC and REST are shells around it.

The order of checks and the texts are the real server's (`predict_impl.cc`, `predict_util.cc`,
`get_model_metadata_impl.cc`, `get_model_status_impl.cc`), because clients match on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from modelport import tensors
from modelport.errors import FailedPrecondition, Internal, InvalidArgument, ModelportError, NotFound
from modelport.serverconfig import models_from_message
from modelport.wire import messages
from modelport_serving.core import ServerCore
from modelport_serving.servable import Servable, Signature
from modelport_serving.states import ServableId, VersionStatus

Array = np.ndarray[Any, np.dtype[Any]]
T = TypeVar("T")

PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD = (
    f"tensorflow/serving/{verb}" for verb in ("predict", "classify", "regress")
)
DEFAULT_SIGNATURE = "serving_default"
# TensorFlow walks arrays of strings with an iterator of numpy's that has room for so many, and does not check.
_MAX_STRING_RANK = 32


class _HasSpec(Protocol):
    @property
    def model_spec(self) -> messages.ModelSpec: ...

    def HasField(self, field_name: str) -> bool: ...  # noqa: N802  # protobuf's own name


def spec_of(request: _HasSpec) -> messages.ModelSpec:
    """The request's ModelSpec.

    Raises:
        InvalidArgument: it has none.
    """
    if not request.HasField("model_spec"):
        raise InvalidArgument("Missing ModelSpec")
    return request.model_spec


@dataclass(frozen=True)
class Run(Generic[T]):
    """A checked request: what to feed and what to fetch, by tensor names, and what to make of the result."""

    signature: str
    feeds: Mapping[str, Array]
    fetches: Sequence[str]
    finish: Callable[[Sequence[Array]], T]  # arrays in the order of `fetches` -> the answer
    joins: bool = False  # whether the signature says that rows are independent


@dataclass(frozen=True)
class Rules:
    """What the server's flags say about requests."""

    check_method_name: bool = False  # --enable_signature_method_name_check
    tensor_content: bool = False  # --enable_serialization_as_tensor_content
    max_rank: int = tensors.MAX_RANK  # --max_tensor_rank


def plan_predict(servable: Servable, request: messages.PredictRequest, rules: Rules) -> Run[messages.PredictResponse]:
    """Check a Predict request against a version.

    Raises:
        FailedPrecondition: the signature does not exist.
        InvalidArgument: inputs or outputs do not fit it, or a tensor cannot be read.
        Internal: its method name is checked and is none of the API's.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise FailedPrecondition(f'Serving signature key "{name}" not found.')
    check_predict_method(signature, rules)
    feeds = _feeds(signature, request.inputs)
    check_ranks(feeds.values(), rules)
    aliases = _output_aliases(signature, request.output_filter)

    def finish(arrays: Sequence[Array]) -> messages.PredictResponse:
        response = messages.PredictResponse()
        content = rules.tensor_content
        for alias, array in zip(aliases, arrays, strict=True):
            proto = tensors.encode(array, typed=not content, strings_as_content=content)
            response.outputs.get_or_create(alias).CopyFrom(proto)
        fill_spec(response.model_spec, servable, name)
        return response

    return Run(name, feeds, [signature.outputs[alias].tensor for alias in aliases], finish, signature.joins)


def plan_columns(signature: Signature, inputs: Mapping[str, Array], rules: Rules) -> Run[dict[str, Array]]:
    """The run of arrays that were already checked against a signature, by alias; fetches all outputs.

    Raises:
        InvalidArgument: more dimensions than the rules allow.
    """
    check_ranks(inputs.values(), rules)
    feeds = {signature.inputs[alias].tensor: array for alias, array in inputs.items()}
    fetches = [info.tensor for info in signature.outputs.values()]

    def finish(arrays: Sequence[Array]) -> dict[str, Array]:
        return dict(zip(signature.outputs, arrays, strict=True))

    return Run(signature.name, feeds, fetches, finish, signature.joins)


def check_ranks(arrays: Iterable[Array], rules: Rules) -> None:
    """Refuse tensors of more dimensions than the server was told to take, and strings that would end the process."""
    for array in arrays:
        if array.ndim > _MAX_STRING_RANK and array.dtype == object:
            raise InvalidArgument(f"Expected strings in at most {_MAX_STRING_RANK} dimensions. Received: {array.ndim}")
        if array.ndim > rules.max_rank:
            raise InvalidArgument(
                f"Expected tensors of at most {rules.max_rank} dimensions (--max_tensor_rank). Received: {array.ndim}"
            )


def check_predict_method(signature: Signature, rules: Rules) -> None:
    """Refuse a signature that is not for inference, where the server was told to check."""
    known = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)
    if rules.check_method_name and signature.method_name not in known:
        raise Internal(
            f"Expected prediction signature method_name to be one of {{{', '.join(known)}}}. "
            f"Was: {signature.method_name}"
        )


def fill_spec(spec: messages.ModelSpec, servable: Servable, signature: str) -> None:
    """Say in an answer who gave it."""
    spec.name, spec.signature_name = servable.id.name, signature
    spec.version.value = servable.id.version


def metadata(core: ServerCore, request: messages.GetModelMetadataRequest) -> messages.GetModelMetadataResponse:
    """GetModelMetadata: the signatures of a version.

    Raises:
        InvalidArgument: no spec, no field or an unknown one.
        NotFound: the version is not available.
    """
    spec = spec_of(request)
    if not request.metadata_field:
        raise InvalidArgument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise InvalidArgument(f"Metadata field {field} is not supported")
    with core.handle(spec) as servable:
        response = messages.GetModelMetadataResponse()
        response.model_spec.name = servable.id.name
        response.model_spec.version.value = servable.id.version
        signatures = messages.SignatureDefMap()
        for name, signature in servable.signatures.items():
            signatures.signature_def.get_or_create(name).CopyFrom(signature.proto)
        response.metadata.get_or_create("signature_def").Pack(signatures)
        return response


def status(core: ServerCore, request: messages.GetModelStatusRequest) -> messages.GetModelStatusResponse:
    """GetModelStatus: all versions ever managed, highest first, or the one that is asked for; labels are ignored.

    Raises:
        InvalidArgument: no spec.
        NotFound: the model or version was never managed.
    """
    spec = spec_of(request)
    if spec.WhichOneof("version_choice") == "version":
        version = spec.version.value
        found = core.board.status(ServableId(spec.name, version))
        if found is None:
            raise NotFound(f"Could not find version {version} of model {spec.name}")
        versions = {version: found}
    else:
        versions = core.board.versions(spec.name)
        if not versions:
            raise NotFound(f"Could not find any versions of model {spec.name}")
    response = messages.GetModelStatusResponse()
    for version, entry in versions.items():
        response.model_version_status.append(_version_status(version, entry))
    return response


def reload_config(core: ServerCore, request: messages.ReloadConfigRequest) -> messages.ReloadConfigResponse:
    """HandleReloadConfigRequest: replace the configuration; blocks until each new model has answered or failed.

    Raises:
        InvalidArgument: the request holds no list of models.
        ModelportError: see `ServerCore.reload`.
    """
    config = models_from_message(request.config)
    if config.models is None:
        raise InvalidArgument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported"
        )
    core.reload(config)
    return messages.ReloadConfigResponse(status=messages.StatusProto(error_code=messages.OK))


def _version_status(version: int, entry: VersionStatus) -> messages.ModelVersionStatus:
    return messages.ModelVersionStatus(
        version=version,
        state=entry.state,
        status=messages.StatusProto(error_code=entry.code, error_message=entry.message),
    )


def _feeds(signature: Signature, inputs: Mapping[str, messages.TensorProto]) -> dict[str, Array]:
    expected = signature.inputs
    if len(inputs) > len(expected) or (len(inputs) < len(expected) and not signature.defaults):
        raise InvalidArgument(_size_mismatch(inputs, expected))
    feeds = {}
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
                f"provided. Inputs expected to be in the request {{{_joined(inputs)}}}, or default input alias set: "
                f"{_joined(signature.defaults)}"
            )
        try:
            feeds[info.tensor] = tensors.decode(proto)
        except ModelportError as error:
            raise InvalidArgument(f"tensor parsing error: {alias}") from error
    if used != len(inputs):
        known = ",".join(sorted(alias for alias in inputs if alias in expected))
        raise InvalidArgument(
            f"Inputs contains invalid name. Used request inputs: {known}, request input: {_joined(inputs)}"
        )
    return feeds


def _output_aliases(signature: Signature, wanted: Sequence[str]) -> list[str]:
    if not wanted:
        return list(signature.outputs)
    seen: set[str] = set()
    for alias in wanted:
        if alias not in signature.outputs:
            raise InvalidArgument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{_joined(signature.outputs)}}}."
            )
        if alias in seen:
            raise InvalidArgument(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(wanted)


def _size_mismatch(inputs: Iterable[str], expected: Iterable[str]) -> str:
    sent, wanted = set(inputs), set(expected)
    return (
        f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{_joined(sent)}}}) != "
        f"len({{{_joined(wanted)}}}). Sent extra: {{{_joined(sent - wanted)}}}. Missing but required: "
        f"{{{_joined(wanted - sent)}}}."
    )


def _joined(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
