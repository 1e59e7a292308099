"""What people hold in their hands: frames, columns, rows, pictures and folders, over each transport and surface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import PIL.Image
import polars
import pyarrow
import pytest

from modelport.errors import InvalidArgument, NotFound
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from tests.support.blocking import Blocking

COLUMNS = {"price": [1.5, 2.0, 4.0], "count": [2, 3, 4], "name": ["a", "b", "ü"]}
TOTALS = [[3.0], [6.0], [16.0]]
MATRIX = {"a": [1.0, 2.0], "b": [0.5, 0.25], "c": [3.0, 4.0]}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Models `columns`, `pictures` and `matrix` (float[?,3])."""
    from tests.support import models

    root = tmp_path_factory.mktemp("tables")
    lines = []
    for name in ("columns", "pictures", "matrix"):
        getattr(models, name)(root / name / "1")
        lines.append(f'config {{ name: "{name}" base_path: "{root}/{name}" model_platform: "tensorflow" }}')
    (root / "models.config").write_text("model_config_list {" + " ".join(lines) + "}")
    with Server(Options(model_config_file=str(root / "models.config"), port=AUTO, rest_api_port=AUTO)) as server:
        yield server


@pytest.fixture(params=["grpc", "rest", "grpc async", "rest async"])
def asked(request: pytest.FixtureRequest, tables: Server) -> Iterator[Any]:
    target = tables.grpc_address if request.param.startswith("grpc") else tables.rest_address
    with (Blocking if request.param.endswith("async") else Client)(target, timeout=30) as client:
        yield client


