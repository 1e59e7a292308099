"""The REST shell: routes, status codes and headers as the real server has them; the JSON itself is in `rest_json`.

Routes and their quirks (the query string is part of the path, a label in a status request is ignored, …) follow
`http_rest_api_util.cc` and `http_server.cc` of TensorFlow Serving.
"""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import unquote, urlsplit

import numpy as np

import modelport_serving.rest_json as rest_json
from modelport.errors import Code, InvalidArgument, ModelportError, Unavailable
from modelport.wire import messages
from modelport_serving import dataplane
from modelport_serving.calls import Call, Calls
from modelport_serving.core import ServerCore
from modelport_serving.dataplane import Array, Rules, Run
from modelport_serving.example_inference import plan_classify, plan_regress
from modelport_serving.execution import Execution, Overloaded
from modelport_serving.http_protocol import Request, Response, html_page
from modelport_serving.json_readers import SHORTEST, JsonReaders, Read
from modelport_serving.metrics import CONTENT_TYPE, Metrics
from modelport_serving.servable import Servable

S = TypeVar("S")
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
_INT64_DIGITS = 19


_LIVE, _READY = "/v1/health/live", "/v1/health/ready"
QUICKLY_READ = 10_000  # values, read one by one in about ten milliseconds
_LONG = 2**20  # bytes of a body that may take long even if it is all numbers
_PIECE = 2**20  # bytes that may be inflated whatever the ratio: a few rows of zeros shrink a thousandfold
_RETRY_AFTER = {"Retry-After": "1"}


@dataclass(frozen=True)
class Limits:
    """Bounds on what one request may ask for."""

    timeout_s: float | None  # of an inference
    max_body_bytes: int  # after inflating
    max_inflate_ratio: int
    max_depth: int  # of JSON


class TooLarge(InvalidArgument):
    """A body over the limits: 413."""


