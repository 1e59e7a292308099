"""What a checked request is, and the one tensor behind an input or output."""

import numpy as np
import pytest

from modelport.errors import InvalidArgument
from modelport.wire import messages
from modelport_serving.core.servable_state import ServableId
from modelport_serving.inference.run import fill_spec, planned, spec_of, tensor_of
from tests.support import graphs


def test_a_request_without_a_spec():
    with pytest.raises(InvalidArgument, match=r"^Missing ModelSpec$"):
        spec_of(messages.PredictRequest())
    assert spec_of(messages.PredictRequest(model_spec=messages.ModelSpec(name="m"))).name == "m"


def test_who_answered():
    spec = messages.ModelSpec(name="asked", version_label="canary")
    fill_spec(spec, ServableId("m", 7), "s")
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 7, "s")


@pytest.mark.parametrize(("signature", "alias"), [("sparse_in", "x"), ("sparse_out", "y"), ("ragged_out", "y")])
def test_sparse_and_composite_ends_are_refused_in_one_clear_line(load, signature, alias):
    """It was NOT_FOUND, with an irrelevant list of versions."""
    chosen = load(graphs.odd_ends).signatures[signature]
    info = chosen.inputs.get(alias) if signature == "sparse_in" else chosen.outputs[alias]
    with pytest.raises(InvalidArgument) as caught:
        tensor_of(chosen, alias, info)
    assert caught.value.message == (
        f"Expected signature {signature!r} to have dense inputs and outputs only. Its {alias!r} is declared as a "
        "sparse or composite tensor, which Predict cannot carry. Export it as dense tensors."
    )


@pytest.mark.parametrize(("shape", "fits"), [((3,), True), ((0,), True), ((3, 1), False), ((), False)])
def test_what_was_proven_is_relied_on_for_the_declared_shapes_only(load, model_files, shape, fits):
    servable = load(
        model_files / "affine-2", joins="proven", proven=("serving_default",), loop_free=("serving_default",)
    )
    signature = servable.signatures["serving_default"]
    run = planned(signature, {"x": np.zeros(shape, np.float32)}, ["y:0"], list)
    assert (run.merges, run.steady) == (fits, fits)
    other = servable.signatures["named"]
    run = planned(other, {"a": np.zeros(3, np.float32), "b": np.zeros(3, np.float32)}, ["y:0"], list)
    assert (run.merges, run.steady) == (False, False)
