"""What all routes share: the watcher, the feed, the templates, and how a refusal looks."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from modelport.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    ModelportError,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)
from modelport_console.live.feed import Feed
from modelport_console.settings import Settings
from modelport_console.views import templates
from modelport_console.views.model import ModelPage
from modelport_console.views.overview import Overview
from modelport_console.watching.watcher import Watcher

_STATUS: dict[type[ModelportError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    InvalidArgument: HTTPStatus.BAD_REQUEST,
    FailedPrecondition: HTTPStatus.CONFLICT,
    PermissionDenied: HTTPStatus.FORBIDDEN,
    Unavailable: HTTPStatus.BAD_GATEWAY,
    DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    ResourceExhausted: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Desk:
    """One console's things."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.templates = templates.environment()
        self.watcher = Watcher(settings)
        self.feed = Feed(self.watcher)
        self.overview = Overview(settings, self.watcher, self.templates)
        self.model_page = ModelPage(settings, self.watcher, self.templates)

    def page(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """A page of its own."""
        text = self.templates.get_template(template).render(settings=self.settings, **context)
        return HTMLResponse(text, status)

    def refused(self, request: Request, error: Exception) -> Response:
        """An error of the tree, with its reason: as a page for whoever looks, as JSON for a script."""
        message = error.message if isinstance(error, ModelportError) else str(error)
        status = next(
            (one for kind, one in _STATUS.items() if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR
        )
        if "text/html" in request.headers.get("accept", ""):
            return self.page("problem.html", status, title=status.phrase, message=message)
        return JSONResponse({"error": message}, status)

    def not_there(self, request: Request, error: Exception) -> Response:
        """What the web framework refuses: a path that leads nowhere, a method that is not taken."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        message = f"{request.method} {request.url.path} leads nowhere here."
        if "text/html" in request.headers.get("accept", ""):
            return self.page("problem.html", status, title=HTTPStatus(status).phrase, message=message)
        return JSONResponse({"error": message}, status)
