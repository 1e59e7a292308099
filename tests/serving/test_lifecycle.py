"""Versions coming, going and failing, on a running server."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from modelport.errors import Aborted, FailedPrecondition, ModelportError, NotFound, Unknown
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport_client import Client
from modelport_serving import AUTO, Options, Server

WAIT_S = 30


@contextmanager
def serving(base: Path, **options) -> Iterator[tuple[Server, Client]]:
    base.mkdir(parents=True, exist_ok=True)
    chosen = Options(model_name="m", model_base_path=str(base), port=AUTO, max_num_load_retries=0, **options)
    with Server(chosen) as server, Client(server.grpc_address) as client:
        yield server, client


def answer(client: Client, **call) -> tuple[int, float]:
    prediction = client.predict("m", {"x": np.zeros(1, np.float32)}, **call)
    return prediction.version, prediction["y"].item()


def states(client: Client) -> dict[int, str]:
    return {state.version: state.state for state in client.status("m")}


def eventually(condition, timeout: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_a_new_version_takes_over_and_the_old_one_goes(tmp_path, add_version):
    add_version(tmp_path / "m", 1, "affine-2")
    with serving(tmp_path / "m") as (_, client):
        assert answer(client) == (1, 2.0)
        add_version(tmp_path / "m", 2, "affine-3")
        client.wait_until_available("m", 2, WAIT_S)
        eventually(lambda: states(client) == {2: "AVAILABLE", 1: "END"})
        assert answer(client) == (2, 3.0)
        with pytest.raises(NotFound, match=r"Specific\(m, 1\)"):
            answer(client, version=1)


def test_a_deleted_version_rolls_back(tmp_path, add_version):
    add_version(tmp_path / "m", 1, "affine-2")
    add_version(tmp_path / "m", 2, "affine-3")
    with serving(tmp_path / "m") as (_, client):
        assert answer(client) == (2, 3.0)
        shutil.rmtree(tmp_path / "m" / "2")
        eventually(lambda: states(client).get(1) == "AVAILABLE")
        eventually(lambda: states(client)[2] == "END")
        assert answer(client) == (1, 2.0)


def test_a_lost_base_path_unloads_nothing(tmp_path, add_version):
    add_version(tmp_path / "m", 1, "affine-2")
    with serving(tmp_path / "m") as (_, client):
        (tmp_path / "m").rename(tmp_path / "elsewhere")
        time.sleep(1.5)
        assert answer(client) == (1, 2.0)


@pytest.mark.slow
def test_swaps_under_load_lose_no_request(tmp_path, add_version):
    add_version(tmp_path / "m", 1, "affine-3")
    failures: list[ModelportError] = []
    seen: set[tuple[int, float]] = set()
    stop = threading.Event()
    with serving(tmp_path / "m") as (server, client):

        def ask() -> None:
            with Client(server.grpc_address) as own:
                while not stop.is_set():
                    try:
                        seen.add(answer(own))
                    except ModelportError as error:
                        failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for version in range(2, 6):
            add_version(tmp_path / "m", version, f"affine-{2 + version % 2}")
            client.wait_until_available("m", version, WAIT_S)
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert seen <= {(version, float(2 + version % 2)) for version in range(1, 6)}
    assert len(seen) >= 4


@pytest.mark.slow
def test_a_request_finishes_on_the_version_it_started_on(tmp_path, add_version):
    add_version(tmp_path / "m", 1, "slow")
    outcome: list[int | None] = []
    with serving(tmp_path / "m") as (server, client):

        def ask() -> None:
            with Client(server.grpc_address, timeout=30) as own:
                outcome.append(own.predict("m", {"seconds": np.float32(3)}).version)

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.5)
        add_version(tmp_path / "m", 2, "affine-2")
        eventually(lambda: states(client).get(2) == "AVAILABLE")
        assert states(client)[1] == "UNLOADING"
        thread.join()
        assert outcome == [1]
        eventually(lambda: states(client)[1] == "END")


def break_truncated(version: Path) -> None:
    os.truncate(version / "saved_model.pb", 100)


def break_no_graph(version: Path) -> None:
    (version / "saved_model.pb").unlink()


def break_garbage(version: Path) -> None:
    (version / "saved_model.pb").write_bytes(b"\xff" * 500)


def break_shard(version: Path) -> None:
    next(version.glob("variables/variables.data*")).unlink()


def break_short_shard(version: Path) -> None:
    shard = next(version.glob("variables/variables.data*"))
    os.truncate(shard, shard.stat().st_size - 2)


def break_index(version: Path) -> None:
    (version / "variables" / "variables.index").unlink()


def break_all_variables(version: Path) -> None:
    shutil.rmtree(version / "variables")


def break_warmup(version: Path) -> None:
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no TFRecord" * 9)


BREAKS = {
    break_truncated: "OUT_OF_RANGE",
    break_no_graph: "NOT_FOUND",
    break_garbage: "DATA_LOSS",
    break_shard: "",
    break_short_shard: "",
    break_index: "",
    break_all_variables: "",
    break_warmup: "DATA_LOSS",
}


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__)
@pytest.mark.slow
def test_a_broken_version_beside_a_good_one(tmp_path, add_version, damage):
    add_version(tmp_path / "m", 1, "affine-2")
    with serving(tmp_path / "m") as (_, client):
        broken = add_version(tmp_path / "aside", 2, "affine-3")
        damage(broken)
        broken.rename(tmp_path / "m" / "2")
        with pytest.raises(FailedPrecondition, match="gave up version 2") as caught:
            client.wait_until_available("m", 2, WAIT_S)
        assert BREAKS[damage] in caught.value.message
        assert answer(client) == (1, 2.0)
        assert states(client) == {2: "END", 1: "AVAILABLE"}
        add_version(tmp_path / "m", 3, "affine-3")
        client.wait_until_available("m", 3, WAIT_S)
        assert answer(client) == (3, 3.0)


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__)
def test_a_server_whose_only_version_is_broken_says_why(tmp_path, add_version, damage):
    damage(add_version(tmp_path / "m", 1, "affine-2"))
    with pytest.raises(
        Unknown, match=r"1 servable\(s\) did not become available.*name: m version: 1.*" + BREAKS[damage]
    ):
        Server(Options(model_name="m", model_base_path=str(tmp_path / "m"), port=AUTO, max_num_load_retries=0)).start()


def test_a_version_that_is_mended_during_the_retries_is_served(tmp_path, add_version):
    version = add_version(tmp_path / "m", 1, "affine-2")
    graph = (version / "saved_model.pb").read_bytes()
    (version / "saved_model.pb").unlink()
    options = Options(
        model_name="m", model_base_path=str(tmp_path / "m"), port=AUTO, load_retry_interval_micros=200_000
    )
    timer = threading.Timer(0.5, lambda: (version / "saved_model.pb").write_bytes(graph))
    timer.start()
    with Server(options) as server, Client(server.grpc_address) as client:
        assert answer(client) == (1, 2.0)


def test_a_copy_in_progress_is_waited_for(tmp_path, model_files):
    """A version with a manifest is looked at only when all files are there in full; copied here by the slow way."""
    repository = Repository(tmp_path / "published")
    with repository.stage("m") as staging:
        shutil.copytree(model_files / "affine-3", staging.path, dirs_exist_ok=True)
        published = staging.commit(Manifest(model="m"))
    base = tmp_path / "m"
    shutil.copytree(model_files / "affine-2", base / "1")
    with serving(base) as (_, client):
        copied = base / "2"
        shutil.copytree(published.path / "assets.extra", copied / "assets.extra")
        shutil.copy(published.path / "saved_model.pb", copied)
        time.sleep(1.5)
        assert states(client) == {1: "AVAILABLE"}
        for name in ("variables", "assets", "fingerprint.pb"):
            source = published.path / name
            if source.is_dir():
                shutil.copytree(source, copied / name)
            elif source.exists():
                shutil.copy(source, copied)
        client.wait_until_available("m", 2, WAIT_S)
        assert answer(client) == (2, 3.0)


def test_names_that_are_no_versions_are_skipped(tmp_path, add_version):
    add_version(tmp_path / "m", "00000007", "affine-2")
    for name in ("v9", "latest", "9.denied", ".tmp-9"):
        (tmp_path / "m" / name).mkdir()
    with serving(tmp_path / "m") as (_, client):
        assert states(client) == {7: "AVAILABLE"}
        assert answer(client, version=7) == (7, 2.0)


def test_ports_open_only_when_the_model_is_ready(tmp_path, add_version):
    base = tmp_path / "m"
    base.mkdir()
    server = Server(Options(model_name="m", model_base_path=str(base), port=AUTO))
    thread = threading.Thread(target=server.start, daemon=True)
    thread.start()
    time.sleep(0.5)
    assert not server.grpc_port
    add_version(base, 1, "affine-2")
    thread.join(WAIT_S)
    with Client(server.grpc_address) as client:
        assert answer(client) == (1, 2.0)
    server.stop()


def test_a_server_starts_and_stops_many_times(tmp_path, add_version):
    add_version(tmp_path / "m", 1, "affine-2")
    before = threading.active_count()
    for _ in range(5):
        with serving(tmp_path / "m") as (_, client):
            assert answer(client) == (1, 2.0)
    eventually(lambda: threading.active_count() <= before + 2)


def test_a_good_version_that_comes_while_a_broken_one_is_retried_starts_the_server(tmp_path, add_version):
    base = tmp_path / "m"
    (base / "7").mkdir(parents=True)
    (base / "7" / "saved_model.pb").write_bytes(b"\x08\x01\x12")
    lines = []
    options = Options(model_name="m", model_base_path=str(base), port=AUTO, load_retry_interval_micros=60_000_000)
    server = Server(options, warn=lines.append)
    starting = threading.Thread(target=server.start, daemon=True)
    starting.start()
    eventually(lambda: any("attempt 1 of 6" in line for line in lines))
    assert starting.is_alive()
    add_version(base, 8, "affine-3")
    starting.join(WAIT_S)
    assert not starting.is_alive()
    try:
        with Client(server.grpc_address) as client:
            assert answer(client) == (8, 3.0)
        assert any(line.startswith("m version 7: attempt 1 of 6 to load it failed") for line in lines)
        assert "m version 8: AVAILABLE" in lines
    finally:
        server.stop()


def test_what_becomes_of_versions_is_told(tmp_path, add_version):
    base = tmp_path / "m"
    add_version(base, 1, "affine-2")
    lines = []
    options = Options(model_name="m", model_base_path=str(base), port=AUTO, max_num_load_retries=0)
    with Server(options, warn=lines.append) as server, Client(server.grpc_address) as client:
        (base / "2").mkdir()
        eventually(lambda: any("m version 2: not served, NOT_FOUND" in line for line in lines))
        add_version(base, 3, "affine-3")
        client.wait_until_available("m", 3, WAIT_S)
        eventually(lambda: "m version 1: unloaded" in lines)
    assert lines[0] == "m version 1: AVAILABLE"


@pytest.mark.parametrize("meant", ["version", "repository"])
def test_a_base_path_one_level_off_is_told(tmp_path, add_version, meant):
    version = add_version(tmp_path / "models" / "m", 1, "affine-2")
    given = version if meant == "version" else tmp_path / "models"
    lines = []
    stop = threading.Event()
    options = Options(model_name="m", model_base_path=str(given), port=AUTO)
    server = Server(options, warn=lines.append, give_up=stop.is_set)
    ended = []

    def start():
        with pytest.raises(Aborted):
            server.start()
        ended.append(True)

    starting = threading.Thread(target=start, daemon=True)
    starting.start()
    eventually(lambda: any(f"may be meant to be {tmp_path / 'models' / 'm'}." in line for line in lines))
    stop.set()
    starting.join(WAIT_S)
    assert ended
