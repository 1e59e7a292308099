"""Faults of versions, base paths and repositories."""

import json
import re

import pytest

from modelport import layout
from modelport.__main__ import main
from tests.support.doctoring import expect, model, newer_tensorflow, saved, told


def test_where_nothing_is_wrong_nothing_is_found(base, capsys):
    assert told(base) == told(base.parent) == told(base / "1") == []
    assert main(["doctor", str(base.parent)]) == 0
    assert "Nothing is wrong" in capsys.readouterr().out


def rename(base):
    (base / "1").rename(base / "v1")


def nest(base):
    (base / "1").rename(base / "inner")
    (base / "1").mkdir()
    (base / "inner").rename(base / "1" / "model")


def nest_versions(base):
    (base / "m").mkdir()
    (base / "1").rename(base / "m" / "1")


def truncate(base):
    path = base / "1" / layout.SAVED_MODEL
    path.write_bytes(path.read_bytes()[:-7])


def lose_shard(base):
    data = base / "1" / "variables" / "variables.data-00000-of-00001"
    data.rename(data.with_name("variables.data-00000-of-00002"))


def empty_file(base):
    (base / "1" / "variables" / "variables.data-00000-of-00001").write_bytes(b"")


def half_copied(base):
    facts = {"schema": 1, "model": "m", "files": {"assets/a.txt": {"sha256": "0" * 64, "size": 3}}}
    (base / "1" / layout.EXTRA).mkdir(exist_ok=True)
    (base / "1" / layout.MANIFEST).write_text(json.dumps(facts))


def retag(base):
    changed = saved(base)
    changed.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    (base / "1" / layout.SAVED_MODEL).write_bytes(changed.SerializeToString())


def other_signature(base):
    changed = saved(base)
    signatures = changed.meta_graphs[0].signature_def
    signatures["other"].CopyFrom(signatures["serving_default"])
    del signatures["serving_default"]
    (base / "1" / layout.SAVED_MODEL).write_bytes(changed.SerializeToString())


def close(base):
    (base / "1" / layout.SAVED_MODEL).chmod(0o600)


def twice(base):
    (base / "001").symlink_to(base / "1")


def empty(base):
    (base / "2").mkdir()


def a_file(base):
    (base / "2").write_text("")


def no_warm_up(base):
    (base / "1" / layout.WARMUP_REQUESTS).unlink()


FAULTS = {
    "version folder that is no number": (rename, ("'v1' is no number", "mv .*v1 .*/1")),
    "nested one level too deep": (nest, ("one level too deep.*'model'", "mv ")),
    "versions nested one level too deep": (nest_versions, ("versions are nested one level too deep", "mv ")),
    "truncated graph": (truncate, ("cut short", "Copy the version again")),
    "missing shard": (lose_shard, ("Shard 1 of 2", "Copy it again")),
    "empty file": (empty_file, ("The file is empty", "Copy")),
    "half-copied": (half_copied, (r"half-copied: not in full are assets/a\.txt", "Copy")),
    "no serve tag": (retag, (r"tag 'serve'.*\[\['train'\]\]", "save")),
    "no serving_default": (other_signature, (r"no signature 'serving_default'.*other", "clients name one")),
    "newer TensorFlow": (newer_tensorflow, ("made by TensorFlow 2.99.0 and is served by 2.21.0.*producer", "image")),
    "unreadable for the container's user": (close, ("cannot read it", r"chmod -R o\+rX")),
    "two names for one number": (twice, ("'1' and '001' are both version 1|'001' and '1' are both version 1", "mv ")),
    "empty version": (empty, ("It is empty", "rmdir")),
    "a file in place of a version": (a_file, ("A version is a folder", "mv ")),
    "no warm-up file": (no_warm_up, ("no warm-up requests", "modelport publish")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_model(base, fault, capsys):
    build, words = FAULTS[fault]
    build(base)
    expect(fault, [*told(base, target="2.21.0"), *told(base.parent, target="2.21.0")], *words)
    assert main(["doctor", str(base.parent), "--tensorflow", "2.21.0"]) == 1
    assert re.search(words[0], capsys.readouterr().out)


def test_a_base_path_that_is_none(base, tmp_path):
    (base / "1").rename(tmp_path / "saved")
    expect("a SavedModel in the base path itself", told(tmp_path / "saved"), "lies in the base path itself", "mkdir")
    (base.parent / layout.PROBED).touch()  # somebody published here
    expect("no version", told(base.parent), "no version: no folder with a number", "modelport publish")


def test_the_repositorys_own_configuration(base):
    text = model(base, 'model_version_policy { specific { versions: 9 } } version_labels { key: "s" value: 8 }')
    (base.parent / "models.config").write_text(f"model_config_list {{ {text} }}")
    found = told(base.parent)
    expect("a version to be served that is not there", found, "Version 9", "modelport promote m 1")
    expect("label on a version that is not there", found, "'s' of 'm' is on version 8", "--unlabel s")


def test_a_project_around_a_repository_is_no_repository(base, tmp_path):
    (tmp_path / "docs").mkdir()
    found = told(tmp_path)
    assert len(found) == 1
    assert "modelport doctor" in found[0], "before any mv"
