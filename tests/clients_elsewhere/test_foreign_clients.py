"""Clients that others wrote for TensorFlow Serving, each in an environment of its own, against our server."""

from tests.clients_elsewhere.environments import HERE, python_of, run_client


def test_ovmsclient(elsewhere):
    python = python_of("ovmsclient", HERE / "ovmsclient.txt")
    rest = elsewhere.rest_address.removeprefix("http://")
    said = run_client(python, HERE / "ask_with_ovmsclient.py", elsewhere.grpc_address, rest)
    assert "all answered" in said


def test_min_tfs_client(elsewhere):
    python = python_of("min-tfs-client", HERE / "min_tfs_client.txt")
    host, port = elsewhere.grpc_address.rsplit(":", 1)
    said = run_client(python, HERE / "ask_with_min_tfs_client.py", host, port)
    assert "all answered" in said
