"""Faults of configurations and of stacks."""

import pytest

from tests.support.doctoring import config, expect, model, newer_tensorflow, told

WRONG = [  # fault, what a configuration says of the base path, what is found
    ("configuration that names a missing model", lambda base: model(f"{base}m"), ("'m' is missing.*is 'm'", "publish")),
    ("relative base path", lambda base: model("models/m"), ("is relative", "Write '/")),
    ("base path that is a version", lambda base: model(base / "1"), ("a version, not the base path", "Give.*m$")),
    (
        "a version to be served that is not there",
        lambda base: model(base, "model_version_policy { specific { versions: 7 } }"),
        ("Version 7 of 'm' is to be served and is not there", "promote"),
    ),
    (
        "label on a version that is not there",
        lambda base: model(base, 'version_labels { key: "stable" value: 7 }'),
        ("label 'stable' of 'm' is on version 7, which is not there", "promote m VERSION --label stable"),
    ),
    ("the same model twice", lambda base: model(base) + model(base), ("two models 'm'", "Take one")),
    ("no configuration", lambda base: "confg {", ("ERROR",)),
]


@pytest.mark.parametrize(("fault", "text", "words"), WRONG, ids=[one[0] for one in WRONG])
def test_a_configuration(base, tmp_path, fault, text, words):
    assert told(config(tmp_path, model(base))) == []
    expect(fault, told(config(tmp_path, text(base))), *words)


def test_a_label_that_the_policy_does_not_load(base, tmp_path, add_version):
    add_version(base, 2, "affine-2")
    text = model(base, 'model_version_policy { specific { versions: 1 } } version_labels { key: "s" value: 2 }')
    found = told(config(tmp_path, text))
    expect("label on a version that is not loaded", found, "which the policy does not load", "promote m 2 --label s")


COMPOSE = """
services:
  serving:
    image: tensorflow/serving:2.21.0
    command: [--model_config_file=/config/models.config, --grpc_max_threads=8]
    volumes: ["{models}:/models:ro", "{config}:/config:ro"]
"""


def test_a_stack(base, tmp_path):
    configuration = tmp_path / "config"
    configuration.mkdir(mode=0o755)
    file = tmp_path / "docker-compose.yml"
    file.write_text(COMPOSE.format(models=base.parent, config=configuration))
    expect(
        "a configuration that is not there", told(file), "configuration '/config/models.config' is not there", "volumes"
    )
    text = configuration / "models.config"
    text.write_text(f"model_config_list {{ {model('/models/m')} }}")
    tmp_path.chmod(0o755)
    base.parent.chmod(0o755)
    assert told(file) == []
    expect("too few server threads", told(file, callers=64), "8 gRPC calls at a time.*64 come", "grpc_max_threads=64")
    newer_tensorflow(base)
    expect("newer TensorFlow", told(file), "2.99.0 and is served by 2.21.0")
    text.write_text(f"model_config_list {{ {model('/data/m')} }}")
    expect("a base path that is not mounted", told(file), "'/data/m', is not mounted", "volumes")
