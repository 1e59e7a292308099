"""What the first line of a proof says: proven, on which samples, or why not."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from modelport_export.proof.rows import Rows
from modelport_export.versions import Version


def verdict_of(version: Version, unproven: str | None) -> dict[str, Any]:
    """What the first line says: proven on which samples, or why not."""
    if not version.feeds or version.unasked is not None:
        return {"verdict": f"unproven: {unproven}", "samples": "no", "samples_digest": ""}
    name, feeds = next(iter(version.feeds.items()))
    rows = Rows.of(version.signatures[name].inputs)
    count = rows.count(feeds) * rows.unit
    others = sorted(set(version.signatures) - set(version.feeds))
    return {
        "verdict": ("proven" if version.sampled == "real" else "proven on random samples")
        + (f"; not asked: {', '.join(others)}" if others else ""),
        "samples": f"{count} {version.sampled}",
        "samples_digest": samples_digest(version),
    }


def samples_digest(version: Version) -> str:
    """A digest of all samples: whether others were given before."""
    found = hashlib.sha256()
    for signature, feeds in sorted(version.feeds.items()):
        for alias, array in sorted(feeds.items()):
            data = repr(array.tolist()).encode() if array.dtype == object else np.ascontiguousarray(array).tobytes()
            found.update(f"{signature} {alias} {array.dtype} {array.shape} ".encode() + data)
    return found.hexdigest()