KINDS: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "pandas": pandas.DataFrame,
    "pandas' nullable types": lambda columns: pandas.DataFrame(columns).convert_dtypes(),
    "pandas, a dict of Series": lambda columns: {name: pandas.Series(values) for name, values in columns.items()},
    "polars": polars.DataFrame,
    "arrow": pyarrow.table,
    "an arrow batch": lambda columns: pyarrow.table(columns).to_batches()[0],
    "columns": dict,
    "numpy columns": lambda columns: {name: np.array(values) for name, values in columns.items()},
    "rows": lambda columns: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_meet_inputs_by_name(asked: Any, kind: str) -> None:
    answer = asked.predict("columns", KINDS[kind](COLUMNS))
    assert answer["total"].tolist() == TOTALS
    assert answer["tag"].tolist() == ["aé", "bé", "üé"]
    assert answer["raw_bytes"].tolist() == [b"a", b"b", "ü".encode()]
    assert answer.raw["tag"].tolist() == [text.encode() for text in answer["tag"]]


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "rows"])
def test_a_frame_for_an_input_of_rank_2(asked: Any, kind: str) -> None:
    expected = asked.predict("matrix", np.array(list(zip(*MATRIX.values(), strict=True)), np.float32))["y"]
    assert asked.predict("matrix", KINDS[kind](MATRIX))["y"].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (pandas.DataFrame({**COLUMNS, "extra": 1}), "unknown input 'extra'"),
        (pandas.DataFrame({"pric": [1.0], "count": [1], "name": ["a"]}), "'pric', did you mean 'price'"),
        (pandas.DataFrame({**COLUMNS, "count": [1.5, 2, 3]}), "Input 'count'.*int64.*double"),
        (polars.DataFrame({**COLUMNS, "count": [1, None, 3]}), "Column 'count'.*1 without"),
        (pyarrow.table({**COLUMNS, "name": ["a", None, "b"]}), "Column 'name'.*1 without"),
        (pandas.DataFrame({**COLUMNS, "name": ["a", None, "b"]}), "Column 'name'.*1 without"),
        (pandas.DataFrame({**COLUMNS, "price": pandas.array([1, None, 2], "Int64")}), "Column 'price'.*1 without"),
        ({**COLUMNS, "price": np.ma.masked_array([1.0, 2, 3], mask=[0, 1, 0])}, "Input 'price'.*masked"),
        ({**COLUMNS, "price": polars.DataFrame({"a": [1.0]})}, "Column 'price': expected"),
        ([{"price": 1.0}, {"prise": 2.0}], "columns \\['price'\\] in each row. Row 1"),
        ([{"price": 1.0}, 3], "dict for each row.*row 1: int"),
        (pandas.DataFrame([[1, 2]], columns=["price", "price"]), "two columns 'price'"),
        (pandas.DataFrame([[1, 2]]), "names are text.*0"),
    ],
)
def test_columns_that_do_not_fit(asked: Any, inputs: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        asked.predict("columns", inputs)


def test_a_frame_of_another_width(asked: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"a column 'x', or 3 columns.*Received 2: \['a', 'b'\]"):
        asked.predict("matrix", pandas.DataFrame({"a": [1.0], "b": [2.0]}))
    with pytest.raises(InvalidArgument, match=r"text in \['b'\]"):
        asked.predict("matrix", pandas.DataFrame({"a": [1.0], "b": ["x"], "c": [1.0]}))


def test_columns_of_a_frame_keep_their_digits(asked: Any) -> None:
    """Side by side numpy would make one dtype of them first, and round 16777217 without a word."""
    for values in ([16777217], [2**63 + 1]):
        with pytest.raises(InvalidArgument, match=r"Column 'a'.*without loss"):
            asked.predict("matrix", pandas.DataFrame({"a": values, "b": [0.5], "c": [1.0]}))
    with pytest.raises(InvalidArgument, match="Column 'a'"):
        asked.predict("matrix", pandas.DataFrame({"a": pandas.to_datetime(["2024-01-01"]), "b": [1], "c": [1]}))


def test_nulls_within_lists(asked: Any) -> None:
    for frame in (pyarrow.table({"x": [[1.0, None, 2]]}), polars.DataFrame({"x": [[1.0, None, 2.0]]})):
        with pytest.raises(InvalidArgument, match=r"Column 'x'.*1 without"):
            asked.predict("matrix", frame)


def test_a_column_of_arrays(asked: Any) -> None:
    for frame in (
        pandas.DataFrame({"x": [np.ones(3), np.zeros(3)]}),
        pyarrow.table({"x": [[1.0, 1, 1], [0, 0, 0.0]]}),
        polars.DataFrame({"x": [[1.0, 1, 1], [0, 0, 0]]}),
    ):
        assert asked.predict("matrix", frame)["y"].tolist() == [[1.0, 1.0], [0.0, 0.0]]
    with pytest.raises(InvalidArgument, match="'x': expected arrays of one shape"):
        asked.predict("matrix", pandas.DataFrame({"x": [np.ones(3), np.ones(2)]}))


def test_pictures(asked: Any, tmp_path: Path) -> None:
    gray = PIL.Image.fromarray(np.array([[1, 2, 3], [4, 5, 250]], np.uint8))
    for inputs in (gray, [gray, gray]):
        assert set(asked.predict("pictures", inputs)["total"].tolist()) == {265}
        assert asked.predict("pictures", inputs).signature == "serve_image_bytes"
        assert set(asked.predict("pictures", inputs, signature="serving_default")["total"].tolist()) == {265}
        assert set(asked.predict("pictures", {"image": inputs}, signature="rgb")["total"].tolist()) == {3 * 265}
    for name in ("b.png", "a.png"):
        gray.point(lambda value, name=name: value if name == "b.png" else 0).save(tmp_path / name)
    (tmp_path / ".hidden").write_text("x")
    assert asked.predict("pictures", tmp_path)["total"].tolist() == [0, 265]
    for wrong, words in (
        (gray.resize((4, 4)), r"an image of \[2, 3, 1\]. Received one of \[4, 4, 1\]"),
        (gray.convert("RGB"), "becomes 1 channels without a loss. Received the mode RGB"),
    ):
        with pytest.raises(InvalidArgument, match=words):
            asked.predict("pictures", wrong, signature="serving_default")
    (tmp_path / "c.txt").write_text("no image")
    with pytest.raises(InvalidArgument, match=r"an image file .*c.txt"):
        asked.predict("pictures", tmp_path)
    with pytest.raises(NotFound, match="read the image"):
        asked.predict("pictures", tmp_path / "nowhere")


def test_answers_as_frames(tables: Server) -> None:
    with Client(tables.grpc_address) as client:
        answer = client.predict("columns", COLUMNS)
        wide = client.predict("matrix", {"x": np.eye(3, dtype=np.float32)})
    frame = answer.to_pandas()
    assert frame.columns.tolist() == ["raw_bytes", "tag", "total_0"]
    assert frame["tag"].tolist() == ["aé", "bé", "üé"]
    assert wide.to_pandas().shape == (3, 2)
    assert "columns version 1" in repr(answer)
    assert "float32 [3, 1]" in repr(answer)
    page = answer._repr_html_()
    assert "<th>tag</th>" in page
    assert "aé" in page


def test_html_of_hostile_text(tables: Server) -> None:
    with Client(tables.grpc_address) as client:
        page = client.predict("columns", {**COLUMNS, "name": ["<script>", "b", "c"]})._repr_html_()
    assert "<script>" not in page


def test_batches_of_a_generator(asked: Any) -> None:
    held = []

    def batches() -> Iterator[Any]:
        for number in range(20):
            held.append(number)
            yield {"x": np.full((2, 3), number, np.float32)}

    seen = []
    for place, answer in enumerate(asked.predict_batches("matrix", batches(), under_way=3)):
        seen.append(answer["y"][0, 0])
        assert len(held) <= place + 3
    assert seen == list(range(20))
    with pytest.raises(InvalidArgument, match="Input 'x'"):
        list(asked.predict_batches("matrix", [np.ones((1, 3)), {"x": ["text"]}, np.ones((1, 3))]))
