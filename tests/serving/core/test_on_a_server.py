"""Versions coming, going and failing, on a running server with real models."""

import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest

from modelport.errors import FailedPrecondition, ModelportError, NotFound, Unknown
from modelport.layout import MANIFEST
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport.wire import messages
from modelport.wire.services import METHODS
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support import graphs
from tests.support.held import is_running
from tests.support.traps import TRAPS
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow  # swaps of versions on a server

WAIT_S = 30


@contextmanager
def serving(base: Path, **options) -> Iterator[tuple[Server, Client, list[str]]]:
    """A server of one model, a client, and the lines for a person."""
    base.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    chosen = Options(model_name="m", model_base_path=str(base), port=AUTO, max_num_load_retries=0, **options)
    with Server(chosen, warn=lines.append) as server, Client(server.grpc_address) as client:
        yield server, client, lines


def answer(client: Client, **call) -> tuple[int, float]:
    prediction = client.predict("m", {"x": np.zeros(1, np.float32)}, **call)
    return prediction.version, prediction["y"].item()


def states(client: Client) -> dict[int, str]:
    return {state.version: state.state for state in client.status("m")}


def test_a_new_version_takes_over_and_a_deleted_one_rolls_back(tmp_path, add_version):
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    with serving(base) as (_, client, _):
        assert answer(client) == (1, 2.0)
        add_version(base, 2, "affine-3")
        client.wait_until_available("m", 2, WAIT_S)
        eventually(lambda: states(client) == {2: "AVAILABLE", 1: "END"})
        assert answer(client) == (2, 3.0)
        with pytest.raises(NotFound, match=r"Specific\(m, 1\)"):
            answer(client, version=1)
        shutil.rmtree(base / "2")
        eventually(lambda: states(client) == {2: "END", 1: "AVAILABLE"})
        assert answer(client) == (1, 2.0)


def test_swaps_under_load_lose_no_request(tmp_path, add_version):
    base = add_version(tmp_path / "m", 1, "affine-3").parent
    stop = threading.Event()
    with serving(base) as (server, client, _), ThreadPoolExecutor(3) as pool:

        def ask() -> tuple[set[tuple[int, float]], list[ModelportError]]:
            seen, failures = set(), []
            with Client(server.grpc_address) as own:
                while not stop.is_set():
                    try:
                        seen.add(answer(own))
                    except ModelportError as error:
                        failures.append(error)
            return seen, failures

        asked = [pool.submit(ask) for _ in range(3)]
        try:
            for version in range(2, 6):
                add_version(base, version, f"affine-{2 + version % 2}")
                client.wait_until_available("m", version, WAIT_S)
        finally:
            stop.set()
        results = [future.result(WAIT_S) for future in asked]
    assert [failures for _, failures in results] == [[]] * 3
    seen = set().union(*(seen for seen, _ in results))
    assert seen <= {(version, float(2 + version % 2)) for version in range(1, 6)}
    assert len(seen) >= 4


def test_a_request_finishes_on_the_version_it_started_on(tmp_path, add_version):
    graphs.save(tmp_path / "m" / "1", graphs.gated)
    with serving(tmp_path / "m") as (server, client, _), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.predict, "m", {"x": np.array([b"7"], object)}, version=1)
        eventually(lambda: is_running(server))
        with server.core.handle(messages.ModelSpec(name="m")) as first:
            add_version(tmp_path / "m", 2, "affine-2")
            eventually(lambda: states(client) == {2: "AVAILABLE", 1: "UNLOADING"})
            signature = first.signatures["go"]
            tokens = {signature.inputs["tokens"].tensor: np.zeros(1, np.int32)}
            first.run(tokens, [signature.outputs["sent"].tensor])
        assert asked.result(WAIT_S).version == 1
        eventually(lambda: states(client)[1] == "END")


def truncated(version: Path) -> None:
    os.truncate(version / "saved_model.pb", 100)


def without_shard(version: Path) -> None:
    next(version.glob("variables/variables.data*")).unlink()


def with_a_bad_warm_up(version: Path) -> None:
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no TFRecord" * 9)


def with_a_fifo(version: Path) -> None:
    (version / "variables" / "variables.index").unlink()
    os.mkfifo(version / "variables" / "variables.index")


