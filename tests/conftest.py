"""Fixtures for all tests: tiny models, servers on free ports, clients to them."""

import faulthandler
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support.blocking import Blocking
from tests.support.serve_process import ServeProcess
from tests.support.shared import shared_folder

# No example may fail for being slow on a machine that others use, too. `make test-fast` tries fewer; `make fuzz` looks
# for as long as one likes.
settings.register_profile("all", deadline=None, max_examples=40)
settings.register_profile("fast", deadline=None, max_examples=10)
settings.load_profile("all")


@pytest.fixture(scope="session", autouse=True)
def _nothing_goes_on_working() -> Iterator[None]:
    """A thread that a test leaves at work takes its time from all tests after it: half of a run, once."""
    yield
    begin = time.process_time()
    time.sleep(1)
    used = time.process_time() - begin
    if used > 0.3:
        faulthandler.dump_traceback()
    assert used < 0.3, f"threads of these tests go on working: {used:.1f} s of processor in a second; stacks on stderr"


@pytest.fixture(scope="session")
def model_files(tmp_path_factory) -> Path:
    """The models of `models.py`, each under its name; `affine-2` and `affine-3` have these offsets."""

    def write_all(root: Path) -> None:
        from tests.support import models  # TensorFlow: not for tests without models

        models.affine(root / "affine-2", 2.0)
        models.affine(root / "affine-3", 3.0)
        for write in (models.matrix, models.slow, models.counter, models.row_counter, models.centred, models.slow_rows):
            write(root / write.__name__)
        models.endless_init(root / "endless_init")

    return shared_folder(tmp_path_factory, "model-files", write_all)


@pytest.fixture
def add_version(model_files) -> Callable[[Path, str | int, str], Path]:
    """Put a copy of a model's files into a base path as one version, at once and whole."""

    def add(base: Path, version: str | int, model: str) -> Path:
        base.mkdir(parents=True, exist_ok=True)
        aside = base / f".copy-{version}"
        shutil.copytree(model_files / model, aside)
        return aside.rename(base / str(version))

    return add


@pytest.fixture(scope="session")
def server(model_files, tmp_path_factory) -> Iterator[Server]:
    """One embedded server with a version of every model, gRPC and REST on free ports."""
    root = tmp_path_factory.mktemp("models")
    names = {"affine": "affine-2", "matrix": "matrix", "slow": "slow", "counter": "counter"}
    lines = []
    for name, files in names.items():
        shutil.copytree(model_files / files, root / name / "1")
        lines.append(f'config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" }}')
    config = root / "models.config"
    config.write_text("model_config_list {\n" + "\n".join(lines) + "\n}\n")
    options = Options(model_config_file=str(config), port=AUTO, rest_api_port=AUTO, max_num_load_retries=0)
    with Server(options) as running:
        yield running


@pytest.fixture(params=["grpc", "rest", "grpc async", "rest async"])
def client(request, server) -> Iterator[Client | Blocking]:
    """A client of `server`, over each transport and of each surface."""
    target = server.grpc_address if request.param.startswith("grpc") else server.rest_address
    surface = Blocking if request.param.endswith("async") else Client
    with surface(target, timeout=30) as connected:
        yield connected


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., ServeProcess]]:
    """Start `modelport serve` with flags, as `ServeProcess` does; whatever still runs at the end is killed."""
    started: list[ServeProcess] = []

    def start(*flags: str, **how: Any) -> ServeProcess:
        started.append(ServeProcess(tmp_path / f"serve-{len(started)}.log", *flags, **how))
        return started[-1]

    yield start
    for process in started:
        if process.process.poll() is None:
            process.process.kill()
            process.process.wait(10)
