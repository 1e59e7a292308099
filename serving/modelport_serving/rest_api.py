"""The REST shell: routes, status codes and headers as the real server has them; the JSON itself is in `rest_json`.

Routes and their quirks (the query string is part of the path, a label in a status request is ignored, …) follow
`http_rest_api_util.cc` and `http_server.cc` of TensorFlow Serving.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import unquote, urlsplit

import modelport_serving.rest_json as rest_json
from modelport.errors import Code, InvalidArgument, ModelportError
from modelport.wire import messages
from modelport_serving import dataplane
from modelport_serving.core import ServerCore
from modelport_serving.dataplane import Array, Rules, Run
from modelport_serving.example_inference import plan_classify, plan_regress
from modelport_serving.execution import Execution
from modelport_serving.http_protocol import Request, Response, html_page
from modelport_serving.servable import Servable

T = TypeVar("T")

HTTP_STATUS: dict[Code, int] = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
_SPEC = r"/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?"
_VERB = re.compile(_SPEC.replace("(?:/([^/:]+))?", "/([^/:]+)", 1) + r":(classify|regress|predict)", re.IGNORECASE)
_LOOK = re.compile(_SPEC + r"(/metadata)?", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True)
class Limits:
    """Bounds on what one request may ask for."""

    timeout_s: float | None  # of an inference
    max_body_bytes: int  # after inflating


class RestApi:
    """Answers HTTP requests; `__call__` never raises.

    Args:
        core: gives handles and states.
        execution: runs models.
        limits: bounds on a request.
        rules: what the flags say about requests.
        cors: add the CORS headers to every answer under /v1/.
    """

    def __init__(
        self, core: ServerCore, execution: Execution, limits: Limits, rules: Rules, *, cors: bool = False
    ) -> None:
        self._core = core
        self._execution = execution
        self._limits = limits
        self._rules = rules
        self._cors = cors

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        path = _path_of(request.target)
        if _BROKEN_ESCAPE.search(path):
            return html_page(400)
        if not path.lower().startswith("/v1/"):
            return html_page(404)
        if request.method == "OPTIONS":
            response = _preflight(request)
        else:
            try:
                response = Response(200, await self._route(request, path))
            except ModelportError as error:
                body = rest_json.encode_error(error.message) if error.message else b""
                response = Response(HTTP_STATUS[error.code], body)
        if self._cors:
            response.headers = _CORS
        return response

    async def _route(self, request: Request, path: str) -> bytes:
        if request.method == "POST" and (match := _VERB.fullmatch(path)):
            spec = _spec(*match.groups()[:3])
            body = _body_of(request, self._limits.max_body_bytes)
            match match[4]:
                case "predict":
                    return await self._predict(spec, body)
                case "classify":
                    return await self._classify(spec, body)
                case "regress":
                    return await self._regress(spec, body)
        elif request.method == "GET" and (match := _LOOK.fullmatch(path)):
            if match[1] is None or match[1].lower() in ("versions", "labels"):
                raise InvalidArgument("Missing model name in request.")
            spec = _spec(*match.groups()[:3])
            if match[4] == "/metadata":
                return self._metadata(spec)
            return rest_json.encode_status(
                dataplane.status(self._core, messages.GetModelStatusRequest(model_spec=spec))
            )
        raise InvalidArgument(f"Malformed request: {request.method} {path}")

    async def _predict(self, spec: messages.ModelSpec, body: bytes) -> bytes:
        document = rest_json.parse_document(body)
        name = rest_json.signature_name(document)
        row_format = False

        def plan(servable: Servable) -> Run[dict[str, Array]]:
            nonlocal row_format
            signature = servable.signatures.get(name or dataplane.DEFAULT_SIGNATURE)
            if signature is None:
                wanted = name or dataplane.DEFAULT_SIGNATURE
                raise InvalidArgument(f'Serving signature name: "{wanted}" not found in signature def')
            dataplane.check_predict_method(signature, self._rules)
            dtypes = {alias: info.dtype for alias, info in signature.inputs.items()}
            decoded = rest_json.decode_predict(document, name or "DEFAULT", dtypes)
            row_format = decoded.row_format
            return dataplane.plan_columns(signature, decoded.inputs)

        outputs = await self._infer(spec, plan)
        return rest_json.encode_predictions(outputs, row_format)

    async def _classify(self, spec: messages.ModelSpec, body: bytes) -> bytes:
        name, examples = _examples_of(body, "classify")
        classified = await self._infer(spec, lambda servable: plan_classify(servable, name, examples, self._rules))
        return rest_json.encode_classifications(classified.classes, classified.scores)

    async def _regress(self, spec: messages.ModelSpec, body: bytes) -> bytes:
        name, examples = _examples_of(body, "regress")
        values = await self._infer(spec, lambda servable: plan_regress(servable, name, examples, self._rules))
        return rest_json.encode_regressions(values)

    async def _infer(self, spec: messages.ModelSpec, plan: Callable[[Servable], Run[T]]) -> T:
        deadline = None if self._limits.timeout_s is None else time.monotonic() + self._limits.timeout_s
        handle = self._core.handle(spec)
        try:
            run = plan(handle.servable)
        except BaseException:
            handle.release()
            raise
        return run.finish(await self._execution.run(handle, run.feeds, run.fetches, deadline))

    def _metadata(self, spec: messages.ModelSpec) -> bytes:
        request = messages.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        return rest_json.encode_metadata(dataplane.metadata(self._core, request))


def _path_of(target: str) -> str:
    """The target as the real server matches it: query and fragment belong to it, an absolute form loses its host."""
    if target.startswith("/"):
        return target
    parts = urlsplit(target)
    return target[target.index(parts.netloc) + len(parts.netloc) :] if parts.netloc else target


def _spec(name: str | None, version: str | None, label: str | None) -> messages.ModelSpec:
    spec = messages.ModelSpec(name=unquote(name or ""))
    if version is not None:
        if int(version) > _INT64_MAX:
            raise InvalidArgument("")  # the real server answers 400 with an empty body
        spec.version.value = int(version)
    elif label is not None:
        spec.version_label = unquote(label)
    return spec


def _examples_of(body: bytes, method: Literal["classify", "regress"]) -> tuple[str, list[bytes]]:
    """Signature name and serialized examples; read before the model is looked up, as the real server does."""
    document = rest_json.parse_document(body)
    return rest_json.signature_name(document), rest_json.decode_examples(document, method)


def _preflight(request: Request) -> Response:
    origin = request.headers.get("origin", "")
    allowed = "http://" in origin or "https://" in origin
    return Response(200 if allowed else 400, content_type="text/html; charset=ISO-8859-1")


def _body_of(request: Request, limit: int) -> bytes:
    """The body, inflated where Content-Encoding says gzip; as in the real server, what cannot be inflated is empty."""
    if "gzip" not in request.headers.get("content-encoding", ""):
        return request.body
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        body = inflate.decompress(request.body, limit)
    except zlib.error:
        return b""
    return body if inflate.eof else b""
