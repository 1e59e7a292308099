"""`docker compose --profile distributed up`: two containers train together, and one of them publishes."""

import json

import pytest

pytestmark = pytest.mark.timeout(400)


def test_two_containers_train_and_publish_once(stack, docker_host, tmp_path):
    second = type(stack)(docker_host, tmp_path, "modelport-distributed", stack.models)
    before = {path.name for path in (second.models / "digits").iterdir() if path.name.isdigit()}
    try:
        done = second.compose(
            "--profile", "distributed", "up", "--no-build", "--no-log-prefix", "worker-0", "worker-1", timeout=300
        )
        assert "Each batch is shared by 2 workers" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
        record = json.loads((second.folder / "runs/distributed/run.json").read_text())
        assert (record["finished"], record["settings"]["workers"]) == (True, 2)
        after = {path.name for path in (second.models / "digits").iterdir() if path.name.isdigit()}
        assert len(after - before) == 1
    finally:
        second.compose("--profile", "distributed", "down", "--volumes", "--timeout", "5")
        second.down()
