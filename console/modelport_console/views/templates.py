"""The templates, with what all of them can say."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modelport_console.live.view import place
from modelport_console.views import words

FOLDER = Path(__file__).parent.parent


def environment() -> Environment:
    """Everything that is put into a template is escaped, unless it is markup of ours."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {"words": words, "cell": place}
    return made
