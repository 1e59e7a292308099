"""The program: the watcher beside the web server, until Ctrl-C."""

from __future__ import annotations

import signal
import socket
import sys

import uvicorn

from modelport_console.application import application
from modelport_console.desk import Desk
from modelport_console.live.feed import Feed
from modelport_console.settings import Settings

_END_S = 5  # for requests under way when it is ended


def run(settings: Settings, bound: socket.socket) -> None:
    """Answer on a bound socket until the process is told to end."""
    desk = Desk(settings)
    config = uvicorn.Config(
        application(desk, bound.getsockname()[1]),
        log_level="critical",  # addresses hold the token until it is a cookie: none is written down
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who asks is told by nobody but the connection
        date_header=False,
        timeout_graceful_shutdown=_END_S,
        http="h11",
        ws="none",
    )
    # uvicorn raises the signal that ended it once more, when all is closed: then that is the end, and no failure.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    _Server(config, desk.feed).run(sockets=[bound])


class _Server(uvicorn.Server):
    """A server whose streams end when it does: those of open pages have no end of their own."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then everything."""
        self._feed.close()
        await super().shutdown(sockets)
