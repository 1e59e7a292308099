"""Changing a model in a configuration file: only what changes, and comments stay."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport.errors import FailedPrecondition, InvalidArgument, NotFound
from modelport.serverconfig import All, Latest, ModelConfig, ServerConfig, Specific, format_models, parse_models
from modelport.serverconfig.editor import change_file, change_model, model_of

STACK = (Path(__file__).parent.parent.parent / "serving/config/models.config").read_text()
TEXT = """# two of them
model_config_list: {
  config {
    name: "a{" # the first, with a brace in its name
    base_path: "/models/a"
    model_platform: "tensorflow"
    version_labels { key: "stable" value: 1 } version_labels { key: 'canary' value: 2 }
  }

  config <
    # kept
    name: 'b'
    model_version_policy { all {} }

    base_path: "/models/b"
    model_platform: "tensorflow"
  >
}
# the end
"""


def pinned(text, name, **changes):
    return dataclasses.replace(model_of(parse_models(text), name, "the text"), **changes)


def test_a_model_is_pinned_and_all_comments_stay():
    changed = change_model(STACK, pinned(STACK, "digits", policy=Specific((1,)), labels={"stable": 1}))
    assert parse_models(changed).models[0].policy == Specific((1,))
    assert parse_models(changed).models[0].labels == {"stable": 1}
    kept = [line for line in STACK.splitlines() if "model_version_policy" not in line]
    assert [line for line in changed.splitlines() if line in kept] == kept
    assert len(changed.splitlines()) == len(STACK.splitlines()) + 1
    again = change_model(changed, pinned(changed, "digits", policy=Latest(1), labels={}))
    assert parse_models(again) == parse_models(STACK)
    assert change_model(again, pinned(again, "digits")) == again


@pytest.mark.parametrize("name", ["a{", "b"])
def test_only_the_model_that_is_meant_changes(name):
    changed = change_model(TEXT, pinned(TEXT, name, policy=Specific((3, 4)), labels={"x": 3}))
    before, after = ({model.name: model for model in parse_models(text).models} for text in (TEXT, changed))
    other = ({"a{", "b"} - {name}).pop()
    assert after[other] == before[other]
    assert (after[name].policy, after[name].labels) == (Specific((3, 4)), {"x": 3})
    assert all(comment in changed for comment in ("# two of them", "# the first", "# kept", "# the end"))


def test_what_is_not_understood_is_left_alone(tmp_path):
    path = tmp_path / "models.config"
    text = 'model_config_list { config: [ { name: "m" base_path: "/m" model_platform: "tensorflow" } ] }'
    path.write_text(text)
    with pytest.raises(FailedPrecondition, match="by hand"):
        change_file(path, pinned(text, "m", policy=All()))
    assert path.read_text() == text
    with pytest.raises(NotFound, match=r"digits.*Received: 'digit'"):
        change_model(STACK, ModelConfig("digit", "/models/digit"))
    with pytest.raises(InvalidArgument, match=r"models\.config"):
        change_model("no config {", ModelConfig("m", "/m"), "models.config")


def test_the_file_is_replaced_whole_and_keeps_its_mode(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(STACK)
    path.chmod(0o640)
    change_file(path, pinned(STACK, "digits", policy=All()))
    assert path.stat().st_mode & 0o777 == 0o640
    assert parse_models(path.read_text()).models[0].policy == All()
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(NotFound, match="nowhere"):
        change_file(tmp_path / "nowhere", ModelConfig("m", "/m"))


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
versions = st.integers(1, 2**62)
policies = st.one_of(
    st.just(All()),
    st.builds(Latest, st.integers(1, 9)),
    st.builds(lambda found: Specific(tuple(found)), st.lists(versions, min_size=1, max_size=3)),
)
models = st.builds(ModelConfig, names, names, policies, st.dictionaries(names, versions, max_size=3))


@given(st.lists(models, min_size=1, max_size=3, unique_by=lambda model: model.name), policies, st.data())
def test_any_configuration_that_we_write_can_be_changed(configured, policy, data):
    text = format_models(ServerConfig(tuple(configured)))
    index = data.draw(st.integers(0, len(configured) - 1))
    labels = data.draw(st.dictionaries(names, versions, max_size=3))
    changed = dataclasses.replace(configured[index], policy=policy, labels=labels)
    after = [changed if model is configured[index] else model for model in configured]
    assert parse_models(change_model(text, changed)) == ServerConfig(tuple(after))


def test_a_file_from_windows_keeps_its_line_ends(tmp_path):
    """Every line of a file under version control was changed with the one that was meant."""
    path = tmp_path / "models.config"
    path.write_bytes(b"\xef\xbb\xbf" + STACK.replace("\n", "\r\n").encode())
    change_file(path, pinned(STACK, "digits", policy=Specific((1,))))
    changed = path.read_bytes().decode()
    assert changed.count("\n") == changed.count("\r\n")
    assert changed.replace("\r\n", "\n") == change_model(STACK, pinned(STACK, "digits", policy=Specific((1,))))
    assert not changed.startswith("\ufeff"), "the real server does not take a byte-order mark"
