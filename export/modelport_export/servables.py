"""Which kind of servable a source is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from modelport.errors import InvalidArgument
from modelport_export import calling
from modelport_export.classifier import ImageClassifier, is_classifier
from modelport_export.image_model import ImageModel
from modelport_export.images import ImageInput
from modelport_export.open_sizes import opened
from modelport_export.proof import samples
from modelport_export.scores import kind
from modelport_export.servable import Generic, Servable
from modelport_export.signatures import Array, Spec
from modelport_export.sources import Source

Scores = Literal["probabilities", "logits", "none"]


def servable_of(source: Source, workspace: Path, input_signature: Any, scores: Scores | None) -> Servable:
    """Describe a Keras model as a server will run it.

    Args:
        source: the model, and what is known about it.
        workspace: a folder that outlives the version's writing.
        input_signature: see `calling.describe`.
        scores: see `ImageClassifier`; "none" where the outputs are no scores of classes.

    Raises:
        ModelportError: whatever keeps it from being served.
    """
    model, image = source.model, source.image
    if image is None:
        call = calling.describe(model, source.samples, input_signature)
        if input_signature is None and source.samples is not None and calling.is_described_by_samples(model):
            return opened(model, call, source.samples)
        return Generic(model, call)
    pixels = None
    if source.samples is not None:
        spec = Spec("uint8", (-1, *image.raw_shape))
        pixels = samples.check(source.samples, {"image": spec}, image)["image"]
    call = calling.describe(model, None, input_signature)
    plain = ImageModel(model, call, image)
    if scores == "none" or (source.labels is None and scores is None and not is_classifier(plain.outputs)):
        if source.labels is not None:
            raise InvalidArgument("Expected no labels= with scores='none': without scores there is nothing to label.")
        return plain
    if source.labels is None and scores is None:
        scores = _scores_of(model, plain, image, pixels)
    return ImageClassifier(model, call, image, source.labels, workspace, scores, pixels)


def _scores_of(model: Any, plain: ImageModel, image: ImageInput, pixels: Array | None) -> Literal["probabilities"]:
    """What nobody said: that the outputs are probabilities, if a run shows it.

    Raises:
        InvalidArgument: they may be logits, or no scores at all.
    """
    [alias] = plain.outputs
    found = kind(model, lambda images: plain.raw(images)[alias], image, pixels)
    if found == "logits":
        raise InvalidArgument(
            f"Expected to learn from the model's answers what its output {alias!r} is. Received: values that are no "
            "probabilities, so logits of classes or numbers of their own. Say which: --labels FILE or --scores logits "
            "for a classifier, --scores none for numbers that are answered as they are (labels= or scores= in Python)."
        )
    return found
