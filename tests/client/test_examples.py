"""tf.Examples without TensorFlow: Classify, Regress and MultiInference of dicts, rows and frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import tensorflow as tf

from modelport.errors import InvalidArgument, NotFound, Unimplemented
from modelport_client import Class, Client
from modelport_client.inputs.examples import to_input
from modelport_serving import AUTO, Options, Server
from tests.support import graphs
from tests.support.blocking import Blocking

X = [0.25, 2.0]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("models")
    graphs.save(root / "m" / "1", graphs.examples)
    with Server(Options(model_repository=str(root), port=AUTO, rest_api_port=AUTO)) as server:
        yield server


@pytest.fixture(params=["grpc", "rest", "grpc async", "rest async"])
def asked(request: pytest.FixtureRequest, served: Server) -> Iterator[Any]:
    target = served.grpc_address if request.param.startswith("grpc") else served.rest_address
    with (Blocking if request.param.endswith("async") else Client)(target, timeout=30) as client:
        yield client


@pytest.mark.parametrize(
    "examples",
    [
        {"x": X},
        [{"x": value} for value in X],
        {"x": np.array(X, np.float32)},
        pandas.DataFrame({"x": X}),
        polars.DataFrame({"x": X}),
        pyarrow.table({"x": X}),
    ],
    ids=["columns", "rows", "arrays", "pandas", "polars", "arrow"],
)
def test_classify_and_regress(asked: Any, examples: Any) -> None:
    answer = asked.classify("m", examples)
    assert answer.rows == tuple((Class("yes", x), Class("no", 1 - x)) for x in X)
    assert answer.model == "m"
    assert answer.version == (None if asked.target.startswith("http") else 1)
    assert asked.regress("m", examples, signature="regress").values == [2 * x for x in X]


def test_one_example_and_a_context(asked: Any) -> None:
    assert asked.regress("m", {"x": 0.5}, signature="regress").values == [1.0]
    assert asked.regress("m", [{}, {}], context={"x": 3.0}, signature="regress").values == [6.0, 6.0]


def test_several_at_once(asked: Any) -> None:
    tasks = {"serving_default": "classify", "regress": "regress"}
    if asked.target.startswith("http"):
        with pytest.raises(Unimplemented, match="a gRPC target"):
            asked.multi_inference("m", {"x": X}, tasks)
        return
    found = asked.multi_inference("m", {"x": X}, tasks)
    assert found["regress"].values == [0.5, 4.0]
    assert found["serving_default"].rows[1] == (Class("yes", 2.0), Class("no", -1.0))


def test_refusals(asked: Any) -> None:
    with pytest.raises(InvalidArgument, match="x"):
        asked.regress("m", {"y": X}, signature="regress")
    with pytest.raises(NotFound):
        asked.classify("nobody", {"x": X})
    with pytest.raises(InvalidArgument, match=r"Received: {'regress': 'predict'}"):
        asked.multi_inference("m", {"x": X}, {"regress": "predict"})


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        ({"x": [1.0], "y": [1.0, 2.0]}, "columns of one length"),
        ({"x": [1.0], "y": 2.0}, r"single value for \['y'\]"),
        ({"x": [[1.0, "a"]]}, "feature 'x' of row 0. Received: float, str"),
        ({"x": [object()]}, "feature 'x' of row 0. Received: object"),
        ({"x": np.array(["2024-01-01"], "datetime64[ns]")}, "Received: datetime64"),
        ({"x": ["\ud800"]}, "UTF-8 can carry in feature 'x'"),
        ({"x": [2**63]}, "integers of 64 bits in feature 'x'"),
        ({"x": [1e300]}, "float32 can carry in feature 'x'"),
        ([{"x": 1.0}, 2], "row 1: int"),
        ([{3: 1.0}], "names are text"),
        ("text", "Received: str"),
        ({}, "Received: dict"),
    ],
)
def test_what_is_no_example(examples: Any, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        to_input(examples)


def kinds_of(examples: Any) -> list[str | None]:
    return [one.features.feature["x"].WhichOneof("kind") for one in to_input(examples).example_list.examples]


def test_a_feature_has_one_kind_in_all_examples() -> None:
    assert kinds_of({"x": [1, 2.5]}) == ["float_list", "float_list"]
    assert kinds_of([{"x": 1}, {"x": 2.5}]) == ["float_list", "float_list"]


def test_missing_texts_are_left_out() -> None:
    for frame in (pandas.DataFrame, polars.DataFrame, pyarrow.table):
        first, second = to_input(frame({"x": ["a", None]})).example_list.examples
        assert (len(first.features.feature), len(second.features.feature)) == (1, 0)


def test_tensorflow_reads_them_the_same() -> None:
    row = {"i": [1, -(2**63)], "f": [0.1, 2], "b": [True], "s": ["ü", b"\xff"], "none": None, "empty": []}
    made = to_input([row]).example_list.examples[0].SerializeToString()
    feature = tf.train.Example.FromString(made).features.feature
    assert list(feature["i"].int64_list.value) == [1, -(2**63)]
    assert list(feature["f"].float_list.value) == [np.float32(0.1), 2.0]
    assert list(feature["b"].int64_list.value) == [1]
    assert list(feature["s"].bytes_list.value) == ["ü".encode(), b"\xff"]
    assert "none" not in feature
    assert feature["empty"].WhichOneof("kind") is None
