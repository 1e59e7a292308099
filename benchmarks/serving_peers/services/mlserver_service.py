"""The model behind MLServer: protocol v2, REST and gRPC.

`parallel_workers` is 0, so that a request does not cross to another process and back: the faster setting for one model.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from savedmodel import SavedModel

NAME = "dense"


class Dense(MLModel):
    """One tensor in, one out."""

    async def load(self) -> bool:
        """Load the SavedModel."""
        self.model = SavedModel(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Rows -> probabilities."""
        pixels: np.ndarray = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("probabilities", self.model(pixels))
        return InferenceResponse(model_name=self.name, outputs=[output])


if __name__ == "__main__":
    folder, rest, grpc = sys.argv[1:4]
    here = Path(__file__)
    server = {"host": "127.0.0.1", "http_port": int(rest), "grpc_port": int(grpc), "metrics_endpoint": None}
    server |= {"debug": False, "parallel_workers": 0}
    model = {"name": NAME, "implementation": f"{here.stem}.Dense", "parameters": {"uri": folder}}
    settings = Path("mlserver-settings")
    settings.mkdir(exist_ok=True)
    (settings / "settings.json").write_text(json.dumps(server))
    (settings / "model-settings.json").write_text(json.dumps(model))
    environment = os.environ | {"PYTHONPATH": str(here.parent)}
    command = str(Path(sys.executable).parent / "mlserver")
    os.execve(command, [command, "start", str(settings)], environment)  # noqa: S606
