"""Faults of Keras files; what is nothing to look at; and that the document lists all that is built in this folder."""

import ast
import json
import re
import zipfile
from pathlib import Path

import pytest

from modelport.errors import InvalidArgument, NotFound
from modelport_release.doctor.examining import examine
from modelport_release.doctor.finding import Finding, in_order
from tests.support.doctoring import expect, told

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs" / "doctor.md"


def keras_file(path, layers, version="3.0.0"):
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": layers}, "registered_name": None}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
    return path


def test_a_keras_file(tmp_path):
    plain = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d"}, "registered_name": None}
    assert told(keras_file(tmp_path / "a.keras", [plain])) == []
    newer = keras_file(tmp_path / "b.keras", [plain], "99.1.0")
    expect("a .keras file of a newer Keras", told(newer), "saved by Keras 99.1.0", "pip install")
    layer = {**plain, "class_name": "Lambda"}
    expect("a Lambda", told(keras_file(tmp_path / "c.keras", [layer])), "'d' is a Lambda", "--allow-lambda")
    own = {"module": "my.layers", "class_name": "Mine", "config": {}, "registered_name": "pkg>Mine"}
    found = told(keras_file(tmp_path / "d.keras", [own]))
    expect("custom objects that are not registered", found, "Mine is a class of its own", "--import MODULE.*my.layers")
    (tmp_path / "e.keras").write_bytes(b"PK")
    expect("no whole .keras file", told(tmp_path / "e.keras"), "no whole .keras file", "Save the model again")


def test_a_keras_file_of_keras_itself(tmp_path):
    import keras

    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "a.keras")
    assert told(tmp_path / "a.keras") == []


def test_what_is_nothing_to_look_at(tmp_path):
    with pytest.raises(NotFound, match="does not exist"):
        examine(str(tmp_path / "nothing"))
    (tmp_path / "a.txt2").write_text("")
    with pytest.raises(InvalidArgument, match="a repository, a base path"):
        examine(str(tmp_path / "a.txt2"))


def test_the_worst_comes_first():
    one, two = Finding("warning", "a", "b", "c"), Finding("error", "a", "b", "c")
    assert in_order([one, two, one]) == [two, one]


def test_the_document_lists_what_is_built_here():
    listed = set(re.findall(r"^\| ([^|]+?) \|", DOCUMENT.read_text("utf-8"), re.M)) - {"fault", "---"}
    named = set()
    for file in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "expect":
                named |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "FAULTS":
                named |= {key.value for key in node.value.keys}
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "WRONG":
                named |= {one.elts[0].value for one in node.value.elts}
    assert listed == named
