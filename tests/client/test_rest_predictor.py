"""A REST client that is held over a swap reads each answer with the signature of the version that gave it."""

import shutil

import numpy as np
import pytest

from modelport.errors import InvalidArgument, NotFound
from modelport_client import Client
from modelport_serving import AUTO, Options, Server

pytestmark = pytest.mark.slow  # swaps of versions on a server

X = [1.0, 2.0]
SWAPS = {  # what one version has, what the next has, what the next answers to X
    "integers to floats": ({"a": "int32"}, {"a": "float32"}, {"a": [1.75, 2.75]}),
    "floats to integers": ({"a": "float32"}, {"a": "int64"}, {"a": [1, 2]}),
    "wider integers": ({"a": "int32"}, {"a": "int64"}, {"a": [1, 2]}),
    "another name": ({"a": "float32"}, {"b": "float32"}, {"b": [1.75, 2.75]}),
    "one more output": ({"a": "float32"}, {"a": "float32", "b": "int32"}, {"a": [1.75, 2.75], "b": [1, 2]}),
    "one output less": ({"a": "float32", "b": "int32"}, {"b": "int64"}, {"b": [1, 2]}),
}


@pytest.fixture
def start(tmp_path):
    """Start an embedded server of the model `m` at `tmp_path / "m"`, which looks for versions all the time."""
    started = []

    def run(policy: str = "") -> Server:
        config = tmp_path / "models.config"
        base = f'name: "m" base_path: "{tmp_path}/m" model_platform: "tensorflow"'
        config.write_text(f"model_config_list {{ config {{ {base} {policy} }} }}")
        options = Options(
            model_config_file=str(config),
            file_system_poll_wait_seconds=1,
            port=AUTO,
            rest_api_port=AUTO,
            allow_version_labels_for_unavailable_models=True,
        )
        started.append(Server(options).__enter__())
        return started[-1]

    yield run
    for server in started:
        server.__exit__(None, None, None)


@pytest.fixture(params=["direct", "unversioned", "versioned"])
def address_of(request, fronts):
    """The server's own REST address; that of one which does not name versions in its answers; of one which does."""
    return (
        (lambda server: server.rest_address)
        if request.param == "direct"
        else (lambda server: getattr(fronts, request.param)(server.rest_address))
    )


def check(prediction, version, expected, dtypes):
    assert prediction.version == version
    assert {name: array.tolist() for name, array in prediction.items()} == expected
    assert {name: array.dtype.name for name, array in prediction.items()} == dtypes


@pytest.mark.parametrize("case", SWAPS)
def test_a_swap(start, address_of, publish, tmp_path, case):
    """int32 → float32 gave [1, 2] for [1.75, 2.75], an output `b` came back as `a`, two for one gave a TypeError."""
    before, after, expected = SWAPS[case]
    publish(tmp_path / "m", 1, "typed", before)
    server = start()
    with Client(address_of(server), timeout=30) as client:
        assert [client.predict("m", {"x": X}).version for _ in range(3)] == [1, 1, 1]
        publish(tmp_path / "m", 2, "typed", after)
        client.wait_until_available("m", 2)
        for _ in range(3):
            check(client.predict("m", {"x": X}), 2, expected, after)
        for name in after:
            check(client.predict("m", {"x": X}, outputs=[name]), 2, {name: expected[name]}, {name: after[name]})


def test_the_old_version_stays_loaded(start, address_of, publish, tmp_path):
    """Without a version the newest that is available answers, from the moment that it is."""
    publish(tmp_path / "m", 1, "typed", {"a": "int32"})
    server = start("model_version_policy { all {} }")
    with Client(address_of(server), timeout=30) as client:
        check(client.predict("m", {"x": X}), 1, {"a": [1, 2]}, {"a": "int32"})
        publish(tmp_path / "m", 2, "typed", {"b": "float32"})
        client.wait_until_available("m", 2)
        check(client.predict("m", {"x": X}), 2, {"b": [1.75, 2.75]}, {"b": "float32"})
        check(client.predict("m", {"x": X}, version=1), 1, {"a": [1, 2]}, {"a": "int32"})
        check(client.predict("m", {"x": X}), 2, {"b": [1.75, 2.75]}, {"b": "float32"})
        shutil.rmtree(tmp_path / "m/2")  # and back
        while any(state.version == 2 and state.state == "AVAILABLE" for state in client.status("m")):
            pass
        check(client.predict("m", {"x": X}), 1, {"a": [1, 2]}, {"a": "int32"})


