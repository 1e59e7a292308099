"""What reports are made of: the head of a page without network, sections, tables, figures."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from modelport_export.report_page import plots

MOST_BYTES = 2**20  # of a page; what is largest goes first
STYLE = """
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

Drawing = tuple[str, Callable[[], str]]  # its title, and what draws it


def head(title: str) -> Iterator[str]:
    """The beginning of a page, up to its title; it may load nothing."""
    title = html.escape(title)
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    yield 'img-src data:"><link rel="icon" href="data:,">'
    yield f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"


def small_enough(make: Callable[[bool, bool], str]) -> str:
    """A page of at most MOST_BYTES: first without rows, then without drawings, where it is more.

    Args:
        make: the page, with rows or not, with drawings or not.
    """
    for rows, drawings in ((True, True), (False, True), (False, False)):
        text = make(rows, drawings)
        if len(text.encode()) <= MOST_BYTES:
            return text
    return text


def figures(drawn: Sequence[Drawing]) -> str:
    """Drawings beside each other."""
    try:
        shown = [f"<figure>{draw()}<figcaption>{html.escape(title)}</figcaption></figure>" for title, draw in drawn]
    except plots.Missing:
        return "<p>Nothing was drawn, because matplotlib was not there: pip install 'modelport[report]'.</p>"
    return f'<div class="plots">{"".join(shown)}</div>' if shown else ""


def by_class(classes: Sequence[Mapping[str, Any]], labels: Sequence[str], live: int | None) -> str:
    """How many rows of each class were answered right."""
    rows = []
    for one in classes:
        number = one["class"]
        name = labels[number] if number < len(labels) else str(number)
        other = f"{one['live']:.3f}" if "live" in one else "-"
        between = f"{one['worse_by'][1]:+.3f} to {one['worse_by'][2]:+.3f}" if "worse_by" in one else "-"
        rows.append((name, str(one["rows"]), f"{one['recall']:.3f}", other, between))
    head = ("class", "rows", "answered right", f"by version {live}" if live else "-", "worse by, with 95 % certainty")
    return table(head, rows)


def pairs(facts: Mapping[str, Any]) -> str:
    """A table of names and values."""
    return table(("", ""), [(key, _text(value)) for key, value in facts.items()])


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; nothing without rows."""
    if not rows:
        return ""
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{top}</tr>{body}</table></div>'


def section(title: str, body: str) -> Iterator[str]:
    """A part with its title; nothing without a body."""
    if body:
        yield f"<h2>{html.escape(title)}</h2>{body}"
