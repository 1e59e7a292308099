"""The program: the watcher beside the web server, until Ctrl-C."""

from __future__ import annotations

import socket

import uvicorn

from modelport_console.application import application
from modelport_console.settings import Settings

_END_S = 1  # for requests under way when it is ended: streams of open pages have no end of their own


def run(settings: Settings, bound: socket.socket) -> None:
    """Answer on a bound socket until the process is told to end."""
    config = uvicorn.Config(
        application(settings, bound.getsockname()[1]),
        log_level="critical",  # addresses hold the token until it is a cookie: none is written down
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who asks is told by nobody but the connection
        date_header=False,
        timeout_graceful_shutdown=_END_S,
        http="h11",
        ws="none",
    )
    uvicorn.Server(config).run(sockets=[bound])
