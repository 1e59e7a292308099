"""A version whose runs wait until they are let go, under a scheduler."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelport_serving.servables.batch_limits import BatchLimits
from tests.support import graphs
from tests.support.batching import Stage


@pytest.fixture(scope="session")
def gated_files(tmp_path_factory) -> Path:
    return graphs.save(tmp_path_factory.mktemp("gated"), graphs.gated)


@pytest.fixture
def stage(gated_files):
    """Run a coroutine function on a stage of its own."""
    made: list[Stage] = []

    def play(scene: Callable[[Stage], Any], limits: BatchLimits | None = None, **options: Any) -> Stage:
        made.append(Stage(gated_files, limits, **options))
        asyncio.run(scene(made[-1]))
        return made[-1]

    yield play
    for one in made:
        one.close()
