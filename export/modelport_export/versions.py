"""A version in the making: what it computes, how it is written into a folder and how it is proven there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Protocol

import keras

from modelport import manifest as manifests
from modelport.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from modelport.regular_files import copy_regular, files_below
from modelport_export import calling, graph_digest, prove, samples, savedmodel, sources, warmup
from modelport_export.classifier import ImageClassifier
from modelport_export.report import RELATIVE_PATH as REPORT
from modelport_export.servable import Generic, Servable
from modelport_export.signatures import SERVING_DEFAULT, Array, Signature
from modelport_export.sources import Source


class Version(Protocol):
    """What publishing needs to know of either kind.

    `content_digest` is equal for equal content; `feeds` are sample inputs by signature name and input alias, empty when
    there are no samples; `notes` are for the report.
    """

    content_digest: str
    signatures: dict[str, Signature]
    feeds: dict[str, dict[str, Array]]
    notes: list[str]

    def write(self, folder: Path, name: str) -> None:
        """Fill an empty folder."""

    def prove(self, folder: Path, name: str) -> dict[str, Any]:
        """Load and ask the filled folder; the figures for the manifest."""


def describe(source: Source, workspace: Path, input_signature: Any = None, allow_lambda: bool = False) -> Version:
    """Find out what a source is as a version, without writing anything.

    Args:
        source: see `sources`.
        workspace: a folder that outlives the version's writing.
        input_signature: see `calling.describe`.
        allow_lambda: publish Lambda layers.

    Raises:
        ModelportError: whatever keeps it from being served.
    """
    if isinstance(source.model, Path):
        return FromSavedModel(source)
    return FromKeras(source, workspace, input_signature, allow_lambda)


class FromKeras:
    """A version made from a Keras model."""

    def __init__(self, source: Source, workspace: Path, input_signature: Any, allow_lambda: bool) -> None:
        model = source.model
        check_model(model, allow_lambda)
        if source.labels is not None and source.image is None:
            raise InvalidArgument("Expected image= with labels=: only an image classifier answers with labels.")
        named = None if source.image is not None else source.samples
        call = calling.describe(model, named, input_signature)
        weights = len(model.weights)
        self._servable: Servable = (
            Generic(model, call)
            if source.image is None
            else ImageClassifier(model, call, source.image, source.labels, workspace)
        )
        if len(model.weights) != weights:
            raise FailedPrecondition(
                f"Expected a model whose layers are all built. Received: {type(model).__name__}, which "
                f"made {len(model.weights) - weights} new weights, never trained, when it was called. Call it on a "
                "batch before."
            )
        endpoints = self._servable.endpoints
        self.signatures = {name: endpoint.signature for name, endpoint in endpoints.items()}
        self.notes = list(self._servable.notes)
        inputs = self.signatures[SERVING_DEFAULT].inputs
        if source.samples is None:
            self._samples = samples.random(inputs)
            self.notes.append("No samples were given: the version was proven and is warmed with random ones.")
        else:
            self._samples = samples.check(source.samples, inputs, source.image)
        self.feeds = self._servable.feeds(self._samples)
        self.content_digest = graph_digest.digest(endpoints, self._servable.holders)

    def write(self, folder: Path, name: str) -> None:
        """See `Version`."""
        savedmodel.write(folder, self._servable.endpoints, self._servable.holders)
        warmup.write(folder, name, self.feeds)

    def prove(self, folder: Path, name: str) -> dict[str, Any]:
        """See `Version`."""
        return prove.prove(folder, name, self._servable, self._samples)


class FromSavedModel:
    """A version that is an existing SavedModel folder, taken as it is."""

    def __init__(self, source: Source) -> None:
        self._source: Path = source.model
        files_below(self._source)  # what is no regular file is refused before anything is read
        for given, name in ((source.image, "image"), (source.labels, "labels")):
            if given is not None:
                raise InvalidArgument(
                    f"Expected no {name}= with a SavedModel folder, which is published as it is. Received: {given!r}"
                )
        self.signatures = savedmodel.read_signatures(self._source)
        example = SERVING_DEFAULT if SERVING_DEFAULT in self.signatures else min(self.signatures)
        self.notes = ["Published as it was found: there was no Keras model to compare it with."]
        if example != SERVING_DEFAULT:
            self.notes.append(f"It has no {SERVING_DEFAULT!r}: every request must name its signature.")
        self.feeds: dict[str, dict[str, Array]] = {}
        if source.samples is not None:
            self.feeds[example] = samples.check(source.samples, self.signatures[example].inputs, None)
        manifests.verify(self._source)
        manifest = manifests.read(self._source)
        self.content_digest = manifest.content_digest if manifest else ""
        if not self.content_digest:
            self.content_digest = manifests.digest_of(manifests.digest_files(self._source))

    def write(self, folder: Path, name: str) -> None:
        """See `Version`; the manifest and the report are written anew."""
        dropped = (manifests.RELATIVE_PATH.name, REPORT.name)
        shutil.copytree(
            self._source,
            folder,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(*dropped),
            copy_function=copy_regular,
        )

    def prove(self, folder: Path, name: str) -> dict[str, Any]:
        """See `Version`."""
        return prove.prove_as_is(folder, name, self.signatures, self.feeds)


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
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Lambda) and not allow_lambda:
            raise PermissionDenied(sources.lambda_text(f"the layer {layer.name!r}"))
