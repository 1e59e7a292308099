"""The REST shell: routes, status codes and headers as the real server has them.

Routes and their quirks (the query string is part of the path, a label in a status request is ignored, …) follow
`http_rest_api_util.cc` and `http_server.cc` of TensorFlow Serving. What JSON means is in `json`, how a body becomes
arrays without holding up the others in `predict_bodies`.
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote, urlsplit

import modelport_serving.rest.json as rest_json
from modelport.errors import Code, InvalidArgument, ModelportError, Unavailable
from modelport.wire import messages
from modelport_serving.batching.scheduler import Overloaded
from modelport_serving.inference.data_plane import DataPlane
from modelport_serving.monitoring.metrics import CONTENT_TYPE, Metrics
from modelport_serving.monitoring.request_log import Call, Calls
from modelport_serving.rest.bodies import Limits, TooLarge, inflate, is_gzip, joined
from modelport_serving.rest.http_messages import Request, Response, html_page, length_of
from modelport_serving.rest.json.content import Content
from modelport_serving.rest.predict_bodies import Bodies

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
_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]+")
_INT64_MAX = 2**63 - 1
_INT64_DIGITS = 19
_READS = ("GET", "HEAD")

_LIVE, _READY = "/v1/health/live", "/v1/health/ready"
_VERSION_HEADER = "X-Modelport-Version"  # of the version that answered; the body has no place for it
_RETRY_AFTER = {"Retry-After": "1"}
_INFLATED_AT_ONCE = 2**14  # bytes of gzip that become a MiB at most, before the ratio is looked at


class Routes:
    """Answers HTTP requests; `__call__` never raises.

    Args:
        plane: answers.
        bodies: reads what is in them.
        limits: bounds on a request.
        calls: admits requests and sees them off.
        metrics: the page at `metrics_path`.
        metrics_path: where Prometheus finds it; "" for nowhere.
        cors: add the CORS headers to every answer under /v1/.
    """

    def __init__(
        self,
        plane: DataPlane,
        bodies: Bodies,
        limits: Limits,
        calls: Calls,
        metrics: Metrics,
        *,
        metrics_path: str = "",
        cors: bool = False,
    ) -> None:
        self._plane = plane
        self._bodies = bodies
        self._limits = limits
        self._calls = calls
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._cors = cors

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        path = _path_of(request.target)
        if self._metrics_path and path.partition("?")[0] == self._metrics_path:
            return self._metrics_page(path)
        if _BROKEN_ESCAPE.search(path):
            return html_page(400)
        if not path.lower().startswith("/v1/"):
            return html_page(404)
        if request.method == "TRACE":
            return html_page(501)
        if request.method in _READS and path in (_LIVE, _READY):
            return self._health(path)
        response = await self._api(request, path)
        if self._cors:
            response.headers = {**response.headers, **_CORS}
        return response

    async def _api(self, request: Request, path: str) -> Response:
        call = Call(
            "", "REST", path, request.peer, request.headers.get("x-request-id", ""), bytes_in=length_of(request.body)
        )
        code, text, response = Code.CANCELLED, "", Response(499)
        try:
            self._calls.begin(call, self._limits.timeout_s)
            response = _preflight(request) if request.method == "OPTIONS" else await self._route(request, path, call)
            code = Code.OK
        except ModelportError as error:
            code, text = error.code, error.message
            response = _failure(error)
        except Exception as error:  # a fault of ours: the caller gets an answer, the log the details
            code, text = Code.INTERNAL, self._calls.broken(call, error)
            response = Response(500, rest_json.encode_error(text))
        finally:  # also when the client is gone
            self._calls.end(call, code, text, length_of(response.body))
        if call.request_id:
            response.headers = {**response.headers, "X-Request-Id": call.request_id}
        response.close |= self._calls.draining
        await self._calls.before_answer()
        return response

    def _metrics_page(self, path: str) -> Response:
        if path != self._metrics_path:
            return Response(400, f"Unexpected path: {path}. Should be {self._metrics_path}".encode(), CONTENT_TYPE)
        return Response(200, self._metrics.page(), CONTENT_TYPE)

    def _health(self, path: str) -> Response:
        """Whether the process answers at all, or whether every configured model does."""
        waiting = [] if path == _LIVE else self._plane.core.unready()
        if path == _READY and self._calls.draining:
            waiting = ["the server is stopping", *waiting]
        body = {"status": "UNAVAILABLE" if waiting else "OK", **({"reasons": waiting} if waiting else {})}
        return Response(503 if waiting else 200, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))

    async def _route(self, request: Request, path: str, call: Call) -> Response:
        if request.method == "POST" and (match := _VERB.fullmatch(path)):
            spec = _spec(*match.groups()[:3])
            call.model = spec.name
            body = await self._content(request)
            match match[4]:
                case "predict":
                    return await self._predict(spec, body, call)
                case "classify":
                    return await self._classify(spec, body, call)
                case "regress":
                    return await self._regress(spec, body, call)
        elif request.method in _READS and (match := _LOOK.fullmatch(path)):
            if match[1] is None or match[1].lower() in ("versions", "labels"):
                raise InvalidArgument("Missing model name in request.")
            spec = _spec(*match.groups()[:3])
            call.model = spec.name
            return Response(200, self._metadata(spec) if match[4] == "/metadata" else self._status(spec))
        raise InvalidArgument(f"Malformed request: {request.method} {path}")

    async def _content(self, request: Request) -> Content:
        sent, zipped = request.body, is_gzip(request)
        content = sent if isinstance(sent, bytes) else await self._plane.off_loop.run(True, joined, sent)
        if not zipped:
            return content
        return await self._plane.off_loop.run(len(content) > _INFLATED_AT_ONCE, inflate, content, self._limits)

    async def _predict(self, spec: messages.ModelSpec, body: Content, call: Call) -> Response:
        call.rpc = "Predict"
        reader = await self._bodies.parse(body, lambda: self._plane.signatures(spec), call.deadline)
        try:
            answer = await self._plane.predict_columns(spec, reader.columns, call)
        finally:
            reader.close()
        pieces = await self._plane.off_loop.run(
            call.is_large, rest_json.encode_predictions, answer.value, reader.row_format
        )
        return Response(
            200,
            pieces if call.is_large else b"".join(pieces),
            headers={_VERSION_HEADER: str(answer.servable_id.version)},
        )

    async def _classify(self, spec: messages.ModelSpec, body: Content, call: Call) -> Response:
        call.rpc = "Classify"
        spec.signature_name, examples = await self._bodies.examples(body, "classify", call.deadline)
        answer = (await self._plane.classify(spec, examples, call)).value
        text = await self._plane.off_loop.run(
            call.is_large, rest_json.encode_classifications, answer.classes, answer.scores
        )
        return Response(200, text)

    async def _regress(self, spec: messages.ModelSpec, body: Content, call: Call) -> Response:
        call.rpc = "Regress"
        spec.signature_name, examples = await self._bodies.examples(body, "regress", call.deadline)
        answer = await self._plane.regress(spec, examples, call)
        return Response(200, await self._plane.off_loop.run(call.is_large, rest_json.encode_regressions, answer.value))

    def _metadata(self, spec: messages.ModelSpec) -> bytes:
        request = messages.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        return rest_json.encode_metadata(self._plane.metadata(request))

    def _status(self, spec: messages.ModelSpec) -> bytes:
        return rest_json.encode_status(self._plane.status(messages.GetModelStatusRequest(model_spec=spec)))


def _path_of(target: str) -> str:
    """The target as the real server matches it: query and fragment belong to it, an absolute form loses its host."""
    if target.startswith("/"):
        return target
    try:
        urlsplit(target)
    except ValueError:  # brackets that are no IPv6 address
        return ""
    host = _HOST.match(target)
    return target[host.end() :] if host else target


def _spec(name: str | None, version: str | None, label: str | None) -> messages.ModelSpec:
    spec = messages.ModelSpec(name=unquote(name or ""))
    if version is not None:
        digits = version.lstrip("0") or "0"
        if len(digits) > _INT64_DIGITS or int(digits) > _INT64_MAX:
            raise InvalidArgument("")  # the real server answers 400 with an empty body
        spec.version.value = int(digits)
    elif label is not None:
        spec.version_label = unquote(label)
    return spec


def _preflight(request: Request) -> Response:
    origin = request.headers.get("origin", "")
    allowed = "http://" in origin or "https://" in origin
    return Response(200 if allowed else 400, content_type="text/html; charset=ISO-8859-1")


def _failure(error: ModelportError) -> Response:
    body = rest_json.encode_error(error.message) if error.message else b""
    if isinstance(error, TooLarge):
        return Response(413, body)
    if isinstance(error, Overloaded | Unavailable):
        return Response(503, body, headers=_RETRY_AFTER)
    return Response(HTTP_STATUS[error.code], body)
