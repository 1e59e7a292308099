"""The server that other people's clients talk to."""

from collections.abc import Iterator

import pytest

from modelport_serving import AUTO, Options, Server
from tests.clients_elsewhere.half_plus_two import half_plus_two


@pytest.fixture(scope="session")
def half_plus_two_files(tmp_path_factory):
    """The base path of the model, with versions 1 and 2."""
    base = tmp_path_factory.mktemp("elsewhere") / "half_plus_two"
    for version in (1, 2):
        half_plus_two(base / str(version))
    return base


@pytest.fixture(scope="module")
def elsewhere(half_plus_two_files) -> Iterator[Server]:
    """One server a file, because one file changes the configuration. It serves version 2, the latest."""
    options = Options(
        model_name="half_plus_two",
        model_base_path=str(half_plus_two_files),
        port=AUTO,
        rest_api_port=AUTO,
        file_system_poll_wait_seconds=1,
    )
    with Server(options) as running:
        yield running
