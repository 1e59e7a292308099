"""`modelport loadtest` as a person and a program see it."""

import json
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pytest

from modelport import tensors
from modelport.wire import messages

pytestmark = pytest.mark.slow  # processes of the command


def run(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "modelport", "loadtest", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class References(HTMLParser):
    """All that a page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href", "data")]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A file as servers log requests: two of one row, one of eight, and one that is no prediction."""
    from tests.support.models import write_warmup

    requests = []
    for rows in (1, 1, 8):
        asked = messages.PredictRequest(model_spec=messages.ModelSpec(name="other", signature_name="serving_default"))
        asked.inputs["x"].CopyFrom(tensors.encode(np.ones(rows, np.float32)))
        requests.append(asked)
    folder = tmp_path_factory.mktemp("recorded")
    write_warmup(folder, requests)
    return folder / "assets.extra" / "tf_serving_warmup_requests"


@pytest.mark.parametrize("transport", ["grpc_address", "rest_address"])
def test_recorded_requests_with_a_profile_and_a_report(server, recorded, tmp_path, transport):
    page = tmp_path / "page.html"
    words = ["--samples", str(recorded), "--profile", "50:0.5,50-150:1", "--arrivals", "steady", "--warm-up", "0.2"]
    done = run("affine", "--server", getattr(server, transport), *words, "--report", str(page), "--json")
    facts = json.loads(done.stdout)
    assert done.returncode in (0, 4), done.stderr  # 4 on a machine that is too busy to send in time
    assert done.returncode == (0 if facts["is_result"] else 4)
    assert facts["requests"] == 125
    assert facts["answered_by"] == {"1": 125}
    assert facts["samples"] == {"origin": f"{recorded} (3 of 1 to 8 rows)", "count": 3}
    assert facts["warm_up"]["requests"] == 10
    assert [second["due"] for second in facts["timeline"]] == [pytest.approx(62, abs=3), pytest.approx(62, abs=3)]
    assert facts["p50_ms"] <= facts["p90_ms"] <= facts["p99_ms"] <= facts["p99_9_ms"] <= facts["longest_ms"]
    references = References(page.read_text("utf-8"))
    assert [found for found in references.found if not found.startswith("#")] == []
    assert {"svg", "table", "details"} <= references.tags
    assert "@import" not in page.read_text("utf-8")
    assert not re.search(r"url\((?!#)", page.read_text("utf-8"))


def test_rows_choose_among_recorded_requests(server, recorded):
    done = run("affine", "--server", server.grpc_address, "--samples", str(recorded), "--rows", "8", "--seconds", "0.3")
    assert "(1 of 8 rows)" in done.stdout
    wrong = run("affine", "--server", server.grpc_address, "--samples", str(recorded), "--rows", "3")
    assert wrong.returncode == 1
    assert "one of these sizes: 1, 8" in wrong.stderr


def test_the_warm_up_requests_of_the_version_are_asked_without_inputs(serve, add_version, tmp_path, recorded):
    version = add_version(tmp_path / "affine", 3, "affine-2")
    (version / "assets.extra").mkdir(exist_ok=True)
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(recorded.read_bytes())
    flags = ["--model_name=affine", f"--model_base_path={tmp_path}/affine", "--port=auto", "--rest_api_port=auto"]
    process = serve(*flags)
    done = run("affine", "--server", process.address("gRPC"), "--concurrency", "2", "--seconds", "0.3", "--json")
    facts = json.loads(done.stdout)
    assert facts["samples"]["origin"] == "warm-up requests of version 3 (3 of 1 to 8 rows)"
    assert set(facts["answered_by"]) == {"3"}
    assert (facts["loop"], facts["concurrency"]) == ("closed", 2)
    over_rest = run("affine", "--server", process.address("REST"))
    assert over_rest.returncode == 1
    assert "Expected --input, --image or --samples" in over_rest.stderr


def test_a_search_by_the_command(server, tmp_path):
    page = tmp_path / "search.html"
    words = [
        "--input",
        '{"seconds": 0.02}',
        "--slo",
        "p50=500ms",
        "--budget",
        "4",
        "--rate",
        "10",
        "--report",
        str(page),
    ]
    done = run("slow", "--server", server.grpc_address, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "requests a second hold p50 ≤ 500 ms" in done.stdout
    assert "█" in done.stdout
    assert "<svg" in page.read_text("utf-8")


def test_a_comparison_by_the_command(server, tmp_path):
    page = tmp_path / "comparison.html"
    words = ["--input", "[1]", "--compare", f"@1,{server.grpc_address}", server.rest_address, "--pairs", "2"]
    words += ["--seconds", "0.3", "--concurrency", "1", "--report", str(page), "--json"]
    done = run("affine", "--server", server.grpc_address, *words)
    facts = json.loads(done.stdout)
    assert facts["pairs"] + len(facts["dropped"]) >= 2
    assert facts["failed"] == [0, 0]
    assert done.returncode == (0 if facts["is_result"] else 4), done.stderr
    assert "B ÷ A" in page.read_text("utf-8")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_ending_a_load_early_ends_it_with_its_report(serve, add_version, tmp_path, signum):
    add_version(tmp_path / "affine", 1, "affine-2")
    log = tmp_path / "log"
    flags = ["--model_name=affine", f"--model_base_path={tmp_path}/affine", f"--access_log={log}", "--port=auto"]
    words = ["affine", "--input", "[1]", "--server", serve(*flags).address("gRPC"), "--seconds", "600", "--json"]
    load = subprocess.Popen(
        [sys.executable, "-m", "modelport", "loadtest", *words, "--processes", "2"], stdout=subprocess.PIPE, text=True
    )
    while not log.exists() or len(log.read_text().splitlines()) < 20:
        assert load.poll() is None
        time.sleep(0.05)
    children = _children(load.pid)
    assert len(children) >= 2
    load.send_signal(signum)
    facts = json.loads(load.communicate(timeout=60)[0])
    assert load.returncode == (0 if facts["is_result"] else 4)
    assert facts["requests"] > 0
    assert facts["failed"] == 0
    assert facts["seconds"] < 60
    assert not any(_is_alive(child) for child in children)


def test_a_load_that_fails_says_why(server):
    wrong = run("affine", "--input", '{"z": [1]}', "--server", server.grpc_address)
    assert wrong.returncode == 1
    assert "did you mean 'x'?" in wrong.stderr
    slow = ["slow", "--input", '{"seconds": 0.3}', "--timeout", "0.2", "--server", server.grpc_address]
    assert "No answer from" in run(*slow).stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--rate", "0"], "--rate: expected more than 0"),
        (["--rate", "5", "--concurrency", "2"], "give one of --rate, --profile and --concurrency"),
        (["--profile", "5:1", "--seconds", "2"], "--profile says how long"),
        (["--slo", "p99"], "Expected a bound such as p99=20ms"),
        (["--slo", "p99=1ms", "--concurrency", "2"], "--slo"),
        (["--budget", "5"], "--budget is for --slo"),
        (["--pairs", "2"], "--pairs is for --compare"),
        (["--samples", "f", "--input", "[1]"], "give --samples, or --input or --image"),
        (["--rows", "2", "--input", "[1]"], "--rows is for recorded requests"),
        (["--warm-up", "-1"], "--warm-up: expected 0 or more"),
        (["--report", "/nowhere/page.html"], "--report: expected a file in a folder"),
        (["--arrivals", "even"], "invalid choice"),
    ],
)
def test_wrong_options(words, expected):
    from modelport_client.loadtest.options import parse_options

    with pytest.raises(SystemExit) as ended:
        parse_options(["affine", *words])
    assert ended.value.code == 2
    done = run("affine", *words) if words[0] == "--rate" else None  # one of each kind through the whole command
    if done is not None:
        assert done.returncode == 2
        assert expected in done.stderr


def test_errors_of_options_name_what_is_expected(capsys):
    from modelport_client.loadtest.options import parse_options

    with pytest.raises(SystemExit):
        parse_options(["affine", "--slo", "p99"])
    assert "Expected a bound such as p99=20ms" in capsys.readouterr().err


def _children(pid: int) -> list[int]:
    text = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in text.split()]


def _is_alive(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")
