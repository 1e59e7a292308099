"""What a transport does for the client; `grpc_transport` and `rest_transport` are the two.

Their `predict` differ: gRPC answers are read by themselves, a REST answer only with the signature of the version that
gave it. `grpc_predictor` and `rest_predictor` use them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from modelport.wire import messages
from modelport_client.deadline import Deadline
from modelport_client.results import Metadata, Prediction


class Transport(Protocol):
    """One server, spoken to in one way. Errors are those of `modelport.errors`."""

    def metadata(self, spec: messages.ModelSpec, deadline: Deadline) -> Metadata:
        """The signatures of a version."""

    def status(self, spec: messages.ModelSpec, deadline: Deadline) -> messages.GetModelStatusResponse:
        """The states of a model's versions."""

    def base_path(self, spec: messages.ModelSpec, deadline: Deadline) -> str | None:
        """Where the server has the model's versions; None where it does not say."""

    def reload(self, request: messages.ReloadConfigRequest, deadline: Deadline) -> None:
        """Replace the server's configuration."""

    def close(self) -> None:
        """Give the connection back."""


class Predictor(Protocol):
    """Predictions over one of the transports."""

    def predict(self, spec: messages.ModelSpec, inputs: Any, outputs: Sequence[str], deadline: Deadline) -> Prediction:
        """See `Client.predict`. Signatures that turn out to be of another version are asked for anew."""
