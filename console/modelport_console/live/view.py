"""What a page shows at one moment: its shape, and the values in it that change."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from markupsafe import Markup, escape

_PLACE = re.compile(r'(<span data-live="([^"]*)"[^>]*>)(?=</span>)')


@dataclass(frozen=True)
class View:
    """One rendering.

    Args:
        hollow: the part of the page that is alive, with places that are empty.
        cells: name → what stands in its place now.
    """

    hollow: str
    cells: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def shape(self) -> str:
        """Stays the same while the values alone change."""
        return hashlib.sha256(self.hollow.encode()).hexdigest()[:16]

    @cached_property
    def region(self) -> str:
        """The part of the page with its values in their places."""
        return _PLACE.sub(lambda found: found[1] + self.cells.get(html.unescape(found[2]), ""), self.hollow)


class Cells(dict[str, str]):
    """The values of a view, by the names of their places."""

    def __setitem__(self, name: str, value: str) -> None:
        """Say what stands somewhere; text is escaped, markup of ours is not."""
        super().__setitem__(name, str(escape(value)))


def place(name: str, say: str = "") -> Markup:
    """The place of a value, for a template.

    Args:
        name: of the value.
        say: before the value, to those who do not see that it changes; empty where that is nothing to tell.
    """
    said = f' data-say="{escape(say)}"' if say else ""
    return Markup(f'<span data-live="{escape(name)}"{said}></span>')  # noqa: S704  # both are escaped
