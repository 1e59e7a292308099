"""Classify, Regress and MultiInference, with the real server's checks and texts."""

import re

import numpy as np
import pytest
import tensorflow as tf

from modelport.errors import InvalidArgument, Unimplemented
from modelport.wire import messages
from modelport_serving.inference.example_answers import classification_response, regression_response
from modelport_serving.inference.examples import (
    example_count,
    examples_of,
    plan_classify,
    plan_multi_inference,
    plan_regress,
)
from modelport_serving.inference.run import Rules
from tests.support import graphs

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


@pytest.fixture(scope="module")
def servable(load):
    return load(graphs.examples)


def example(**features):
    """A serialized tf.Example of floats."""
    made = {name: tf.train.Feature(float_list=tf.train.FloatList(value=[value])) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def given(*values, context=None):
    source = messages.Input()
    kind = source.example_list if context is None else source.example_list_with_context
    if context is not None:
        kind.context.ParseFromString(context)
    for value in values:
        kind.examples.add().ParseFromString(value if isinstance(value, bytes) else example(x=value))
    return source


def finished(servable, run):
    return run.finish(servable.run(run.feeds, run.fetches))


def classify(servable, name="", *values, rules=Rules()):  # noqa: B008  # it is frozen
    return finished(servable, plan_classify(servable, name, given(*(values or (0.25, 0.5))), rules))


def regress(servable, name, *values):
    return finished(servable, plan_regress(servable, name, given(*(values or (0.25, 0.5))), Rules()))


def rows_of(response):
    return [[(c.label, c.score) for c in row.classes] for row in response.result.classifications]


def test_labels_and_scores(servable):
    found = classify(servable)
    assert found.value.scores.tolist() == [[0.25, 0.75], [0.5, 0.5]]
    response = classification_response(found)
    assert rows_of(response) == [[("yes", 0.25), ("no", 0.75)], [("yes", 0.5), ("no", 0.5)]]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 1, "serving_default")


def test_what_a_signature_lacks_is_empty_or_zero(servable):
    assert rows_of(classification_response(classify(servable, "scores_only", 0.25))) == [[("", 0.25), ("", 0.75)]]
    assert rows_of(classification_response(classify(servable, "classes_only", 0.25))) == [[("yes", 0), ("no", 0)]]


@pytest.mark.parametrize("name", ["regress", "regress_column"])
def test_values(servable, name):
    found = regress(servable, name)
    assert found.value.tolist() == [0.5, 1.0]
    assert [entry.value for entry in regression_response(found).result.regressions] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "No signature was found with the name: nobody"),
        ("two_inputs", "Expected one input Tensor."),
        ("other_input", "No classification inputs found in SignatureDef: "),
        ("other_output", 'to contain at least one of "classes" or "scores". Signature was: '),
        ("flat_scores", "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ("integer_scores", "Expected scores Tensor of DT_FLOAT. Got: DT_INT64"),
        ("one_row_of_scores", "Expected scores output batch size of 2. Got: 1"),
        ("unequal", "Tensors class and score should match in dim_size(1). Got 1 vs. 2"),
    ],
)
def test_signatures_that_do_not_classify(servable, name, words):
    with pytest.raises(InvalidArgument, match=re.escape(words)):
        classify(servable, name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "No signature was found with the name: nobody"),
        ("two_inputs", "Expected one input Tensor."),
        ("serving_default", "Expected one output Tensor."),
        ("other_output", "No regression outputs found in SignatureDef: "),
        ("regress_wide", "shape to be either [batch_size] or [batch_size, 1] but got [2,2]"),
        ("regress_double", "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
        ("regress_one", "Input batch size did not match output batch size: 2 vs. 1"),
    ],
)
def test_signatures_that_do_not_regress(servable, name, words):
    with pytest.raises(InvalidArgument, match=re.escape(words)):
        regress(servable, name)


def test_method_names_are_checked_where_that_was_asked_for(servable):
    with pytest.raises(
        InvalidArgument, match=f"classification signature method_name to be {CLASSIFY}. Was: tensorflow"
    ):
        classify(servable, rules=Rules(check_method_name=True))


