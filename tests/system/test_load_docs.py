"""Every shell block of docs/load.md is run, in order, in one shell, on a small model of that name.

But for `modelport tune`, which takes minutes by its nature: its options are read (tests/client/tune runs one).
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modelport import tensors
from modelport.wire import messages
from tests.system.test_docs import taken

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/load.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
# On a machine that is busy with other things a load may be no result (4), and no rate may hold a bound (1).
WRAPPED = """set -euxo pipefail
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
modelport() {
  [ "$1" = serve ] && exec modelport "$@"  # a job that can be ended, not a shell around one
  command modelport "$@" && return
  code=$?
  case "$code $*" in 4*) ;; 1*--slo*) ;; *) return $code ;; esac
}
"""


def tunings() -> list[str]:
    return re.findall(r"^modelport tune .*$", "\n".join(BLOCKS), re.MULTILINE)


@pytest.mark.slow
def test_the_document(tmp_path, model_files):
    from tests.support.models import affine, write_warmup

    if busy := [port for port in (8500, 8501) if taken(port)]:
        pytest.skip(f"the document's commands use ports 8500 and 8501; in use here: {busy}")
    version = affine(tmp_path / "models" / "digits" / "1")
    request = messages.PredictRequest()
    request.inputs["x"].CopyFrom(tensors.encode(np.ones(1, np.float32)))
    write_warmup(version, [request])
    script = "\n".join(line for line in "\n".join(BLOCKS).splitlines() if line not in tunings())
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", WRAPPED + script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (tmp_path / "load.html").exists()
    assert "requests a second hold" in done.stdout or "No rate was found" in done.stdout


def test_its_tunings_are_read():
    from modelport_client.tune.options import parse_options

    assert tunings()
    for line in tunings():
        _, options = parse_options(shlex.split(line)[2:])
        assert options.model == "digits"
