"""What a transport does for the client; `grpc_transport` and `rest_transport` are the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from modelport.wire import messages
from modelport_client.results import Array, Prediction, SignatureSpec


class Transport(Protocol):
    """One server, spoken to in one way. Timeouts are in seconds; errors are those of `modelport.errors`."""

    def predict(
        self,
        spec: messages.ModelSpec,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        signature: SignatureSpec | None,
        timeout: float,
    ) -> Prediction:
        """Run a signature; `signature` tells dtypes where the wire does not (REST)."""

    def metadata(self, spec: messages.ModelSpec, timeout: float) -> messages.GetModelMetadataResponse:
        """The signatures of a version."""

    def status(self, spec: messages.ModelSpec, timeout: float) -> messages.GetModelStatusResponse:
        """The states of a model's versions."""

    def reload(self, request: messages.ReloadConfigRequest, timeout: float) -> None:
        """Replace the server's configuration."""

    def close(self) -> None:
        """Give the connection back."""