def test_bad_bytes_are_the_senders_error(servable):
    """An op's error on a bad example has the op's code and text."""
    with pytest.raises(InvalidArgument, match="Could not parse example input"):
        finished(servable, plan_classify(servable, "", [b"\xff\xfe"], Rules()))
    with pytest.raises(InvalidArgument, match="x"):
        classify(servable, "", example(other=1.0))


def test_an_example_goes_over_the_context(servable):
    source = given(b"", example(x=0.5), context=example(x=0.25))
    assert finished(servable, plan_classify(servable, "", source, Rules())).value.scores[:, 0].tolist() == [0.25, 0.5]
    assert example_count(source) == 2


@pytest.mark.parametrize("source", [messages.Input(), given(), given(context=example(x=1.0))])
def test_no_examples(servable, source):
    assert example_count(source) == 0
    with pytest.raises(InvalidArgument, match=r"^Input is empty\.$"):
        examples_of(source)
    with pytest.raises(InvalidArgument, match="Input is empty"):
        plan_regress(servable, "regress", source, Rules())


def multi(*tasks, source=None):
    request = messages.MultiInferenceRequest(input=given(0.25, 0.5) if source is None else source)
    for signature, method, *name in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = *(name or ["m"]), signature
    return request


def test_several_questions_on_the_same_examples_in_one_run(servable):
    run = plan_multi_inference(servable, multi(("", CLASSIFY), ("regress", REGRESS)), Rules())
    assert len(run.feeds) == 1
    response = finished(servable, run)
    first, second = response.results
    assert [row.classes[0].score for row in first.classification_result.classifications] == [0.25, 0.5]
    assert [entry.value for entry in second.regression_result.regressions] == [0.5, 1.0]
    assert [result.model_spec.signature_name for result in (first, second)] == ["serving_default", "regress"]


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        (multi(("", CLASSIFY, "")), InvalidArgument, "Found ModelSpec with an empty model name."),
        (multi(("", CLASSIFY), ("regress", REGRESS, "other")), InvalidArgument, "must access the same model name."),
        (
            multi(("", CLASSIFY), ("serving_default", REGRESS)),
            InvalidArgument,
            "Duplicate evaluation of signature: serving_",
        ),
        (multi(("nobody", CLASSIFY)), InvalidArgument, "Requested signature not found in model graph: nobody"),
        (multi(("", "nothing")), Unimplemented, "Unsupported signature method_name: nothing"),
        (multi(("two_inputs", REGRESS)), InvalidArgument, "Expected one input Tensor."),
        (multi(("", CLASSIFY), source=messages.Input()), InvalidArgument, "Input is empty."),
    ],
)
def test_questions_that_make_no_sense(servable, request_, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        plan_multi_inference(servable, request_, Rules())


def test_runs_are_shared_as_the_signature_allows(load):
    """Each request's examples are rows like any others."""
    names = ("regress", "classes_only", "scores_only")
    proven = load(graphs.examples, proven=names, loop_free=names)
    run = plan_regress(proven, "regress", given(0.5), Rules())
    assert (run.merges, run.steady) == (True, True)
    assert not plan_regress(proven, "regress_column", given(0.5), Rules()).merges
    assert not plan_multi_inference(proven, multi(("regress", REGRESS), ("", CLASSIFY)), Rules()).merges
    both = multi(("regress", REGRESS), ("scores_only", CLASSIFY))
    assert plan_multi_inference(proven, both, Rules()).merges


def test_labels_that_are_no_text(load):
    def build():
        serialized = graphs.placeholder(tf.string, [None], "inputs")
        return {"serving_default": ({"inputs": serialized}, {"classes": serialized[:, None]})}

    servable = load(build)
    found = finished(servable, plan_classify(servable, "", [b"\xff", "é".encode()], Rules()))
    assert [row[0][0] for row in rows_of(classification_response(found))] == ["\ufffd", "é"]
    assert isinstance(found.value.classes, np.ndarray)
