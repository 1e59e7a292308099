"""What becomes of versions once they are in the repository: which one answers, the way back, and who decided it.

promote, rollback ← promotion.promoting ← promotion.configuration; `modelport.history` keeps what was decided. Importing
this package imports no client: what only reads files, such as `modelport ls`, needs none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelport_release.promotion.promoting import promote
    from modelport_release.promotion.rollback import rollback

__all__ = ["promote", "rollback"]

_MODULES = {"promote": "modelport_release.promotion.promoting", "rollback": "modelport_release.promotion.rollback"}


def __getattr__(name: str) -> Any:
    """Import `promote` and `rollback` when they are asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return globals()[name]
