"""The embedded server: TensorFlow Serving's API from a model repository, without Docker.

from modelport_serving import AUTO, Options, Server

with Server(Options(model_name="digits", model_base_path="/models/digits", port=AUTO)) as server:
    print(server.grpc_address)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelport_serving.config.options import AUTO, Options

if TYPE_CHECKING:
    from modelport_serving.server import Server

__all__ = ["AUTO", "Options", "Server"]


def __getattr__(name: str) -> Any:
    """`Server` is imported when it is asked for: it brings gRPC and the event loop."""
    if name == "Server":
        from modelport_serving.server import Server

        return Server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
