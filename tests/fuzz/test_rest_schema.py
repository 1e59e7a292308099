"""The REST routes against `openapi.yaml`, by schemathesis: it sends what the document allows and what it forbids.

Any answer must be one that the document lists, in the form that it describes; no 5xx is listed. schemathesis has an
environment of its own (`schemathesis.txt` says why).
"""

import subprocess
from pathlib import Path

import pytest

from tests.clients_elsewhere.environments import python_of
from tests.fuzz.raw_http import still_answers

HERE = Path(__file__).parent
EXAMPLES = 15  # for each operation and phase
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance"


@pytest.mark.slow
def test_the_routes_keep_to_their_document(server, tmp_path):
    python = python_of("schemathesis", HERE / "schemathesis.txt", folder="fuzz-envs")
    command = [python.with_name("schemathesis"), "--config-file", HERE / "schemathesis.toml", "run"]
    command += [HERE / "openapi.yaml", "--url", server.rest_address]
    flags = [f"--checks={CHECKS}", f"--max-examples={EXAMPLES}", "--seed=1", "--phases=coverage,fuzzing", "--no-color"]
    flags += ["--max-response-time=1", "--request-timeout=5", "--generation-database=none", "--warnings=off"]
    run = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=150, cwd=tmp_path)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert still_answers(server.rest_address)
