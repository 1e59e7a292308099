"""Verdicts on written versions, asked through a real server in a process of its own."""

import numpy as np
import pytest
import tensorflow as tf

from modelport import manifest as manifests
from modelport_export import calling, publish, savedmodel
from modelport_export.classifier import ImageClassifier
from modelport_export.proof.independence import runs
from modelport_export.proof.independence.graph_rows import objection
from modelport_export.proof.validation_server import validation_server
from modelport_export.servable import Generic
from modelport_training.recipe import load_recipe
from tests.support.recipes import ON_DIGITS

X = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)


@pytest.mark.parametrize("recipe", ON_DIGITS)
def test_all_signatures_of_the_built_in_recipes_are_proven_by_their_graphs(write, tmp_path, recipe):
    """They are what users publish first: unproven, each of their requests would be a run of its own."""
    recipe = load_recipe(recipe)
    model = recipe.build(10)
    call = calling.describe(model)
    image = recipe.image
    servable = Generic(model, call) if image is None else ImageClassifier(model, call, image, None, tmp_path)
    meta_graph = savedmodel.read_meta_graph(write(servable))
    assert {name: objection(meta_graph, name) for name in servable.endpoints} == dict.fromkeys(servable.endpoints)


def test_a_model_of_two_inputs_and_outputs_is_named(tmp_path):
    """Without samples of one's own: random ones do."""
    published = publish(load_recipe("two_branch").build(10), name="m", repository=tmp_path)
    facts = manifests.read(published.path)
    assert list(facts.row_independent) == list(facts.loop_free) == ["serving_default"]
    report = (published.path / "assets.extra" / "report.md").read_text("utf-8")
    assert "| serving_default | yes | by its graph and " in report


def test_a_signature_that_returns_its_class_names_is_not_named(save, tmp_path):
    """Joined with another request's, the names were cut to one."""
    classes = tf.Variable(["cat", "dog", "cow"], shape=[None], trainable=False)
    folder = save(lambda x: {"y": x * 2, "classes": tf.identity(classes)}, [None, 3], held=[classes])
    published = publish(folder, name="m", repository=tmp_path / "models", samples={"x0": X})
    facts = manifests.read(published.path)
    assert list(facts.row_independent) == []
    verdict = facts.proof["row_independence"]["serving_default"]
    assert not verdict["independent"]
    assert "'classes' does not follow the rows" in verdict["reason"]
    report = (published.path / "assets.extra" / "report.md").read_text("utf-8")
    assert f"| serving_default | no | {verdict['reason']} |" in report


def test_a_foreign_signature_is_named_with_samples_and_with_random_ones(save, tmp_path):
    folder = save(lambda x: x * 2, [None, 3])
    first = publish(folder, name="m", repository=tmp_path / "with", samples={"x0": X})
    facts = manifests.read(first.path)
    assert list(facts.row_independent) == list(facts.loop_free) == ["serving_default"]
    assert "by its graph and " in facts.proof["row_independence"]["serving_default"]["reason"]
    second = publish(folder, name="m", repository=tmp_path / "without")
    facts = manifests.read(second.path)
    assert facts.proof["verdict"] == "proven on random samples"
    assert list(facts.row_independent) == ["serving_default"]


def test_a_signature_with_a_loop_is_named_and_said_to_have_one(save, tmp_path):
    """How often a loop turns may follow from a value: the server keeps such runs off its event loop."""
    folder = save(lambda x: tf.map_fn(lambda row: row * tf.reduce_sum(row), x), [None, 3])
    facts = manifests.read(publish(folder, name="m", repository=tmp_path / "models", samples={"x0": X}).path)
    assert list(facts.row_independent) == ["serving_default"]
    assert list(facts.loop_free) == []


def test_runs_catch_what_the_graph_would_have_passed(save, tmp_path):
    """The second line of the proof: nothing but answers is looked at."""
    folder = save(lambda x: tf.where(tf.shape(x)[0] > 10, x - tf.reduce_mean(x, 0), x), [None, 3])
    with validation_server(folder, "m") as server:
        verdict = runs.run(lambda feed: server.client.predict("m", feed), {"x0": X}, 1e-5)
    assert not verdict.independent
    assert "samples to be answered as alone: 'y' to differ by" in verdict.reason
