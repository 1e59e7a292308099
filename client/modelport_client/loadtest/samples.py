"""What a load asks: requests that are written once, before it begins.

They are one's own inputs, a file of one's own in the form of TensorFlow Serving's warm-up requests and request logs, or
the warm-up requests of the version that is asked, where its folder is on this machine and the server tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from google.protobuf.message import DecodeError

from modelport import layout, tensors, tfrecord
from modelport.errors import FailedPrecondition, InvalidArgument, NotFound, from_os_error
from modelport.wire import messages
from modelport.wire.services import METHODS
from modelport_client.client import Client
from modelport_client.inputs.arrays import DEFAULT_SIGNATURE, signature_for, to_arrays
from modelport_client.loadtest.plan import GRPC, REST, Samples
from modelport_client.results import Array
from modelport_client.transports import json_arrays
from modelport_client.transports.deadline import Deadline

_WRITTEN_WITHIN_S = 60.0  # all samples


@dataclass(frozen=True)
class Asked:
    """What of a server is asked.

    Args:
        model: its name.
        version: by number.
        label: by label.
        signature: by name; None for the default.
        outputs: those wanted, over gRPC; all when there are none.
        rows: of recorded requests only those with so many rows.
    """

    model: str
    version: int | None = None
    label: str | None = None
    signature: str | None = None
    outputs: Sequence[str] = ()
    rows: int | None = None

    @property
    def words(self) -> str:
        """As a person writes it."""
        part = self.label if self.version is None else self.version
        return self.model if part is None else f"{self.model}@{part}"


def largest_rows(path: Path) -> int:
    """Of the Predict requests of a file: the most rows of one; 0 where there is none."""
    return max((_rows(inputs) for _, inputs in _requests(path)), default=0)


def from_inputs(client: Client, asked: Asked, inputs: Any) -> Samples:
    """One request with inputs as `Client.predict` takes them."""
    _ask(client, asked, asked.signature, inputs)
    metadata = client.metadata(asked.model, version=asked.version, label=asked.label)
    signature, spec = signature_for(inputs, asked.signature or "", metadata)
    return _samples(client.target, asked, [(signature, to_arrays(inputs, spec))], "the command line")


def from_file(client: Client, asked: Asked, path: Path) -> Samples:
    """The Predict requests of a TFRecord of PredictionLogs."""
    return _recorded(client, asked, path, str(path))


def of_version(client: Client, asked: Asked) -> Samples:
    """The warm-up requests of the version that answers.

    Raises:
        FailedPrecondition: nobody here knows where they are.
    """
    version = client.metadata(asked.model, version=asked.version, label=asked.label).version
    folder = client.base_path(asked.model)
    if folder is None:
        raise FailedPrecondition(
            f"Expected --input, --image or --samples: the server at {client.target} does not tell where the versions "
            f"lie, so the warm-up requests of version {version} cannot be read. (Only `modelport serve` on the same "
            "machine tells it, over gRPC.)"
        )
    path = Path(folder) / str(version) / layout.WARMUP_REQUESTS
    if not path.is_file():
        raise NotFound(f"Expected --input, --image or --samples: version {version} has no warm-up requests ({path}).")
    return _recorded(client, asked, path, f"warm-up requests of version {version}")


def _recorded(client: Client, asked: Asked, path: Path, origin: str) -> Samples:
    requests = _wanted(path, asked)
    _ask(client, asked, *requests[0])
    return _samples(client.target, asked, requests, origin)


def _ask(client: Client, asked: Asked, signature: str | None, inputs: Any) -> None:
    """Once, so that a mistake is told before the load begins, with the client's hints."""
    client.predict(
        asked.model,
        inputs,
        version=asked.version,
        label=asked.label,
        signature=signature,
        outputs=asked.outputs,
    )


def _requests(path: Path) -> list[tuple[str, dict[str, Array]]]:
    """Signature and inputs of the Predict requests of a file."""
    found = []
    try:
        for record in tfrecord.read(path):
            log = messages.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") == "predict_log":
                request = log.predict_log.request
                inputs = {name: tensors.decode(proto) for name, proto in request.inputs.items()}
                found.append((request.model_spec.signature_name or DEFAULT_SIGNATURE, inputs))
    except OSError as error:
        raise from_os_error(error, "read the samples", path) from error
    except DecodeError as error:
        raise InvalidArgument(f"Expected a TFRecord of PredictionLogs. Received: {str(path)!r} ({error})") from error
    return found


def _wanted(path: Path, asked: Asked) -> list[tuple[str, dict[str, Array]]]:
    """Of these, the ones that are asked."""
    found = _requests(path)
    names = sorted({name for name, _ in found})
    wanted = asked.signature or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in names else None)
    chosen = [(name, inputs) for name, inputs in found if wanted in (None, name)]
    if not chosen:
        raise InvalidArgument(
            f"Expected Predict requests of {wanted or 'any signature'} in {str(path)!r}. Received: "
            f"{', '.join(names) or 'none'}"
        )
    if asked.rows is None:
        return chosen
    fitting = [(name, inputs) for name, inputs in chosen if _rows(inputs) == asked.rows]
    if not fitting:
        sizes = ", ".join(str(size) for size in sorted({_rows(inputs) for _, inputs in chosen}))
        raise InvalidArgument(f"Expected --rows of one of these sizes: {sizes} (of {path}). Received: {asked.rows}")
    return fitting


def _rows(inputs: dict[str, Array]) -> int:
    return max((len(array) for array in inputs.values() if array.ndim), default=1)


def _samples(target: str, asked: Asked, requests: Iterable[tuple[str, dict[str, Array]]], origin: str) -> Samples:
    is_rest = target.startswith(("http://", "https://"))
    deadline = Deadline(_WRITTEN_WITHIN_S, "the writing of the samples")
    bodies, sizes = [], set()
    for signature, arrays in requests:
        sizes.add(_rows(arrays))
        if is_rest:
            bodies.append(json_arrays.request_body(arrays, signature, deadline))
        else:
            bodies.append(_message(asked, signature, arrays))
    rows = f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
    path = _rest_path(asked) if is_rest else METHODS["Predict"].path
    return Samples(REST if is_rest else GRPC, path, tuple(bodies), f"{origin} ({len(bodies)} of {rows} rows)")


def _message(asked: Asked, signature: str, arrays: dict[str, Array]) -> bytes:
    request = messages.PredictRequest(output_filter=list(asked.outputs))
    request.model_spec.name = asked.model
    request.model_spec.signature_name = signature
    if asked.version is not None:
        request.model_spec.version.value = asked.version
    elif asked.label is not None:
        request.model_spec.version_label = asked.label
    for name, array in arrays.items():
        request.inputs[name].CopyFrom(tensors.encode(array))
    return request.SerializeToString()


def _rest_path(asked: Asked) -> str:
    path = f"/v1/models/{quote(asked.model, safe='')}"
    if asked.version is not None:
        path += f"/versions/{asked.version}"
    elif asked.label is not None:
        path += f"/labels/{quote(asked.label, safe='')}"
    return f"{path}:predict"
