"""`modelport tune`: find the settings of a server, on servers of its own, and write down what won and why."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import hdrh.histogram  # noqa: F401  # of the extra `load`, as below: a missing one is told at once
import hpack  # noqa: F401

from modelport import layout, manifest
from modelport.errors import InvalidArgument, NotFound
from modelport_client.client import Client
from modelport_client.commands.predict import read_inputs
from modelport_client.commands.tables import print_table
from modelport_client.loadtest import samples
from modelport_client.loadtest.plan import Plan, Samples
from modelport_client.loadtest.processes import Generators
from modelport_client.loadtest.profile import Piece
from modelport_client.loadtest.run import Interruption
from modelport_client.loadtest.samples import Asked
from modelport_client.loadtest.telling import search_page
from modelport_client.tune.duel import Verdict, fight
from modelport_client.tune.evidence import BATCHING, FLAGS, Evidence, check_folder
from modelport_client.tune.halving import Halving
from modelport_client.tune.measuring import Measuring
from modelport_client.tune.options import parse_options
from modelport_client.tune.servers import Kind, kind_of
from modelport_client.tune.settings import candidates

FAILED, NO_RESULT, INTERRUPTED = 1, 4, 130
_SHARE_OF_ROUNDS = 0.65  # of the budget; the rest is for the last two in turns


def main(argv: Sequence[str]) -> int:
    """See `--help`."""
    parser, options = parse_options(argv)
    began = time.monotonic()
    base_path, version = _version(options)
    if version is None:
        parser.error("expected NAME: servers serve the newest version of --models")
    check_folder(options.output)
    kind = kind_of(options.server_command, options.container)
    asked = Asked(options.model, signature=options.signature, rows=options.rows)
    interruption = Interruption()
    say: Callable[[str], None] = (lambda _: None) if options.json else (lambda text: print(text, flush=True))
    with (
        tempfile.TemporaryDirectory(prefix="modelport-tune-") as folder,
        interruption.heeded(),
        Generators(options.processes) as generators,
    ):
        chosen: list[Samples] = []

        def plan_for(address: str) -> Plan:
            if not chosen:
                chosen.append(_samples(parser, options, address, asked, base_path / str(version)))
            return _plan(options, address, chosen[0])

        measuring = Measuring(
            generators,
            kind,
            options.model,
            base_path,
            plan_for,
            options.slo,
            Path(folder),
            interruption,
            options.seed,
            options.budget * 60,
        )
        evidence = _tune(options, kind, measuring, base_path / str(version), began, say, chosen)
    if evidence is None:
        print("modelport tune: ended early; nothing was written.", file=sys.stderr)
        return INTERRUPTED
    return _conclude(options, evidence)


def _version(options: argparse.Namespace) -> tuple[Path, int]:
    """The base path, and the version that servers will serve."""
    layout.check_name(options.model)
    base_path = options.models / options.model
    versions = layout.list_versions(base_path) if base_path.is_dir() else {}
    if not versions:
        raise NotFound(f"Expected versions of {options.model!r} in {str(base_path)!r}; there are none. See --models.")
    return base_path, max(versions)


def _samples(
    parser: argparse.ArgumentParser, options: argparse.Namespace, address: str, asked: Asked, version_path: Path
) -> Samples:
    with Client(address, timeout=options.timeout) as client:
        if options.input is not None or options.image is not None:
            return samples.from_inputs(client, asked, read_inputs(parser, options)[0])
        path = options.samples or version_path / layout.WARMUP_REQUESTS
        if not path.is_file():
            raise NotFound(f"Expected --input, --image or --samples: there are no requests in {str(path)!r}.")
        return samples.from_file(client, asked, path)


def _plan(options: argparse.Namespace, address: str, what: Samples) -> Plan:
    return Plan(
        target=address,
        samples=what,
        pieces=(Piece(1.0, 1.0, 1.0),),  # the search sets it
        timeout_s=options.timeout,
        under_way=options.under_way,
        processes=options.processes,
        connections=options.connections,
        seed=options.seed,
    )


def _tune(
    options: argparse.Namespace,
    kind: Kind,
    measuring: Measuring,
    version_path: Path,
    began: float,
    say: Callable[[str], None],
    chosen: list[Samples],
) -> Evidence | None:
    """The whole of it; None when somebody ended it."""
    seconds = options.budget * 60
    end = began + seconds
    facts = manifest.read(version_path)
    may_batch = options.rows_are_independent or bool(facts is not None and facts.row_independent)
    remarks = []
    if not may_batch:
        remarks.append(
            "Batching was not tried: nobody proved that the rows of this model do not influence one another "
            "(--rows-are-independent says that they do not)."
        )
    files = [path for path in (version_path / layout.WARMUP_REQUESTS, options.samples) if path and path.is_file()]
    rows = max((samples.largest_rows(path) for path in files), default=1)
    settings = candidates(_cores(), options.slo.seconds, kind.is_embedded, may_batch, rows, options.seed)
    say(f"{kind.words}, {options.slo}, {options.budget:g} minutes; {len(settings)} settings could be tried")
    halving = Halving(measuring, settings, seconds * _SHARE_OF_ROUNDS, say)
    best = halving.run()
    if measuring.interruption.happened:
        return None
    verdict: Verdict | None = None
    if halving.trials[0].error is not None:
        raise InvalidArgument(f"The server does not work with its defaults: {halving.trials[0].error}")
    if best is not None:
        verdict = fight(measuring, best.setting, end, say)
        if measuring.interruption.happened:
            return None
    minutes = (time.monotonic() - began) / 60
    remarks.append(f"{len(halving.trials)} of {len(settings)} settings were tried in {minutes:.1f} minutes.")
    return Evidence(
        options.model, kind.words, options.slo, chosen[0].origin, tuple(halving.trials), verdict, tuple(remarks)
    )


def _conclude(options: argparse.Namespace, evidence: Evidence) -> int:
    if evidence.rate is not None:
        evidence.write(options.output)
    if options.report is not None:
        search_page(evidence.searches, f"{evidence.model} on {evidence.server}: {evidence.words}", options.report)
    if options.json:
        print(json.dumps(evidence.to_json(), indent=2))
    else:
        columns = ["setting", "requests/s that hold the bound, by round", "error"]
        print_table(f"{evidence.model} on {evidence.server}, {evidence.bound}", columns, evidence.rows)
        print(evidence.words)
        for remark in evidence.remarks:
            print(remark)
        if evidence.rate is not None:
            files = f"{FLAGS} and {BATCHING}" if evidence.winner.batching else FLAGS
            print(f"Written: {files}, and the evidence, into {options.output}")
    if evidence.rate is not None:
        return 0
    tries = [one for trial in evidence.trials for found in trial.founds for one in found.tries]
    return NO_RESULT if tries and all(one.holds is None for one in tries) else FAILED


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
