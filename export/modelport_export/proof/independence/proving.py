"""The verdict on every signature of a version: its graph proves it, and runs do not contradict."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from modelport_client import Client
from modelport_export import savedmodel
from modelport_export.proof.independence import graph_rows, runs
from modelport_export.proof.independence.verdict import Verdict
from modelport_export.signatures import Array

_CALL_TIMEOUT_S = 10.0  # a run that hangs proves nothing; the slowest of large models take a second


def prove(
    folder: Path,
    name: str,
    client: Client,
    signatures: Iterable[str],
    feeds: Mapping[str, Mapping[str, Array]],
    tolerances: Mapping[str, float],
) -> dict[str, Verdict]:
    """Prove rows independent where they are.

    Args:
        folder: the written version.
        name: the model's, in the server that the client asks.
        client: asks a server that has this version alone.
        signatures: those to judge.
        feeds: signature → input alias → samples; a signature without samples is not proven.
        tolerances: signature → tolerance of its floats, see `parity`; for all that have samples.

    Returns:
        Signature → verdict.
    """
    meta_graph = savedmodel.read_meta_graph(folder)
    verdicts = {}
    for signature in signatures:
        objection = graph_rows.objection(meta_graph, signature)
        if objection is not None:
            verdicts[signature] = Verdict(False, objection)
        elif signature not in feeds:
            verdicts[signature] = Verdict(False, "no samples: its graph shows it, but no run could contradict")
        else:
            verdict = _by_runs(name, client, signature, feeds[signature], tolerances[signature])
            loop_free = verdict.independent and not graph_rows.has_loops(meta_graph, signature)
            verdicts[signature] = dataclasses.replace(verdict, loop_free=loop_free)
    return verdicts


def _by_runs(name: str, client: Client, signature: str, inputs: Mapping[str, Array], tolerance: float) -> Verdict:
    def ask(feed: Mapping[str, Array]) -> Mapping[str, Array]:
        return client.predict(name, feed, signature=signature, timeout=_CALL_TIMEOUT_S).raw

    verdict = runs.run(ask, inputs, tolerance)
    return Verdict(True, f"by its graph and {verdict.reason}") if verdict.independent else verdict
