"""`modelport predict MODEL --input FILE --output FILE`: rows in, answers out."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow
import pytest
from pyarrow import parquet

from modelport.__main__ import main
from modelport.dtypes import BY_NAME
from modelport.errors import FailedPrecondition
from modelport_client import Prediction
from modelport_client.commands import answer_files
from modelport_serving import AUTO, Options, Server

NAMES = ["a,b", 'q"', "ü", "line\nbreak", ""]
ROWS = [{"price": n + 0.5, "count": n, "name": NAMES[n % 5]} for n in range(1000)]
EXPECTED = [(row["price"] * row["count"], row["name"] + "é") for row in ROWS]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from tests.support import models

    root = tmp_path_factory.mktemp("models")
    for name in ("columns", "pictures", "matrix"):
        getattr(models, name)(root / name / "1")
    with Server(Options(model_repository=str(root), port=AUTO, rest_api_port=AUTO)) as server:
        yield server


@pytest.fixture(params=["grpc", "rest"])
def predict(request: pytest.FixtureRequest, served: Server, capsys: pytest.CaptureFixture[str]) -> Callable:
    target = served.grpc_address if request.param == "grpc" else served.rest_address

    def run(*words: object) -> tuple[int, str]:
        code = main(["predict", *map(str, words), "--server", target])
        return code, "".join(capsys.readouterr())

    return run


def write_csv(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "name", "count", "price"])
        writer.writeheader()
        writer.writerows({"id": place, **row} for place, row in enumerate(ROWS))


def write_jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def write_npz(path: Path) -> None:
    price = np.array([row["price"] for row in ROWS], np.float32)
    np.savez(path, price=price, count=[row["count"] for row in ROWS], name=[row["name"] for row in ROWS])


def write_parquet(path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist([{"id": 1, **row} for row in ROWS]), path)


def read_csv(path: Path) -> list[tuple[float, str]]:
    with path.open(newline="") as file:
        return [(float(row["total_0"]), row["tag"]) for row in csv.DictReader(file)]


def read_jsonl(path: Path) -> list[tuple[float, str]]:
    return [(row["total"][0], row["tag"]) for row in map(json.loads, path.read_text().split("\n")[:-1])]


def read_npz(path: Path) -> list[tuple[float, str]]:
    found = np.load(path)
    return list(zip(found["total"][:, 0].tolist(), found["tag"].tolist(), strict=True))


def read_parquet(path: Path) -> list[tuple[float, str]]:
    return [(row["total_0"], row["tag"]) for row in parquet.read_table(path).to_pylist()]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "npz", "parquet"])
def test_rows_in_answers_out(predict: Callable, tmp_path: Path, kind: str) -> None:
    source = tmp_path / f"rows.{kind}"
    globals()[f"write_{kind}"](source)
    for written in ("csv", "jsonl", "npz", "parquet"):
        target = tmp_path / f"answers.{written}"
        code, said = predict("columns", "--input", source, "--output", target, "--batch-rows", 64)
        assert code == 0, said
        assert "1000 rows answered by columns version 1" in said
        assert globals()[f"read_{written}"](target) == EXPECTED
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_folder_of_images(predict: Callable, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in (3, 1, 2):
        PIL.Image.fromarray(np.full((2, 3), number, np.uint8)).save(tmp_path / "in" / f"{number}.png")
    code, said = predict("pictures", "--input", tmp_path / "in", "--output", tmp_path / "a.csv", "--batch-rows", 2)
    assert code == 0, said
    assert (tmp_path / "a.csv").read_text().split() == ["file,total", "1.png,6", "2.png,12", "3.png,18"]
    code, said = predict("pictures", "--input", tmp_path / "in")
    assert code == 0
    assert "18" in said


def test_columns_side_by_side(predict: Callable, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    code, said = predict("matrix", "--input", tmp_path / "x.csv", "--json")
    assert code == 0, said
    assert json.loads(said)["outputs"]["y"] == [[1.0, 2.0], [4.0, 5.0]]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", "price,count,name\n1,2,a\n1,b,c\n", "type int64 in line 3 of .*x.csv, column 'count'. Received: 'b'"),
        ("x.csv", "price,count,name\n1,2\n", "3 values in line 2 .* Received: 2"),
        ("x.csv", "price,count\n1,2\n", r"Received none for \['name'\]"),
        ("x.csv", "", "Received: no header"),
        ("x.csv", "price,price\n1,1\n", r"Received: \['price'\]"),
        ("x.csv", 'price,count,name\n1,1,"a\n', "Expected CSV in UTF-8"),
        ("x.jsonl", '{"price": 1, "count": 1, "name": "a"}\nnonsense\n', "JSON in line 2"),
        ("x.jsonl", '{"price": 1, "count": 1.5, "name": "a"}\n', "After 0 rows that were answered: Input 'count'"),
        ("x.csv", "price,count,name\n1,1_000,a\n", "Received: '1_000'"),
        ("x.csv", 'price,count,name\n1,1,"a\nb"\n\n1,c,d\n', "line 5 .*Received: 'c'"),
        ("x.npz", "nonsense", "Expected arrays"),
        ("x.npz", "", "Expected arrays"),
        ("x.parquet", "nonsense", "Expected Parquet"),
    ],
)
def test_files_that_are_not_as_they_should_be(
    predict: Callable, tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    (tmp_path / "a.csv").write_text("what was there")
    code, said = predict("columns", "--input", tmp_path / name, "--output", tmp_path / "a.csv")
    assert code == 1
    assert pytest.importorskip("re").search(words, said), said
    assert (tmp_path / "a.csv").read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.csv", name])


def test_every_dtype_into_every_file(served: Server, tmp_path: Path) -> None:
    """Outputs of rank 3, of bfloat16, of bytes with zeros at the end and of text beside bytes that are none."""
    bfloat16 = BY_NAME["bfloat16"].numpy
    answer = Prediction(
        {
            "cube": np.arange(3200, dtype=np.float32).reshape(2, 40, 40),
            "small": np.array([1.5, 2.5], bfloat16),
            "raw_bytes": np.array([b"a", b"\xff"], object),
            "tag": np.array([b"a", "ü".encode()], object),
        },
        "m",
    )
    for kind in ("csv", "jsonl", "npz", "parquet"):
        with answer_files.writing(tmp_path / f"a.{kind}") as write:
            write(answer, None)
            write(answer, None)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert json.loads(rows[1]["cube"]) == answer["cube"][1].tolist()
    assert json.loads(rows[1]["raw_bytes"]) == {"b64": "/w=="}
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines[1]["cube"] == answer["cube"][1].tolist()
    assert (lines[0]["raw_bytes"], lines[0]["tag"], lines[0]["small"]) == ({"b64": "YQ=="}, "a", 1.5)
    arrays = np.load(tmp_path / "a.npz")
    assert arrays["raw_bytes"].tolist() == [b"a", b"\xff"] * 2
    assert arrays["small"].dtype == np.float32
    table = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert (table[1]["raw_bytes"], table[1]["tag"], table[1]["small"]) == (b"\xff", "ü", 2.5)
    for kind, outputs, words in (
        ("npz", {"t": np.array([b"a\0"], object)}, "zero byte"),
        ("npz", {"t": np.array([b"\xff"], object)}, "no UTF-8"),
        ("parquet", {"t": np.array([b"\xff"], object)}, "no UTF-8"),
        ("csv", {"t": np.array([1j])}, "complex"),
        ("csv", {"t": np.array(1.0)}, "one value for each row"),
    ):
        with pytest.raises(FailedPrecondition, match=words), answer_files.writing(tmp_path / f"b.{kind}") as write:
            write(Prediction(outputs, "m"), None)
        assert not (tmp_path / f"b.{kind}").exists()


def test_a_long_inline_input(predict: Callable) -> None:
    code, said = predict("matrix", "--input", json.dumps([[1.0, 2.0, 3.0]] * 100), "--json")
    assert code == 0, said


def test_the_same_file_twice(predict: Callable, tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv")
    code, said = predict("columns", "--input", tmp_path / "rows.csv", "--output", tmp_path / "rows.csv")
    assert code == 1
    assert "another file" in said
    assert (tmp_path / "rows.csv").read_text().startswith("id,name")


def test_rows_of_lines_as_features(predict: Callable, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1, "b": 2, "c": 3}\n')
    code, said = predict("matrix", "--input", tmp_path / "x.jsonl", "--json")
    assert code == 0, said


def test_words_that_are_wrong(predict: Callable, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("price,count,name\n1,2,a\n")
    assert predict("columns", "--input", "nowhere.csv", "--output", tmp_path / "a.csv")[1].count("nowhere.csv") >= 1
    code, said = predict("columns", "--input", tmp_path / "x.csv", "--output", tmp_path / "a.txt")
    assert code == 1
    assert "--only NAME picks an output" in said
    code, said = predict("columns", "--input", tmp_path / "x.csv", "--output", tmp_path / "no/where/a.csv")
    assert code == 1
    assert "write the answers" in said
    with pytest.raises(SystemExit):
        predict("columns", "--input", "[1]", "--output", tmp_path / "a.csv")


def test_a_full_disk_is_told(predict: Callable, served: Server, tmp_path: Path) -> None:
    """/dev/full takes nothing."""
    write_csv(tmp_path / "rows.csv")
    words = ["predict", "columns", "--input", str(tmp_path / "rows.csv"), "--json", "--server", served.grpc_address]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "modelport", *words], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr.decode().strip().splitlines()[-1].endswith("No space left on device")
