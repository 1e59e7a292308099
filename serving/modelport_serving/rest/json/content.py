"""The content of a body: bytes, or a long one in memory of its own. A slice of either is bytes."""

from __future__ import annotations

import mmap

Content = bytes | mmap.mmap


def has(content: Content, text: bytes, at: int) -> bool:
    """Whether a text stands there."""
    return content[at : at + len(text)] == text
