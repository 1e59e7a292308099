"""Numbers as they stand on the page: with their unit, in a width that does not change with every request."""

from __future__ import annotations

from datetime import UTC, datetime

NOTHING = "–"


def rate(value: float | None) -> str:
    """Requests a second."""
    return NOTHING if value is None else f"{value:.1f} /s" if value < 100 else f"{value:,.0f} /s"


def share(value: float | None) -> str:
    """A share, in percent."""
    return NOTHING if value is None else f"{value * 100:.1f} %"


def milliseconds(value: float | None) -> str:
    """A latency."""
    return NOTHING if value is None else f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"


def size(count: int) -> str:
    """Bytes, in megabytes."""
    return f"{count / 1e6:,.1f} MB"


def number(value: float) -> str:
    """A metric."""
    return f"{value:.4g}"


def moment(when: str) -> str:
    """A time of the history, without the letters that only programs need."""
    try:
        return datetime.fromisoformat(when).astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return when


def seconds_of(when: str) -> float | None:
    """A time of the history on the clock on the wall; None for what is no time."""
    try:
        return datetime.fromisoformat(when).timestamp()
    except ValueError:
        return None