class RestApi:
    """Answers HTTP requests; `__call__` never raises.

    Args:
        core: gives handles and states.
        execution: runs models.
        limits: bounds on a request.
        rules: what the flags say about requests.
        calls: admits requests and sees them off.
        metrics: the page at `metrics_path`.
        json_readers: processes that read long bodies.
        metrics_path: where Prometheus finds it; "" for nowhere.
        cors: add the CORS headers to every answer under /v1/.
    """

    def __init__(
        self,
        core: ServerCore,
        execution: Execution,
        limits: Limits,
        rules: Rules,
        calls: Calls,
        metrics: Metrics,
        json_readers: JsonReaders,
        *,
        metrics_path: str = "",
        cors: bool = False,
    ) -> None:
        self._core = core
        self._execution = execution
        self._limits = limits
        self._rules = rules
        self._calls = calls
        self._metrics = metrics
        self._json_readers = json_readers
        self._metrics_path = metrics_path
        self._cors = cors
        self._readers = ThreadPoolExecutor(1, "reader")

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
        if request.method == "GET" and path in (_LIVE, _READY):
            return self._health(path)
        response = await self._api(request, path)
        if self._cors:
            response.headers = {**response.headers, **_CORS}
        return response

    async def _api(self, request: Request, path: str) -> Response:
        call = Call("", "REST", path, request.peer, request.headers.get("x-request-id", ""), bytes_in=len(request.body))
        code, text, response = Code.CANCELLED, "", Response(499)
        try:
            self._calls.begin(call)
            if request.method == "OPTIONS":
                response = _preflight(request)
            else:
                response = Response(200, await self._route(request, path, call))
            code = Code.OK
        except ModelportError as error:
            code, text = error.code, error.message
            response = _failure(error)
        except Exception as error:  # a fault of ours: the caller gets an answer, the log the details
            code, text = Code.INTERNAL, self._calls.broken(call, error)
            response = Response(500, rest_json.encode_error(text))
        finally:  # also when the client is gone
            self._calls.end(call, code, text, len(response.body))
        if call.request_id:
            response.headers = {**response.headers, "X-Request-Id": call.request_id}
        response.close |= self._calls.draining
        return response

    def _metrics_page(self, path: str) -> Response:
        if path != self._metrics_path:
            return Response(400, f"Unexpected path: {path}. Should be {self._metrics_path}".encode(), CONTENT_TYPE)
        return Response(200, self._metrics.page(), CONTENT_TYPE)

    def _health(self, path: str) -> Response:
        """Whether the process answers at all, or whether every configured model does."""
        waiting = [] if path == _LIVE else self._core.unready()
        if path == _READY and self._calls.draining:
            waiting = ["the server is stopping", *waiting]
        body = {"status": "UNAVAILABLE" if waiting else "OK", **({"reasons": waiting} if waiting else {})}
        return Response(503 if waiting else 200, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))

    async def _route(self, request: Request, path: str, call: Call) -> bytes:
        if request.method == "POST" and (match := _VERB.fullmatch(path)):
            spec = _spec(*match.groups()[:3])
            call.model = spec.name
            body = _body_of(request, self._limits)
            match match[4]:
                case "predict":
                    return await self._predict(spec, body, call)
                case "classify":
                    return await self._classify(spec, body, call)
                case "regress":
                    return await self._regress(spec, body, call)
        elif request.method == "GET" and (match := _LOOK.fullmatch(path)):
            if match[1] is None or match[1].lower() in ("versions", "labels"):
                raise InvalidArgument("Missing model name in request.")
            spec = _spec(*match.groups()[:3])
            call.model = spec.name
            if match[4] == "/metadata":
                return self._metadata(spec)
            return rest_json.encode_status(
                dataplane.status(self._core, messages.GetModelStatusRequest(model_spec=spec))
            )
        raise InvalidArgument(f"Malformed request: {request.method} {path}")

    async def _predict(self, spec: messages.ModelSpec, body: bytes, call: Call) -> bytes:
        call.api = "predict"
        read = await self._read_beside(spec, body)
        document: rest_json.Document | None = None
        if read is None:
            document, small = await self._document(body)
            name = rest_json.signature_name(document)
        else:
            name, small = read.signature, True
        row_format = False

        def plan(servable: Servable) -> Run[dict[str, Array]]:
            nonlocal row_format
            signature = servable.signatures.get(name or dataplane.DEFAULT_SIGNATURE)
            if signature is None:
                wanted = name or dataplane.DEFAULT_SIGNATURE
                raise InvalidArgument(f'Serving signature name: "{wanted}" not found in signature def')
            dataplane.check_predict_method(signature, self._rules)
            dtypes = signature.dtypes()
            if read is not None and read.dtypes == dtypes:
                decoded = read.body
            else:  # also where another version has come meanwhile
                whole = document or rest_json.parse_document(body, max_depth=self._limits.max_depth)
                decoded = rest_json.decode_predict(whole, name or "DEFAULT", dtypes)
            row_format = decoded.row_format
            return dataplane.plan_columns(signature, decoded.inputs, self._rules)

        offload = not small or (read is None and len(body) > _LONG)
        outputs = await self._infer(spec, call, plan, offload=offload)
        strings = sum(
            array.size for array in outputs.values() if isinstance(array, np.ndarray) and array.dtype == object
        )
        if strings > QUICKLY_READ:
            return await self._on_a_thread(lambda large: rest_json.encode_predictions(large, row_format), outputs)
        return rest_json.encode_predictions(outputs, row_format)

    async def _classify(self, spec: messages.ModelSpec, body: bytes, call: Call) -> bytes:
        call.api = "classify"
        name, examples = await self._examples(body, "classify")
        classified = await self._infer(
            spec, call, lambda servable: plan_classify(servable, name, examples, self._rules)
        )
        return rest_json.encode_classifications(classified.classes, classified.scores)

    async def _regress(self, spec: messages.ModelSpec, body: bytes, call: Call) -> bytes:
        call.api = "regress"
        name, examples = await self._examples(body, "regress")
        values = await self._infer(spec, call, lambda servable: plan_regress(servable, name, examples, self._rules))
        return rest_json.encode_regressions(values)

    async def _infer(
        self, spec: messages.ModelSpec, call: Call, plan: Callable[[Servable], Run[T]], *, offload: bool = False
    ) -> T:
        """Plan and run a request; `offload` plans on a thread, where reading its values may take long."""
        deadline = None if self._limits.timeout_s is None else call.begin + self._limits.timeout_s
        handle = self._core.handle(spec)
        call.version = handle.servable.id.version
        try:
            run = await self._on_a_thread(plan, handle.servable) if offload else plan(handle.servable)
        except BaseException:
            handle.release()
            raise
        api = call.api.capitalize()
        return run.finish(await self._execution.run(handle, run.feeds, run.fetches, deadline, api, joins=run.joins))

    async def _read_beside(self, spec: messages.ModelSpec, body: bytes) -> Read | None:
        """A long body of numbers, read by another process if one is free; None where it is to be read here."""
        if len(body) < SHORTEST:
            return None
        try:
            handle = self._core.handle(spec)
        except ModelportError:  # told when its turn comes, which is after the body's
            return None
        handle.release()
        return await self._json_readers.read(body, handle.servable, dataplane.DEFAULT_SIGNATURE)

    async def _document(self, body: bytes) -> tuple[rest_json.Document, bool]:
        """The parsed body, and whether it is small or all numbers, so that the rest of the reading is quick too.

        Values that have to be looked at one by one take half a second a megabyte: many of them are read on a thread,
        and everybody else goes on being answered.
        """
        depth = self._limits.max_depth
        try:
            return rest_json.parse_document(body, max_depth=depth, most=QUICKLY_READ), True
        except rest_json.Impatient:
            return await self._on_a_thread(lambda text: rest_json.parse_document(text, max_depth=depth), body), False

    async def _examples(self, body: bytes, method: Literal["classify", "regress"]) -> tuple[str, list[bytes]]:
        """Signature name and serialized examples; read before the model is looked up, as the real server does."""
        document, small = await self._document(body)
        name = rest_json.signature_name(document)
        if small:
            return name, rest_json.decode_examples(document, method)
        return name, await self._on_a_thread(lambda large: rest_json.decode_examples(large, method), document)

    async def _on_a_thread(self, work: Callable[[S], T], what: S) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, what)

    def _metadata(self, spec: messages.ModelSpec) -> bytes:
        request = messages.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        return rest_json.encode_metadata(dataplane.metadata(self._core, request))