DAMAGES = {
    truncated: "OUT_OF_RANGE",
    without_shard: "NOT_FOUND|DATA_LOSS",
    with_a_bad_warm_up: "DATA_LOSS",
    with_a_fifo: "FAILED_PRECONDITION",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_broken_version_beside_a_good_one(tmp_path, add_version, damage):
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    with serving(base) as (_, client, _):
        broken = add_version(tmp_path / "aside", 2, "affine-3")
        damage(broken)
        broken.rename(base / "2")
        with pytest.raises(FailedPrecondition, match=rf"(?s)gave up version 2.*({DAMAGES[damage]})"):
            client.wait_until_available("m", 2, WAIT_S)
        assert answer(client) == (1, 2.0)
        assert states(client) == {2: "END", 1: "AVAILABLE"}
        add_version(base, 3, "affine-3")
        client.wait_until_available("m", 3, WAIT_S)
        assert answer(client) == (3, 3.0)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_server_whose_only_version_is_broken_says_why(tmp_path, add_version, damage):
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    damage(base / "1")
    words = rf"1 servable\(s\) did not become available.*name: m version: 1.*({DAMAGES[damage]})"
    with pytest.raises(Unknown, match=words), serving(base):
        pass


def test_a_copy_in_progress_is_waited_for(tmp_path, model_files):
    """A version with a manifest is looked at only when all files are there in full; copied here by the slow way."""
    repository = Repository(tmp_path / "published")
    with repository.stage("m") as staging:
        shutil.copytree(model_files / "affine-3", staging.path, dirs_exist_ok=True)
        published = staging.commit(Manifest(model="m"))
    base = tmp_path / "m"
    shutil.copytree(model_files / "affine-2", base / "1")
    with serving(base) as (_, client, lines):
        shutil.copytree(published.path / "assets.extra", base / "2" / "assets.extra")
        shutil.copy(published.path / "saved_model.pb", base / "2")
        eventually(lambda: any(line.startswith(f"Waiting for {base / '2'}") for line in lines))
        assert states(client) == {1: "AVAILABLE"}
        shutil.copytree(published.path, base / "2", dirs_exist_ok=True)
        client.wait_until_available("m", 2, WAIT_S)
        assert answer(client) == (2, 3.0)


@pytest.mark.parametrize("kind", TRAPS)
def test_a_trap_in_one_model_keeps_no_other_from_new_versions(tmp_path, add_version, kind):
    """A manifest that was a FIFO held the thread that looks: no model got new versions any more."""
    make, said = TRAPS[kind]
    for name in ("a", "b"):
        add_version(tmp_path / name, 1, "affine-2")
    lines: list[str] = []
    with Server(Options(model_repository=str(tmp_path), port=AUTO), warn=lines.append) as server:
        trapped = add_version(tmp_path / "aside", 2, "affine-3")
        (trapped / MANIFEST).parent.mkdir()
        make(trapped / MANIFEST)
        trapped.rename(tmp_path / "a" / "2")
        eventually(lambda: any(f"Version {tmp_path / 'a' / '2'} is not served" in line for line in lines))
        add_version(tmp_path / "b", 2, "affine-3")
        eventually(lambda: server.core.manager.available("b") == [2])
        assert server.core.manager.available("a") == [1]
        assert sum(said in line for line in lines) == 1


def test_ports_open_only_when_the_model_is_ready(tmp_path, add_version):
    base, lines = tmp_path / "m", []
    base.mkdir()
    server = Server(Options(model_name="m", model_base_path=str(base), port=AUTO), warn=lines.append)
    starting = threading.Thread(target=server.start, daemon=True)
    starting.start()
    eventually(lambda: any("No versions of model 'm'" in line for line in lines))
    assert not server.grpc_port
    add_version(base, 1, "affine-2")
    starting.join(WAIT_S)
    with Client(server.grpc_address) as client:
        assert answer(client) == (1, 2.0)
    assert server.stop() is True


def test_a_server_starts_and_stops_many_times(tmp_path, add_version):
    base = add_version(tmp_path / "m", 1, "affine-2").parent
    before = threading.active_count()
    for _ in range(5):
        with serving(base) as (server, client, _):
            assert answer(client) == (1, 2.0)
            assert server.stop() is True
    eventually(lambda: threading.active_count() <= before + 2)


def test_many_models_go_while_others_are_asked(tmp_path, add_version):
    """Unloading 150 of 200 raised the others' p99 from 11 to 151 ms, and a stop with 200 took 28 s."""
    base = add_version(tmp_path / "m", 1, "affine-2").parent

    def reload(channel, count):
        request = messages.ReloadConfigRequest()
        for number in range(count):
            listed = request.config.model_config_list.config.add(name=f"m{number}", base_path=str(base))
            listed.model_platform = "tensorflow"
        channel.unary_unary(METHODS["HandleReloadConfigRequest"].path)(request.SerializeToString(), timeout=120)

    with serving(base) as (server, client, _), grpc.insecure_channel(server.grpc_address) as channel:
        reload(channel, 60)
        reload(channel, 15)
        gone = [f"m{number}" for number in range(15, 60)]
        while any(client.status(name)[0].state != "END" for name in gone):
            assert client.predict("m0", {"x": np.zeros(1, np.float32)})["y"].tolist() == [2]
        assert server.stop() is True
