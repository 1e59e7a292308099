"""The REST transport: the same calls as JSON over HTTP, for where gRPC cannot pass."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import urllib3
from google.protobuf import json_format

from modelport.errors import Code, ModelportError, NotFound, Unavailable, Unimplemented, Unknown, from_code
from modelport.wire import messages
from modelport_client import json_arrays, proxies
from modelport_client.deadline import Deadline
from modelport_client.http_deadline import bound, bounded_by
from modelport_client.results import Array, Metadata, metadata_of

# Where several canonical codes share an HTTP status, the one that the server means most often.
_CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    407: Code.UNAUTHENTICATED,
    409: Code.ABORTED,
    413: Code.RESOURCE_EXHAUSTED,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
_VERSION_HEADER = "X-Modelport-Version"
_KEPT_CONNECTIONS = 64  # as many threads as share a client without opening one for a call


class ServableNotFound(NotFound):
    """The server itself says that a version is not there; not a proxy that knows no such path."""


@dataclass(frozen=True)
class RestAnswer:
    """The outputs as JSON has them, and the version that gave them where the server tells it."""

    outputs: Any
    version: int | None


class RestTransport:
    """One pool of connections to one server, through the proxy that the environment names for it.

    Args:
        url: `http://host:port` or `https://host:port`, and the path of the API behind a proxy that has it elsewhere.
        ssl_context: for https; None for the system's trust.

    Raises:
        InvalidArgument: the environment names what is no HTTP proxy.
    """

    def __init__(self, url: str, ssl_context: ssl.SSLContext | None = None) -> None:
        self._url = url.rstrip("/")
        self._proxy = proxies.for_rest(self._url)
        self._manager = bound(_manager(self._proxy, ssl_context))
        self._pool = self._manager.connection_from_url(self._url)
        # The pool itself takes paths, and a tenth of a millisecond less; what goes through a proxy is the manager's.
        self._asked = self._pool if self._proxy is None else self._manager
        self._base = urlsplit(self._url).path if self._proxy is None else self._url

    @property
    def opened(self) -> int:
        """How many connections were opened so far: behind a new one may be another server."""
        return self._pool.num_connections

    def predict(self, spec: messages.ModelSpec, inputs: Mapping[str, Array], deadline: Deadline) -> RestAnswer:
        """Run a signature, all its outputs."""
        body = json_arrays.request_body(inputs, spec.signature_name, deadline)
        response = self._call("POST", self._path(spec) + ":predict", deadline, body)
        version = response.headers.get(_VERSION_HEADER, "")
        answer = self._json(response, deadline)
        if not isinstance(answer, dict) or "outputs" not in answer:
            raise Unknown(f"Expected an object with 'outputs' from {self._url}; received {response.data[:80]!r}.")
        return RestAnswer(answer["outputs"], int(version) if version.isascii() and version.isdigit() else None)

    def metadata(self, spec: messages.ModelSpec, deadline: Deadline) -> Metadata:
        """The signatures of a version."""
        response = self._call("GET", self._path(spec) + "/metadata", deadline)
        try:
            return _metadata(response.data)
        except (ValueError, KeyError, TypeError, AttributeError, json_format.ParseError) as error:
            raise Unknown(f"Expected metadata from {self._url}; received {response.data[:80]!r}.") from error

    def status(self, spec: messages.ModelSpec, deadline: Deadline) -> messages.GetModelStatusResponse:
        """The states of a model's versions."""
        response = messages.GetModelStatusResponse()
        json_format.ParseDict(self._json(self._call("GET", self._path(spec), deadline), deadline), response)
        return response

    def base_path(self, spec: messages.ModelSpec, deadline: Deadline) -> str | None:
        """REST says nothing of it."""
        return None

    def reload(self, request: messages.ReloadConfigRequest, deadline: Deadline) -> None:
        """REST has no such call."""
        raise Unimplemented("Expected a gRPC target, such as localhost:8500: the REST API cannot reload.")

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        self._manager.clear()

    def _path(self, spec: messages.ModelSpec) -> str:
        path = f"/v1/models/{quote(spec.name, safe='')}"
        match spec.WhichOneof("version_choice"):
            case "version":
                path += f"/versions/{spec.version.value}"
            case "version_label":
                path += f"/labels/{quote(spec.version_label, safe='')}"
        return path

    def _call(self, method: str, path: str, deadline: Deadline, body: bytes | None = None) -> urllib3.BaseHTTPResponse:
        try:
            with bounded_by(deadline):
                response = self._asked.request(
                    method,
                    self._base + path,
                    body=body,
                    timeout=urllib3.Timeout(total=deadline.check()),
                    redirect=False,
                    retries=False,
                )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._translated(error, deadline) from error
        if response.status != 200:
            raise self._error_of(response.status, response.data)
        return response

    def _json(self, response: urllib3.BaseHTTPResponse, deadline: Deadline) -> Any:
        """The document of an answer; strings that are no UTF-8 come as surrogates."""
        deadline.check()
        try:
            return json.loads(response.data.decode(errors="surrogateescape"))
        except ValueError as error:
            raise Unknown(f"Expected JSON from {self._url}; received {response.data[:80]!r}.") from error

    def _translated(self, error: Exception, deadline: Deadline) -> ModelportError:
        refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # urllib3 counts it among the time-outs
        if deadline.left <= 0 or (isinstance(error, urllib3.exceptions.TimeoutError) and not refused):
            return deadline.exceeded(str(self._proxy or ""))
        if isinstance(error, urllib3.exceptions.ClosedPoolError):
            return Unavailable(f"The connection to {self._url} was closed: {error}")
        if "BadStatusLine" in str(error):
            return Unavailable(
                f"What answers at {self._url} does not speak HTTP/1.1. If that is the gRPC port, ask "
                f"{self._url.partition('//')[2]}"
            )
        return Unavailable(self._with_proxy(f"No server answers at {self._url}: {error}"))

    def _error_of(self, status: int, body: bytes) -> ModelportError:
        """The server's own refusal, or what a proxy says in its place."""
        try:
            message = json.loads(body)["error"]
        except (ValueError, KeyError, TypeError):
            text = f"HTTP status {status} from {self._url}: {body[:200].decode(errors='replace')}"
            code = (
                Code.UNAVAILABLE if status == 504 else _CODES.get(status, Code.UNKNOWN)
            )  # a proxy's, not the server's
            return from_code(code, self._with_proxy(text))
        code = _CODES.get(status, Code.UNKNOWN)
        return ServableNotFound(message) if code is Code.NOT_FOUND else from_code(code, message)

    def _with_proxy(self, text: str) -> str:
        return text if self._proxy is None else f"{text}\n{self._proxy}"


def _manager(proxy: proxies.Proxy | None, ssl_context: ssl.SSLContext | None) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(ssl_context=ssl_context, maxsize=_KEPT_CONNECTIONS)
    parts = urlsplit(proxy.url)
    headers = None
    if parts.username is not None:
        headers = urllib3.make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    url = f"{parts.scheme}://{proxy.address}"
    return urllib3.ProxyManager(url, proxy_headers=headers, ssl_context=ssl_context, maxsize=_KEPT_CONNECTIONS)


@lru_cache(maxsize=64)
def _metadata(body: bytes) -> Metadata:
    """Read once as long as it stays the same: a server that does not name versions is asked for it with each call."""
    answer = json.loads(body)
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
    return metadata_of(response)
