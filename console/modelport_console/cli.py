"""`modelport console`: the page beside servers and a repository."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from modelport.errors import InvalidArgument, Unavailable
from modelport_console import settings
from modelport_console.settings import Settings
from modelport_release.commands.arguments import REPOSITORY

PORT = 8600
TOKEN = "MODELPORT_CONSOLE_TOKEN"  # noqa: S105  # the name of the variable
_BACKLOG = 128
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")  # what is the same in an address, a cookie and a header


def main(argv: Sequence[str]) -> int:
    """`modelport console [REPOSITORY] --server ADDRESS`; ends with Ctrl-C."""
    options = _parser().parse_args(argv)
    found = settings.servers(options.server, options.rest, options.metrics_url)
    told = Settings(
        repository=settings.repository(options.repository, REPOSITORY),
        config=options.config,
        servers=found,
        models=tuple(options.model),
        token=_token(),
        names=settings.names(options.host, options.allow_host),
        read_only=options.read_only,
    )
    with _listening(options.host, options.port) as bound:
        from modelport_console.running import run  # the web framework: not for a command line that is wrong

        _print_address(told, options.host, bound.getsockname()[1])
        run(told, bound)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelport console", description="A page on which one sees what is live, tries it, and takes it back."
    )
    parser.add_argument(
        "repository", nargs="?", type=Path, metavar="REPOSITORY", help=f"the model repository ({REPOSITORY}, if there)"
    )
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="HOST:PORT of a gRPC port, dns:///NAME:PORT for all addresses of a name, or http://HOST:PORT to look "
        f"without changing; repeatable ({settings.DEFAULT_GRPC})",
    )
    parser.add_argument(
        "--rest",
        action="append",
        default=[],
        metavar="URL",
        help=f"the REST port of the server, http://HOST:PORT: for traffic and to copy requests; one a server "
        f"({settings.DEFAULT_REST} where no server is named)",
    )
    parser.add_argument(
        "--metrics-url",
        action="append",
        default=[],
        metavar="URL",
        help=f"the server's Prometheus page (its REST port and {settings.METRICS_PATH}); one a server",
    )
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="to ask for without a repository")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the file that the servers were started with (the repository's)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", default=str(PORT), help=f"the port, or 'auto' for any free one ({PORT})")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a further name that browsers reach it by"
    )
    parser.add_argument(
        "--read-only", action=argparse.BooleanOptionalAction, default=False, help="nothing can be changed from it"
    )
    return parser


def _token() -> str:
    own = os.environ.get(TOKEN)
    if not own:
        return secrets.token_urlsafe(24)
    if len(own) < settings.LEAST_TOKEN or not _PLAIN.fullmatch(own):
        raise InvalidArgument(
            f"Expected {settings.LEAST_TOKEN} letters and digits or more in {TOKEN}, as 'openssl rand -hex 16' prints. "
            f"Received: {len(own)} characters."
        )
    return own


def _listening(host: str, port: str) -> socket.socket:
    if port != "auto" and not (port.isdecimal() and int(port) < 65536):
        raise InvalidArgument(f"Expected a number below 65536 for --port, or 'auto'. Received: {port!r}")
    number = 0 if port == "auto" else int(port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, number))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise Unavailable(
            f"Cannot listen on {host}:{number} ({error.strerror or error}). Choose another port with --port, or "
            "--port auto for any free one."
        ) from error
    return bound


def _print_address(told: Settings, host: str, port: int) -> None:
    shown = "localhost" if settings.is_any(host) else f"[{host}]" if ":" in host else host
    print(f"Console  http://{shown}:{port}/?token={told.token}")
    where = "no repository" if told.repository is None else str(told.repository.root)
    print(f"of       {where}, {', '.join(server.address for server in told.servers)}")
    if told.read_only:
        print("It is read-only: nothing can be changed from it.")
    if not settings.is_loopback(host):
        print(
            "Others can reach it: whoever has the token sees all of this"
            + ("." if told.read_only else ", and changes it.")
        )
    print("Stop with Ctrl-C.", flush=True)
    sys.stdout.flush()
