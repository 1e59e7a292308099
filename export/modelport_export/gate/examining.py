"""The checks that need a server: quality, cost, warm; of the new version, and of the live one beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport import evaluation_rows
from modelport.errors import ModelportError
from modelport.regular_files import files_below
from modelport_export.gate import asking, contract, cost, quality
from modelport_export.gate.bounds import Gate
from modelport_export.gate.live_version import LiveVersion
from modelport_export.gate.verdict import Check
from modelport_export.proof import latency
from modelport_export.proof.prove import Single
from modelport_export.proof.validation_server import ValidationServer
from modelport_export.signatures import Array

_MIB = 2**20


def examine(
    server: ValidationServer,
    single: Single | None,
    *,
    folder: Path,
    name: str,
    evaluation: Mapping[str, Array] | None,
    live: LiveVersion | None,
    gate: Gate,
    breaking: str | None,
    non_finite: Collection[str],
    trained: Mapping[str, float],
    outputs: Sequence[str],
) -> dict[str, Any]:
    """Judge a version whose answers are proven.

    Args:
        server: that has it.
        single: the request whose latency was measured; None where it cannot be asked.
        folder: where it lies.
        name: the model's.
        evaluation: held-out rows; None where there are none.
        live: the live version; None where there is none.
        gate: the bounds.
        breaking: see `contract.check`.
        non_finite: outputs that may hold NaN or infinity.
        trained: metrics as the training measured them.
        outputs: names of all outputs.

    Returns:
        `judged`: the checks, and the figures for the manifest.

    Raises:
        InvalidArgument: a bound for a metric that is not there, or whose direction is not known.
    """
    beside = None if live is None else live.server()
    checks: list[Check] = []
    figures: dict[str, Any] = {}
    if live is None:
        checks.append(Check("quality", "reported", "It is the first version: there is nothing to compare it with."))
    elif beside is None:
        checks.append(
            Check("quality", "warning", f"Version {live.number}, which is live, cannot be compared: {live.fault}")
        )
    elif live.manifest is None:
        checks.append(
            Check(
                "quality",
                "reported",
                f"Version {live.number} has no manifest: what its training measured is not known.",
            )
        )
    if evaluation is None:
        checks.append(
            Check(
                "quality",
                "reported",
                "There are no held-out rows to evaluate it on: give --evaluation, or publish a run.",
            )
        )
    else:
        inputs, targets = evaluation_rows.parts(evaluation)
        clients = [server.client] if beside is None else [server.client, beside.client]
        answers = asking.ask(clients, name, inputs)
        number = live.number if live is not None and beside is not None else None
        found, figures, _ = quality.evaluate(answers, targets, number, non_finite)
        figures["answered"] = answers.outputs[0] is not None
        checks += found
        if number is not None:
            called = contract.check_labels(answers.outputs[0], answers.outputs[1], number, breaking)
            checks += [called] if called is not None else []
    before = live.manifest.metrics if live is not None and live.manifest is not None else {}
    table = quality.compare_metrics({k: float(v) for k, v in trained.items()}, before, outputs, gate.metric_directions)
    checks += quality.hold(gate, figures.get("metrics", {}), {k: float(v) for k, v in trained.items()})
    checks += quality.hold_regressions(gate, table, compared=bool(before))
    mine = _costs(server, folder, None if single is None else single.figures)
    theirs: dict[str, float] = {}
    calls: dict[str, Sequence[float]] = {"this": single.calls} if single is not None else {}
    if live is not None and beside is not None:
        their_latency, calls["live"] = _latency(beside, name, single)
        theirs = _costs(beside, live.path, their_latency)
    checks += cost.check(gate, mine, theirs, None if live is None else live.number)
    if single is not None:
        checks.append(cost.check_warm(gate, single.figures["first"], single.figures["p50"]))
    judged = {
        "checks": [dataclasses.asdict(check) for check in checks],
        "quality": figures,
        "costs": {"this": mine, "live": theirs},
        "calls_ms": calls,
        "trained": table,
    }
    return {"judged": judged}


def _latency(
    server: ValidationServer, name: str, single: Single | None
) -> tuple[Mapping[str, float] | None, Sequence[float]]:
    """The live version's latency for the same requests; nothing where it does not take them."""
    if single is None:
        return None, []
    try:
        return latency.steady(server.client, name, single.signature, single.rows, single.inputs, single.timeout)
    except ModelportError:
        return None, []


def _costs(server: ValidationServer, folder: Path, single: Mapping[str, float] | None) -> dict[str, float]:
    found = {
        "load_seconds": server.start_seconds,
        "size_mib": sum(file.stat().st_size for file in files_below(folder)) / _MIB,
    }
    resident = server.resident_mib()
    if resident is not None:
        found["resident_mib"] = resident
    if single is not None:
        found |= {"p50_ms": single["p50"], "p99_ms": single["p99"]}
    return found
