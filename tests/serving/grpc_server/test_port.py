"""One gRPC port, two implementations: which one is taken, TLS, and what a port does with handlers that go wrong."""

import asyncio
import subprocess
import sys

import grpc
import pytest

from modelport.errors import Code, InvalidArgument
from modelport.serverconfig import SslConfig, format_ssl
from modelport_serving.grpc_server.aio import AioPort
from modelport_serving.grpc_server.core_port import CorePort
from modelport_serving.grpc_server.port import open_port
from tests.support.certificates import self_signed
from tests.support.grpc_calls import PREDICT, numbers, predict

pytestmark = pytest.mark.slow  # waits for deadlines


def opened(implementation, arguments="", say=lambda line: None):
    async def make():
        return open_port(implementation, {}, arguments, say)

    return asyncio.run(make())


def test_the_known_core_is_taken_by_itself():
    lines = []
    assert isinstance(opened("auto", say=lines.append), CorePort)
    assert isinstance(opened("completion_queue"), CorePort)
    assert isinstance(opened("aio"), AioPort)
    assert lines == []


@pytest.mark.parametrize("arguments", ["a", "a=1,b", "=,x"])
def test_arguments_of_another_form(arguments):
    with pytest.raises(InvalidArgument, match="Expected --grpc_channel_arguments as k=v,k=v"):
        opened("auto", arguments)


# What another core might lack, and what a server then is to do; run where nothing of gRPC was imported before.
OTHER_CORE = """
import sys
from grpc._cython import cygrpc
{lack}
from modelport.errors import ModelportError
from modelport_serving import AUTO, Options, Server
lines = []
server = Server(Options(model_name="m", model_base_path={base!r}, port=AUTO, grpc_implementation={implementation!r}),
                warn=lines.append)
try:
    server.start()
except ModelportError as error:
    print("REFUSED", error.code.name, error.message)
    sys.exit()
print([line for line in lines if "grpc" in line][0])
print("AT", server.grpc_address, flush=True)
sys.stdin.readline()
server.stop()
"""
LACKS = {
    "no queue": "del cygrpc.CompletionQueue",
    "no operation": "del cygrpc.ReceiveMessageOperation",
    "other signature": "cygrpc.CompletionQueue = lambda poller: None",
}


def other_core(base, lack, implementation):
    code = OTHER_CORE.format(lack=LACKS[lack], base=str(base), implementation=implementation)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], **pipes)


@pytest.fixture
def base(tmp_path, add_version):
    return add_version(tmp_path / "m", 1, "affine-2").parent


@pytest.mark.parametrize("lack", ["no queue", "no operation", "other signature"])
def test_another_core_is_served_through_what_is_public(base, lack):
    with other_core(base, lack, "auto") as process:
        said = process.stdout.readline()
        assert said.startswith("gRPC is served through grpc.aio, which takes fewer requests a second: "), (
            said + process.stderr.read()
        )
        assert f"Received: {grpc.__version__} (" in said
        address = process.stdout.readline().removeprefix("AT ").strip()
        with grpc.insecure_channel(address) as channel:
            assert numbers(channel.unary_unary(PREDICT)(predict("m", x=[2.0]), timeout=20)) == {"y": [3.0]}
        process.communicate("\n", timeout=60)
        assert process.returncode == 0


@pytest.mark.parametrize("lack", ["no queue", "no operation"])
def test_the_completion_queue_is_refused_on_another_core(base, lack):
    with other_core(base, lack, "completion_queue") as process:
        out, error = process.communicate("\n", timeout=60)
        assert out.startswith("REFUSED FAILED_PRECONDITION Expected a grpcio whose core this server knows. "), error


def test_the_flag(base, serve):
    server = serve("--model_name=m", f"--model_base_path={base}", "--port=auto", "--grpc_implementation=aio")
    with grpc.insecure_channel(server.address("gRPC")) as channel:
        assert numbers(channel.unary_unary(PREDICT)(predict("m", x=[2.0]), timeout=20)) == {"y": [3.0]}
    assert server.end() == 0


def test_tls(start, tmp_path):
    key, certificate = self_signed(tmp_path)
    (tmp_path / "ssl").write_text(format_ssl(SslConfig(key.read_text(), certificate.read_text(), "", False)))
    server = start("affine-2", ssl_config_file=str(tmp_path / "ssl"))
    credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
    with grpc.secure_channel(server.grpc_address, credentials) as channel:
        assert numbers(channel.unary_unary(PREDICT)(predict("affine-2", x=[2.0]), timeout=20)) == {"y": [3.0]}
    with grpc.insecure_channel(server.grpc_address) as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary(PREDICT)(predict("affine-2", x=[2.0]), timeout=3)


class Handlers:
    """Handlers of a test's own, which do what none of ours should."""

    def __init__(self):
        self.arrived, self.cancelled = asyncio.Event(), asyncio.Event()

    async def fails(self, call):
        raise ValueError("odd")

    async def answers(self, call):
        sent = call.data + str(call.seconds_left() is None).encode() + str(dict(call.metadata).get("k")).encode()
        call.answer(Code.OK, "", sent, (("trailing", call.peer.partition(":")[0]),))

    async def refuses(self, call):
        call.answer(Code.DATA_LOSS, "gone: é", b"not sent", (("trailing", "t"),))

    async def waits(self, call):
        self.arrived.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def play(implementation, scene):
    """Run a scene with a port of `Handlers`, and a client on the same event loop."""

    async def run():
        handlers = Handlers()
        names = ("fails", "answers", "refuses", "waits")
        port = open_port(implementation, {f"/s/{name}": getattr(handlers, name) for name in names}, "", print)
        number = port.listen("127.0.0.1:0", None)
        await port.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{number}") as channel:
            await scene(handlers, channel)
        await port.stop(0.1)

    asyncio.run(run())


def test_a_handler_that_fails_is_answered_for_and_logged(implementation, caplog):
    async def scene(_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/s/fails")(b"", timeout=20)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INTERNAL, "Internal error.")

    play(implementation, scene)
    assert any(record.name == "modelport.serving" and "/s/fails" in record.message for record in caplog.records)


def test_what_a_call_brings_and_takes_back(implementation):
    async def scene(_, channel):
        call = channel.unary_unary("/s/answers")(b"sent ", metadata=(("k", "v"),))
        assert await call == b"sent Truev"
        assert dict(await call.trailing_metadata())["trailing"] == "ipv4"
        assert await channel.unary_unary("/s/answers")(b"", timeout=20) == b"FalseNone"

    play(implementation, scene)


def test_an_error_has_its_code_text_and_trailing_metadata(implementation):
    async def scene(_, channel):
        call = channel.unary_unary("/s/refuses")(b"", timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "gone: é")
        assert dict(caught.value.trailing_metadata())["trailing"] == "t"

    play(implementation, scene)


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_a_handler_is_cancelled_when_its_client_goes(implementation, how):
    async def scene(handlers, channel):
        call = channel.unary_unary("/s/waits")(b"", timeout=2 if how == "deadline" else 60)
        async with asyncio.timeout(30):
            await handlers.arrived.wait()
            if how == "cancel":
                call.cancel()
            await handlers.cancelled.wait()

    play(implementation, scene)


def test_a_port_that_is_taken(implementation):
    async def scene():
        first, second = (open_port(implementation, {}, "", print) for _ in range(2))
        number = first.listen("127.0.0.1:0", None)
        await first.start()
        with pytest.raises(RuntimeError):
            second.listen(f"127.0.0.1:{number}", None)
        await first.stop(0.1)

    asyncio.run(scene())
