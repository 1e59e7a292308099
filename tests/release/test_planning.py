"""What a promotion would do is told before it does it, and comes to pass; what it does is told step by step."""

import pytest

from modelport.errors import FailedPrecondition, NotFound
from modelport_client import Client
from modelport_release import collecting, promote, rollback
from modelport_release.promotion.planning import plan
from modelport_release.promotion.rollback import version_before
from modelport_serving import AUTO, Options, Server


@pytest.fixture
def root(tmp_path, add_version):
    for number in (1, 2, 3):
        add_version(tmp_path / "models/m", number, "affine-2")
    return tmp_path / "models"


@pytest.fixture
def server(root):
    options = Options(
        model_repository=str(root), port=AUTO, max_num_load_retries=0, allow_version_labels_for_unavailable_models=True
    )
    with Server(options) as running:
        yield running


def available(server):
    with Client(server.grpc_address) as client:
        return sorted(one.version for one in client.status("m") if one.state == "AVAILABLE")


def test_what_is_planned_comes_to_pass(root, server):
    at = server.grpc_address
    before = sorted(root.rglob("*"))
    told = plan("m", 1, server=at, repository=root)
    assert told == [
        "Requests without version or label go to version 1; they go to 3 now.",
        "models.config is changed to: specific { versions: 1 }",
        f"{at} loads version 1, and is asked the samples that it carries.",
        f"{at} lets go of version 3.",
        "If the version does not come up or does not answer its own samples, all is put back as it is now.",
    ]
    assert sorted(root.rglob("*")) == before
    assert available(server) == [3]
    steps = []
    promote("m", 1, server=at, repository=root, on_step=steps.append)
    assert available(server) == [1]
    assert steps[0] == "The files of version 1 are those that were written."
    assert steps[1] == "models.config says: specific { versions: 1 }"
    assert steps[-1] == "What is not wanted any more has gone."
    assert plan("m", 1, server=at, repository=root) == ["That is so already: nothing would be changed."]


def test_labels_are_planned(root, server):
    promote("m", 1, server=server.grpc_address, repository=root)
    told = plan("m", 2, label="canary", server=server.grpc_address, repository=root, keep_unlabelled=False)
    assert told[:2] == [
        "Requests without version or label go to version 2; they go to 1 now.",
        "Requests with the label 'canary' go to version 2.",
    ]
    promote("m", 2, label="canary", server=server.grpc_address, repository=root)
    assert available(server) == [1, 2]
    told = plan("m", None, unlabel="canary", server=server.grpc_address, repository=root)
    assert "Requests with the label 'canary' are refused; they go to version 2 now." in told


def test_what_would_be_refused_is_refused(root):
    with pytest.raises(NotFound, match="Received: 9"):
        plan("m", 9, repository=root)
    with pytest.raises(NotFound, match="label of 'm'"):
        plan("m", None, unlabel="canary", repository=root)
    assert plan("m", 1, repository=root)[-1].startswith("No server is told")


def test_the_way_back_is_told(root):
    with pytest.raises(FailedPrecondition, match="history"):
        version_before("m", repository=root)
    promote("m", 1, repository=root)
    promote("m", 2, repository=root)
    assert version_before("m", repository=root) == 1
    assert rollback("m", repository=root)[0] == 1


def test_what_was_put_back_is_told(root, server):
    promote("m", 3, server=server.grpc_address, repository=root)
    (root / "m/4").mkdir()
    (root / "m/4/saved_model.pb").write_bytes(b"no graph")
    steps = []
    with pytest.raises(FailedPrecondition, match="gave up version 4"):
        promote("m", 4, server=server.grpc_address, repository=root, on_step=steps.append)
    assert steps[-1] == "Put back: models.config says again: specific { versions: 3 }; the servers were told."
    assert available(server) == [3]


def test_what_any_of_several_servers_has_stays(root, server):
    promote("m", 1, server=server.grpc_address, repository=root)
    other = Options(model_name="m", model_base_path=str(root / "m"), port=AUTO)
    with Server(other) as second:
        both = f"{server.grpc_address},{second.grpc_address}"
        from modelport.repository import Repository

        found = collecting.collect(Repository(root), "m", 1, server=both, dry_run=True)
    assert found.versions == [2]
    assert found.kept[1] == "live"
