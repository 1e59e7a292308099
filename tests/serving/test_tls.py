"""TLS and mutual TLS on both ports, from one SSLConfig."""

import json
import ssl
import urllib.error
import urllib.request

import grpc
import pytest

from modelport.errors import InvalidArgument
from modelport.serverconfig import SslConfig, format_ssl
from modelport.wire import messages
from modelport_serving import AUTO, Options, Server
from tests.support.certificates import authority

STATUS = "/tensorflow.serving.ModelService/GetModelStatus"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(params=[False, True], ids=["tls", "mutual"])
def secured(request, pki, tmp_path, add_version):
    add_version(tmp_path / "m", 1, "affine-2")
    config = SslConfig(
        (pki / "server.key").read_text(), (pki / "server.pem").read_text(), (pki / "ca.pem").read_text(), request.param
    )
    (tmp_path / "ssl.config").write_text(format_ssl(config))
    options = Options(
        model_name="m",
        model_base_path=str(tmp_path / "m"),
        port=AUTO,
        rest_api_port=AUTO,
        ssl_config_file=str(tmp_path / "ssl.config"),
    )
    with Server(options) as server:
        yield server, request.param


def ask_grpc(server, pki, *, as_client):
    pair = ((pki / "client.key").read_bytes(), (pki / "client.pem").read_bytes()) if as_client else (None, None)
    credentials = grpc.ssl_channel_credentials((pki / "ca.pem").read_bytes(), *pair)
    with grpc.secure_channel(server.grpc_address, credentials) as channel:
        request = messages.GetModelStatusRequest(model_spec=messages.ModelSpec(name="m"))
        answer = channel.unary_unary(STATUS)(request.SerializeToString(), timeout=10)
    return messages.GetModelStatusResponse.FromString(answer).model_version_status[0].version


def ask_rest(server, pki, *, as_client):
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    if as_client:
        context.load_cert_chain(pki / "client.pem", pki / "client.key")
    with urllib.request.urlopen(f"{server.rest_address}/v1/models/m", context=context, timeout=10) as answer:
        return int(json.loads(answer.read())["model_version_status"][0]["version"])


@pytest.mark.parametrize("ask", [ask_grpc, ask_rest])
def test_who_is_answered(secured, pki, ask):
    server, mutual = secured
    assert server.rest_address.startswith("https://")
    assert ask(server, pki, as_client=True) == 1
    if mutual:
        with pytest.raises((grpc.RpcError, urllib.error.URLError, ssl.SSLError, ConnectionError)):
            ask(server, pki, as_client=False)
    else:
        assert ask(server, pki, as_client=False) == 1


def test_plain_text_is_not_answered(secured):
    server, _ = secured
    with (
        grpc.insecure_channel(server.grpc_address) as channel,
        pytest.raises(grpc.RpcError),
    ):
        channel.unary_unary(STATUS)(b"", timeout=3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expected server_key and server_cert"),
        ('server_key: "a" server_cert: "b"', "Expected PEM texts"),
        ('server_key: "a" server_cert: "b" client_verify: true', "Expected custom_ca"),
        ("nonsense", "Invalid protobuf file"),
    ],
)
def test_a_configuration_that_cannot_serve(tmp_path, text, words):
    (tmp_path / "ssl.config").write_text(text)
    options = Options(model_name="m", model_base_path="/m", ssl_config_file=str(tmp_path / "ssl.config"))
    with pytest.raises(InvalidArgument, match=words):
        Server(options)
