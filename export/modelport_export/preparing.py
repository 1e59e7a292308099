"""A version written, proven and judged in a folder that nobody sees yet; what it is goes into its manifest."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from modelport import evaluation_rows, layout
from modelport.errors import InvalidArgument
from modelport.manifest import Manifest
from modelport.run_record import read_npz
from modelport_export import environment, report, savedmodel, usage
from modelport_export.gate import contract, examining, verdict
from modelport_export.gate.bounds import Gate
from modelport_export.gate.live_version import LiveVersion
from modelport_export.gate.quality import MOST_CLASSES
from modelport_export.gate.verdict import Check
from modelport_export.report_page import page
from modelport_export.signatures import SERVING_DEFAULT, Array, as_bytes
from modelport_export.sources import Source
from modelport_export.steps import Steps
from modelport_export.verdicts import verdict_of
from modelport_export.versions import Version

MOST_EPOCHS = 1000  # of a learning curve: the manifest stays small


@dataclass(frozen=True)
class Wishes:
    """What the publisher says of the verdict.

    Args:
        gate: bounds.
        breaking: why a change that breaks clients of the live version is meant.
        force: why the version is published whatever the gate says.
        unproven: why it is published although it cannot be asked.
        non_finite: outputs that may hold NaN or infinity.
        only_try: nothing is published: all checks are made, and none ends the work.
    """

    gate: Gate = field(default_factory=Gate)
    breaking: str | None = None
    force: str | None = None
    unproven: str | None = None
    non_finite: Sequence[str] = ()
    only_try: bool = False


def prepare(
    folder: Path, name: str, source: Source, version: Version, live: LiveVersion | None, wishes: Wishes, steps: Steps
) -> Manifest:
    """Write the version into an empty folder, prove it there and judge it.

    Args:
        folder: where to.
        name: the model's.
        source: what was given.
        version: what it is as a version.
        live: what it is held against; None for nothing.
        wishes: see `Wishes`.
        steps: told and timed.

    Returns:
        Its manifest, but for what the commit fills in.

    Raises:
        FailedPrecondition: it was not proven.
        Refused: the gate refuses it.
    """
    gate = wishes.gate
    evaluation, remarks = _evaluation(source, version, live)
    with steps.step("write"):
        if live is not None:
            live.start()
        version.write(folder, name)
        signatures = {key: signature.to_dict() for key, signature in version.signatures.items()}
        (folder / layout.EXTRA).mkdir(exist_ok=True)
        request = usage.rest_request(version.signatures, version.feeds)
        if request is not None:
            (folder / usage.REQUEST).write_text(request + "\n", "utf-8")
        _write_rows(folder / layout.EVALUATION, evaluation if gate.evaluation_rows else None)
    checks = [
        contract.check_operations(savedmodel.read_meta_graph(folder), gate.allow_ops),
        contract.check(
            version.signatures,
            None if live is None else live.signatures,
            None if live is None else live.number,
            wishes.breaking,
            "" if live is None else live.fault,
        ),
    ]
    if not wishes.only_try:
        verdict.decide(checks, wishes.force, name)
    with steps.step("prove"):
        if live is not None:
            live.server()  # what loads meanwhile would be in the figures
        judge = partial(
            examining.examine,
            folder=folder,
            name=name,
            evaluation=evaluation,
            live=live,
            gate=gate,
            breaking=wishes.breaking,
            non_finite=wishes.non_finite,
            trained=source.metrics,
            outputs=sorted({alias for one in version.signatures.values() for alias in one.outputs}),
        )
        figures = version.prove(folder, name, judge)
    judged = figures.pop("judged")
    if source.evaluation_is_wanted and not judged["quality"].get("metrics"):
        why = " ".join(one["sentence"] for one in judged["checks"] if one["name"] == "quality")
        raise InvalidArgument(f"Expected evaluation rows that say how good the model is. Received: {why}")
    told = verdict_of(version, wishes.unproven)
    checks += [_parity(figures, told["samples"]), *(Check(**one) for one in judged["checks"])]
    decision = verdict.decide(checks, "only tried" if wishes.only_try else wishes.force, name)
    notes = list(version.notes)
    if version.feeds and request is None:
        notes.append("REST cannot carry a dtype of its signature: it answers over gRPC only.")
    notes += remarks
    carried = gate.evaluation_rows and judged["quality"].get("answered", False)
    if not carried:  # nobody could ask for them later
        (folder / layout.EVALUATION).unlink(missing_ok=True)
    if decision["forced"]:
        told["verdict"] += f"; forced: {decision['forced']}"
    independence = figures["row_independence"]
    proof = {
        "notes": notes,
        **told,
        **decision,
        "non_finite": sorted(wishes.non_finite),
        "live": None if live is None else live.number,
        "quality": judged["quality"],
        "costs": judged["costs"],
        "calls_ms": judged["calls_ms"],
        "labels": list(version.labels)[:MOST_CLASSES],
        "learning_curve": [dict(epoch) for epoch in source.history[-MOST_EPOCHS:]],
        "metrics": judged["trained"],
        "seconds": steps.seconds,
        **figures,
    }
    manifest = Manifest(
        model=name,
        content_digest=version.content_digest,
        signatures=signatures,
        metrics={key: float(value) for key, value in source.metrics.items()},
        data=dict(source.data),
        training=dict(source.training),
        environment=environment.versions(),
        source_revision=environment.revision(),
        proof=proof,
        row_independent=[signature for signature, found in independence.items() if found["independent"]],
        loop_free=[signature for signature, found in independence.items() if found["loop_free"]],
    )
    (folder / report.RELATIVE_PATH).write_text(report.render(manifest), "utf-8")
    with steps.step("report"):
        (folder / layout.HTML_REPORT).write_text(page.render(manifest, evaluation if carried else None), "utf-8")
    return manifest


def checks_of(manifest: Manifest) -> list[Check]:
    """The checks that a manifest has."""
    known = {one.name for one in dataclasses.fields(Check)}
    return [Check(**{k: v for k, v in one.items() if k in known}) for one in manifest.proof.get("checks", ())]


def _evaluation(
    source: Source, version: Version, live: LiveVersion | None
) -> tuple[Mapping[str, Array] | None, list[str]]:
    """The held-out rows, as many as may go along, and what is to be said of them."""
    wanted = version.signatures[SERVING_DEFAULT].inputs if SERVING_DEFAULT in version.signatures else {}
    if source.evaluation is None:
        return _rows_of_live(wanted, live)
    rows, cut = evaluation_rows.bounded(
        {name: as_bytes(array) if array.dtype.kind in "OSU" else array for name, array in source.evaluation.items()}
    )
    inputs, _ = evaluation_rows.parts(rows)
    if set(inputs) != set(wanted):
        raise InvalidArgument(
            f"Expected evaluation rows of the inputs of {SERVING_DEFAULT!r}: {sorted(wanted)}. Received: "
            f"{sorted(inputs)}. What the model ought to answer is called 'label' or 'target_OUTPUT'."
        )
    return rows, [f"Held-out rows that are evaluated: {cut}."] if cut else []


def _rows_of_live(wanted: Mapping[str, Any], live: LiveVersion | None) -> tuple[Mapping[str, Array] | None, list[str]]:
    """Those of the live version, where no others were given and they fit."""
    path = None if live is None else live.path / layout.EVALUATION
    if live is None or path is None or not path.is_file():
        return None, []
    rows = read_npz(path)
    inputs, _ = evaluation_rows.parts(rows)
    if set(inputs) != set(wanted):
        return None, []
    note = (
        f"Evaluated on the held-out rows of version {live.number}: none were given. Whether it was trained on them is "
    )
    return rows, [f"{note}not known."]


def _write_rows(path: Path, rows: Mapping[str, Array] | None) -> None:
    """Texts as fixed-width bytes: an archive without Python objects, which nobody has to trust."""
    path.unlink(missing_ok=True)  # a SavedModel that was published before may have some
    if rows is None:
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in rows.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                plain = array.astype("S") if array.dtype == object else array
                np.lib.format.write_array(member, plain, allow_pickle=False)


def _parity(figures: Mapping[str, Any], samples: str) -> Check:
    asked = sum(one["requests"] for one in figures["asked"].values())
    worst = max((e for one in figures["parity"].values() for e in one["max_abs_error"].values()), default=0.0)
    rest = "; ".join(sorted(set(figures["over_rest"].values())))
    sentence = (
        f"A server in a fresh process answers {asked} requests of {samples} samples as the model itself does, "
        f"to {worst:.2g} at most. Over REST: {rest}."
        if asked
        else "It was never asked."
    )
    return Check("parity", "passed" if asked else "warning", sentence, "the model called by itself", {"worst": worst})
