"""Every example once an epoch, in an order that is the epoch's own."""

from __future__ import annotations

import numpy as np

from modelport_training import Dataset, load_recipe
from modelport_training.loop.batches import InMemory


def marked(count: int = 40) -> Dataset:
    """Images whose first pixel is their number."""
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(count)
    labels = np.arange(count, dtype=np.int64) % 2
    return Dataset("marked", "made up", "none", ("even", "odd"), images, labels, images[:5], labels[:5])


def order(batches: InMemory, epoch: int) -> list[int]:
    return [round(float(image[0] * 255)) for images, _ in batches.epoch(epoch) for image in images]


def test_every_training_example_once_and_the_others_in_validation() -> None:
    batches = InMemory(load_recipe("sequential"), marked(), batch_size=16, seed=0)
    seen = order(batches, 1)
    validation = [round(float(image[0] * 255)) for images, _ in batches.validation for image in images]
    assert sorted(seen + validation) == list(range(40))
    assert (batches.examples, len(validation), batches.steps) == (36, 4, 3)


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    recipe = load_recipe("sequential")
    batches = InMemory(recipe, marked(), batch_size=16, seed=0)
    assert order(batches, 7) == order(InMemory(recipe, marked(), batch_size=5, seed=0), 7)
    assert order(batches, 7) == order(batches, 7)
    assert order(batches, 7) != order(batches, 8)
    assert order(batches, 7) != order(InMemory(recipe, marked(), batch_size=16, seed=1), 7)


def test_inputs_and_labels_stay_together() -> None:
    batches = InMemory(load_recipe("sequential"), marked(), batch_size=16, seed=0)
    for images, labels in batches.epoch(1):
        assert images.shape[1:] == (784,)
        np.testing.assert_array_equal(np.round(images[:, 0] * 255) % 2, labels)


def test_named_inputs_and_targets() -> None:
    batches = InMemory(load_recipe("two_branch"), marked(), batch_size=16, seed=0)
    inputs, targets = next(iter(batches.epoch(1)))
    assert {name: tuple(array.shape) for name, array in inputs.items()} == {"top": (16, 14, 28), "bottom": (16, 14, 28)}
    np.testing.assert_array_equal(inputs["top"][:, 0, 0] % 2, targets["digit"])
    np.testing.assert_array_equal(targets["parity"][:, 0], targets["digit"] % 2)
