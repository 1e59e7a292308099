"""A loaded version: which of its requests may share a run, and deadlines."""

import time
from pathlib import Path

import numpy as np
import pytest

from modelport.errors import DeadlineExceeded
from modelport_serving.core.servable_state import ServableId
from modelport_serving.servables.saved_model_session import GraphSession
from modelport_serving.servables.servable import Servable
from tests.support import graphs


def shapes():
    """Signatures of open and other first dimensions; each output is its input."""
    import tensorflow as tf

    signatures = {}
    for name, given, got in [
        ("open", [None, 3], [None, 3]),
        ("fixed", [2, 3], [2, 3]),
        ("fixed_output", [None], [2]),
        ("scalar", [], []),
        ("any_rank", None, None),
    ]:
        x = graphs.placeholder(tf.float32, given, f"x_{name}")
        y = graphs.info_of(tf.identity(x, name=f"y_{name}"))
        if got:
            y.tensor_shape.dim[0].size = -1 if got[0] is None else got[0]
        signatures[name] = ({"x": x}, {"y": y})
    return signatures


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return graphs.save(tmp_path_factory.mktemp("shapes"), shapes)


@pytest.fixture
def servable(folder):
    """Make servables; closed at the end."""
    made: list[Servable] = []

    def make(path=folder, **options) -> Servable:
        made.append(Servable(ServableId("m", 1), path, GraphSession(path), 0.0, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("joins", "proven", "merging"),
    [
        ("all", (), {"open"}),
        ("all", ("open",), {"open"}),
        ("proven", (), set()),
        ("proven", ("open",), {"open"}),
        ("proven", ("open", "fixed", "fixed_output", "scalar", "any_rank"), {"open"}),
        ("none", ("open",), set()),
    ],
)
def test_who_shares_runs(servable, joins, proven, merging):
    """Only what the publisher proved, unless the operator says more; never what has no rows."""
    made = servable(joins=joins, proven=proven, loop_free=proven)
    assert {name for name, signature in made.signatures.items() if signature.merges} == merging
    assert {name for name, signature in made.signatures.items() if signature.steady} == {"open"} & set(proven)


def test_what_was_proven_holds_for_the_declared_shapes(servable):
    signature = servable(proven=("open",)).signatures["open"]
    for shape, fits in [((1, 3), True), ((0, 3), True), ((9, 3), True), ((1, 4), False), ((3,), False), ((), False)]:
        assert signature.fits({"x": np.zeros(shape, np.float32)}) is fits, shape
    assert not signature.fits({})
    assert not servable().signatures["any_rank"].fits({"x": np.zeros((1, 3), np.float32)})


def test_what_a_signature_says(servable, model_files):
    signature = servable(model_files / "affine-2").signatures["named"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert signature.dtypes() == {"a": 1, "b": 1}
    assert {alias: info.shape for alias, info in signature.inputs.items()} == {"a": (-1,), "b": (-1,)}


def test_a_deadline_that_has_passed_runs_nothing(servable, model_files):
    made = servable(model_files / "counter")
    signature = made.signatures["serving_default"]
    feeds = {signature.inputs["step"].tensor: np.float32(1)}
    fetches = [signature.outputs["total"].tensor]
    with pytest.raises(DeadlineExceeded, match="Timed out waiting for notification"):
        made.run(feeds, fetches, time.monotonic() - 1)
    assert made.run(feeds, fetches, time.monotonic() + 30)[0].item() == 1
    assert made.run(feeds, fetches, inline=True)[0].item() == 2


def test_a_deadline_ends_a_run(servable, model_files):
    made = servable(model_files / "slow")
    signature = made.signatures["serving_default"]
    with pytest.raises(DeadlineExceeded):
        made.run(
            {signature.inputs["seconds"].tensor: np.float32(20)},
            [signature.outputs["done"].tensor],
            time.monotonic() + 0.05,
        )
