"""Each fault that the doctor knows is built, and its finding compared; docs/doctor.md lists them all."""

import ast
import http.server
import json
import re
import socket
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from modelport import layout
from modelport.__main__ import main
from modelport.errors import InvalidArgument, NotFound
from modelport.wire import messages
from modelport_release.doctor.examining import examine
from modelport_release.doctor.finding import Finding, in_order
from modelport_serving import AUTO, Options, Server
from tests.support.certificates import self_signed
from tests.support.models import write_warmup
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def base(tmp_path, add_version):
    """A base path with one version in which nothing is wrong."""
    version = add_version(tmp_path / "models" / "m", 1, "affine-2")
    request = messages.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].dtype = messages.DT_FLOAT
    request.inputs["x"].tensor_shape.dim.add(size=1)
    request.inputs["x"].float_val.append(np.zeros(1, np.float32).tobytes())
    write_warmup(version, [request])
    for path in (version, *version.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return version.parent


def told(what, **options):
    return [one.line() for one in examine(str(what), **options)]


def expect(fault, found, *words):
    """A fault, as docs/doctor.md calls it, is found, and what to do is said with it."""
    assert any(all(re.search(word, line) for word in words) for line in found), found


def test_where_nothing_is_wrong_nothing_is_found(base, capsys):
    assert told(base) == told(base.parent) == told(base / "1") == []
    assert main(["doctor", str(base.parent)]) == 0
    assert "Nothing is wrong" in capsys.readouterr().out


def rename(base):
    (base / "1").rename(base / "v1")


def nest(base):
    (base / "1").rename(base / "inner")
    (base / "1").mkdir()
    (base / "inner").rename(base / "1" / "model")


def nest_versions(base):
    (base / "m").mkdir()
    (base / "1").rename(base / "m" / "1")


def truncate(base):
    path = base / "1" / layout.SAVED_MODEL
    path.write_bytes(path.read_bytes()[:-7])


def lose_shard(base):
    data = base / "1" / "variables" / "variables.data-00000-of-00001"
    data.rename(data.with_name("variables.data-00000-of-00002"))


def empty_file(base):
    (base / "1" / "variables" / "variables.data-00000-of-00001").write_bytes(b"")


def half_copied(base):
    facts = {"schema": 1, "model": "m", "files": {"assets/a.txt": {"sha256": "0" * 64, "size": 3}}}
    (base / "1" / layout.EXTRA).mkdir(exist_ok=True)
    (base / "1" / layout.MANIFEST).write_text(json.dumps(facts))


def saved(base):
    return messages.SavedModel.FromString((base / "1" / layout.SAVED_MODEL).read_bytes())


def retag(base):
    changed = saved(base)
    changed.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    (base / "1" / layout.SAVED_MODEL).write_bytes(changed.SerializeToString())


def other_signature(base):
    changed = saved(base)
    signatures = changed.meta_graphs[0].signature_def
    signatures["other"].CopyFrom(signatures["serving_default"])
    del signatures["serving_default"]
    (base / "1" / layout.SAVED_MODEL).write_bytes(changed.SerializeToString())


def newer_tensorflow(base):
    changed = saved(base)
    changed.meta_graphs[0].meta_info_def.tensorflow_version = "2.99.0"
    (base / "1" / layout.SAVED_MODEL).write_bytes(changed.SerializeToString())


def close(base):
    (base / "1" / layout.SAVED_MODEL).chmod(0o600)


def twice(base):
    (base / "001").symlink_to(base / "1")


def empty(base):
    (base / "2").mkdir()


def a_file(base):
    (base / "2").write_text("")


def no_warm_up(base):
    (base / "1" / layout.WARMUP_REQUESTS).unlink()


FAULTS = {
    "version folder that is no number": (rename, ("'v1' is no number", "mv .*v1 .*/1")),
    "nested one level too deep": (nest, ("one level too deep.*'model'", "mv ")),
    "versions nested one level too deep": (nest_versions, ("versions are nested one level too deep", "mv ")),
    "truncated graph": (truncate, ("cut short", "Copy the version again")),
    "missing shard": (lose_shard, ("Shard 1 of 2", "Copy it again")),
    "empty file": (empty_file, ("The file is empty", "Copy")),
    "half-copied": (half_copied, (r"half-copied: not in full are assets/a\.txt", "Copy")),
    "no serve tag": (retag, (r"tag 'serve'.*\[\['train'\]\]", "save")),
    "no serving_default": (other_signature, (r"no signature 'serving_default'.*other", "clients name one")),
    "newer TensorFlow": (newer_tensorflow, ("made by TensorFlow 2.99.0 and is served by 2.21.0.*producer", "image")),
    "unreadable for the container's user": (close, ("cannot read it", r"chmod -R o\+rX")),
    "two names for one number": (twice, ("'1' and '001' are both version 1|'001' and '1' are both version 1", "mv ")),
    "empty version": (empty, ("It is empty", "rmdir")),
    "a file in place of a version": (a_file, ("A version is a folder", "mv ")),
    "no warm-up file": (no_warm_up, ("no warm-up requests", "modelport publish")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_model(base, fault, capsys):
    build, words = FAULTS[fault]
    build(base)
    expect(fault, [*told(base, target="2.21.0"), *told(base.parent, target="2.21.0")], *words)
    assert main(["doctor", str(base.parent), "--tensorflow", "2.21.0"]) == 1
    assert re.search(words[0], capsys.readouterr().out)


def test_a_base_path_that_is_none(base, tmp_path):
    (base / "1").rename(tmp_path / "saved")
    expect("a SavedModel in the base path itself", told(tmp_path / "saved"), "lies in the base path itself", "mkdir")
    expect("no version", told(base.parent), "no version: no folder with a number", "modelport publish")


def config(tmp_path, text):
    path = tmp_path / "some.config"
    path.write_text(f"model_config_list {{ {text} }}")
    return path


def model(base_path, more="", name="m"):
    return f'config {{ name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {more} }} '


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


def test_the_repositorys_own_configuration(base):
    text = model(base, 'model_version_policy { specific { versions: 9 } } version_labels { key: "s" value: 8 }')
    (base.parent / "models.config").write_text(f"model_config_list {{ {text} }}")
    found = told(base.parent)
    expect("a version to be served that is not there", found, "Version 9", "modelport promote m 1")
    expect("label on a version that is not there", found, "'s' of 'm' is on version 8", "--unlabel s")


@pytest.fixture
def running(base):
    with Server(Options(model_repository=str(base.parent), port=AUTO, rest_api_port=AUTO)) as server:
        yield server


def test_a_server_in_which_nothing_is_wrong(running):
    assert told(running.grpc_address, models=["m"]) == told(running.rest_address, models=["m"]) == []


def test_another_protocol_than_the_address_says(running, base, tmp_path):
    port = running.rest_address.rpartition(":")[2]
    expect("gRPC spoken to the REST port", told(f"localhost:{port}"), "Expected gRPC.*speaks REST", "http://localhost")
    there = told(f"http://{running.grpc_address}")
    expect("REST spoken to the gRPC port", there, "Expected REST.*speaks gRPC", "without http://")
    key, certificate = self_signed(tmp_path)
    tls = tmp_path / "ssl.config"
    tls.write_text(f"server_key: {json.dumps(key.read_text())} server_cert: {json.dumps(certificate.read_text())}")
    with Server(Options(model_repository=str(base.parent), port=AUTO, ssl_config_file=str(tls))) as closed:
        expect("TLS on one side only", told(closed.grpc_address), "speaks gRPC over TLS", "certificate")


def test_somebody_else_at_the_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        def greet():
            for _ in range(4):
                try:
                    taken, _ = other.accept()
                except OSError:
                    return
                taken.sendall(b"220 mail.example ESMTP\r\n")
                taken.close()

        threading.Thread(target=greet, daemon=True).start()
        expect(
            "a port that something else answers", told(f"localhost:{port}"), "speaks something else", "Another program"
        )
    expect("nobody at the port", told(f"localhost:{free_port()}"), "Nobody answers there", "modelport serve")


def test_what_a_server_says_of_its_models(base, add_version):
    """An unknown operation, and a warm-up that fails: nobody but a server can tell."""
    unknown = add_version(base, 2, "affine-2") / layout.SAVED_MODEL
    unknown.write_bytes(unknown.read_bytes().replace(b"AddV2", b"AddX9"))
    options = Options(model_repository=str(base.parent), port=AUTO, max_num_load_retries=0)
    with Server(options) as server:
        found = told(server.grpc_address, models=["m", "n"])
        expect(
            "an operation that the server does not know", found, "Version 2 of 'm' did not load.*AddX9", "quarantine"
        )
        expect("a model that is not served", found, "does not serve 'n'", "models.config")
    bad = messages.PredictRequest()
    bad.model_spec.name = "m"
    bad.inputs["nothing"].dtype = messages.DT_FLOAT
    write_warmup(add_version(base, 3, "affine-2"), [bad])
    with Server(options) as server:
        found = told(server.grpc_address, models=["m"])
        expect("a warm-up that fails", found, "Version 3 of 'm' did not load: Signature input alias", "quarantine m@3")


def test_a_message_that_is_too_large_on_the_way(running):
    assert told(running.grpc_address, message_bytes=6_000_000) == []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_error(413)

        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        found = told(f"http://127.0.0.1:{proxy.server_port}", message_bytes=100_000)
        proxy.shutdown()
    expect("a message larger than a limit on the way", found, "100,000 bytes does not pass", "client_max_body_size")


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


def keras_file(path, layers, version="3.0.0"):
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": layers}, "registered_name": None}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
    return path


def test_a_keras_file(tmp_path):
    plain = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d"}, "registered_name": None}
    assert told(keras_file(tmp_path / "a.keras", [plain])) == []
    newer = keras_file(tmp_path / "b.keras", [plain], "99.1.0")
    expect("a .keras file of a newer Keras", told(newer), "saved by Keras 99.1.0", "pip install")
    layer = {**plain, "class_name": "Lambda"}
    expect("a Lambda", told(keras_file(tmp_path / "c.keras", [layer])), "'d' is a Lambda", "--allow-lambda")
    own = {"module": "my.layers", "class_name": "Mine", "config": {}, "registered_name": "pkg>Mine"}
    found = told(keras_file(tmp_path / "d.keras", [own]))
    expect("custom objects that are not registered", found, "Mine is a class of its own", "--import MODULE.*my.layers")
    (tmp_path / "e.keras").write_bytes(b"PK")
    expect("no whole .keras file", told(tmp_path / "e.keras"), "no whole .keras file", "Save the model again")


def test_a_keras_file_of_keras_itself(tmp_path):
    import keras

    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "a.keras")
    assert told(tmp_path / "a.keras") == []


def test_what_is_nothing_to_look_at(tmp_path):
    with pytest.raises(NotFound, match="does not exist"):
        examine(str(tmp_path / "nothing"))
    (tmp_path / "a.txt2").write_text("")
    with pytest.raises(InvalidArgument, match="a repository, a base path"):
        examine(str(tmp_path / "a.txt2"))


def test_the_worst_comes_first():
    one, two = Finding("warning", "a", "b", "c"), Finding("error", "a", "b", "c")
    assert in_order([one, two, one]) == [two, one]


def test_the_document_lists_what_is_built_here():
    listed = set(re.findall(r"^\| ([^|]+?) \|", (ROOT / "docs/doctor.md").read_text(), re.M)) - {"fault", "---"}
    calls = [node for node in ast.walk(ast.parse(Path(__file__).read_text())) if isinstance(node, ast.Call)]
    asked = [call.args[0] for call in calls if getattr(call.func, "id", "") == "expect"]
    named = (
        {first.value for first in asked if isinstance(first, ast.Constant)} | set(FAULTS) | {one[0] for one in WRONG}
    )
    assert listed == named
