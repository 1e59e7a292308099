"""The routes: who is asked for which page. A read-only console has none that changes anything."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from functools import partial

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from modelport.errors import ModelportError
from modelport_console.desk import Desk
from modelport_console.guard import Guard
from modelport_console.routes import changes, looking, trying
from modelport_console.views.templates import FOLDER


def application(desk: Desk, port: int) -> ASGIApp:
    """The console as an ASGI application; its watcher begins with its lifespan.

    Args:
        desk: its things.
        port: on which it is asked.
    """
    settings = desk.settings
    routes = [
        *looking.routes(desk),
        *trying.routes(desk),
        *([] if settings.read_only else changes.routes(desk)),
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
    ]
    app = Starlette(
        routes=routes,
        lifespan=partial(_lifespan, desk),
        exception_handlers={ModelportError: desk.refused, HTTPException: desk.not_there, Exception: _broken},
    )
    return Guard(app, settings.token, settings.names, port)


@contextlib.asynccontextmanager
async def _lifespan(desk: Desk, app: Starlette) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    desk.watcher.on_look = lambda: _tell(loop, desk)
    await anyio.to_thread.run_sync(desk.watcher.start)
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(desk.watcher.stop)


def _tell(loop: asyncio.AbstractEventLoop, desk: Desk) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: so has everybody who looked
        loop.call_soon_threadsafe(desk.feed.next_look)


def _broken(request: Request, error: Exception) -> Response:
    print(f"console: {request.method} {request.url.path}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return Response(
        f"500: {type(error).__name__} in the console itself. Please report it.\n", 500, media_type="text/plain"
    )
