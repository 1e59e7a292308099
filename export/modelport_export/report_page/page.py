"""The page: the verdict in a sentence, then everything that it rests on."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from modelport.manifest import Manifest
from modelport_export import usage
from modelport_export.report import signature_rows
from modelport_export.report_page import mistakes, parts, plots
from modelport_export.signatures import Array

_NEVER = "It was never asked."
_MARKS = {"passed": "ok", "reported": "told", "warning": "warning", "refused": "refused"}


def render(manifest: Manifest, rows: Mapping[str, Array] | None) -> str:
    """The page of a version.

    Args:
        manifest: with its proof.
        rows: held-out rows, for the worst mistakes; None where there are none.

    Returns:
        HTML of at most `parts.MOST_BYTES`: pictures are left out before it is more.
    """
    return parts.small_enough(lambda most, draw: "".join(_page(manifest, rows if most else None, draw=draw)))


def _page(manifest: Manifest, rows: Mapping[str, Array] | None, *, draw: bool) -> Iterator[str]:
    proof = manifest.proof
    yield from parts.head(f"{manifest.model}: {proof.get('verdict', '')}")
    yield f'<p class="verdict">{html.escape(sentence(proof))}</p>'
    yield from parts.section("Checks", _checks(proof.get("checks", ())))
    yield from parts.section("Drawings", _plots(proof) if draw else "")
    for target, found in proof.get("quality", {}).get("targets", {}).items():
        labels = proof.get("labels", ())
        yield from parts.section(
            f"By class: {target}", parts.by_class(found.get("classes", ()), labels, proof.get("live"))
        )
        if rows is not None and found.get("mistakes"):
            shown = mistakes.render(found["mistakes"], rows, labels)
            yield from parts.section(f"The worst mistakes: {target}", f'<div class="mistakes">{shown}</div>')
    yield from parts.section(
        "Metrics", parts.pairs({**manifest.metrics, **proof.get("quality", {}).get("metrics", {})})
    )
    yield from parts.section(
        "Signatures", parts.table(("signature", "", "name", "dtype", "shape"), list(signature_rows(manifest)))
    )
    if manifest.signatures:
        yield from parts.section("To paste", f"<pre>{html.escape(usage.python_call(manifest))}</pre>")
    lineage = {
        "content": manifest.content_digest,
        "code revision": manifest.source_revision or "not known",
        **{f"data: {key}": value for key, value in manifest.data.items()},
        **{f"training: {key}": value for key, value in manifest.training.items()},
        **manifest.environment,
    }
    yield from parts.section("Lineage", parts.pairs(lineage))
    yield from parts.section("Notes", "".join(f"<p>{html.escape(note)}</p>" for note in proof.get("notes", ())))
    yield "</body></html>\n"


def sentence(proof: Mapping[str, Any]) -> str:
    """The verdict in a sentence."""
    checks = proof.get("checks", ())
    refused = [one["sentence"] for one in checks if one["outcome"] == "refused"]
    warned = sum(one["outcome"] == "warning" for one in checks)
    if refused:
        return f"Published by force ({proof.get('forced')}): {refused[0]}"
    judged = next((one for one in checks if one["name"] == "quality" and "worse_by" in one["figures"]), None)
    asked = any(one["name"] == "parity" and one["outcome"] == "passed" for one in checks)
    how = judged["sentence"] if judged is not None else "It answers as the model itself does." if asked else _NEVER
    return f"{how} {f'{warned} of {len(checks)} checks warn.' if warned else f'All {len(checks)} checks are in order.'}"


def _checks(checks: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f'<tr><td>{html.escape(one["name"])}</td><td class="{_MARKS[one["outcome"]]}">{_MARKS[one["outcome"]]}</td>'
        f"<td>{html.escape(one['sentence'])}</td><td>{html.escape(one['bound'])}</td></tr>"
        for one in checks
    )
    return (
        f'<div class="scroll"><table><tr><th>check</th><th></th><th>because</th><th>bound</th></tr>{rows}</table></div>'
    )


def _plots(proof: Mapping[str, Any]) -> str:
    drawn: list[parts.Drawing] = []
    if proof.get("learning_curve"):
        drawn.append(("Learning curve", partial(plots.learning_curve, proof["learning_curve"])))
    for target, found in proof.get("quality", {}).get("targets", {}).items():
        if found.get("confusion"):
            drawn.append((f"Confusion: {target}", partial(plots.confusion, found["confusion"], proof["labels"])))
        if found.get("calibration"):
            drawn.append((f"Calibration: {target}", partial(plots.calibration, found["calibration"])))
    if any(proof.get("calls_ms", {}).values()):
        drawn.append(("Latency", partial(plots.latencies, proof["calls_ms"], proof.get("live"))))
    return parts.figures(drawn)
