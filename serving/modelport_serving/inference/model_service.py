"""GetModelMetadata, GetModelStatus and HandleReloadConfigRequest: what is there, and what ought to be.

Checks and texts follow `get_model_metadata_impl.cc` and `get_model_status_impl.cc` of TensorFlow Serving.
"""

from __future__ import annotations

from modelport.errors import InvalidArgument, NotFound
from modelport.serverconfig import models_from_message
from modelport.wire import messages
from modelport_serving.core.servable_state import ServableId, VersionStatus
from modelport_serving.core.server_core import ServerCore
from modelport_serving.inference.run import spec_of
from modelport_serving.servables.servable import Servable


def metadata(
    core: ServerCore[Servable], request: messages.GetModelMetadataRequest
) -> messages.GetModelMetadataResponse:
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


def status(core: ServerCore[Servable], request: messages.GetModelStatusRequest) -> messages.GetModelStatusResponse:
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


def reload_config(core: ServerCore[Servable], request: messages.ReloadConfigRequest) -> messages.ReloadConfigResponse:
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
