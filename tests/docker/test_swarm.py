"""deploy/swarm.yml on a swarm of one node: updated, and rolled back, under load."""

import shutil

import pytest

from tests.support.docker.asking import eventually
from tests.support.docker.swarm import Swarm, swarm_mode

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def swarm(docker_host, model_files, tmp_path_factory):
    """Two replicas; the tests update them one after the other."""
    under_test = Swarm(docker_host, tmp_path_factory.mktemp("swarm"))
    state = under_test.docker("info", "--format={{.Swarm.LocalNodeState}}").stdout.strip()
    if state != "inactive":
        pytest.skip(f"the engine belongs to a swarm already ({state}), which is not ours to use or to leave")
    shutil.copytree(model_files / "affine-2", under_test.models / "digits" / "1")
    with swarm_mode(under_test.docker):
        try:
            under_test.deploy(1)
            eventually(under_test.settled)
            yield under_test
        finally:
            under_test.remove()


def none_lost(reports, request):
    """No request of any load failed; the summary shows how many there were."""
    asked = ", ".join(
        f"{name}: {report['requests']} asked, {report['failed']} lost" for name, report in reports.items()
    )
    request.node.user_properties.append(("requests", asked))
    assert sum(report["failed"] for report in reports.values()) == 0, reports


def test_it_runs_hardened(swarm):
    for replica in swarm.replicas():
        facts = swarm.inspect(replica)
        host = facts["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert facts["Config"]["User"] == "65534:65534"
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
        assert not host["PortBindings"]
        assert {mount["Destination"]: mount["RW"] for mount in facts["Mounts"]}["/models"] is False


def test_an_update_loses_no_request(swarm, request):
    before = swarm.replicas()
    label = 'version_labels { key: "stable" value: 1 }'
    with swarm.asking() as reports:
        text = swarm.config.read_text()
        swarm.config.write_text(text.replace("model_version_policy", f"{label} model_version_policy"))
        swarm.deploy(2)
        assert swarm.outcome() == "completed"
        eventually(swarm.settled)
        assert not set(before) & set(swarm.replicas())
        for replica in swarm.replicas():
            assert label in swarm.docker("exec", replica, "cat", "/config/models.config").stdout
            eventually(lambda replica=replica: swarm.answered(replica) > 100)
    none_lost(reports, request)


def test_an_update_that_is_never_healthy_undoes_itself_and_loses_no_request(swarm, request):
    with swarm.asking() as reports:
        swarm.config.write_text(swarm.config.read_text().replace("digits", "digitz"))
        swarm.deploy(3)
        assert swarm.outcome() == "rollback_completed"
        eventually(swarm.settled)
        for replica in swarm.replicas():
            assert "digitz" not in swarm.docker("exec", replica, "cat", "/config/models.config").stdout
            was = swarm.answered(replica)
            eventually(lambda replica=replica, was=was: swarm.answered(replica) > was + 100)
    none_lost(reports, request)
