"""The page: the verdict in a sentence, then everything that it rests on."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from modelport.manifest import Manifest
from modelport_export import usage
from modelport_export.report import signature_rows
from modelport_export.report_page import mistakes, plots
from modelport_export.signatures import Array

_NEVER = "It was never asked."
MOST_BYTES = 2**20  # of the page; what is largest goes first
_MARKS = {"passed": "ok", "reported": "told", "warning": "warning", "refused": "refused"}
_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #fff; --line: #d1d9e0; --soft: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --soft: #161b22; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid var(--line); }
.verdict { font-size: 1.2rem; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem; overflow-wrap: break-word;
  border-bottom: 1px solid var(--line); }
pre, code { font: .85rem/1.4 ui-monospace, monospace; } pre { background: var(--soft); padding: .6rem;
  overflow-x: auto; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem; }
.plots svg { width: 100%; height: auto; } figure { margin: 0; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 1rem; }
.mistakes img { width: 100%; image-rendering: pixelated; } figcaption { font-size: .85rem; }
.ok { color: #1a7f37; } .warning { color: #9a6700; } .refused { color: #d1242f; font-weight: bold; }
@media (prefers-color-scheme: dark) { .ok { color: #3fb950; } .warning { color: #d29922; }
  .refused { color: #f85149; } }
@media print { body { max-width: none; } h2, figure, tr { break-inside: avoid; } pre { white-space: pre-wrap; } }
"""


def render(manifest: Manifest, rows: Mapping[str, Array] | None) -> str:
    """The page of a version.

    Args:
        manifest: with its proof.
        rows: held-out rows, for the worst mistakes; None where there are none.

    Returns:
        HTML of at most MOST_BYTES: pictures are left out before it is more.
    """
    for leave_out in range(3):
        text = "".join(_page(manifest, None if leave_out > 0 else rows, draw=leave_out < 2))
        if len(text.encode()) <= MOST_BYTES:
            return text
    return text


def _page(manifest: Manifest, rows: Mapping[str, Array] | None, *, draw: bool) -> Iterator[str]:
    proof = manifest.proof
    title = html.escape(f"{manifest.model}: {proof.get('verdict', '')}")
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    yield 'img-src data:"><link rel="icon" href="data:,">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
    yield f'<p class="verdict">{html.escape(sentence(proof))}</p>'
    yield from _section("Checks", _checks(proof.get("checks", ())))
    yield from _section("Drawings", "".join(_plots(proof)) if draw else "")
    for target, found in proof.get("quality", {}).get("targets", {}).items():
        labels = proof.get("labels", ())
        yield from _section(f"By class: {target}", _classes(found.get("classes", ()), labels, proof.get("live")))
        if rows is not None and found.get("mistakes"):
            shown = mistakes.render(found["mistakes"], rows, labels)
            yield from _section(f"The worst mistakes: {target}", f'<div class="mistakes">{shown}</div>')
    yield from _section("Metrics", _pairs({**manifest.metrics, **proof.get("quality", {}).get("metrics", {})}))
    yield from _section(
        "Signatures", _table(("signature", "", "name", "dtype", "shape"), list(signature_rows(manifest)))
    )
    if manifest.signatures:
        yield from _section("To paste", f"<pre>{html.escape(usage.python_call(manifest))}</pre>")
    lineage = {
        "content": manifest.content_digest,
        "code revision": manifest.source_revision or "not known",
        **{f"data: {key}": value for key, value in manifest.data.items()},
        **{f"training: {key}": value for key, value in manifest.training.items()},
        **manifest.environment,
    }
    yield from _section("Lineage", _pairs(lineage))
    yield from _section("Notes", "".join(f"<p>{html.escape(note)}</p>" for note in proof.get("notes", ())))
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


def _plots(proof: Mapping[str, Any]) -> Iterator[str]:
    drawn: list[tuple[str, Callable[[], str]]] = []
    if proof.get("learning_curve"):
        drawn.append(("Learning curve", partial(plots.learning_curve, proof["learning_curve"])))
    for target, found in proof.get("quality", {}).get("targets", {}).items():
        if found.get("confusion"):
            drawn.append((f"Confusion: {target}", partial(plots.confusion, found["confusion"], proof["labels"])))
        if found.get("calibration"):
            drawn.append((f"Calibration: {target}", partial(plots.calibration, found["calibration"])))
    if any(proof.get("calls_ms", {}).values()):
        drawn.append(("Latency", partial(plots.latencies, proof["calls_ms"], proof.get("live"))))
    try:
        figures = [f"<figure>{draw()}<figcaption>{html.escape(title)}</figcaption></figure>" for title, draw in drawn]
    except plots.Missing:
        yield "<p>Nothing was drawn, because matplotlib was not there: pip install 'modelport[report]'.</p>"
        return
    if figures:
        yield f'<div class="plots">{"".join(figures)}</div>'


def _classes(classes: Sequence[Mapping[str, Any]], labels: Sequence[str], live: int | None) -> str:
    rows = []
    for one in classes:
        number = one["class"]
        name = labels[number] if number < len(labels) else str(number)
        other = f"{one['live']:.3f}" if "live" in one else "-"
        between = f"{one['worse_by'][1]:+.3f} to {one['worse_by'][2]:+.3f}" if "worse_by" in one else "-"
        rows.append((name, str(one["rows"]), f"{one['recall']:.3f}", other, between))
    head = ("class", "rows", "answered right", f"by version {live}" if live else "-", "worse by, with 95 % certainty")
    return _table(head, rows)


def _pairs(facts: Mapping[str, Any]) -> str:
    return _table(("", ""), [(key, _text(value)) for key, value in facts.items()])


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'


def _section(title: str, body: str) -> Iterator[str]:
    if body:
        yield f"<h2>{html.escape(title)}</h2>{body}"
