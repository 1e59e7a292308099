"""The verdict at publishing, with real models and real servers: what is refused, what is said, and what is kept."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from modelport import history
from modelport.__main__ import main
from modelport.errors import DataLoss, InvalidArgument, Refused
from modelport.repository import Repository
from modelport_export import Gate, ImageInput, examine, publish
from modelport_export.gate import cost, quality

layers = keras.layers
ROWS = np.random.default_rng(3).normal(size=(400, 3)).astype(np.float32)
CLASS = (ROWS.sum(axis=1) > 0).astype(np.int64)
EVALUATION = {"x": ROWS, "label": CLASS}
SAMPLES = {"x": ROWS[:16]}


def classifier(sign=1.0, name="x", inputs=3, noise=0.0):
    """Two probabilities; the second is right for `CLASS` where `sign` is 1, and wrong where it is -1."""
    model = keras.Sequential([keras.Input((inputs,), name=name), layers.Dense(2, activation="softmax")])
    kernel = np.stack([-np.ones(inputs), np.ones(inputs)], 1).astype(np.float32) * sign
    kernel[0] += noise
    model.layers[0].set_weights([kernel, np.zeros(2, np.float32)])
    return model


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A repository whose model `m` has a good version."""
    folder = tmp_path_factory.mktemp("models")
    publish(classifier(), name="m", repository=folder, samples=SAMPLES, evaluation=EVALUATION)
    return folder


def checks(proof, name):
    return [one for one in proof["checks"] if one["name"] == name]


def test_the_first_version_says_that_there_is_nothing_to_compare(published):
    facts = Repository(published).read_manifest("m", 1)
    assert "first version" in checks(facts.proof, "contract")[1]["sentence"]
    assert facts.proof["quality"]["metrics"]["accuracy"] == 1.0
    assert facts.proof["quality"]["rows"] == 400
    assert {one["name"] for one in facts.proof["checks"]} == {"contract", "parity", "quality", "cost", "warm"}
    rows = np.load(published / "m" / "1" / "assets.extra" / "evaluation.npz")
    assert np.array_equal(rows["x"], ROWS)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: classifier(-1.0), "worse beyond noise: accuracy 0, of version 1 1 on the same 400 rows"),
        (lambda: classifier(name="other"), "would fail: 'serving_default' has no input 'x' any more"),
        (lambda: classifier(inputs=4), r"had the shape \[\?, 3\] and has \[\?, 4\]"),
    ],
    ids=["worse", "renamed input", "other shape"],
)
def test_what_is_refused_leaves_nothing_behind(published, made, told):
    before = sorted(str(path) for path in published.rglob("*"))
    model = made()
    name, inputs = model.inputs[0].name, model.inputs[0].shape[1]
    rows = np.resize(ROWS, (400, inputs))
    with pytest.raises(Refused, match=told):
        publish(
            model, name="m", repository=published, samples={name: rows[:8]}, evaluation={name: rows, "label": CLASS}
        )
    assert sorted(str(path) for path in published.rglob("*")) == before


def test_noise_does_not_refuse(tmp_path):
    given = {"name": "m", "repository": tmp_path, "samples": SAMPLES, "evaluation": EVALUATION}
    publish(classifier(noise=0.02), **given)
    facts = Repository(tmp_path).read_manifest("m", publish(classifier(noise=-0.02), **given).version)
    [judged] = [one for one in checks(facts.proof, "quality") if one["figures"].get("metric") == "accuracy"]
    assert judged["outcome"] == "passed"
    assert judged["figures"]["low"] <= 0 <= judged["figures"]["high"]
    assert facts.proof["live"] == 1
    assert set(facts.proof["costs"]["live"]) == set(facts.proof["costs"]["this"])


def test_breaking_on_purpose_and_by_force(tmp_path):
    given = {"name": "m", "repository": tmp_path}
    publish(classifier(), samples=SAMPLES, evaluation=EVALUATION, **given)
    other = {"samples": {"z": ROWS[:8]}, "evaluation": {"z": ROWS, "label": CLASS}}
    second = publish(classifier(name="z"), breaking="clients move to z", **other, **given)
    facts = Repository(tmp_path).read_manifest("m", second.version)
    assert "Declared as breaking (clients move to z)" in checks(facts.proof, "contract")[1]["sentence"]
    third = publish(classifier(-1.0, name="z"), force="a trial of the alarm", **other, **given)
    facts = Repository(tmp_path).read_manifest("m", third.version)
    assert facts.proof["forced"] == "a trial of the alarm"
    assert facts.proof["verdict"].endswith("forced: a trial of the alarm")
    assert [entry.why for entry in history.read(tmp_path / "m")] == ["", "clients move to z", "a trial of the alarm"]


