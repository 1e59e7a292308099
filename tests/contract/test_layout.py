"""Names: which are models, which are versions, and that all paths stand in one place."""

import re
from pathlib import Path

import pytest

from modelport import layout
from modelport.errors import FailedPrecondition, NotFound
from modelport.layout import list_versions, parse_version, versions_among


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("1", 1),
        ("00000123", 123),
        ("+5", 5),
        (" 7 ", 7),
        ("-3", -3),
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("v1", None),
        ("1.0", None),
        ("1e3", None),
        ("1_0", None),
        ("", None),
        ("2.denied", None),
        (".tmp-3", None),
        ("latest", None),
        ("١", None),
        ("1\n", 1),
    ],
)
def test_which_names_are_versions(name, version):
    assert parse_version(name) == version


def test_foreign_layouts_are_read_as_the_real_server_reads_them(tmp_path):
    for name in ("001", "1", "2", "007", "v3", "latest", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "9").write_text("a file counts too: its load fails and says so")
    found = list_versions(tmp_path)
    assert list(found) == [1, 2, 7, 9]
    assert found[1].name == "1"  # the last of '001' and '1' in lexicographic order
    assert found[7].name == "007"


def test_the_last_name_of_a_number_wins():
    assert versions_among(["2", "001", "v3", "1", "10"]) == {1: "1", 2: "2", 10: "10"}


def test_a_base_path_that_cannot_be_listed(tmp_path):
    with pytest.raises(NotFound, match="No such file"):
        list_versions(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(FailedPrecondition, match="Not a directory"):
        list_versions(tmp_path / "file")


def test_no_other_file_of_the_contract_spells_a_path_of_a_version():
    """A name that stands twice is changed once."""
    spelled = re.compile(r'"(saved_model\.pb|assets\.extra|manifest\.json|\.allotted|\.staging-)"')
    for path in Path(layout.__file__).parent.rglob("*.py"):
        if path.name != "layout.py":
            assert not spelled.search(path.read_text()), path
