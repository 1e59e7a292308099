"""A trained Keras model to a proven, versioned SavedModel.

from modelport_export import ImageInput, publish

published = publish(model, name="digits", repository="models", image=ImageInput(28, 28), labels="0123456789",
                    samples={"image": test_images})

Importing this package imports no TensorFlow; calling it does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from modelport.staging import Published
from modelport_export.gate.bounds import Gate
from modelport_export.images import ImageInput

if TYPE_CHECKING:
    from modelport_export.publishing import examine, export, publish

__all__ = ["Gate", "ImageInput", "Published", "examine", "export", "publish"]

_FUNCTIONS = ("examine", "export", "publish")


def __getattr__(name: str) -> Any:
    """Import them, and TensorFlow with them, when they are asked for."""
    if name not in _FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module("modelport_export.publishing")
    globals().update({function: getattr(module, function) for function in _FUNCTIONS})
    return globals()[name]