def test_the_live_version_counts_not_the_newest(tmp_path):
    given = {"name": "m", "repository": tmp_path, "samples": SAMPLES, "evaluation": EVALUATION}
    publish(classifier(-1.0), **given)
    publish(classifier(), **given)
    (tmp_path / "models.config").write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{tmp_path}/m" '
        'model_platform: "tensorflow" model_version_policy { specific { versions: 1 } } } }'
    )
    facts = Repository(tmp_path).read_manifest("m", publish(classifier(-0.5), **given).version)
    assert facts.proof["live"] == 1, "which is as bad"


def test_swapped_labels_are_seen(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (40, 4, 4), np.uint8)
    model = keras.Sequential([keras.Input((16,)), layers.Dense(2, activation="softmax", name="d")])
    truth = model.predict(images.reshape(-1, 16) / 255, verbose=0).argmax(axis=1)
    given = {
        "name": "m",
        "repository": tmp_path,
        "image": ImageInput(4, 4, shape=(16,)),
        "samples": {"image": images[:8]},
        "evaluation": {"image": images, "label": truth},
    }
    publish(model, labels=["cat", "dog"], **given)
    with pytest.raises(Refused, match=r"Class \d was called '(cat|dog)' in version 1 and is called '(cat|dog)'"):
        publish(model, labels=["dog", "cat"], **given)


def test_a_graph_that_reaches_out_is_refused(tmp_path):
    class Reading(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="path")])
        def read(self, path):
            return {"text": tf.map_fn(tf.io.read_file, path)}

    module = Reading()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.read)
    (tmp_path / "a.txt").write_text("a")
    samples = {"path": np.array([str(tmp_path / "a.txt")] * 2, object)}
    given = {"name": "m", "repository": tmp_path / "models", "samples": samples}
    with pytest.raises(Refused, match=r"ReadFile \(reads files\).*--allow-op ReadFile"):
        publish(tmp_path / "saved", **given)
    found = publish(tmp_path / "saved", gate=Gate(allow_ops=["ReadFile"]), **given)
    facts = Repository(tmp_path / "models").read_manifest("m", found.version)
    assert "Allowed to reach out of the model: ReadFile" in checks(facts.proof, "contract")[0]["sentence"]


def test_bounds(published):
    given = {"name": "other", "repository": published, "samples": SAMPLES, "evaluation": EVALUATION}
    with pytest.raises(Refused) as refused:
        publish(classifier(-1.0), gate=Gate(min={"accuracy": 0.95}, max_p99_ms=1e-6, max_size_mib=0), **given)
    for told in ("accuracy is 0 as served on held-out rows; at least 0.95", "slowest hundredth", "size on disk"):
        assert told in refused.value.message
    with pytest.raises(InvalidArgument, match="Did you mean 'accuracy'"):
        publish(classifier(), gate=Gate(min={"acuracy": 0.9}), **given)
    assert not (published / "other" / "1").exists()


def test_private_rows_stay(tmp_path):
    given = {"name": "m", "repository": tmp_path, "samples": SAMPLES, "evaluation": EVALUATION}
    found = publish(classifier(), gate=Gate(evaluation_rows=False), **given)
    assert not (found.path / "assets.extra" / "evaluation.npz").exists()
    assert "The worst mistakes" not in (found.path / "assets.extra" / "report.html").read_text("utf-8")
    assert Repository(tmp_path).read_manifest("m", 1).proof["quality"]["rows"] == 400


def test_a_live_version_that_is_foreign_or_broken_is_said(tmp_path):
    publish(classifier(), name="m", repository=tmp_path, samples=SAMPLES)
    (tmp_path / "m" / "1" / "assets.extra" / "manifest.json").unlink()
    facts = examine(classifier(0.5), name="m", repository=tmp_path, samples=SAMPLES, evaluation=EVALUATION)
    assert any("no manifest" in one["sentence"] for one in checks(facts.proof, "quality"))
    (tmp_path / "m" / "1" / "saved_model.pb").write_bytes(b"\x00\xff")
    facts = examine(classifier(0.5), name="m", repository=tmp_path, samples=SAMPLES, evaluation=EVALUATION)
    assert any("cannot be compared" in one["sentence"] for one in checks(facts.proof, "quality"))


