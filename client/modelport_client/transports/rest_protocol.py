"""What goes over HTTP for each call: the path, the JSON that is sent, and how it is read. No connection in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

from google.protobuf import json_format

from modelport import __version__
from modelport.errors import (
    Code,
    InvalidArgument,
    ModelportError,
    NotFound,
    Unavailable,
    Unimplemented,
    Unknown,
    from_code,
)
from modelport.wire import messages
from modelport_client.inputs import examples
from modelport_client.results import (
    Array,
    Class,
    Classified,
    Metadata,
    Regressed,
    VersionState,
    metadata_of,
    states_of,
)
from modelport_client.transports import http_codes, json_arrays, proxies
from modelport_client.transports.deadline import Deadline

_VERSION_HEADER = "X-Modelport-Version"


class ServableNotFound(NotFound):
    """The server itself says that a version is not there; not a proxy that knows no such path."""


@dataclass(frozen=True)
class RestAnswer:
    """The outputs as JSON has them, and the version that gave them where the server tells it."""

    outputs: Any
    version: int | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request, and what is made of the answer."""

    verb: str
    path: str
    body: bytes | None
    read: Callable[[Answer], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; the names of headers in any letter case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class RestProtocol:
    """The calls of one server.

    Args:
        url: `http://host:port` or `https://host:port`, and the path of the API behind a proxy that has it elsewhere.

    Raises:
        InvalidArgument: it is no URL, or the environment names what is no HTTP proxy.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            parts = urlsplit(self.url)
            is_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            is_host = False
        if not is_host:
            raise InvalidArgument(f"Expected a URL such as http://localhost:8501. Received: {url!r}")
        self.proxy = proxies.for_rest(self.url)
        self.headers = {"user-agent": f"modelport-client/{__version__}"}
        self._base = parts.path

    def predict(self, spec: messages.ModelSpec, inputs: Mapping[str, Array], deadline: Deadline) -> Exchange:
        """Run a signature, all its outputs."""

        def read(answer: Answer) -> RestAnswer:
            document = self._json(answer, deadline)
            if not isinstance(document, dict) or "outputs" not in document:
                raise Unknown(f"Expected an object with 'outputs' from {self.url}; received {answer.data[:80]!r}.")
            return RestAnswer(document["outputs"], _version(answer))

        body = json_arrays.request_body(inputs, spec.signature_name, deadline)
        return Exchange("POST", self._path(spec) + ":predict", body, read)

    def classify(self, spec: messages.ModelSpec, examples: messages.Input, deadline: Deadline) -> Exchange:
        """Classes and their scores of tf.Examples."""

        def made(rows: Any, *who: Any) -> Classified:
            return Classified(
                tuple(tuple(Class(str(label), float(score)) for label, score in row) for row in rows), *who
            )

        return self._examples("classify", spec, examples, made, deadline)

    def regress(self, spec: messages.ModelSpec, examples: messages.Input, deadline: Deadline) -> Exchange:
        """A number of each tf.Example."""

        def made(rows: Any, *who: Any) -> Regressed:
            return Regressed([float(value) for value in rows], *who)

        return self._examples("regress", spec, examples, made, deadline)

    def multi_inference(
        self, tasks: Sequence[messages.InferenceTask], examples: messages.Input, deadline: Deadline
    ) -> Exchange:
        """REST has no such call."""
        raise Unimplemented("Expected a gRPC target, such as localhost:8500: the REST API has no MultiInference.")

    def metadata(self, spec: messages.ModelSpec, deadline: Deadline) -> Exchange:
        """The signatures of a version."""

        def read(answer: Answer) -> Metadata:
            try:
                return _metadata(answer.data)
            except (ValueError, KeyError, TypeError, AttributeError, json_format.ParseError) as error:
                raise Unknown(f"Expected metadata from {self.url}; received {answer.data[:80]!r}.") from error

        return Exchange("GET", self._path(spec) + "/metadata", None, read)

    def status(self, spec: messages.ModelSpec, deadline: Deadline) -> Exchange:
        """The states of a model's versions."""

        def read(answer: Answer) -> list[VersionState]:
            response = messages.GetModelStatusResponse()
            try:
                json_format.ParseDict(self._json(answer, deadline), response)
            except json_format.ParseError as error:
                raise Unknown(f"Expected states from {self.url}; received {answer.data[:80]!r}.") from error
            return states_of(response)

        return Exchange("GET", self._path(spec), None, read)

    def base_path(self, spec: messages.ModelSpec, deadline: Deadline) -> Exchange:
        """REST says nothing of it: None is read, if the model is there."""
        return Exchange("GET", self._path(spec), None, lambda _: None)

    def reload(self, request: messages.ReloadConfigRequest, deadline: Deadline) -> Exchange:
        """REST has no such call."""
        raise Unimplemented("Expected a gRPC target, such as localhost:8500: the REST API cannot reload.")

    def read(self, exchange: Exchange, answer: Answer) -> Any:
        """What an answer says; an error that it tells is raised."""
        if answer.status != 200:
            raise self._error_of(answer.status, answer.data)
        return exchange.read(answer)

    def unavailable(self, error: object) -> ModelportError:
        """The error of a call that no server answers."""
        if "BadStatusLine" in str(error):
            return Unavailable(
                f"What answers at {self.url} does not speak HTTP/1.1. If that is the gRPC port, ask "
                f"{self.url.partition('//')[2]}"
            )
        return Unavailable(self._with_proxy(f"No server answers at {self.url}: {error}"))

    def closed(self, error: object) -> ModelportError:
        """The error of a call whose client is closed."""
        return Unavailable(f"The connection to {self.url} was closed: {error}")

    def exceeded(self, deadline: Deadline) -> ModelportError:
        """The error of a call that ran out of time."""
        return deadline.exceeded(str(self.proxy or ""))

    def _path(self, spec: messages.ModelSpec) -> str:
        path = f"{self._base}/v1/models/{quote(spec.name, safe='')}"
        match spec.WhichOneof("version_choice"):
            case "version":
                path += f"/versions/{spec.version.value}"
            case "version_label":
                path += f"/labels/{quote(spec.version_label, safe='')}"
        return path

    def _examples(
        self,
        verb: str,
        spec: messages.ModelSpec,
        given: messages.Input,
        made: Callable[..., Classified | Regressed],
        deadline: Deadline,
    ) -> Exchange:
        def read(answer: Answer) -> Classified | Regressed:
            document = self._json(answer, deadline)
            try:
                return made(document["results"], spec.name, _version(answer), spec.signature_name or None)
            except (KeyError, TypeError, ValueError) as error:
                raise Unknown(
                    f"Expected an object with 'results' from {self.url}; received {answer.data[:80]!r}."
                ) from error

        document = examples.as_json(given)
        if spec.signature_name:
            document["signature_name"] = spec.signature_name
        return Exchange("POST", f"{self._path(spec)}:{verb}", json.dumps(document).encode(), read)

    def _json(self, answer: Answer, deadline: Deadline) -> Any:
        """The document of an answer; strings that are no UTF-8 come as surrogates."""
        deadline.check()
        try:
            return json.loads(answer.data.decode(errors="surrogateescape"))
        except ValueError as error:
            raise Unknown(f"Expected JSON from {self.url}; received {answer.data[:80]!r}.") from error

    def _error_of(self, status: int, body: bytes) -> ModelportError:
        """The server's own refusal, or what a proxy says in its place."""
        try:
            message = json.loads(body)["error"]
        except (ValueError, KeyError, TypeError):
            text = f"HTTP status {status} from {self.url}: {body[:200].decode(errors='replace')}"
            code = Code.UNAVAILABLE if status == 504 else http_codes.of_status(status)  # a proxy's, not the server's
            return from_code(code, self._with_proxy(text))
        code = http_codes.of_status(status)
        return ServableNotFound(message) if code is Code.NOT_FOUND else from_code(code, message)

    def _with_proxy(self, text: str) -> str:
        return text if self.proxy is None else f"{text}\n{self.proxy}"


def _version(answer: Answer) -> int | None:
    told = answer.headers.get(_VERSION_HEADER, "")
    return int(told) if told.isascii() and told.isdigit() else None


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
