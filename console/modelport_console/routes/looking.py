"""The routes that only look."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from modelport import layout
from modelport.errors import DeadlineExceeded, InvalidArgument, NotFound, ResourceExhausted
from modelport.regular_files import read_bounded
from modelport.repository import Repository
from modelport_console.desk import Desk
from modelport_console.live.feed import Draw
from modelport_console.openapi import document
from modelport_console.views import compare
from modelport_console.views.doctor import Doctor

_DOCTOR_S = 120.0  # that a person waits for the doctor at most
MOST_REPORT_BYTES = 16 * 2**20  # the exporter writes at most one
# Of a report: it brings its own style and pictures, and may do nothing else, wherever it came from.
_REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


def routes(desk: Desk) -> Sequence[Route]:
    """All of them."""
    doctor = Doctor(desk.settings)
    return [
        Route("/", partial(_overview, desk)),
        Route("/live", partial(_live, desk)),
        Route("/models/{model}", partial(_model, desk)),
        Route("/models/{model}/compare", partial(_compare, desk)),
        Route("/models/{model}/versions/{version:int}", partial(_version, desk)),
        Route("/models/{model}/versions/{version:int}/report.html", partial(_report, desk)),
        Route("/doctor", partial(_doctor, desk)),
        Route("/doctor/findings", partial(_findings, desk, doctor)),
        Route("/api", partial(_api, desk)),
        Route("/openapi.json", partial(_openapi, desk)),
    ]


async def _overview(desk: Desk, request: Request) -> Response:
    view = await desk.feed.view("", desk.overview)
    return desk.page("overview.html", view=view, here="models")


async def _model(desk: Desk, request: Request) -> Response:
    model = request.path_params["model"]
    view = await desk.feed.view(model, partial(desk.model_page.draw, model))
    return desk.page("model.html", view=view, model=model, here="models")


async def _live(desk: Desk, request: Request) -> Response:
    if desk.feed.is_full:
        raise ResourceExhausted("As many pages are open as this console has room for: close some.")
    model = request.query_params.get("model", "")
    draw: Draw = partial(desk.model_page.draw, model) if model else desk.overview
    stream = desk.feed.stream(model, draw, request.query_params.get("shape", ""))
    return StreamingResponse(stream, media_type="text/event-stream")


async def _compare(desk: Desk, request: Request) -> Response:
    model, repository = request.path_params["model"], _repository(desk)
    chosen = request.query_params.getlist("version")
    if len(chosen) != 2 or not all(one.isdecimal() for one in chosen):
        raise InvalidArgument(f"Expected two versions of {model!r} to compare: choose two. Received: {chosen}")
    first, second = sorted(map(int, chosen))
    found = await anyio.to_thread.run_sync(compare.read, repository, model, first, second)
    return desk.page("compare.html", model=model, first=first, second=second, found=found, here="models")


async def _version(desk: Desk, request: Request) -> Response:
    model, version = request.path_params["model"], request.path_params["version"]
    path = await anyio.to_thread.run_sync(_repository(desk).version_path, model, version)
    has_report = (path / layout.HTML_REPORT).is_file()
    return desk.page("version.html", model=model, version=version, has_report=has_report, path=path, here="models")


async def _report(desk: Desk, request: Request) -> Response:
    model, version = request.path_params["model"], request.path_params["version"]
    path = _repository(desk).version_path(model, version) / layout.HTML_REPORT
    data = await anyio.to_thread.run_sync(read_bounded, path, MOST_REPORT_BYTES, "read the report")
    return Response(data, media_type="text/html", headers={"content-security-policy": _REPORT_POLICY})


async def _doctor(desk: Desk, request: Request) -> Response:
    return desk.page("doctor.html", here="doctor")


async def _findings(desk: Desk, doctor: Doctor, request: Request) -> Response:
    found = None
    with anyio.move_on_after(_DOCTOR_S):
        found = await anyio.to_thread.run_sync(doctor.examine, desk.watcher.snapshot.models, abandon_on_cancel=True)
    if found is None:
        raise DeadlineExceeded(f"Looking took more than {_DOCTOR_S:.0f} s. In a terminal: modelport doctor")
    return desk.page("findings.html", found=found)


async def _api(desk: Desk, request: Request) -> Response:
    made = await anyio.to_thread.run_sync(document.make, desk.settings, desk.watcher.snapshot)
    return desk.page("api.html", document=made, here="api")


async def _openapi(desk: Desk, request: Request) -> Response:
    return JSONResponse(await anyio.to_thread.run_sync(document.make, desk.settings, desk.watcher.snapshot))


def _repository(desk: Desk) -> Repository:
    if desk.settings.repository is None:
        raise NotFound("This console was started without a repository: modelport console REPOSITORY --server …")
    return desk.settings.repository
