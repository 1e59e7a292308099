"""What the container commands say where no engine is, and what a container would be started with."""

import os
import socket
import subprocess
import sys

import pytest

from modelport.errors import InvalidArgument, NotFound
from modelport_serving import AUTO, Options
from modelport_serving.docker.command import container_command

OFFER = "'modelport serve' runs the embedded server"


def command(cwd, *words, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "modelport", *words],
        env={**os.environ, **environment}, cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def deaf(tmp_path):
    """The socket of an engine that takes connections and never answers."""
    path = str(tmp_path / "deaf.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        yield f"unix://{path}"


@pytest.mark.parametrize("words", [["up"], ["down"], ["logs"], ["ps"], ["serve", "--container"]])
def test_no_engine_is_one_line_and_an_offer(tmp_path, words):
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    (tmp_path / "m").mkdir()
    flags = ["--model_name=m", f"--model_base_path={tmp_path}/m", "--port=auto"] if "serve" in words else []
    done = command(tmp_path, *words, *flags, DOCKER_HOST=f"unix://{tmp_path}/nobody.sock")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"No Docker engine at unix://{tmp_path}/nobody.sock" in line
    assert OFFER in line


@pytest.mark.slow
def test_an_engine_that_does_not_answer(tmp_path, deaf):
    done = command(tmp_path, "ps", DOCKER_HOST=deaf)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "does not answer within 10 s" in line
    assert OFFER in line


def test_an_engine_that_went_away(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = command(tmp_path, "ps", DOCKER_HOST=f"tcp://127.0.0.1:{port}")
    assert "nothing listens there" in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--access_log=x"], "tensorflow/serving has no such flag"),
        (["--grpc_socket_path=/tmp/x"], "of no use outside"),
        (["--prot=1"], "Did you mean --port?"),
        (["--volume=data"], "--volume=HOST:/CONTAINER"),
    ],
)
def test_flags_that_a_container_cannot_have(tmp_path, flags, words):
    done = command(tmp_path, "serve", "--container", "--model_name=m", f"--model_base_path={tmp_path}", *flags)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_port_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = command(
            tmp_path, "serve", "--container", "--model_name=m", f"--model_base_path={tmp_path}", f"--port={port}"
        )
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr


def test_what_a_container_is_started_with(tmp_path):
    for name in ("models/a", "models/b", "config", "more"):
        (tmp_path / name).mkdir(parents=True)
    config = tmp_path / "config/models.config"
    config.write_text(
        "model_config_list {"
        + "".join(
            f'config {{ name: "{n}" base_path: "{tmp_path}/models/{n}" model_platform: "tensorflow" }}' for n in "ab"
        )
        + 'config { name: "far" base_path: "s3://bucket/far" model_platform: "tensorflow" } }'
    )
    options = Options(model_config_file=str(config), port=9500, rest_api_port=AUTO, max_num_load_retries=5)
    given = {"model_config_file", "port", "rest_api_port", "max_num_load_retries"}  # the last one is its default
    made = container_command(options, given, "image:1", 6, [f"{tmp_path}/more:/more"])
    assert made.models == ("a", "b", "far")
    assert {host: bind["bind"] for host, bind in made.volumes.items()} == {
        **{str(tmp_path / name): str(tmp_path / name) for name in ("models/a", "models/b", "config")},
        str(tmp_path / "more"): "/more",
    }
    assert all(bind["mode"] == "ro" for bind in made.volumes.values())
    assert (made.grpc_port, made.rest_port) == (9500, None)
    for flag in (
        "--port=8500",
        "--rest_api_port=8501",
        f"--model_config_file={config}",
        "--max_num_load_retries=5",
        "--grpc_max_threads=96",
        "--tensorflow_session_parallelism=6",
        "--enable_profiler=false",
    ):
        assert flag in made.flags
    assert not any(flag.startswith(("--host", "--grace_seconds")) for flag in made.flags)


def test_folders_that_are_not_there(tmp_path):
    with pytest.raises(NotFound, match="'modelport up'"):
        container_command(Options("digits", "/models/digits/nowhere"), {"model_base_path"}, "image:1", 1)
    with pytest.raises(InvalidArgument, match="or --model_config_file"):
        container_command(Options(), set(), "image:1", 1)
    with pytest.raises(InvalidArgument, match="in a folder of its own"):
        options = Options("m", str(tmp_path), monitoring_config_file="/etc/hostname")
        container_command(options, {"model_base_path", "monitoring_config_file"}, "image:1", 1)
