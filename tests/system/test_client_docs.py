"""Every block of docs/client.md is run, in order: the Python ones in one process, the shell ones in one folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelport_serving import AUTO, Options, Server
from tests.support import graphs, models

TEXT = (Path(__file__).parents[2] / "docs/client.md").read_text()


@pytest.mark.slow
def test_the_document(tmp_path):
    root = tmp_path / "models"
    models.columns(root / "orders/1")
    models.matrix(root / "flowers/1")
    graphs.save(root / "spam/1", graphs.examples)
    with Server(Options(model_repository=str(root), port=AUTO, rest_api_port=AUTO)) as server:
        text = TEXT.replace("http://localhost:8501", server.rest_address).replace("localhost:8500", server.grpc_address)
        found = re.findall(r"```(sh|python)\n(.*?)```", text, re.DOTALL)
        shell = "set -euxo pipefail\n" + "".join(code for kind, code in found if kind == "sh")
        code = "".join(code for kind, code in found if kind == "python")
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "MODELPORT_SERVER": server.grpc_address,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        for command in (["bash", "-c", shell], [sys.executable, "-c", code]):
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "answers.csv").read_text().splitlines()[0] == "raw_bytes,tag,total_0"
