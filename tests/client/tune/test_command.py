"""`modelport tune` on servers that it starts itself."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from modelport import tensors
from modelport.wire import messages

pytestmark = pytest.mark.slow  # whole tunings

ROOT = Path(__file__).parent.parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "modelport", "tune", *arguments]


def run(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=timeout, check=False, env=ENVIRONMENT
    )


@pytest.fixture
def repository(tmp_path) -> Path:
    """A version that only a server of a test would serve, with requests to ask it."""
    from tests.support.models import write_warmup

    asked = messages.PredictRequest(model_spec=messages.ModelSpec(name="tiny"))
    asked.inputs["x"].CopyFrom(tensors.encode(np.ones(1, np.float32)))
    version = tmp_path / "models" / "tiny" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    write_warmup(version, [asked])
    return tmp_path / "models"


def test_the_embedded_server_is_tuned_and_the_defaults_take_part_to_the_end(add_version, tmp_path):
    """What is best depends on the machine's day; that the answer follows from what was measured does not."""
    add_version(tmp_path / "models" / "affine", 1, "affine-2")
    output, page = tmp_path / "tuned", tmp_path / "page.html"
    words = ["--slo", "p50=100ms", "--models", str(tmp_path / "models"), "--output", str(output), "--budget", "0.25"]
    done = run("affine", *words, "--input", "[1]", "--rows-are-independent", "--json", "--report", str(page))
    facts = json.loads(done.stdout)
    assert facts["trials"][0]["setting"] == "defaults"
    assert len(facts["trials"]) >= 2
    assert all(trial["error"] is None for trial in facts["trials"])
    assert facts["remarks"][0].startswith(f"{len(facts['trials'])} of ")
    assert "<svg" in page.read_text("utf-8")
    if facts["rate_per_s"] is None:  # a machine that is too busy for any verdict
        assert done.returncode in (1, 4), done.stderr
        assert not output.exists()
        return
    assert done.returncode == 0, done.stderr
    if facts["turns"]:
        both = [[one["rate_per_s"] for one in pair] for pair in facts["turns"]]
        wins = all(challenger and (not ours or challenger > ours) for ours, challenger in both)
        assert wins or facts["defaults_are_best"]
    assert json.loads((output / "evidence.json").read_text()) == facts
    assert facts["defaults_are_best"] == ((output / "flags.txt").read_text() == "")
    assert facts["words"] in (output / "evidence.md").read_text()
    again = run("affine", *words, "--input", "[1]")
    assert again.returncode == 1
    assert "Expected a new or empty folder" in again.stderr


def test_an_interrupted_tuning_leaves_nothing_running(repository, tmp_path):
    output = tmp_path / "tuned"
    server = f"{sys.executable} -m tests.support.quick_server"
    words = ["--slo", "p50=60ms", "--models", str(repository), "--output", str(output), "--server-command", server]
    with (tmp_path / "log").open("w") as log:
        tuning = subprocess.Popen(command("tiny", *words), stdout=log, stderr=subprocess.STDOUT, env=ENVIRONMENT)
    mine = psutil.Process(tuning.pid)
    deadline = time.monotonic() + 60
    while not any("quick_server" in " ".join(child.cmdline()) for child in mine.children(recursive=True)):
        assert tuning.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = mine.children(recursive=True)
    tuning.send_signal(signal.SIGINT)
    assert tuning.wait(60) == 130, (tmp_path / "log").read_text()
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert not output.exists()
    assert "ended early" in (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_server_that_does_not_start_says_why(repository, tmp_path):
    words = ["--slo", "p50=60ms", "--models", str(repository), "--output", str(tmp_path / "tuned")]
    done = run("tiny", *words, "--server-command", f"{sys.executable} -c 'print(1/0)'")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "ended with exit code 1 before it was ready" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    missing = run("tiny", *words, "--server-command", "no-such-server --flag")
    assert missing.returncode == 1
    assert "Cannot start 'no-such-server'" in missing.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "--slo"),
        (["--slo", "p99=1ms", "--server-command", "a", "--container", "b"], "not both"),
        (["--slo", "p99=1ms", "--server-command", "'a"], "expected a command"),
        (["--slo", "p99=1ms", "--server-command", " "], "expected a command"),
        (["--slo", "p99=1ms", "--budget", "0.01"], "--budget: expected 0.25 minutes or more"),
        (["--slo", "p99=1ms", "--budget", "nan"], "--budget: expected"),
        (["--slo", "p99=1ms", "--input", "[1]", "--samples", "f"], "give one of"),
        (["--slo", "p99=1ms", "--processes", "0"], "--processes: expected more than 0"),
    ],
)
def test_wrong_options(words, expected, capsys):
    from modelport_client.tune.command import main

    with pytest.raises(SystemExit) as ended:
        main(["tiny", *words])
    assert ended.value.code == 2
    assert expected in capsys.readouterr().err


def test_a_model_that_is_not_there(tmp_path):
    done = run("tiny", "--slo", "p99=1ms", "--models", str(tmp_path))
    assert done.returncode == 1
    assert "Expected versions of 'tiny'" in done.stderr
