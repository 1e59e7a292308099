"""A client of the TensorFlow Serving API, over gRPC or REST, with no TensorFlow in it.

from modelport_client import Client

with Client("localhost:8500") as client:
    answer = client.predict("digits", {"image": images})
    answer["label"], answer.version
"""

from modelport_client.client import Client
from modelport_client.results import Metadata, Prediction, SignatureSpec, TensorSpec, VersionState

__all__ = ["Client", "Metadata", "Prediction", "SignatureSpec", "TensorSpec", "VersionState"]
