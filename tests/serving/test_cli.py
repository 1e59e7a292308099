"""`modelport serve` as a person or a supervisor sees it: flags, words, signals, exit codes."""

import shlex
import signal
import socket
import subprocess
import sys

import pytest

from modelport_client import Client

pytestmark = pytest.mark.slow  # processes of the server


def run(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "modelport", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture
def base(tmp_path, add_version):
    return add_version(tmp_path / "affine", 1, "affine-2").parent


def test_the_ready_table_and_a_request_to_paste(serve, base):
    process = serve("--model_name=affine", f"--model_base_path={base}", "--port=auto", "--rest_api_port=auto")
    text = process.wait_for_output("Stop with Ctrl-C.")
    for word in ("READY", "affine", "AVAILABLE", "serving_default(x float[?]) → y", "warm-up s"):
        assert word in text
    assert "oneDNN" not in text
    line = next(line for line in text.splitlines() if line.startswith("Try"))
    pasted = subprocess.run(shlex.split(line.removeprefix("Try")), capture_output=True, text=True, check=True)
    assert '"outputs": [\n        2.5' in pasted.stdout
    assert process.end() == 0


def test_an_empty_folder_says_what_a_version_is(serve, tmp_path):
    (tmp_path / "m").mkdir()
    process = serve("--model_name=m", f"--model_base_path={tmp_path}/m", "--port=auto")
    assert "a version is a folder whose name is a number" in process.wait_for_output("No versions")
    assert process.end(signal.SIGINT) == 0


@pytest.mark.parametrize("flag", ["--port", "--rest_api_port"])
def test_a_port_in_use(base, flag):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        flags = {"--port": "auto", flag: str(number)}
        result = run("serve", f"--model_base_path={base}", *(f"{name}={value}" for name, value in flags.items()))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Failed to start server. Error: UNAVAILABLE: Cannot listen on 127.0.0.1:{number}")


def test_a_broken_version_is_one_line(base):
    (base / "1" / "saved_model.pb").unlink()
    result = run("serve", "--model_name=affine", f"--model_base_path={base}", "--port=auto", "--max_num_load_retries=0")
    assert result.returncode == 1
    assert "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available" in result.stderr
    assert "should have a file called `saved_model.pb`" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--prot=8500"], "Unknown flag --prot. Did you mean --port?"),
        (["models", "others"], "Expected flags of the form --name=value. Received: 'others'"),
    ],
)
def test_wrong_flags(flags, words):
    result = run("serve", *flags)
    assert result.returncode == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "model_base_path and server_options.model_config_file are empty"),
        (["--port=auto", "--model_base_path=relative"], "to have an absolute path or URI; got base_path()=relative"),
        (["--port=auto", "--model_base_path=relative"], "Perhaps --model_base_path=/"),
        (["--port=auto", "--model_base_path=gs://b/m"], "on a local file system"),
        (["--model_base_path=/m", "--host=no.such.host.invalid"], "address to listen on"),
    ],
)
def test_settings_that_cannot_be(flags, words):
    result = run("serve", *flags)
    assert result.returncode == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_flags_without_effect_say_so(serve, base):
    process = serve(f"--model_base_path={base}", "--port", "auto", "--grpc_max_threads=64")
    assert "--grpc_max_threads is accepted and has no effect" in process.wait_for_output("Stop with")
    assert process.end() == 0


def test_a_missing_folder_is_told_once(serve, tmp_path):
    (tmp_path / "there").mkdir()
    process = serve(f"--model_base_path={tmp_path}/nowhere", "--port=auto", "--file_system_poll_wait_seconds=1")
    process.wait_for_output("nowhere")
    (tmp_path / "nowhere").mkdir()  # the next look at the disk
    process.wait_for_output("No versions")
    assert process.output.count("Could not read base path") == 1, "said once, not at every look at the disk"
    assert process.end() == 0


def test_a_unix_socket(serve, base, tmp_path):
    """One that another server uses is refused like a port; one that a killed server left is taken over."""
    path = tmp_path / "grpc.sock"
    flags = ("--model_name=affine", f"--model_base_path={base}", "--port=0", f"--grpc_socket_path={path}")
    first = serve(*flags)
    with Client(first.address("gRPC")) as client:
        assert client.predict("affine", [0.0])["y"].tolist() == [2.0]
        second = serve(*flags)
        assert second.process.wait(60) == 1
        assert "another server answers on it" in second.output
        assert client.predict("affine", [0.0])["y"].tolist() == [2.0]
    first.process.kill()
    first.process.wait(10)
    assert path.is_socket()
    third = serve(*flags)
    with Client(third.address("gRPC")) as client:
        assert client.predict("affine", [0.0])["y"].tolist() == [2.0]
    assert third.end() == 0
    fourth = serve(*flags)
    fourth.address("gRPC")
    assert fourth.end() == 0


def test_a_file_in_place_of_a_unix_socket(base, tmp_path):
    (tmp_path / "file").write_text("precious")
    result = run("serve", f"--model_base_path={base}", "--port=0", f"--grpc_socket_path={tmp_path}/file")
    assert result.returncode == 1
    assert "Expected a place for a unix socket" in result.stderr
    assert (tmp_path / "file").read_text() == "precious"


def test_help():
    result = run("serve", "--help")
    assert result.returncode == 0
    for word in (
        "--model_base_path=str",
        "--rest_api_timeout_in_ms=int (30000)",
        "[modelport only]",
        "Accepted without",
    ):
        assert word in result.stdout
