"""What is marked beside a model's versions: pinned ones are never collected, quarantined ones are seen by no server.

A pin is a small file that says why. A quarantined version is its own folder under a name that is no number: no server
looks at it, whatever its policy, and nothing of it is lost.
"""

from __future__ import annotations

from pathlib import Path

from modelport import atomic, layout
from modelport.errors import AlreadyExists, NotFound, from_os_error
from modelport.regular_files import read_text

_MOST_BYTES = 64 * 2**10  # of the reason of a pin


def pins(base_path: Path) -> dict[int, str]:
    """Version → why it is pinned."""
    return {number: read_text(path, _MOST_BYTES).strip() for number, path in _marked(base_path, layout.PINNED_PREFIX)}


def pin(base_path: Path, version: int, why: str) -> None:
    """Pin a version; one that is pinned gets the new reason."""
    atomic.write_text(base_path / f"{layout.PINNED_PREFIX}{version}", f"{why}\n")


def unpin(base_path: Path, version: int) -> None:
    """Take a pin away.

    Raises:
        NotFound: it is not pinned; the message has those that are.
    """
    path = base_path / f"{layout.PINNED_PREFIX}{version}"
    try:
        path.unlink()
    except FileNotFoundError as error:
        have = ", ".join(map(str, pins(base_path))) or "none"
        raise NotFound(f"Expected a pinned version of {base_path.name!r} ({have}). Received: {version}") from error
    except OSError as error:
        raise from_os_error(error, "unpin", path) from error


def quarantined(base_path: Path) -> list[int]:
    """The versions that no server sees."""
    return [number for number, _ in _marked(base_path, layout.QUARANTINED_PREFIX)]


def quarantine(version_path: Path, version: int) -> None:
    """Take a version from where servers look, in one rename.

    Raises:
        AlreadyExists: a version of that number is there already.
    """
    _move(version_path, version_path.parent / f"{layout.QUARANTINED_PREFIX}{version}")


def release(base_path: Path, version: int) -> None:
    """Put a quarantined version back where servers look.

    Raises:
        NotFound: it is not in quarantine; the message has those that are.
    """
    path = base_path / f"{layout.QUARANTINED_PREFIX}{version}"
    if not path.is_dir():
        have = ", ".join(map(str, quarantined(base_path))) or "none"
        raise NotFound(f"Expected a quarantined version of {base_path.name!r} ({have}). Received: {version}")
    _move(path, base_path / str(version))


def _move(path: Path, place: Path) -> None:
    if place.exists():
        raise AlreadyExists(f"Expected nothing at {str(place)!r}, where {str(path)!r} is to go. There is something.")
    try:
        path.rename(place)
        atomic.flush(place.parent)
    except OSError as error:
        raise from_os_error(error, f"move to {str(place)!r}", path) from error


def _marked(base_path: Path, prefix: str) -> list[tuple[int, Path]]:
    if not base_path.is_dir():
        return []
    found = []
    for child in base_path.iterdir():
        number = child.name.removeprefix(prefix)
        if child.name.startswith(prefix) and number.isdecimal():
            found.append((int(number), child))
    return sorted(found)
