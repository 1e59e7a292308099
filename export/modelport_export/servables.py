"""Which kind of servable a source is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from modelport_export import calling
from modelport_export.classifier import ImageClassifier, is_classifier
from modelport_export.image_model import ImageModel
from modelport_export.open_sizes import opened
from modelport_export.servable import Generic, Servable
from modelport_export.sources import Source


def servable_of(
    source: Source, workspace: Path, input_signature: Any, scores: Literal["probabilities", "logits"] | None
) -> Servable:
    """Describe a Keras model as a server will run it.

    Args:
        source: the model, and what is known about it.
        workspace: a folder that outlives the version's writing.
        input_signature: see `calling.describe`.
        scores: see `ImageClassifier`.

    Raises:
        ModelportError: whatever keeps it from being served.
    """
    model, image = source.model, source.image
    if image is None:
        call = calling.describe(model, source.samples, input_signature)
        if input_signature is None and source.samples is not None and calling.is_described_by_samples(model):
            return opened(model, call, source.samples)
        return Generic(model, call)
    call = calling.describe(model, None, input_signature)
    pixels = None if source.samples is None else source.samples.get("image")
    plain = ImageModel(model, call, image)
    if source.labels is None and scores is None and not is_classifier(plain.outputs):
        return plain
    return ImageClassifier(model, call, image, source.labels, workspace, scores, pixels)
