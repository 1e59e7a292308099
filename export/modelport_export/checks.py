"""What is refused of a model or a folder before any work is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from modelport.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from modelport_export import sources
from modelport_export.keras_layers import layers_of
from modelport_export.signatures import Signature


def refuse_links_out(folder: Path, files: Sequence[Path]) -> None:
    """Refuse links to files elsewhere: what they lead to would be published, whoever may read it.

    Raises:
        FailedPrecondition: naming the link.
    """
    inside = folder.resolve()
    for file in files:
        if not file.resolve().is_relative_to(inside):
            raise FailedPrecondition(
                f"Expected a SavedModel folder without links that lead out of it. Received: {str(file)!r}, which is a "
                f"link to {str(file.readlink())!r}. If it is meant to be published, copy the folder with its files: "
                "cp -rL FOLDER COPY."
            )


def check_outputs(infinite: Collection[str], signatures: Mapping[str, Signature]) -> None:
    """Refuse names of outputs that may be infinite, and are no outputs."""
    known = sorted({alias for signature in signatures.values() for alias in signature.outputs})
    for alias in infinite:
        if alias not in known:
            raise InvalidArgument(f"Expected --allow-non-finite to name an output, one of {known}. Received: {alias!r}")


def check_model(model: Any, allow_lambda: bool) -> None:
    """Refuse what cannot be exported before any work is done.

    Raises:
        InvalidArgument: no Keras model.
        FailedPrecondition: never built, or Keras runs on another backend than TensorFlow.
        PermissionDenied: a Lambda layer that was not allowed.
    """
    if not isinstance(model, keras.Model):
        raise InvalidArgument(
            f"Expected a keras.Model, or the path of one. Received: {type(model).__module__}.{type(model).__qualname__}"
        )
    if keras.config.backend() != "tensorflow":
        raise FailedPrecondition(
            f"Expected Keras on its TensorFlow backend, because TensorFlow Serving runs TensorFlow graphs. Received: "
            f"{keras.config.backend()!r}. Set KERAS_BACKEND=tensorflow and load the model again."
        )
    if not model.built:
        raise FailedPrecondition(
            f"Expected a built model. Received: {type(model).__name__} {model.name!r}, which has no weights yet. Train "
            "it, load its weights, or call it once on a batch."
        )
    for layer in layers_of(model):
        if isinstance(layer, keras.layers.Lambda) and not allow_lambda:
            raise PermissionDenied(sources.lambda_text(f"the layer {layer.name!r}"))
