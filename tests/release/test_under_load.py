"""Promotions and rollbacks of a label under a steady load: no request fails, each is answered by what it pointed to."""

import time

import numpy as np
import pytest

from modelport_client import Client
from modelport_client.loadtest import SteadyLoad
from modelport_release import promote, rollback
from modelport_serving import AUTO, Options, Server

CHANGES = 100
RATE = 300  # requests a second


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_label_moves_to_and_fro(tmp_path, add_version):
    root = tmp_path / "models"
    for number in (1, 2):
        add_version(root / "m", number, "affine-2")
    (root / "models.config").write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{root}/m" model_platform: "tensorflow" '
        "model_version_policy { all {} } } }"
    )
    moves = []  # began, ended, version after it
    with Server(Options(model_repository=str(root), port=AUTO)) as server, Client(server.grpc_address) as client:
        for number in (1, 2):
            client.wait_until_available("m", number, 30)
        at = {"repository": root, "server": server.grpc_address, "label": "stable"}
        promote("m", 1, **at)
        moves.append((0.0, 0.0, 1))

        def ask():
            begin = time.perf_counter()
            answer = client.predict("m", {"x": np.zeros(1, np.float32)}, label="stable", timeout=10)
            asked.append((begin, time.perf_counter(), answer.version))
            return answer

        asked: list[tuple[float, float, int]] = []
        with SteadyLoad(ask, RATE) as load:
            for number in range(CHANGES):
                begin = time.perf_counter()
                if number % 2:
                    version, _ = rollback("m", **at)
                else:
                    version = 2 if moves[-1][2] == 1 else 1
                    promote("m", version, **at)
                moves.append((begin, time.perf_counter(), version))
    assert [one.error for one in load.outcomes if one.error is not None] == []
    assert {version for _, _, version in moves} == {1, 2}
    assert len(asked) > CHANGES
    for begin, end, version in asked:
        before = max(number for number, (_, ended, _) in enumerate(moves) if ended <= begin)
        allowed = {after for began, _, after in moves[before:] if began <= end}
        assert version in allowed, (begin, end, version)
