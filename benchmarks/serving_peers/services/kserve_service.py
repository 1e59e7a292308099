"""The model behind KServe's Python server: REST protocol v1 and gRPC protocol v2."""

from __future__ import annotations

import sys
from typing import Any

import kserve
import uvicorn
from grpc import aio
from kserve.utils.utils import get_predict_response
from savedmodel import SavedModel

NAME = "dense"


class Dense(kserve.Model):
    """Rows from either protocol."""

    def load(self, folder: str) -> bool:
        """Load the SavedModel."""
        self.model = SavedModel(folder)
        self.ready = True
        return self.ready

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Rows -> probabilities, in the protocol of the request."""
        if isinstance(payload, kserve.InferRequest):
            return get_predict_response(payload, self.model(payload.inputs[0].as_numpy()), self.name)
        return {"predictions": self.model(payload["instances"]).tolist()}


def stay_on_loopback() -> None:
    """KServe listens on all addresses and has no option for it; a benchmark is nobody's service."""
    config, add_port = uvicorn.Config, aio._server.Server.add_insecure_port

    def local_config(*arguments: Any, **options: Any) -> uvicorn.Config:
        return config(*arguments, **options | {"host": "127.0.0.1", "access_log": False})

    def add_local_port(server: Any, address: str) -> int:
        return add_port(server, address.replace("[::]", "127.0.0.1"))

    uvicorn.Config = local_config
    aio._server.Server.add_insecure_port = add_local_port


if __name__ == "__main__":
    folder, rest, grpc = sys.argv[1:4]
    stay_on_loopback()
    model = Dense(NAME)
    model.load(folder)
    kserve.ModelServer(http_port=int(rest), grpc_port=int(grpc), enable_latency_logging=False).start([model])