def _path_of(target: str) -> str:
    """The target as the real server matches it: query and fragment belong to it, an absolute form loses its host."""
    if target.startswith("/"):
        return target
    try:
        parts = urlsplit(target)
    except ValueError:  # brackets that are no IPv6 address
        return ""
    return target[target.index(parts.netloc) + len(parts.netloc) :] if parts.netloc else target


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


def _body_of(request: Request, limits: Limits) -> bytes:
    """The body, inflated where Content-Encoding says gzip; as in the real server, what cannot be inflated is empty.

    Raises:
        TooLarge: it inflates to more than the limits allow; that is known a MiB past the limit at the latest.
    """
    body = request.body
    if not body or "gzip" not in request.headers.get("content-encoding", ""):
        return body
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    pieces: list[bytes] = []
    inflated = 0
    left = body
    try:
        while not inflate.eof:
            piece = inflate.decompress(left, _PIECE)
            left = inflate.unconsumed_tail
            inflated += len(piece)
            ratio = inflated / (len(body) - len(left))
            if inflated > limits.max_body_bytes or (inflated > _PIECE and ratio > limits.max_inflate_ratio):
                raise _too_large(inflated, len(body), limits)
            if not piece:
                return b""  # cut off
            pieces.append(piece)
    except zlib.error:
        return b""
    return b"".join(pieces)


def _too_large(inflated: int, sent: int, limits: Limits) -> TooLarge:
    return TooLarge(
        f"Expected a gzip body that inflates to at most {limits.max_body_bytes} bytes (--rest_api_max_body_bytes) and, "
        f"beyond {_PIECE} bytes, to at most {limits.max_inflate_ratio} times its size (--rest_api_max_inflate_ratio). "
        f"Received: {sent} bytes, of which a part inflates to {inflated} already"
    )


def _failure(error: ModelportError) -> Response:
    body = rest_json.encode_error(error.message) if error.message else b""
    if isinstance(error, TooLarge):
        return Response(413, body)
    if isinstance(error, Overloaded | Unavailable):
        return Response(503, body, headers=_RETRY_AFTER)
    return Response(HTTP_STATUS[error.code], body)
