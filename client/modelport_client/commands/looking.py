"""`modelport status` and `metadata`: tables for people, `--json` for programs."""

from __future__ import annotations

from collections.abc import Sequence

from modelport_client.commands.options import add_version, command_parser, connected, parse
from modelport_client.commands.tables import print_json, print_table


def status_main(argv: Sequence[str]) -> int:
    """`modelport status MODEL`; exit code 1 when no version is available."""
    parser = command_parser("status", "The versions of a model and their states. Exit code 1 when none is available.")
    add_version(parser)
    parser.add_argument("--label", help="the version that bears it")
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="first wait until a version is available")
    options = parse(parser, argv)
    with connected(options) as client:
        if options.label is not None:
            options.version = client.metadata(options.model, label=options.label).version
        if options.wait is not None:
            client.wait_until_available(options.model, options.version, options.wait)
        states = client.status(options.model, version=options.version)
        server = client.target
    if options.json:
        print_json(
            [{"version": s.version, "state": s.state, "code": s.code.name, "message": s.message} for s in states]
        )
    else:
        rows = [[str(s.version), s.state, s.code.name, s.message] for s in states]
        print_table(f"{options.model} at {server}", ["version", "state", "code", "message"], rows)
    return 0 if any(state.state == "AVAILABLE" for state in states) else 1


def metadata_main(argv: Sequence[str]) -> int:
    """`modelport metadata MODEL`."""
    parser = command_parser("metadata", "The signatures of a model.")
    add_version(parser)
    parser.add_argument("--label", help="a version label")
    options = parse(parser, argv)
    with connected(options) as client:
        metadata = client.metadata(options.model, version=options.version, label=options.label)
    rows = [
        [name, kind, alias, spec.dtype.name if spec.dtype else "?", _shape(spec.shape)]
        for name, signature in metadata.signatures.items()
        for kind, specs in (("input", signature.inputs), ("output", signature.outputs))
        for alias, spec in sorted(specs.items())
    ]
    columns = ["signature", "kind", "name", "dtype", "shape"]
    if options.json:
        tensors = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json({"model": metadata.model, "version": metadata.version, "tensors": tensors})
    else:
        print_table(f"{metadata.model} version {metadata.version}", columns, rows)
    return 0


def _shape(shape: tuple[int, ...] | None) -> str:
    return "any" if shape is None else "[" + ", ".join("?" if size < 0 else str(size) for size in shape) + "]"
