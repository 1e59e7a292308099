"""The REST transport: the same calls as JSON over HTTP, for where gRPC cannot pass."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
import urllib3
from google.protobuf import json_format

from modelport.dtypes import DType, Layout, of_array
from modelport.errors import (
    Code,
    DeadlineExceeded,
    InvalidArgument,
    ModelportError,
    Unavailable,
    Unimplemented,
    Unknown,
    from_code,
)
from modelport.wire import messages
from modelport_client.results import Array, Prediction, SignatureSpec

# Where several canonical codes share an HTTP status, the one that the server means most often.
_CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ABORTED,
    413: Code.RESOURCE_EXHAUSTED,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}


class RestTransport:
    """One pool of connections to one server.

    Args:
        url: `http://host:port` or `https://host:port`.
        ssl_context: for https; None for the system's trust.
    """

    def __init__(self, url: str, ssl_context: ssl.SSLContext | None = None) -> None:
        self._url = url.rstrip("/")
        self._pool = urllib3.PoolManager(ssl_context=ssl_context, retries=False, maxsize=16)

    def predict(
        self,
        spec: messages.ModelSpec,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        signature: SignatureSpec | None,
        timeout: float,
    ) -> Prediction:
        """Run a signature; see `Transport`. All outputs are computed; `outputs` picks from the answer."""
        if signature is None:
            raise InvalidArgument(
                "Expected a signature of the model, whose dtypes REST needs; the server reports none of that name."
            )
        body = {"signature_name": spec.signature_name} if spec.signature_name else {}
        document = {**body, "inputs": {name: _to_json(value) for name, value in inputs.items()}}
        answer = self._call("POST", self._path(spec) + ":predict", timeout, json.dumps(document).encode())
        found = answer["outputs"]
        if len(signature.outputs) == 1:  # the only output comes without its name
            found = {next(iter(signature.outputs)): found}
        arrays = {name: _from_json(value, signature.outputs[name].dtype) for name, value in found.items()}
        missing = [name for name in outputs if name not in arrays]
        if missing:
            raise InvalidArgument(f"Expected outputs of {sorted(arrays)}. Received: {missing}")
        return Prediction({name: arrays[name] for name in outputs or arrays}, spec.name)

    def metadata(self, spec: messages.ModelSpec, timeout: float) -> messages.GetModelMetadataResponse:
        """The signatures of a version."""
        answer = self._call("GET", self._path(spec) + "/metadata", timeout)
        response = messages.GetModelMetadataResponse()
        json_format.ParseDict(answer["model_spec"], response.model_spec)
        signatures = messages.SignatureDefMap()
        for name, signature in answer["metadata"]["signature_def"]["signature_def"].items():
            # In JSON the values of defaults are spelled in another way than on the wire; their names are enough here.
            optional = signature.pop("defaults", {})
            proto = signatures.signature_def.get_or_create(name)
            json_format.ParseDict(signature, proto, ignore_unknown_fields=True)
            for default in optional:
                proto.defaults.get_or_create(default)
        response.metadata.get_or_create("signature_def").Pack(signatures)
        return response

    def status(self, spec: messages.ModelSpec, timeout: float) -> messages.GetModelStatusResponse:
        """The states of a model's versions."""
        response = messages.GetModelStatusResponse()
        json_format.ParseDict(self._call("GET", self._path(spec), timeout), response)
        return response

    def reload(self, request: messages.ReloadConfigRequest, timeout: float) -> None:
        """REST has no such call."""
        raise Unimplemented("Expected a gRPC target, such as localhost:8500: the REST API cannot reload.")

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def _path(self, spec: messages.ModelSpec) -> str:
        path = f"/v1/models/{quote(spec.name, safe='')}"
        match spec.WhichOneof("version_choice"):
            case "version":
                path += f"/versions/{spec.version.value}"
            case "version_label":
                path += f"/labels/{quote(spec.version_label, safe='')}"
        return path

    def _call(self, method: str, path: str, timeout: float, body: bytes | None = None) -> Any:
        try:
            response = self._pool.request(
                method, self._url + path, body=body, timeout=urllib3.Timeout(total=timeout), redirect=False
            )
        except urllib3.exceptions.NewConnectionError as error:  # refused; urllib3 counts it among the time-outs
            raise Unavailable(f"No server answers at {self._url}: {error}") from error
        except urllib3.exceptions.TimeoutError as error:
            raise DeadlineExceeded(f"No answer from {self._url} within {round(timeout, 1) or timeout:g} s.") from error
        except urllib3.exceptions.HTTPError as error:
            if "BadStatusLine" in str(error):
                raise Unavailable(
                    f"What answers at {self._url} does not speak HTTP/1.1. If that is the gRPC port, ask "
                    f"{self._url.partition('//')[2]}"
                ) from error
            raise Unavailable(f"No server answers at {self._url}: {error}") from error
        if response.status != 200:
            raise _error_of(response.status, response.data)
        try:
            return json.loads(response.data)
        except ValueError as error:
            raise Unknown(f"Expected JSON from {self._url}{path}; received {response.data[:80]!r}.") from error


def _error_of(status: int, body: bytes) -> ModelportError:
    try:
        message = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        message = f"HTTP status {status}: {body[:200].decode(errors='replace')}"
    return from_code(_CODES.get(status, Code.UNKNOWN), message)


def _to_json(array: Array) -> Any:
    row = of_array(array)
    if row.layout is Layout.STRING:
        return _map_leaves(array.tolist())
    if row.layout is Layout.PATTERN or array.dtype.kind == "c":
        raise InvalidArgument(f"Expected a dtype that JSON can carry; received {row.name}. Use gRPC for it.")
    return array.tolist()


def _map_leaves(value: Any) -> Any:
    """Strings as they are, bytes as base64, at any depth."""
    if isinstance(value, list):
        return [_map_leaves(item) for item in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _from_json(value: Any, dtype: DType | None) -> Array:
    if dtype is None or dtype.layout is not Layout.STRING:
        return np.array(value, None if dtype is None else dtype.numpy)
    return _string_array(value)


def _string_array(value: Any) -> Array:
    """Nested lists of strings and {"b64"} objects as an object array of bytes."""
    shape = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    array = np.empty(shape, object)
    flat = [value]
    for _ in shape:
        flat = [item for items in flat for item in items]
    leaves = [base64.b64decode(leaf["b64"]) if isinstance(leaf, dict) else leaf.encode() for leaf in flat]
    array.reshape(-1)[:] = leaves
    return array
