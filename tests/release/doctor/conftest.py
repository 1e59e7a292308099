"""A model in which nothing is wrong, to be spoiled."""

import numpy as np
import pytest

from modelport.wire import messages
from tests.support.models import write_warmup


@pytest.fixture
def base(tmp_path, add_version):
    """A base path with one version in which nothing is wrong."""
    version = add_version(tmp_path / "models" / "m", 1, "affine-2")
    request = messages.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].dtype = messages.DT_FLOAT
    request.inputs["x"].tensor_shape.dim.add(size=1)
    request.inputs["x"].float_val.append(np.zeros(1, np.float32).tobytes())
    write_warmup(version, [request])
    for path in (version, *version.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return version.parent
