"""The options that the client's commands share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from modelport.errors import InvalidArgument
from modelport.layout import parse_reference
from modelport_client.client import DEFAULT_TIMEOUT_S, Client
from modelport_client.servers.connection import DEFAULT_ADDRESS


def command_parser(name: str, text: str) -> argparse.ArgumentParser:
    """A parser with what all commands of the client have."""
    parser = argparse.ArgumentParser(prog=f"modelport {name}", description=text)
    parser.add_argument("model", help="name of the model; NAME@VERSION or NAME@LABEL for one version of it")
    parser.add_argument(
        "--server",
        metavar="ADDRESS",
        help="host:port or unix:/path for gRPC, http://… for REST, several with commas between, or a name of "
        f"~/.config/modelport.toml (MODELPORT_SERVER, or {DEFAULT_ADDRESS})",
    )
    parser.add_argument("--ca", metavar="FILE", help="the certificates that are trusted, for TLS (MODELPORT_CA)")
    parser.add_argument("--cert", metavar="FILE", help="this client's certificate, for mutual TLS (MODELPORT_CERT)")
    parser.add_argument("--key", metavar="FILE", help="and its key (MODELPORT_KEY)")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="sent along (MODELPORT_HEADERS); repeatable",
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help=f"for a call ({DEFAULT_TIMEOUT_S:g})")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def connected(options: argparse.Namespace, *, retry: bool = True) -> Client:
    """A client of the server that the options name.

    Raises:
        InvalidArgument: a header without a colon, or what `Client` refuses.
    """
    headers = {}
    for text in options.header:
        name, colon, value = text.partition(":")
        if not colon:
            raise InvalidArgument("Expected a header as 'NAME: VALUE'. Received one without a colon")
        headers[name.strip()] = value.strip()
    return Client(
        options.server,
        timeout=options.timeout,
        retry=retry,
        ca=options.ca,
        cert=options.cert,
        key=options.key,
        headers=headers,
    )


def add_version(parser: argparse.ArgumentParser) -> None:
    """The option that names a version."""
    parser.add_argument("--version", type=int, help="default: the newest that is available")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """The options; what `NAME@VERSION` says is in `version` or `label`, wherever the command has them."""
    options = parser.parse_args(argv)
    options.model, version, label = parse_reference(options.model)
    for name, told in (("version", version), ("label", label)):
        if told is None:
            continue
        if not hasattr(options, name):
            parser.error(f"expected no {name} in the name of the model, but NAME or NAME@VERSION")
        if getattr(options, name) is not None or (name == "version" and getattr(options, "label", None) is not None):
            parser.error(f"the {name} is named twice: @{told} and --version or --label")
        setattr(options, name, told)
    return options
