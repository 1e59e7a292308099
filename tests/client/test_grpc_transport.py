"""The gRPC transport: targets, and connections that are closed or not gRPC."""

import numpy as np
import pytest

from modelport.errors import Unavailable
from modelport_client import Client


def test_the_rest_port_is_told_apart(server):
    address = server.rest_address.removeprefix("http://")
    with Client(address, timeout=10) as client, pytest.raises(Unavailable, match=address):
        client.predict("affine", {"x": np.zeros(1, np.float32)})
