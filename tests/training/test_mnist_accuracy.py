"""The dense recipes on the true MNIST; some ten seconds each, so on demand only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelport.errors import Unavailable
from modelport_training import Settings, load_dataset, train

pytestmark = pytest.mark.skipif(
    not os.environ.get("MODELPORT_TEST_MNIST"), reason="trains on MNIST for half a minute; set MODELPORT_TEST_MNIST=1"
)


@pytest.mark.parametrize("recipe", ["sequential", "functional", "scaled"])
def test_965_in_1000_after_ten_epochs(recipe: str, tmp_path: Path) -> None:
    try:
        load_dataset("mnist")
    except Unavailable as error:
        pytest.skip(error.message)
    settings = Settings(recipe=recipe, dataset="mnist", epochs=10, patience=0, output=tmp_path)
    assert train(settings, stream=None).metrics["accuracy"] >= 0.965
