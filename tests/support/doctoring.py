"""What the tests of the doctor share: how a finding is looked for, and configurations."""

import re

from modelport import layout
from modelport.wire import messages
from modelport_release.doctor.examining import examine


def told(what, **options):
    return [one.line() for one in examine(str(what), **options)]


def expect(fault, found, *words):
    """A fault, as docs/doctor.md calls it, is found, and what to do is said with it."""
    assert any(all(re.search(word, line) for word in words) for line in found), found


def saved(base):
    return messages.SavedModel.FromString((base / "1" / layout.SAVED_MODEL).read_bytes())


def newer_tensorflow(base):
    changed = saved(base)
    changed.meta_graphs[0].meta_info_def.tensorflow_version = "2.99.0"
    (base / "1" / layout.SAVED_MODEL).write_bytes(changed.SerializeToString())


def config(tmp_path, text):
    path = tmp_path / "some.config"
    path.write_text(f"model_config_list {{ {text} }}")
    return path


def model(base_path, more="", name="m"):
    return f'config {{ name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {more} }} '
