"""Small curves of the last minutes, as drawings that need no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from markupsafe import Markup

WIDTH, HEIGHT = 120, 24
STRETCH_S, STRETCHES = 10.0, 30  # five minutes, a point each ten seconds


@lru_cache(maxsize=2048)  # a curve moves once in ten seconds, and is looked at with every look
def curve(values: tuple[float | None, ...], name: str, unit: str) -> Markup:
    """A line from the oldest value to the newest one; where nothing is known there is a gap.

    Args:
        values: equally far from each other.
        name: what a screen reader says that it is.
        unit: of the highest value, which it says, too.
    """
    known = [value for value in values if value is not None]
    if not known:
        return Markup('<span class="curve"></span>')  # its room: nothing jumps when the first request comes
    top = max(known) or 1.0
    told = f"{name}, last five minutes: at most {max(known):.1f} {unit}"
    lines = Markup("").join(Markup('<polyline points="{}"/>').format(line) for line in _lines(values, top))
    frame = Markup(
        '<svg class="curve" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    )
    return frame.format(WIDTH, HEIGHT, told, lines)


def _lines(values: Sequence[float | None], top: float) -> Iterator[str]:
    step = WIDTH / max(len(values) - 1, 1)
    points: list[str] = []
    for place, value in enumerate([*values, None]):
        if value is not None:
            points.append(f"{place * step:.0f},{HEIGHT - 1 - (HEIGHT - 2) * value / top:.1f}")
            continue
        if len(points) == 1:  # a single value is a short line, else nothing would be seen of it
            left, _, height = points[0].partition(",")
            points.append(f"{float(left) - 1:.0f},{height}")
        if points:
            yield " ".join(points)
        points = []
