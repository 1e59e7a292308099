"""Sessions of small graphs."""

import pytest

from modelport_serving.servables.saved_model_session import GraphSession
from tests.support import graphs


@pytest.fixture(scope="session")
def identity(tmp_path_factory):
    """A session with an identity for each dtype: feed `x_<dtype>:0`, fetch `Identity…`, by name of the dtype."""
    folder = graphs.save(tmp_path_factory.mktemp("identity"), graphs.identities)
    session = GraphSession(folder)
    yield session
    session.close()
