"""What the disk and the policies ask for; and that nothing that lies in a repository stops the server that looks."""

import re
import resource
import shutil
from pathlib import Path

import pytest

from modelport.layout import MANIFEST
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport.serverconfig import All, Latest, ModelConfig, Specific
from modelport_serving.core.file_system_source import Source, choose
from tests.support.traps import TRAPS


@pytest.fixture
def source():
    """A source, and the lines that it gave."""
    lines: list[str] = []
    return Source(lines.append), lines


@pytest.fixture
def published(tmp_path):
    """Publish versions with a manifest, as many as asked for; the model's base path."""

    def publish(model: str = "m", versions: int = 2) -> Path:
        repository = Repository(tmp_path / "models")
        for number in range(versions):
            with repository.stage(model) as staging:
                (staging.path / "saved_model.pb").write_text(f"graph {number}")
                (staging.path / "variables").mkdir()
                (staging.path / "variables" / "variables.index").write_text("index")
                staging.commit(Manifest(model=model))
        return repository.base_path(model)

    return publish


def aspired(source: Source, *models: ModelConfig) -> dict[str, list[int]] | None:
    found = source.poll(models)
    return None if found is None else {name: list(versions) for name, versions in found.items()}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Latest(), [9]),
        (Latest(2), [7, 9]),
        (Latest(0), [9]),
        (Latest(99), [1, 7, 9]),
        (All(), [1, 7, 9]),
        (Specific((7, 1)), [1, 7]),
        (Specific((8,)), []),
        (Specific(()), []),
    ],
)
def test_what_a_version_policy_wants(policy, expected):
    found = {number: Path(str(number)) for number in (1, 7, 9)}
    assert list(choose(policy, found)) == expected


def test_versions_are_folders_named_by_numbers(tmp_path, source):
    for name in ("00000007", "v9", "latest", "9.denied", ".tmp-9", "+8"):
        (tmp_path / name).mkdir()
    poll, lines = source
    assert aspired(poll, ModelConfig("m", str(tmp_path), All())) == {"m": [7, 8]}
    assert lines == []


def test_a_lost_base_path_stops_the_whole_poll_and_is_told_once(tmp_path, source):
    """A lost mount must not unload what serves."""
    (tmp_path / "a" / "1").mkdir(parents=True)
    models = ModelConfig("a", str(tmp_path / "a")), ModelConfig("b", str(tmp_path / "b"))
    poll, lines = source
    for _ in range(3):
        assert aspired(poll, *models) is None
    assert lines == [f"Could not read base path {tmp_path / 'b'} of model 'b'. Waiting for it to appear."]
    (tmp_path / "b" / "3").mkdir(parents=True)
    assert aspired(poll, *models) == {"a": [1], "b": [3]}
    shutil.rmtree(tmp_path / "b")
    assert aspired(poll, *models) is None
    assert lines[1:] == lines[:1], "said again when it is true again"


@pytest.mark.parametrize("meant", ["a version", "models"])
def test_a_base_path_one_level_off_is_told(tmp_path, source, meant):
    version = tmp_path / "models" / "m" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    poll, lines = source
    given = version if meant == "a version" else tmp_path / "models"
    assert aspired(poll, ModelConfig("m", str(given))) == {"m": []}
    assert lines[0].endswith(f"the base path may be meant to be {tmp_path / 'models' / 'm'}.")


def test_versions_that_are_asked_for_and_not_there_are_told(tmp_path, source):
    (tmp_path / "1").mkdir()
    poll, lines = source
    assert aspired(poll, ModelConfig("m", str(tmp_path), Specific((1, 4)))) == {"m": [1]}
    assert lines == ["Model 'm': versions [4] are asked for but are not there."]


def test_a_copy_in_progress_is_waited_for_and_told_once(published, source):
    poll, lines = source
    base = published()
    model = ModelConfig("m", str(base))
    graph, index = base / "2" / "saved_model.pb", base / "2" / "variables" / "variables.index"
    whole = graph.read_bytes(), index.read_bytes()
    graph.unlink()
    index.write_text("")
    assert aspired(poll, model) == {"m": [1]}
    graph.write_bytes(whole[0])
    assert aspired(poll, model) == {"m": [1]}
    assert lines == [
        f"Waiting for {base / '2'}: files that its manifest lists are not there in full yet, 'saved_model.pb' first."
    ]
    index.write_bytes(whole[1])
    assert aspired(poll, model) == {"m": [2]}
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it cannot be read"),
        ('{"schema": 1, "mod', "it cannot be read"),
        ("[1]", "Expected a JSON object"),
        ('{"schema": 1}', "with the field 'model'"),
        ('{"schema": 1, "model": 4}', "'model' in .* as a string"),
        ('{"schema": 1, "model": "m", "files": {"../x": {"sha256": "", "size": 1}}}', "inside of the version"),
        ("[" * 10_000, "nested too deeply"),
        ("\0", "no UTF-8"),
        ('{"model": "' + "x" * 5_000_000 + '"}', "at most"),
    ],
    ids=lambda text: text[:24],
)
def test_a_malformed_manifest_is_told_as_it_is_and_the_others_go_on(published, source, text, said):
    """Whatever was wrong, the line said that files were not there in full yet."""
    poll, lines = source
    base, other = published(), published("other")
    manifest = base / "2" / MANIFEST
    whole = manifest.read_text()
    manifest.write_text(text)
    models = ModelConfig("m", str(base)), ModelConfig("other", str(other))
    for _ in range(3):
        assert aspired(poll, *models) == {"m": [1], "other": [2]}
    (line,) = lines
    assert line.startswith(f"Version {base / '2'} is not served until this is mended: ")
    assert re.search(said, line)
    assert "\n" not in line
    manifest.write_text(whole)
    assert aspired(poll, *models)["m"] == [2]


@pytest.mark.parametrize("kind", TRAPS)
def test_a_trap_for_a_manifest_costs_nothing_and_stops_nobody(published, source, kind):
    """6.5 GB of memory in 4 s, or no model got new versions any more."""
    make, said = TRAPS[kind]
    poll, lines = source
    base, other = published(), published("other")
    (base / "2" / MANIFEST).unlink()
    make(base / "2" / MANIFEST)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        assert aspired(poll, ModelConfig("m", str(base)), ModelConfig("other", str(other))) == {"m": [1], "other": [2]}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "KiB"
    (line,) = lines
    assert said in line


def test_what_is_served_stays_though_its_manifest_is_damaged(published, source):
    """What answers is not unloaded because somebody edits a file of facts."""
    poll, lines = source
    base = published()
    assert aspired(poll, ModelConfig("m", str(base))) == {"m": [2]}
    (base / "2" / MANIFEST).write_text("{")
    assert aspired(poll, ModelConfig("m", str(base))) == {"m": [2]}
    assert lines == []
    (base / "2").rename(base / "away")
    assert aspired(poll, ModelConfig("m", str(base))) == {"m": [1]}
    (base / "away").rename(base / "2")
    assert aspired(poll, ModelConfig("m", str(base))) == {"m": [1]}, "what comes again is looked at anew"


@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_what_is_no_folder_of_a_manifest_is_the_loaders_business(published, source, kind):
    """A version whose `assets.extra` is no folder has no manifest; it is refused where it is loaded."""
    make, _ = TRAPS[kind]
    base = published()
    shutil.rmtree(base / "2" / "assets.extra")
    make(base / "2" / "assets.extra")
    assert aspired(source[0], ModelConfig("m", str(base))) == {"m": [2]}
