"""Which part may import which, and that the client and the contract stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "modelport": ROOT / "modelport",
    "modelport_client": ROOT / "client/modelport_client",
    "modelport_serving": ROOT / "serving/modelport_serving",
    "modelport_export": ROOT / "export/modelport_export",
    "modelport_release": ROOT / "release/modelport_release",
    "modelport_training": ROOT / "training/modelport_training",
    "modelport_console": ROOT / "console/modelport_console",
}
ALLOWED = {
    "modelport": set(),
    "modelport_client": {"modelport"},
    "modelport_serving": {"modelport"},
    "modelport_export": {"modelport", "modelport_client", "modelport_serving"},
    "modelport_release": {"modelport", "modelport_client"},
    "modelport_training": {"modelport", "modelport_client", "modelport_serving", "modelport_export"},
    "modelport_console": {"modelport", "modelport_client", "modelport_release"},
}
# The floors of the contract, lowest first: a module imports those below it only, type checking included.
CONTRACT_FLOORS = [
    {"errors", "quiet", "readable"},
    {"layout", "regular_files", "signature_changes"},
    {"atomic", "digests", "json_files", "probe"},
    {"history", "manifest", "marks", "run_record", "wire"},
    {"dtypes", "evaluation_rows", "manifest_cache", "serverconfig", "staging", "tensor_shapes", "tfrecord", "varint"},
    {"repository", "tensors"},
    {"live"},
    {"__main__"},
]
# The rooms of the server, lowest first: a module imports from its own room and from lower ones only.
SERVING_ROOMS = (
    "config",
    "monitoring",
    "core",
    "servables",
    "batching",
    "inference",
    "rest",
    "grpc_server",
    "docker",
    "",  # the program itself
)
# The rooms of the client, lowest first, in the same way; files of the top folder by their own names.
CLIENT_ROOMS = (
    "prediction",
    "results",
    "inputs",
    "transports",
    "servers",
    "asking",
    "driving",
    "client",
    "async_client",
    "commands",
    "loadtest",
    "tune",
)


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package):
    for path in PACKAGES[package].rglob("*.py"):
        others = {name.split(".")[0] for name in imported(path)} & set(PACKAGES) - {package}
        assert others <= ALLOWED[package], f"{path.relative_to(ROOT)} imports {sorted(others - ALLOWED[package])}"


def test_the_contract_is_built_in_floors():
    floor_of = {module: number for number, floor in enumerate(CONTRACT_FLOORS) for module in floor}
    for path in PACKAGES["modelport"].rglob("*.py"):
        module = path.relative_to(PACKAGES["modelport"]).with_suffix("").parts[0]
        if module == "__init__":
            continue
        assert module in floor_of, f"say in CONTRACT_FLOORS where {path.name} belongs"
        for name in imported(path):
            other = name.split(".")[1] if name.startswith("modelport.") else module
            if other in floor_of and other != module:
                assert floor_of[other] < floor_of[module], f"{path.name} imports {other}"


def room_of(parts: list[str]) -> int:
    """The room of a module below `modelport_serving`, by the parts of its dotted name."""
    return SERVING_ROOMS.index(parts[0] if len(parts) > 1 or parts[0] in SERVING_ROOMS else "")


def test_each_room_of_the_server_imports_from_lower_ones():
    package = PACKAGES["modelport_serving"]
    for path in package.rglob("*.py"):
        if path.parent == package:
            continue
        room = room_of(list(path.relative_to(package).parts))
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "modelport_serving" and len(parts) > 1:
                assert room_of(parts[1:]) <= room, f"{path.relative_to(ROOT)} imports {name}"


def test_each_room_of_the_client_imports_from_lower_ones():
    package = PACKAGES["modelport_client"]
    for path in package.rglob("*.py"):
        if path == package / "__init__.py":
            continue
        room = CLIENT_ROOMS.index(path.relative_to(package).with_suffix("").parts[0])
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "modelport_client" and len(parts) > 1 and parts[1] in CLIENT_ROOMS:
                assert CLIENT_ROOMS.index(parts[1]) <= room, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize(
    "module",
    [
        "modelport.manifest_cache",
        "modelport.repository",
        "modelport.run_record",
        "modelport.staging",
        "modelport.serverconfig",
        "modelport.tensors",
        "modelport.wire.services",
        "modelport_client",
        "modelport_client.transports.grpc_transport",
        "modelport_client.transports.rest_transport",
        "modelport_client.async_client",
        "modelport_client.commands.predict",
        "modelport_client.commands.predict_files",
        "modelport_serving",
        "modelport_serving.rest.parse_worker",
        "modelport_serving.docker.serve",
        "modelport_serving.docker.stack",
        "modelport_export",
        "modelport_training",
        "modelport_console.running",
    ],
)
def test_nothing_heavy_comes_along(module):
    heavy = {"tensorflow", "keras", "sklearn", "matplotlib", "pandas", "PIL", "aiohttp", "opentelemetry"}
    code = f"import {module}, sys; found = sorted({heavy} & set(sys.modules)); assert not found, found"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_tensorflow_is_imported_in_one_file_of_the_server():
    files = {
        path.name
        for path in PACKAGES["modelport_serving"].rglob("*.py")
        if any(name.split(".")[0] == "tensorflow" for name in imported(path))
    }
    assert files == {"tensorflow_runtime.py"}


@pytest.mark.slow
def test_the_server_runs_without_importing_tensorflow_and_beside_it():
    code = """
import sys, modelport_serving.server
from modelport_serving.servables import tensorflow_runtime
tensorflow_runtime.api()
heavy = {"tensorflow", "keras", "sklearn", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
import tensorflow as tf
lazily = tf.keras.layers.Dense
from tensorflow.keras import layers
import keras
assert keras.layers.Dense is layers.Dense is lazily
keras.Sequential([keras.Input((2,)), layers.Dense(1)]).predict(tf.constant([[0.0, 1.0]]), verbose=0)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
