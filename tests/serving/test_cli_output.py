"""`modelport serve` and those who read it, or do not: nothing about its output stops a server that serves."""

import os
import signal
import subprocess
import sys

import pytest

from modelport.__main__ import SUBCOMMANDS
from tests.support.http_connection import HttpConnection, ask
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # processes of the server


@pytest.fixture
def base(tmp_path, add_version):
    return add_version(tmp_path / "affine", 1, "affine-2").parent


def answers(address: str) -> bool:
    try:
        return ask(address, "GET", "/v1/health/ready").status == 200
    except (OSError, EOFError):
        return False


NO_READER = {
    "full": "exec >/dev/full",
    "closed": "exec >&-",
    "head -n 1": "exec > >(head -n 1 >/dev/null)",
    "true": "exec > >(true)",
    "error output full": "exec 2>/dev/full",
    "error output closed": "exec 2>&-",
    "all full": "exec >/dev/full 2>/dev/full",
    "all closed": "exec <&- >&- 2>&-",
    "all to true": "exec > >(true) 2>&1",
}


MOST = ("full", "closed", "all closed")  # of what can be wrong
CASES = [pytest.param(NO_READER[name], id=name, marks=[] if name in MOST else pytest.mark.slow) for name in NO_READER]


@pytest.mark.parametrize("before", CASES)
def test_an_output_that_takes_nothing_stops_no_server(serve, base, before):
    """With `--access_log=-`, so that every request has a line for it."""
    port = free_port()
    flags = ("--model_name=affine", f"--model_base_path={base}", "--port=auto", f"--rest_api_port={port}")
    process = serve(*flags, "--access_log=-", before=before)
    eventually(lambda: answers(f"127.0.0.1:{port}"), timeout=60)
    with HttpConnection(f"127.0.0.1:{port}") as connection:
        for _ in range(50):
            assert connection.ask("GET", "/v1/models/affine").status == 200
    assert process.end() == 0
    assert "Traceback" not in process.output


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_pipe_that_nobody_reads_stops_no_server(serve, base, stream):
    """It is full before the first line; a write into it would wait for ever."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    port = free_port()
    flags = ("--model_name=affine", f"--model_base_path={base}", "--port=auto", f"--rest_api_port={port}")
    number = {"stdout": 1, "stderr": 2}[stream]
    process = serve(
        *flags, "--access_log=-", "--grpc_max_threads=4", before=f"exec {number}>&{writing}", pass_fds=[writing]
    )
    eventually(lambda: answers(f"127.0.0.1:{port}"), timeout=60)
    with HttpConnection(f"127.0.0.1:{port}") as connection:
        for _ in range(2000):
            assert connection.ask("GET", "/v1/models/affine").status == 200
    process.process.send_signal(signal.SIGHUP)
    assert answers(f"127.0.0.1:{port}")
    assert process.end(timeout=20) == 0
    os.close(reading)
    os.close(writing)


ASCII = {
    "PYTHONIOENCODING": {"PYTHONIOENCODING": "ascii"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"},
}


@pytest.mark.parametrize("environment", ASCII.values(), ids=ASCII)
def test_a_terminal_without_unicode_shows_the_ready_table(serve, base, environment):
    """The box and the arrow of the table ended the server before it served."""
    process = serve(
        "--model_name=affine",
        f"--model_base_path={base}",
        "--port=auto",
        "--rest_api_port=auto",
        environment=environment,
    )
    assert answers(process.address("REST"))
    table, _, _ = process.output.partition("gRPC ")
    assert table.isascii()
    for word in ("READY", "affine", "AVAILABLE", "serving_default(x float[?])"):
        assert word in table
    assert process.end() == 0


@pytest.mark.parametrize("environment", ASCII.values(), ids=ASCII)
def test_a_terminal_without_unicode_shows_every_help(environment):
    code = (
        "import sys\n"
        "from modelport.__main__ import main\n"
        "for words in ([], *([name] for name in sys.argv[1:])):\n"
        "    try:\n"
        "        code = main([*words, '--help'])\n"
        "    except SystemExit as end:\n"
        "        code = end.code\n"
        "    assert code in (0, None), words\n"
        "    print('shown', *words)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *SUBCOMMANDS], capture_output=True, env={**os.environ, **environment}, timeout=120
    )
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.isascii()
    assert result.stdout.count(b"shown") == 1 + len(SUBCOMMANDS)


def test_what_the_server_writes_is_not_for_all_to_read(serve, base, tmp_path):
    """The access log has addresses of clients in it."""
    log = tmp_path / "access.log"
    process = serve(
        "--model_name=affine", f"--model_base_path={base}", "--port=auto", f"--access_log={log}", before="umask 000"
    )
    process.wait_for_output("Stop with")
    assert log.stat().st_mode & 0o777 == 0o640
    assert process.end() == 0
