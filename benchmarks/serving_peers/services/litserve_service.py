"""The model behind LitServe.

It reads the annotation of `decode_request`; one of `dict` would have it print every request into a debug message that
nobody sees, at 100 ms for 32 rows. So that one has none, as in its documentation.
"""

from __future__ import annotations

import sys
from typing import Any

import litserve
from savedmodel import SavedModel


class Dense(litserve.LitAPI):
    """One request, one run; batching would add its waiting time."""

    def setup(self, device: str) -> None:
        """Load, in the worker's process."""
        self.model = SavedModel(sys.argv[1])

    def decode_request(self, request) -> Any:
        """JSON -> rows."""
        return request["instances"]

    def predict(self, x: Any) -> Any:
        """Rows -> probabilities."""
        return self.model(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Probabilities -> JSON."""
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Dense(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
