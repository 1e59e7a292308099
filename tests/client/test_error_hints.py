"""A refusal says what would have been taken, over both transports."""

import numpy as np
import pytest

from modelport.errors import FailedPrecondition, InvalidArgument, NotFound


def refused(client, error, *words, **call) -> None:
    with pytest.raises(error) as caught:
        client.predict(**call)
    for word in words:
        assert word in caught.value.message


def test_an_unknown_input_names_the_nearest(client):
    inputs = {"a": np.zeros(1, np.float32), "bb": np.zeros(1, np.float32)}
    words = ["unknown input 'bb', did you mean 'b'?", "missing input 'b'", "named(a: float [?], b: float [?])"]
    refused(client, InvalidArgument, *words, model="affine", inputs=inputs, signature="named")


def test_a_missing_input(client):
    inputs = {"a": np.zeros(1, np.float32)}
    refused(client, InvalidArgument, "missing input 'b'", model="affine", inputs=inputs, signature="named")


def test_a_wrong_dtype(client):
    text = np.array(["a"], object)
    words = ["input 'x' should be float [?], is string [1]"]
    refused(client, InvalidArgument, *words, model="affine", inputs={"x": text})


def test_a_wrong_shape(client):
    words = ["should be float [?, 3], is float [2, 4]"]
    refused(client, InvalidArgument, *words, model="matrix", inputs={"x": np.zeros((2, 4), np.float32)})


def test_values_that_do_not_convert(client):
    refused(client, InvalidArgument, "Input 'x'", "received strings", model="affine", inputs={"x": ["a"]})
    refused(client, InvalidArgument, "a mapping of input names", model="affine", inputs=[1.0], signature="named")
    refused(client, InvalidArgument, "ragged", model="affine", inputs={"x": [[1.0], [1.0, 2.0]]})


def test_an_unknown_output(client):
    inputs = {"x": np.zeros(1, np.float32)}
    refused(client, InvalidArgument, "['y']", "z", model="affine", inputs=inputs, outputs=["z"])


def test_an_unknown_signature_names_the_nearest(client):
    inputs = {"x": np.zeros(1, np.float32)}
    words = ["serving_defalt", "Did you mean 'serving_default'?"]
    refused(client, FailedPrecondition, *words, model="affine", inputs=inputs, signature="serving_defalt")


def test_an_unknown_version_names_those_that_are_there(client):
    inputs = {"x": np.zeros(1, np.float32)}
    words = ["Specific(affine, 9)", "1 (AVAILABLE)"]
    refused(client, NotFound, *words, model="affine", inputs=inputs, version=9)


def test_an_unknown_model(client):
    refused(client, NotFound, "Latest(nobody)", model="nobody", inputs={"x": np.zeros(1, np.float32)})
    with pytest.raises(NotFound, match="Could not find any versions of model nobody"):
        client.status("nobody")
    with pytest.raises(NotFound, match="nobody"):
        client.metadata("nobody")


def test_an_unknown_label(client):
    inputs = {"x": np.zeros(1, np.float32)}
    refused(client, InvalidArgument, "Unrecognized servable version label", model="affine", inputs=inputs, label="gold")
