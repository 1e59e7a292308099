"""The manifest: written, read, checked; and what is wrong with one that cannot be read."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from modelport import manifest as manifests
from modelport.errors import DataLoss
from modelport.manifest import FileDigest, Manifest, from_json, missing_files

PATH = Path("m/1/assets.extra/manifest.json")


def text(**fields) -> str:
    return json.dumps({"schema": 1, "model": "m", **fields})


def test_the_digests_catch_what_was_changed(repository, publish):
    version = publish(repository).path
    (version / "saved_model.pb").write_text("grap!")
    with pytest.raises(DataLoss, match="was changed"):
        manifests.verify(version)
    (version / "saved_model.pb").write_text("gra")
    with pytest.raises(DataLoss, match="Expected 5 bytes"):
        manifests.verify(version)
    (version / "saved_model.pb").unlink()
    with pytest.raises(DataLoss, match="missing"):
        manifests.verify(version)


def test_a_broken_manifest(repository, publish):
    version = publish(repository).path
    (version / manifests.RELATIVE_PATH).write_text("{")
    with pytest.raises(DataLoss, match="cannot be read"):
        repository.read_manifest("m", 1)


def test_the_manifest_of_a_later_schema_is_read(repository, publish):
    version = publish(repository).path
    path = version / manifests.RELATIVE_PATH
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2, "novelty": {}'))
    assert repository.read_manifest("m", 1).version == 1
    assert dataclasses.is_dataclass(repository.read_manifest("m", 1))


@pytest.fixture
def version(repository, publish) -> Path:
    return publish(repository).path


def test_a_manifest_that_would_never_end_is_refused_at_once(version, trap):
    """A link to a device took 6.5 GB of memory in 4 s, and a FIFO kept every model from its new versions."""
    make, said = trap
    (version / manifests.RELATIVE_PATH).unlink()
    make(version / manifests.RELATIVE_PATH)
    with pytest.raises(DataLoss, match=said) as caught:
        manifests.read(version)
    assert str(version / manifests.RELATIVE_PATH) in caught.value.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "Expecting property name .*: line 1 column 2"),
        (b'{\n  "schema": 1,\n}', "line 3 column 1"),
        (b"", "Expecting value: line 1 column 1"),
        (b"[1]", r"Expected a JSON object .*Received: \[1\]"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"schema": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"schema": 1' + b"0" * 5000 + b"}", "it cannot be read: Exceeds the limit"),
        (b"\xff\xfe{\0}\0", "no UTF-8: its byte-order mark is that of UTF-16"),
        (b'{"m\xe9"}', "byte 3, in line 1, is 0xe9"),
        (b'{"model": "m"}', "with the field 'schema'"),
        (b'{"schema": 1}', "with the field 'model'"),
    ],
)
def test_what_is_wrong_is_said_as_it_is(version, content, said):
    (version / manifests.RELATIVE_PATH).write_bytes(content)
    with pytest.raises(DataLoss, match=said) as caught:
        manifests.read(version)
    assert "manifest.json" in caught.value.message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"schema": 0}, "'schema' in .* as a whole number from 1. Received: 0"),
        ({"schema": "1"}, "'schema'.*Received: '1'"),
        ({"schema": True}, "'schema'"),
        ({"model": None}, "'model' in .* as a string"),
        ({"version": "1"}, "'version' in .* as a whole number"),
        ({"parent_version": 1.5}, "'parent_version' in .* as a whole number or null"),
        ({"metrics": {"accuracy": "high"}}, "'metrics' in .* as an object of numbers"),
        ({"signatures": []}, "'signatures' in .* as an object"),
        ({"row_independent": "serving_default"}, "'row_independent' in .* as a list of names"),
        ({"row_independent": [1]}, "'row_independent'"),
        ({"row_independent": None}, "'row_independent'"),
        ({"loop_free": "serving_default"}, "'loop_free' in .* as a list of names"),
        ({"files": ["a"]}, "'files' in .* as an object"),
        ({"files": {"a": 1}}, "Expected 'sha256' and 'size' of the file 'a'"),
        ({"files": {"a": {"sha256": "0" * 64}}}, "Expected 'sha256' and 'size' of the file 'a'"),
        ({"files": {"a": {"sha256": "0" * 63, "size": 1}}}, "'files.a.sha256' .* as 64 hexadecimal digits"),
        *(
            ({"files": {"a": {"sha256": "0" * 64, "size": size}}}, "'files.a.size' in .* as a number of bytes")
            for size in (-1, 1.5, "1", True, None)
        ),
        *(
            ({"files": {name: {"sha256": "0" * 64, "size": 1}}}, "Expected a relative path inside of the version")
            for name in (
                "",
                ".",
                "..",
                "../a",
                "a/../../b",
                "/etc/passwd",
                "//a",
                "a//b",
                "a/",
                "./a",
                "a\0b",
                "\ud800",
            )
        ),
        ({"training": "x" * 10_000, "model": "x" * 10_000}, "'training' in .*Received: 'xxx.{,60}$"),
    ],
)
def test_fields_of_another_kind(fields, said):
    with pytest.raises(DataLoss, match=said) as caught:
        from_json(text(**fields), PATH)
    assert str(PATH) in caught.value.message


def test_row_independence_is_kept_and_may_be_missing():
    assert from_json(text(), PATH).row_independent == ()
    manifest = Manifest(model="m", row_independent=("classify", "serving_default"))
    assert json.loads(manifest.to_json())["row_independent"] == ["classify", "serving_default"]
    assert from_json(manifest.to_json(), PATH) == manifest


def test_a_file_whose_name_is_no_text_is_kept(repository):
    """Linux takes any bytes for a name."""
    with repository.stage("m") as staging:
        (staging.path / "saved_model.pb").touch()
        Path(os.fsdecode(os.fsencode(staging.path) + b"/caf\xe9")).touch()
        published = staging.commit(Manifest(model="m"))
    manifest = manifests.read(published.path)
    assert set(manifest.files) == {"saved_model.pb", os.fsdecode(b"caf\xe9")}
    assert missing_files(published.path, manifest) == []
    manifests.verify(published.path)


def test_a_byte_order_mark_is_no_fault(version):
    path = version / manifests.RELATIVE_PATH
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert manifests.read(version).version == 1


def test_a_version_without_a_manifest(version):
    (version / manifests.RELATIVE_PATH).unlink()
    assert manifests.read(version) is None
    assert manifests.read(version / "saved_model.pb") is None
    assert manifests.read(version / "none") is None
    manifests.verify(version)


def test_files_that_are_not_there_in_full_are_named(version):
    """By size, as a copy in progress leaves them; a folder or a FIFO of that name is no file."""
    manifest = manifests.read(version)
    assert missing_files(version, manifest) == []
    os.truncate(version / "saved_model.pb", 2)
    assert missing_files(version, manifest) == ["saved_model.pb"]
    index = version / "variables" / "variables.index"
    index.unlink()
    assert missing_files(version, manifest) == ["saved_model.pb", "variables/variables.index"]
    os.mkfifo(index)
    empty = dataclasses.replace(manifest, files={"variables/variables.index": FileDigest("0" * 64, 0)})
    assert missing_files(version, empty) == ["variables/variables.index"]
    manifests.write(version, empty)
    with pytest.raises(DataLoss, match="a FIFO"):
        manifests.verify(version)


def test_a_link_to_a_file_is_that_file(version, tmp_path):
    """Weights that are kept elsewhere and linked, as some repositories on network storage are."""
    index = version / "variables" / "variables.index"
    index.rename(tmp_path / "kept")
    index.symlink_to(tmp_path / "kept")
    assert missing_files(version, manifests.read(version)) == []
    manifests.verify(version)