def test_a_label_that_moves(start, address_of, publish, tmp_path):
    from modelport.serverconfig import parse_models

    publish(tmp_path / "m", 1, "typed", {"a": "int32"})
    publish(tmp_path / "m", 2, "typed", {"b": "float32"})
    policy = 'model_version_policy { all {} } version_labels { key: "live" value: %d }'
    server = start(policy % 1)
    with Client(address_of(server), timeout=30) as client, Client(server.grpc_address) as operator:
        operator.wait_until_available("m", 1)
        check(client.predict("m", {"x": X}, label="live"), 1, {"a": [1, 2]}, {"a": "int32"})
        config = (tmp_path / "models.config").read_text()
        operator.wait_until_available("m", 2)
        operator.reload(parse_models(config.replace("value: 1", "value: 2")))
        check(client.predict("m", {"x": X}, label="live"), 2, {"b": [1.75, 2.75]}, {"b": "float32"})


def test_the_inputs_change(start, address_of, publish, tmp_path):
    """Written for another version, a request was refused until the client was made anew, or lost digits."""
    publish(tmp_path / "m", 1, "typed", {"a": "float64"}, given="float32")
    server = start("model_version_policy { specific { versions: 1 versions: 2 versions: 3 } }")
    values = np.array([0.1, 1e300])
    with Client(address_of(server), timeout=30) as client:
        assert client.predict("m", [0.1]).version == 1
        with pytest.raises(InvalidArgument, match="double that does not convert without loss, such as 1e"):
            client.predict("m", values)
        publish(tmp_path / "m", 2, "typed", {"a": "float64"}, given="float64", name="z")
        client.wait_until_available("m", 2)
        assert client.predict("m", values)["a"].tolist() == (values + 0.75).tolist()
        publish(tmp_path / "m", 3, "typed", {"a": "float64"}, given="int32")
        client.wait_until_available("m", 3)
        assert client.predict("m", [5])["a"].tolist() == [5.75]


def test_a_server_started_anew_with_other_files_under_the_same_number(start, publish, tmp_path, fronts):
    publish(tmp_path / "m", 1, "typed", {"a": "int32"})
    first = start()
    behind = [first.rest_address]

    def respond(front):
        type(front).behind = behind[0]
        fronts_versioned(front)

    fronts_versioned = fronts.respond_versioned
    address = fronts.start(first.rest_address, respond)
    with Client(address, timeout=30) as client:
        check(client.predict("m", {"x": X}), 1, {"a": [1, 2]}, {"a": "int32"})
        shutil.rmtree(tmp_path / "m")
        publish(tmp_path / "m", 1, "typed", {"b": "float32"})
        behind[0] = start().rest_address
        fronts.drop_connections()
        check(client.predict("m", {"x": X}), 1, {"b": [1.75, 2.75]}, {"b": "float32"})
        check(client.predict("m", {"x": X}, version=1), 1, {"b": [1.75, 2.75]}, {"b": "float32"})


def test_two_servers_of_two_versions_take_turns(start, publish, tmp_path, fronts):
    """A balancer in the middle of a rolling update: no answer is read with the other's signature, none is lost."""
    for version, outputs in ((1, {"a": "int32"}), (2, {"b": "float32"})):
        publish(tmp_path / "m", version, "typed", outputs)
    servers = [start(f"model_version_policy {{ specific {{ versions: {version} }} }}") for version in (1, 2)]
    turn = [0]

    def balance(front):
        turn[0] += 1
        type(front).behind = servers[turn[0] % 2].rest_address
        fronts.respond_unversioned(front)

    with Client(fronts.start("", balance), timeout=60) as client:
        answers = [client.predict("m", {"x": X}) for _ in range(20)]
    assert {(a.version, *a) for a in answers} <= {(1, "a"), (2, "b")}


def test_what_is_not_there(server, fronts):
    with Client(fronts.unversioned(server.rest_address), timeout=30) as client:
        with pytest.raises(NotFound, match=r"1 \(AVAILABLE\)"):
            client.predict("affine", [1.0], version=9)
        with pytest.raises(NotFound, match="nobody"):
            client.predict("nobody", [1.0])
        with pytest.raises(InvalidArgument, match="label"):
            client.predict("affine", [1.0], label="gold")
