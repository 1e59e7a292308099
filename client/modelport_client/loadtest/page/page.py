"""The page: what was asked, what came of it, drawings, and the facts as JSON at its end. It needs no network."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.errors import from_os_error

_STYLE = """
:root { color-scheme: light dark; --line: #8a8f9866; --soft: #8a8f9822; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; } .scroll { overflow-x: auto; }
td, th { overflow-wrap: normal; text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid var(--line); }
pre { font: .8rem/1.4 ui-monospace, monospace; background: var(--soft); padding: .6rem; overflow-x: auto; }
.verdict { font-size: 1.2rem; } .no-result { color: #d1242f; font-weight: bold; }
svg { width: 100%; height: auto; max-width: 46rem; } figure { margin: 1rem 0; }
"""


class Page:
    """Grows from the top to the bottom."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>"]

    def verdict(self, text: str, is_result: bool = True) -> None:
        """What it came to."""
        kind = "verdict" if is_result else "verdict no-result"
        self._parts.append(f'<p class="{kind}">{html.escape(text)}</p>')

    def heading(self, text: str) -> None:
        """Of a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """A paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Cells as they are."""
        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        self._parts.append(f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>')

    def drawing(self, svg: str, caption: str) -> None:
        """An SVG."""
        self._parts.append(f"<figure><figcaption>{html.escape(caption)}</figcaption>{svg}</figure>")

    def facts(self, facts: Mapping[str, Any]) -> None:
        """What `--json` prints."""
        text = html.escape(json.dumps(facts, indent=1))
        self._parts.append(f"<h2>Facts</h2><details><summary>as JSON</summary><pre>{text}</pre></details>")

    def write(self, path: Path) -> None:
        """Into one file.

        Raises:
            ModelportError: it cannot be written.
        """
        text = (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f"<title>{html.escape(self._title)}</title><style>{_STYLE}</style></head>\n"
            f"<body>{''.join(self._parts)}</body></html>\n"
        )
        try:
            path.write_text(text, "utf-8")
        except OSError as error:
            raise from_os_error(error, "write the report", path) from error
