"""Who owns what `train` leaves on the host: whoever works there, on a fresh clone too."""

import json
import os
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.timeout(500),
    pytest.mark.skipif(os.geteuid() != 0, reason="folders of other users can only be made by root"),
]
WRITE = "id -u; id -g; touch /models/new /runs/new; grep CapEff /proc/self/status"


def owner(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


@pytest.fixture
def run(stack, tmp_path, monkeypatch):
    """Run a command in `train`'s place, in a checkout of user 1234 whose models and runs are elsewhere."""
    checkout = tmp_path / "config"
    checkout.mkdir()
    os.chown(checkout, 1234, 5678)
    override = tmp_path / "override.json"
    override.write_text(json.dumps({"services": {"train": {"volumes": [f"{checkout}:/config:ro"]}}}))
    monkeypatch.setitem(stack.environment, "COMPOSE_FILE", f"{stack.environment['COMPOSE_FILE']}:{override}")
    monkeypatch.setitem(stack.environment, "MODELPORT_MODELS", str(tmp_path / "models"))
    monkeypatch.setitem(stack.environment, "MODELPORT_RUNS", str(tmp_path / "runs"))
    return lambda: stack.compose("run", "--rm", "train", WRITE).stdout.split()


def test_missing_folders_go_to_the_owner_of_the_checkout(run, tmp_path):
    assert run() == ["1234", "5678", "CapEff:", "0" * 16]
    paths = [tmp_path / name for name in ("models", "models/new", "runs", "runs/new")]
    assert [owner(path) for path in paths] == [(1234, 5678)] * 4


def test_a_folder_of_somebody_is_written_to_as_that_one(run, tmp_path):
    (tmp_path / "models").mkdir(mode=0o700)
    os.chown(tmp_path / "models", 4321, 4321)
    assert run()[:2] == ["4321", "4321"]
    assert owner(tmp_path / "models/new") == owner(tmp_path / "runs/new") == (4321, 4321)


def test_what_root_keeps_there_stays_roots(run, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/kept").touch()
    assert run()[:2] == ["0", "0"]
    assert owner(tmp_path / "models") == (0, 0)
