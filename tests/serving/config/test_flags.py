"""A command line → options: as the real server takes it, but that nothing mistyped is passed over."""

import dataclasses

import pytest

from modelport.errors import InvalidArgument
from modelport_serving.config import flags
from modelport_serving.config.options import AUTO, Options


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--port=8500"], {"port": 8500}),
        (["--port", "8500"], {"port": 8500}),
        (["--port=auto", "--rest_api_port", "auto"], {"port": AUTO, "rest_api_port": AUTO}),
        (["--port=1", "--port=2"], {"port": 2}),
        (["--enable_batching"], {"enable_batching": True}),
        (["--enable_batching=false"], {"enable_batching": False}),
        (["--enable_batching=TRUE"], {"enable_batching": True}),
        (["--grace_seconds=1.5"], {"grace_seconds": 1.5}),
        (["--model_base_path=/a=b"], {"model_base_path": "/a=b"}),
        (["--model_base_path="], {"model_base_path": ""}),
        (["--join_requests=all"], {"join_requests": "all"}),
        (["models/"], {"model_repository": "models/"}),
        (["models/", "--port=auto"], {"model_repository": "models/", "port": AUTO}),
        (["--port=auto", "models/"], {"model_repository": "models/", "port": AUTO}),
        (["--enable_batching", "models/"], {"model_repository": "models/", "enable_batching": True}),
        (["--rest_api_timeout_in_ms", "-1"], {"rest_api_timeout_in_ms": -1}),
        ([], {}),
    ],
)
def test_what_is_taken(words, expected):
    assert flags.parse(words) == Options(**expected)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--prot=8500"], "Unknown flag --prot. Did you mean --port?"),
        (["--zzzzzz"], "Unknown flag --zzzzzz. 'modelport serve --help' lists all."),
        (["--port=many"], "Expected a number for --port. Received: 'many'"),
        (["--port=65536"], "Expected --port from 0 to 65535"),
        (["--port=-2"], "Expected --port from 0 to 65535"),
        (["--port"], "Expected a value for --port: --port=<int>"),
        (["--port", "--rest_api_port=1"], "Expected a value for --port"),
        (["--run_threads=1.5"], "Expected a number for --run_threads"),
        (["--enable_batching=1"], "--enable_batching=true or --enable_batching=false"),
        (["--join_requests=some"], "Expected --join_requests to be one of all, proven, none. Received: 'some'"),
        (["-port=1"], "Expected flags of the form --name=value. Received: '-port=1'"),
        (["models", "others"], "Expected flags of the form --name=value. Received: 'others'"),
        (["--use_alts_credentials"], "--use_alts_credentials is not supported by the embedded server"),
    ],
)
def test_what_is_refused(words, text):
    with pytest.raises(InvalidArgument) as refused:
        flags.parse(words)
    assert text in refused.value.message


def test_which_flags_were_named():
    assert flags.named(["--port=8500", "--enable_batching", "--host", "::", "models"]) == {
        "port",
        "enable_batching",
        "host",
    }


def test_flags_without_effect_are_told_when_they_are_given():
    assert flags.unused_notes(Options()) == []
    (note,) = flags.unused_notes(Options(grpc_max_threads=64))
    assert note.startswith("--grpc_max_threads is accepted and has no effect: ")


def test_help_names_every_flag():
    text = flags.help_text()
    for field in dataclasses.fields(Options):
        if field.metadata["help"]:
            assert f"  --{field.name}=" in text
            assert field.metadata["help"] in text
        elif field.metadata["unused"]:
            assert field.name in text.rpartition("Accepted without effect")[2]
    assert "  --rest_api_header_timeout_in_ms=int (10000) [modelport only]" in text
