"""What a page shows at one moment: its shape, and the values in it that change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class View:
    """One rendering.

    Args:
        region: the part of the page that is alive, with its values in place.
        cells: name → what stands there now.
        shape: stays the same while the values alone change.
    """

    region: str
    cells: Mapping[str, str] = field(default_factory=dict)
    shape: str = ""


class Cells:
    """The values of a view, while its template is rendered."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def __setitem__(self, name: str, value: str) -> None:
        """Say what stands somewhere; text is escaped."""
        self.found[name] = str(Markup.escape(value))

    def __call__(self, name: str, **attributes: str) -> Markup:
        """The place of a value, for a template."""
        said = Markup("").join(Markup(' {}="{}"').format(key.replace("_", "-"), one) for key, one in attributes.items())
        return Markup('<span data-live="{}"{}>{}</span>').format(name, said, Markup(self.found.get(name, "")))  # noqa: S704


def shape_of(render: Callable[[Cells], str], cells: Cells) -> View:
    """A view of a template and its cells; its shape is the template's text without them."""
    hollow = Cells()
    shape = hashlib.sha256(render(hollow).encode()).hexdigest()[:16]
    return View(render(cells), cells.found, shape)
