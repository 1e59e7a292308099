"""The server that a version is proven in: a process of its own, that is gone afterwards whatever happens."""

import os

import keras
import pytest

from modelport.errors import FailedPrecondition
from modelport_export import calling
from modelport_export.proof.validation_server import validation_server
from modelport_export.servable import Generic


def linear():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


def test_the_server_is_ended_when_the_proof_fails(write):
    model = linear()
    folder = write(Generic(model, calling.describe(model)))
    with pytest.raises(RuntimeError), validation_server(folder, "m") as server:
        process = server.pid
        raise RuntimeError
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_folder_that_is_no_version_is_told_with_what_the_server_printed(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(FailedPrecondition, match="to load in a server of its own"), validation_server(tmp_path, "m"):
        pass
