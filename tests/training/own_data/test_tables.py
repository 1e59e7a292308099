"""Tables of one's own: what is made of them, and what is said of those that are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from modelport.errors import DataLoss, InvalidArgument, NotFound
from modelport_training import Settings, own_data, train
from modelport_training.own_data import DataOptions

Write = Callable[[str, str], Path]


def columns(path: Path, **options: object) -> dict[str, np.ndarray]:
    dataset = own_data.load(DataOptions(path, **options))
    return dataset.train.inputs


def test_numbers_texts_and_truth(houses: Path) -> None:
    dataset = own_data.load(DataOptions(houses, "price"))
    assert {name: array.dtype.kind for name, array in dataset.train.inputs.items()} == {
        "rooms": "f",
        "town": "O",
        "cheap": "f",
    }
    assert (len(dataset.train), len(dataset.test), dataset.classes) == (180, 20, 0)
    lines = [line.split(",") for line in houses.read_text().splitlines()[1:]]
    told = [float(line[2]) for number, line in enumerate(lines) if number % 10 == 9]
    assert dataset.test.targets.tolist() == told
    cheap = [float(line[3] == "true") for number, line in enumerate(lines) if number % 10 == 9]
    assert dataset.test.inputs["cheap"].tolist() == cheap


def test_the_same_rows_streamed_and_in_memory(houses: Path) -> None:
    whole, streamed = (own_data.load(DataOptions(houses, "town", streamed=flag)) for flag in (False, True))
    assert whole.class_names == streamed.class_names == ("High", "Low")
    assert whole.fingerprint != ""
    assert len(streamed.train) == 180
    inputs, targets = next(iter(streamed.train.make().batch(180).as_numpy_iterator()))
    np.testing.assert_array_equal(targets, whole.train.targets)
    np.testing.assert_array_equal(inputs["rooms"], whole.train.inputs["rooms"])


def test_parquet_and_json_lines_have_the_same_rows(houses: Path, tmp_path: Path) -> None:
    from pyarrow import csv

    table = csv.read_csv(houses)
    parquet.write_table(table, tmp_path / "houses.parquet")
    (tmp_path / "houses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    one = own_data.load(DataOptions(houses, "price"))
    for name in ("houses.parquet", "houses.jsonl"):
        other = own_data.load(DataOptions(tmp_path / name, "price"))
        np.testing.assert_array_equal(other.train.targets, one.train.targets)
        for column, values in one.train.inputs.items():
            np.testing.assert_array_equal(other.train.inputs[column], values)


@pytest.mark.parametrize("target", ["price", "town"])
def test_trained_and_published(houses: Path, tmp_path: Path, target: str) -> None:
    trained = train(Settings("tabular", data=houses, target=target, output=tmp_path / "run", epochs=60), stream=None)
    if target == "price":
        assert trained.metrics["mean_absolute_error"] < 60
    else:
        assert trained.metrics["accuracy"] > 0.9
    assert trained.publish(tmp_path / "models", "houses").version == 1


def test_a_missing_number_counts_as_the_mean(houses: Path, tmp_path: Path) -> None:
    text = houses.read_text().splitlines()
    text[3] = ",High,100.0,false"
    houses.write_text("\n".join(text))
    assert np.isnan(columns(houses, target="price")["rooms"]).sum() == 1
    trained = train(Settings("tabular", data=houses, target="price", output=tmp_path / "run", epochs=1), stream=None)
    assert np.isfinite(trained.metrics["loss"])


ROW = "1,High,100.0,false\n"
HEAD = "rooms,town,price,cheap\n"
WRONG = {
    "a value that is no number": (
        HEAD + ROW * 30 + "many,High,1.0,true\n",
        {},
        r"row 32: the column 'rooms' is mixed: 'many', and in row 2 '1'.*--text rooms",
    ),
    "dates": (
        HEAD.replace("town", "day") + "1,2024-01-31,1.5,true\n2,2024-02-01,2.5,true\n" * 20,
        {},
        r"row 2: the column 'day' is a date \('2024-01-31'\)",
    ),
    "decimal commas": (
        HEAD.replace("town", "size") + '1,"3,5",1.5,true\n2,"1.234,5",2.5,true\n' * 20,
        {},
        r"row 2: the column 'size' has numbers with a comma \('3,5'\)",
    ),
    "classes with a fraction": (
        HEAD + "1,High,1.5,true\n2,Low,2.5,true\n" * 20,
        {"task": "classification"},
        r"the target 'price' has numbers with a fraction \('1.5'\)",
    ),
    "a row that is too short": (HEAD + ROW * 30 + "1,2\n" + ROW, {}, r"row 32: expected 4 values. Received: 2: '1,2'"),
    "no target": (HEAD + ROW * 30, {"target": None}, "--target as a column.*rooms, town, price, cheap.*Received: None"),
    "a target that is not there": (HEAD + ROW * 30, {"target": "prize"}, "Received: 'prize'"),
    "a target without a value": (
        HEAD + ROW * 30 + "1,High,,false\n" + ROW,
        {},
        r"row 32: the target 'price' is missing",
    ),
    "a constant target": (HEAD + ROW * 30, {}, r"the target 'price' is '100.0' in every row"),
    "a text as a number": (
        HEAD + ROW * 30 + "1,Low,1.0,true\n",
        {"target": "town", "task": "regression"},
        r"row 2: the target 'town' is text \('High'\)",
    ),
    "an empty column": (
        "rooms,town,price\n" + "1,,2.0\n1,,3.0\n" * 20,
        {},
        "the column 'town' has no value in any row",
    ),
    "few rows": (HEAD + ROW * 3, {}, "20 rows or more.*Received: 3"),
    "the same column twice": ("a,a,price\n" + "1,2,3\n" * 30, {}, "row 1: the column a is there twice"),
    "a column without a name": (",rooms,price\n" + "1,2,3\n2,3,4\n" * 20, {}, "a column has no name"),
    "a head and no row": (HEAD, {}, "20 rows or more.*none"),
    "semicolons": ("rooms;price\n" + "1;2\n" * 30, {}, "commas between. Received: ';'"),
    "a number that is none": (
        "rooms,price\n" + "1,2\n2,3\n" * 20 + "inf,2\n",
        {},
        "row 42: the column 'rooms' has 'inf'",
    ),
    "names among numbers": ("zip,price\n94110,1\n01123,2\n" * 20, {}, "row 3: the column 'zip' is mixed: '01123'"),
    "an option of other data": (HEAD + ROW * 30, {"image_size": 3}, "image_size with a folder of images only"),
    "nothing": ("", {}, "CSV file with a head"),
    "a text column that is not there": (HEAD + ROW * 30, {"text": ("zip",)}, "--text as columns.*Received: zip"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_told_with_its_row(write: Write, fault: str) -> None:
    text, options, said = WRONG[fault]
    with pytest.raises((InvalidArgument, DataLoss), match=said):
        own_data.load(DataOptions(write("t.csv", text), **{"target": "price", **options}))


def test_zeros_before_numbers_and_spaces_around_them(write: Write) -> None:
    path = write("t.csv", "code,size,land,y\n" + "".join(f"0{row % 3}, {row} ,NA,{row}.5\n" for row in range(30)))
    found = columns(path, target="y")
    assert found["code"][:2].tolist() == ["00", "01"]
    assert found["size"][:2].tolist() == [0.0, 1.0]
    assert found["land"][0] == "NA", "Namibia is a land"


def test_a_column_of_numbers_can_be_text(write: Write) -> None:
    path = write("t.csv", "zip,price\n" + "".join(f"{10000 + row % 3},{row}.5\n" for row in range(30)))
    assert columns(path, target="price")["zip"].dtype == np.float32
    assert columns(path, target="price", text=("zip",))["zip"].dtype == object


LINES = {
    "no JSON": ('{"a": 1}\n{"a": \n', r"row 2: expected an object of JSON"),
    "a list": ('{"a": [1]}\n', r"row 1: expected an object of texts and numbers"),
    "a mixture": ('{"a": 1}\n{"a": "one"}\n', r"row 2: the field 'a' is mixed: 'one', and in row 1 1"),
}


@pytest.mark.parametrize("fault", LINES)
def test_lines_of_json_that_are_wrong(write: Write, fault: str) -> None:
    text, said = LINES[fault]
    with pytest.raises(InvalidArgument, match=said):
        own_data.load(DataOptions(write("t.jsonl", text), "a"))


def test_a_parquet_file_that_is_cut_short(houses: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"a": list(range(50)), "b": [[1]] * 50}), path)
    with pytest.raises(InvalidArgument, match="the column 'b' is list"):
        own_data.load(DataOptions(path, "a"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataLoss, match="expected a Parquet file"):
        own_data.load(DataOptions(path, "a"))


def test_no_such_file_or_kind(write: Write, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        own_data.load(DataOptions(tmp_path / "no.csv"))
    with pytest.raises(InvalidArgument, match=r"ends in .csv, .parquet"):
        own_data.load(DataOptions(write("t.xlsx", "")))


def test_what_typed_files_have_beside_numbers_and_texts(tmp_path: Path, write: Write) -> None:
    """Categories and wide texts of pandas, whole numbers that no float has, fields that come late or go missing."""
    letters = pyarrow.array(["b", "a"] * 20)
    table = {
        "category": letters.dictionary_encode(),
        "wide": letters.cast(pyarrow.large_string()),
        "large": [2**60 + 1] * 40,
        "y": [float(row) for row in range(40)],
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "t.parquet")
    found = columns(tmp_path / "t.parquet", target="y")
    assert found["category"][:3].tolist() == found["wide"][:3].tolist() == ["b", "a", "b"]
    assert found["large"][0] == np.float32(2**60)

    rows = [{"x": row, "y": row * 1.5} for row in range(5000)] + [{"x": 2**60, "y": 0.5, "note": "late"}] * 20
    path = write("t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert columns(path, target="y")["note"][[0, -1]].tolist() == ["", "late"]
    with pytest.raises(InvalidArgument, match=r"row 1: the target 'note' is missing"):
        own_data.load(DataOptions(path, "note"))


def test_half_precision_tells_neighbours_apart(write: Write, tmp_path: Path) -> None:
    """2008 and 2009 are one number in bfloat16, and so are 292.1 and 292.9."""
    rows = "".join(f"{2000 + row % 20},{290 + row % 20 / 5}\n" for row in range(400))
    settings = Settings(
        "tabular", data=write("t.csv", "year,y\n" + rows), target="y", output=tmp_path / "run", epochs=60, batch_size=8,
        precision="mixed_bfloat16",
    )  # fmt: skip
    assert train(settings, stream=None).metrics["mean_absolute_error"] < 0.3


def test_whether_data_stream_is_decided_once(houses: Path) -> None:
    whole, streamed = (own_data.load(DataOptions(houses, "price", streamed=flag)) for flag in (False, True))
    assert whole.fingerprint == streamed.fingerprint


def test_a_text_is_trained_and_published(write: Write, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for number in range(200):
        mood = ("good", "bad")[number % 2]
        words = random.permutation([*random.choice(["the", "a", "film", "play", "was"], 5), mood, mood])
        rows.append(json.dumps({"text": " ".join(words), "mood": mood}))
    path = write("reviews.jsonl", "\n".join(rows))
    trained = train(Settings("text", data=path, target="mood", output=tmp_path / "run"), stream=None)
    assert trained.metrics["accuracy"] > 0.95
    assert trained.samples["text"].dtype.kind == "S"
    assert trained.publish(tmp_path / "models", "mood").version == 1
