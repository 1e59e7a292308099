"""GetModelMetadata, GetModelStatus and HandleReloadConfigRequest, with the real server's texts."""

import pytest

from modelport.errors import InvalidArgument, NotFound
from modelport.wire import messages
from modelport_serving import AUTO, Options, Server
from modelport_serving.inference.model_service import metadata, reload_config, status
from tests.support.waiting import eventually


def spec(name, version=None):
    made = messages.ModelSpec(name=name)
    if version is not None:
        made.version.value = version
    return made


def asked_metadata(*fields, **named):
    return messages.GetModelMetadataRequest(metadata_field=fields or ("signature_def",), **named)


def test_the_signatures_of_a_version(server):
    response = metadata(server.core, asked_metadata(model_spec=spec("affine")))
    assert (response.model_spec.name, response.model_spec.version.value) == ("affine", 1)
    signatures = messages.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "named", "text"} <= set(signatures.signature_def)
    assert signatures.signature_def["named"].inputs["a"].dtype == 1


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        (asked_metadata(), InvalidArgument, "Missing ModelSpec"),
        (messages.GetModelMetadataRequest(model_spec=spec("affine")), InvalidArgument, "at least one metadata_field"),
        (asked_metadata("other", model_spec=spec("affine")), InvalidArgument, "Metadata field other is not supported"),
        (asked_metadata(model_spec=spec("nobody")), NotFound, r"Servable not found for request: Latest\(nobody\)"),
        (asked_metadata(model_spec=spec("affine", 9)), NotFound, r"Specific\(affine, 9\)"),
    ],
)
def test_metadata_that_cannot_be_had(server, request_, kind, words):
    with pytest.raises(kind, match=words):
        metadata(server.core, request_)


def test_the_states_of_a_model(server):
    response = status(server.core, messages.GetModelStatusRequest(model_spec=spec("affine")))
    (version,) = response.model_version_status
    assert (version.version, version.state, version.status.error_code) == (1, 30, 0)
    asked = spec("affine", 1)
    assert status(server.core, messages.GetModelStatusRequest(model_spec=asked)) == response
    labelled = messages.ModelSpec(name="affine", version_label="nobody")
    assert status(server.core, messages.GetModelStatusRequest(model_spec=labelled)) == response, "labels are ignored"


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({}, InvalidArgument, "Missing ModelSpec"),
        ({"model_spec": spec("nobody")}, NotFound, "Could not find any versions of model nobody"),
        ({"model_spec": spec("affine", 9)}, NotFound, "Could not find version 9 of model affine"),
        ({"model_spec": messages.ModelSpec()}, NotFound, "Could not find any versions of model $"),
    ],
)
def test_states_that_cannot_be_had(server, fields, kind, words):
    with pytest.raises(kind, match=words):
        status(server.core, messages.GetModelStatusRequest(**fields))


def test_a_failed_version_says_why(tmp_path, add_version):
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    options = Options(model_name="m", model_base_path=str(base), port=AUTO, max_num_load_retries=0)
    with Server(options) as server:
        (base / "2").mkdir()

        def states():
            found = status(server.core, messages.GetModelStatusRequest(model_spec=spec("m")))
            return {v.version: (v.state, v.status.error_code) for v in found.model_version_status}

        eventually(lambda: states() == {2: (50, 5), 1: (30, 0)})
        broken = status(server.core, messages.GetModelStatusRequest(model_spec=spec("m", 2))).model_version_status[0]
        assert "does not appear to contain a SavedModel" in broken.status.error_message


def reload_request(*models):
    request = messages.ReloadConfigRequest()
    listed = request.config.model_config_list
    listed.SetInParent()
    for name, base in models:
        listed.config.add(name=name, base_path=str(base), model_platform="tensorflow")
    return request


def test_a_reload(tmp_path, add_version):
    first, second = (add_version(tmp_path / name, 1, "affine-2").parent for name in ("a", "b"))
    options = Options(model_name="a", model_base_path=str(first), port=AUTO, max_num_load_retries=0)
    with Server(options) as server:
        response = reload_config(server.core, reload_request(("a", first), ("b", second)))
        assert response.status.error_code == 0
        assert server.core.manager.available("b") == [1]
        with pytest.raises(InvalidArgument, match="type not supported by HandleReloadConfigRequest"):
            reload_config(server.core, messages.ReloadConfigRequest())
        with pytest.raises(InvalidArgument, match="absolute path"):
            reload_config(server.core, reload_request(("a", "relative")))
