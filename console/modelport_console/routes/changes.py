"""The routes that change something: what would happen, and that it happens. A read-only console has none of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from modelport.errors import InvalidArgument, ModelportError
from modelport_console.changing import actions, doing
from modelport_console.changing.actions import Action
from modelport_console.desk import Desk

_END: dict[str, str] = {}


def routes(desk: Desk) -> Sequence[Route]:
    """Both."""
    return [
        Route("/models/{model}/plan", partial(_plan, desk), methods=["POST"]),
        Route("/models/{model}/changes", partial(_change, desk), methods=["POST"]),
    ]


async def body(request: Request) -> Any:
    """The JSON that a page sent.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"Expected JSON. {error}") from error


async def _plan(desk: Desk, request: Request) -> Response:
    action = actions.read(request.path_params["model"], await body(request))
    command = actions.command(desk.settings, action)
    lines = await anyio.to_thread.run_sync(doing.plan, desk.settings, action)
    return JSONResponse({"lines": lines, "command": command})


async def _change(desk: Desk, request: Request) -> Response:
    action = actions.read(request.path_params["model"], await body(request))
    return StreamingResponse(_steps(desk, action), media_type="application/x-ndjson")


async def _steps(desk: Desk, action: Action) -> AsyncIterator[str]:
    """A line of JSON for each step, the last one with `done` or `failed`.

    The change goes on where its viewer goes away: it ends as whole as a command does.
    """
    loop, told = asyncio.get_running_loop(), asyncio.Queue[dict[str, str]]()

    def tell(line: dict[str, str]) -> None:
        with contextlib.suppress(RuntimeError):  # the console has ended: nobody is told, and the change goes on
            loop.call_soon_threadsafe(told.put_nowait, line)

    def work() -> None:
        try:
            tell({"done": doing.do(desk.settings, action, lambda line: tell({"step": line}))})
        except ModelportError as error:
            tell({"failed": error.message})
        except Exception as error:
            tell({"failed": f"{type(error).__name__} in the console itself: {error}. Please report it."})
            raise
        finally:
            desk.watcher.hurry()
            tell(_END)

    running = loop.run_in_executor(None, work)
    while (line := await told.get()) is not _END:
        yield json.dumps(line) + "\n"
    await running
