"""A client of the TensorFlow Serving API, over gRPC or REST, with no TensorFlow in it.

from modelport_client import Client

with Client("localhost:8500") as client:
    answer = client.predict("digits", {"image": images})
    answer["label"], answer.version
"""

from typing import TYPE_CHECKING, Any

from modelport_client.client import Client
from modelport_client.prediction import Prediction
from modelport_client.results import (
    Class,
    Classified,
    Metadata,
    Regressed,
    SignatureSpec,
    TensorSpec,
    VersionState,
)

if TYPE_CHECKING:
    from modelport_client.async_client import AsyncClient

__all__ = [
    "AsyncClient",
    "Class",
    "Classified",
    "Client",
    "Metadata",
    "Prediction",
    "Regressed",
    "SignatureSpec",
    "TensorSpec",
    "VersionState",
]


def __getattr__(name: str) -> Any:
    """`AsyncClient`, which brings asyncio along, when it is asked for."""
    if name == "AsyncClient":
        from modelport_client.async_client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