def test_evaluation_rows_of_other_names_are_refused(tmp_path):
    for rows, told in (
        ({"y": ROWS, "label": CLASS}, r"inputs of 'serving_default': \['x'\]"),
        ({"x": ROWS}, "what the model ought to answer"),
        ({"x": ROWS, "label": CLASS[:-1]}, "in equal number"),
    ):
        with pytest.raises(InvalidArgument, match=told):
            publish(classifier(), name="m", repository=tmp_path, samples=SAMPLES, evaluation=rows)


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    classifier().save("good.keras")
    classifier(-1.0).save("bad.keras")
    np.savez("rows.npz", **EVALUATION)
    np.savez("samples.npz", **SAMPLES)
    given = ["--name", "m", "--samples", "samples.npz", "--evaluation", "rows.npz"]
    assert main(["publish", "good.keras", *given, "--dry-run"]) == 0
    assert "it would be published. Nothing was published." in capsys.readouterr().out
    assert not (tmp_path / "models" / "m").exists()
    assert main(["publish", "good.keras", *given]) == 0
    assert main(["publish", "bad.keras", *given]) == 3, "refused is not the same as broken"
    assert "worse beyond noise" in capsys.readouterr().err
    assert main(["publish", "bad.keras", *given, "--dry-run", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert not told["accepted"]
    assert main(["publish", "nothing.keras", *given]) == 1
    np.savez("wrong.npz", x=ROWS, label=CLASS + 100)
    assert main(["publish", "bad.keras", *given[:-1], "wrong.npz", "--dry-run"]) == 1, "no gate is no passed gate"
    assert "not all among its 2 classes" in capsys.readouterr().err
    assert main(["publish", "bad.keras", *given, "--force", "a trial", "--json"]) == 0
    (tmp_path / "modelport.toml").write_text("[gate]\nmin = { accuracy = 0.9 }\n[gate.m]\nmax_p99_mss = 1\n")
    capsys.readouterr()
    assert main(["publish", "good.keras", *given]) == 1
    assert "Did you mean 'max_p99_ms'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as wrong:
        main(["publish", "good.keras", *given, "--force", " "])
    assert wrong.value.code == 2


def test_a_damaged_manifest_lets_no_breaking_change_through(tmp_path):
    publish(classifier(), name="m", repository=tmp_path, samples=SAMPLES)
    (tmp_path / "m" / "1" / "assets.extra" / "manifest.json").write_text("{")
    with pytest.raises((Refused, DataLoss), match=r"no input 'x' any more|manifest"):
        publish(classifier(name="z"), name="m", repository=tmp_path, samples={"z": ROWS[:8]})
    (tmp_path / "models.config").write_text(
        f'model_config_list {{ config {{ name: "n" base_path: "{tmp_path}/n" '
        'model_platform: "tensorflow" model_version_policy { specific { versions: 9 } } } }'
    )
    publish(classifier(), name="n", repository=tmp_path, samples=SAMPLES)
    with pytest.raises(Refused, match="no input 'x' any more"):
        publish(classifier(name="z"), name="n", repository=tmp_path, samples={"z": ROWS[:8]})


def test_rows_of_the_live_version_where_none_are_given(tmp_path):
    given = {"name": "m", "repository": tmp_path, "samples": SAMPLES}
    publish(classifier(), evaluation=EVALUATION, **given)
    with pytest.raises(Refused, match="worse beyond noise"):
        publish(classifier(-1.0), **given)
    second = publish(classifier(0.5), **given)
    notes = Repository(tmp_path).read_manifest("m", second.version).proof["notes"]
    assert any("held-out rows of version 1" in note for note in notes)


@pytest.mark.parametrize(
    "words", [np.array(["a", "bb", "ü"] * 10), np.array([b"a", b"bb", b"c"] * 10, object)], ids=["str", "bytes"]
)
def test_texts_and_an_input_of_a_reserved_name(tmp_path, words):
    word = keras.Input((), dtype="string", name="file")
    model = keras.Model(
        word, keras.layers.Dense(1)(keras.layers.StringLookup(vocabulary=["a"], output_mode="one_hot")(word))
    )
    rows = {"file": words, "label": np.arange(30.0)}
    found = publish(model, name="m", repository=tmp_path, samples={"file": words[:4]}, evaluation=rows)
    assert (found.path / "assets.extra" / "evaluation.npz").exists()
    assert publish(model, name="m", repository=tmp_path, samples={"file": words[:5]}, evaluation=rows).new is False


def test_rows_that_cannot_be_stored_are_refused(tmp_path):
    for rows, told in (
        ({"x": ROWS[:0], "label": CLASS[:0]}, "one at least"),
        ({"x": np.array([b"a\0", b"b"], object), "label": CLASS[:2]}, "zero byte"),
    ):
        with pytest.raises(InvalidArgument, match=told):
            publish(classifier(), name="m", repository=tmp_path, samples=SAMPLES, evaluation=rows)


def test_a_bound_that_could_not_be_held_is_no_bound_kept():
    [check] = cost.check(Gate(max_resident_mib=100), {}, {}, None)
    assert (check.outcome, "could not be measured" in check.sentence) == ("refused", True)
    [check] = quality.hold_regressions(Gate(max_regression=0.1), {}, compared=True)
    assert check.outcome == "refused"
    assert list(quality.hold_regressions(Gate(max_regression=0.1), {}, compared=False)) == []
