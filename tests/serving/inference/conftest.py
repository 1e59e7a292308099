"""Loaded versions of small graphs."""

import pytest

from modelport_serving.core.servable_state import ServableId
from modelport_serving.servables.saved_model_session import GraphSession
from modelport_serving.servables.servable import Servable


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Load the version in a folder, or the graph that a function makes; closed at the end."""
    from tests.support import graphs

    loaded: list[Servable] = []

    def load(graph, **options) -> Servable:
        path = graphs.save(tmp_path_factory.mktemp("graph"), graph) if callable(graph) else graph
        loaded.append(Servable(ServableId("m", 1), path, GraphSession(path), 0.0, **options))
        return loaded[-1]

    yield load
    for servable in loaded:
        servable.close()
