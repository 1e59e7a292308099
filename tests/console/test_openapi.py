"""The OpenAPI document: valid for others' validators, and true of a server."""

import jsonschema
import pytest
import urllib3
from openapi_spec_validator import OpenAPIV31SpecValidator


@pytest.fixture(scope="module")
def document(console):
    return console.ask("GET", "/openapi.json").json()


def test_it_is_valid_and_has_every_route(document):
    OpenAPIV31SpecValidator(document).validate()
    for model in ("affine", "digits", "matrix"):
        for suffix in ("", "/metadata", ":predict", "/versions/{version}:predict", "/labels/{label}:predict"):
            assert f"/v1/models/{model}{suffix}" in document["paths"]
    names = [item[verb]["operationId"] for item in document["paths"].values() for verb in item if verb != "parameters"]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("model", "body", "fits"),
    [
        ("affine", {"instances": [1.0, 2.0]}, True),
        ("affine", {"inputs": [1.0]}, True),
        ("affine", {"signature_name": "text", "inputs": ["a"]}, True),
        ("affine", {"signature_name": "named", "instances": [{"a": 1, "b": 2}]}, True),
        ("affine", {"signature_name": "named", "inputs": {"a": [1], "b": [2]}}, True),
        ("affine", {"signature_name": "named", "inputs": {"a": [1]}}, False),
        ("affine", {"instances": ["a"]}, False),
        ("matrix", {"instances": [[1, 2, 3]]}, True),
        ("matrix", {"instances": [[1, 2]]}, False),
        ("matrix", {}, False),
    ],
)
def test_requests_fit_where_the_server_answers(document, embedded, model, body, fits):
    operation = document["paths"][f"/v1/models/{model}:predict"]["post"]
    asked = operation["requestBody"]["content"]["application/json"]["schema"]
    assert jsonschema.Draft202012Validator(asked).is_valid(body) is fits
    answer = urllib3.request("POST", f"{embedded.rest_address}/v1/models/{model}:predict", json=body)
    assert (answer.status == 200) is fits, answer.data
    given = operation["responses"]["200" if fits else "default"]
    if fits:
        jsonschema.validate(answer.json(), given["content"]["application/json"]["schema"])
    else:
        jsonschema.validate(answer.json(), document["components"]["schemas"]["Error"])


def test_the_states_are_as_told(document, embedded):
    schema = document["components"]["schemas"]["Status"]
    answer = urllib3.request("GET", f"{embedded.rest_address}/v1/models/affine").json()
    jsonschema.validate(answer, schema)
