"""Predict: a request is checked against a version with the real server's texts, run, and answered."""

import re

import numpy as np
import pytest

from modelport import tensors
from modelport.errors import FailedPrecondition, Internal, InvalidArgument
from modelport.tensor_shapes import shape_proto
from modelport.wire import messages
from modelport_serving.inference.predict import plan_columns, plan_predict
from modelport_serving.inference.run import Rules
from tests.support import graphs

SIZES = "input size does not match signature: "


@pytest.fixture(scope="module")
def affine(load, model_files):
    return load(model_files / "affine-2")


def request(signature="", outputs=(), **inputs):
    message = messages.PredictRequest(model_spec=messages.ModelSpec(name="m", signature_name=signature))
    message.output_filter.extend(outputs)
    for alias, value in inputs.items():
        proto = value if isinstance(value, messages.TensorProto) else tensors.encode(np.asarray(value, np.float32))
        message.inputs[alias].CopyFrom(proto)
    return message


def answer(servable, message, rules=Rules()):  # noqa: B008  # it is frozen
    """Plan, run and finish."""
    run = plan_predict(servable, message, rules)
    return run.finish(servable.run(run.feeds, run.fetches))


def test_all_outputs_in_the_answer_of_who_gave_it(affine):
    response = answer(affine, request("named", a=[3], b=[1]))
    assert {k: tensors.decode(v).tolist() for k, v in response.outputs.items()} == {"sum": [4], "difference": [2]}
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 1, "named")
    assert answer(affine, request(x=[2])).model_spec.signature_name == "serving_default"


def test_the_outputs_that_are_asked_for(affine):
    response = answer(affine, request("named", ["difference"], a=[3], b=[1]))
    assert {k: tensors.decode(v).tolist() for k, v in response.outputs.items()} == {"difference": [2]}


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        (request("nobody", x=[1]), FailedPrecondition, 'Serving signature key "nobody" not found.'),
        (
            request(),
            InvalidArgument,
            f"{SIZES}0!=1 len({{}}) != len({{x}}). Sent extra: {{}}. Missing but required: {{x}}.",
        ),
        (request(x=[1], y=[1]), InvalidArgument, f"{SIZES}2!=1 len({{x,y}}) != len({{x}}). Sent extra: {{y}}."),
        (
            request(z=[1]),
            InvalidArgument,
            "Signature input alias: x(feed name: serving_default_x:0) not found in request",
        ),
        (
            request(outputs=["q"], x=[1]),
            InvalidArgument,
            "output tensor alias not found in signature: q Outputs expected",
        ),
        (request(outputs=["y", "y"], x=[1]), InvalidArgument, "duplicate output tensor alias: y"),
        (
            request(x=messages.TensorProto(dtype=1, tensor_shape=shape_proto([-5]))),
            InvalidArgument,
            "tensor parsing",
        ),
        (request(x=messages.TensorProto(dtype=99)), InvalidArgument, "tensor parsing error: x"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_the_signature(affine, message, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        plan_predict(affine, message, Rules())


def test_inputs_that_have_a_default_may_be_left_out(load, tmp_path):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    folder = graphs.save(tmp_path / "m", graphs.with_default)
    model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    default = tensors.encode(np.float32([10])).SerializeToString()
    model.meta_graphs[0].signature_def["serving_default"].defaults["b"].ParseFromString(default)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    servable = load(folder)
    assert tensors.decode(answer(servable, request(x=[1])).outputs["y"]).tolist() == [11]
    assert tensors.decode(answer(servable, request(x=[1], b=[2])).outputs["y"]).tolist() == [3]
    with pytest.raises(
        InvalidArgument, match=re.escape("alias: x(feed name: x:0) not found in request and no default")
    ):
        plan_predict(servable, request(b=[1]), Rules())
    with pytest.raises(
        InvalidArgument, match=r"Inputs contains invalid name\. Used request inputs: x, request input: c,x"
    ):
        plan_predict(servable, request(x=[1], c=[1]), Rules())


def test_the_form_of_the_answer(affine):
    message = request(x=[2, 4])
    assert answer(affine, message).outputs["y"].tensor_content == b""
    content = answer(affine, message, Rules(tensor_content=True)).outputs["y"].tensor_content
    assert np.frombuffer(content, np.float32).tolist() == [3, 4]


@pytest.mark.parametrize(("rank", "taken"), [(3, True), (4, False)])
def test_the_most_dimensions(affine, rank, taken):
    message = request(x=np.zeros((1,) * rank))
    if taken:
        plan_predict(affine, message, Rules(max_rank=3))
    else:
        with pytest.raises(InvalidArgument, match=r"at most 3 dimensions \(--max_tensor_rank\)\. Received: 4"):
            plan_predict(affine, message, Rules(max_rank=3))


def test_strings_of_more_dimensions_than_tensorflow_can_walk(affine):
    """They would end the process."""
    strings = messages.TensorProto(dtype=7, tensor_shape=shape_proto([1] * 33), string_val=[b"a"])
    with pytest.raises(InvalidArgument, match=r"Expected strings in at most 32 dimensions\. Received: 33"):
        plan_predict(affine, request("text", s=strings), Rules())


def test_method_names_are_checked_where_that_was_asked_for(load, tmp_path):
    servable = load(graphs.save(tmp_path / "m", graphs.strings, method="mine"))
    message = request(x=messages.TensorProto(dtype=7, tensor_shape=shape_proto([1]), string_val=[b"a"]))
    assert tensors.decode(answer(servable, message).outputs["y"]).tolist() == [b"a"]
    with pytest.raises(Internal, match=r"method_name to be one of .*predict.* Was: mine"):
        plan_predict(servable, message, Rules(check_method_name=True))
    signature = servable.signatures["serving_default"]
    with pytest.raises(Internal, match="Was: mine"):
        plan_columns(servable, signature, {"x": np.array([b"a"], object)}, Rules(check_method_name=True))


@pytest.mark.parametrize("signature", ["sparse_in", "sparse_out", "ragged_out", "one_of_two"])
def test_signatures_whose_ends_are_not_dense(load, signature):
    servable = load(graphs.odd_ends)
    chosen = servable.signatures[signature]
    with pytest.raises(InvalidArgument, match=r"dense inputs and outputs only. Its '\w' is declared as a sparse"):
        plan_predict(servable, request(signature, x=np.ones((1, 4))), Rules())
    with pytest.raises(InvalidArgument, match="dense inputs and outputs only"):
        plan_columns(servable, chosen, {"x": np.ones((1, 4), np.float32)}, Rules())


def test_the_dense_output_of_such_a_signature_can_be_had(load):
    servable = load(graphs.odd_ends)
    response = answer(servable, request("one_of_two", ["y"], x=np.ones((1, 4))))
    assert tensors.decode(response.outputs["y"]).tolist() == [[2, 2, 2, 2]]


def test_columns(affine):
    run = plan_columns(affine, affine.signatures["named"], {"a": np.float32([3]), "b": np.float32([1])}, Rules())
    found = run.finish(affine.run(run.feeds, run.fetches))
    assert {alias: array.tolist() for alias, array in found.value.items()} == {"sum": [4], "difference": [2]}
    assert (found.servable_id, found.signature) == (("m", 1), "named")
    with pytest.raises(InvalidArgument, match="at most 2 dimensions"):
        plan_columns(affine, affine.signatures["serving_default"], {"x": np.zeros((1, 1, 1))}, Rules(max_rank=2))
