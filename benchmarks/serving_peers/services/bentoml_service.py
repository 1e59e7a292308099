"""The model behind BentoML, with its own numpy type for the rows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bentoml
import numpy as np
from savedmodel import SavedModel

FOLDER = "DENSE_FOLDER"


@bentoml.service(logging={"access": {"enabled": False}})
class Dense:
    """BentoML answers with the bare rows."""

    def __init__(self) -> None:
        self.model = SavedModel(os.environ[FOLDER])

    @bentoml.api
    def predict(self, instances: np.ndarray) -> np.ndarray:
        """Rows -> probabilities."""
        return self.model(instances)


if __name__ == "__main__":
    os.environ[FOLDER] = sys.argv[1]
    here = Path(__file__)
    command = [sys.executable, "-m", "bentoml", "serve", f"{here.stem}:Dense", "--working-dir", str(here.parent)]
    os.execv(sys.executable, [*command, "--host", "127.0.0.1", "--port", sys.argv[2]])  # noqa: S606
