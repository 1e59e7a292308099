"""A version in the making: what it computes, how it is written into a folder and how it is proven there."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from modelport import manifest as manifests
from modelport.errors import FailedPrecondition, InvalidArgument, from_os_error
from modelport.regular_files import copy_regular, files_below
from modelport_export import effects, graph_digest, savedmodel, warmup
from modelport_export.checks import check_model, check_outputs, refuse_links_out
from modelport_export.proof import drawing, knowledge, parity, samples
from modelport_export.proof.prove import Subject, Then, no_more, prove
from modelport_export.proof.saved_model_reference import SavedModelReference
from modelport_export.report import RELATIVE_PATH as REPORT
from modelport_export.servable import Servable
from modelport_export.servables import servable_of
from modelport_export.signatures import SERVING_DEFAULT, Array, Signature
from modelport_export.sources import Source

RANDOM_NOTE = "No samples were given: the version was proven and is warmed with random ones."


class Version(Protocol):
    """What publishing needs to know of either kind.

    `content_digest` is equal for equal content; `feeds` are sample inputs by signature name and input alias, empty when
    there are no samples; `sampled` is "random" or "real"; `unasked` says why the signature that clients
    get by default cannot be asked; `notes` are for the report; `labels` are those of an image classifier.
    """

    content_digest: str
    signatures: dict[str, Signature]
    feeds: dict[str, dict[str, Array]]
    sampled: str
    unasked: str | None
    notes: list[str]
    labels: Sequence[str]

    def write(self, folder: Path, name: str) -> None:
        """Fill an empty folder."""

    def prove(self, folder: Path, name: str, then: Then = ...) -> dict[str, Any]:
        """Load and ask the filled folder; the figures for the manifest. `then`: see `proof.prove`."""


@dataclass(frozen=True)
class Options:
    """What the user allows and tells.

    Args:
        allow_lambda: publish Lambda layers.
        infinite: outputs that may hold NaN or infinity.
        unproven: why a version is published that cannot be asked.
        scores: whether an image model gives "probabilities", "logits", or no scores of classes; None finds out.
    """

    allow_lambda: bool = False
    infinite: Collection[str] = ()
    unproven: str | None = None
    scores: Literal["probabilities", "logits", "none"] | None = None


def describe(
    source: Source, workspace: Path, input_signature: Any = None, options: Options = Options()
) -> Version:  # frozen
    """Find out what a source is as a version, without writing anything.

    Args:
        source: see `sources`.
        workspace: a folder that outlives the version's writing.
        input_signature: see `calling.describe`.
        options: see `Options`.

    Raises:
        ModelportError: whatever keeps it from being served.
    """
    if isinstance(source.model, Path):
        return FromSavedModel(source, options)
    return FromKeras(source, workspace, input_signature, options)


class FromKeras:
    """A version made from a Keras model."""

    def __init__(self, source: Source, workspace: Path, input_signature: Any, options: Options) -> None:
        model = source.model
        check_model(model, options.allow_lambda)
        if source.labels is not None and source.image is None:
            raise InvalidArgument("Expected image= with labels=: only an image classifier answers with labels.")
        weights = len(model.weights)
        self._servable: Servable = servable_of(source, workspace, input_signature, options.scores)
        if len(model.weights) != weights:
            raise FailedPrecondition(
                f"Expected a model whose layers are all built. Received: {type(model).__name__}, which "
                f"made {len(model.weights) - weights} new weights, never trained, when it was called. Call it on a "
                "batch before."
            )
        self.unasked: str | None = None
        endpoints = self._servable.endpoints
        effects.refuse_state(model, endpoints)
        self.signatures = {name: endpoint.signature for name, endpoint in endpoints.items()}
        self.notes = list(self._servable.notes)
        self.labels: Sequence[str] = self._servable.labels
        self._infinite = frozenset(options.infinite)
        check_outputs(self._infinite, self.signatures)
        inputs = self.signatures[SERVING_DEFAULT].inputs
        if source.samples is None:
            self._samples = drawing.draw(inputs, knowledge.of(model), self._answers, self._infinite)
            self.sampled = "random"
            self.notes.append(RANDOM_NOTE)
        else:
            self._samples = samples.check(source.samples, inputs, source.image)
            self.sampled = "real"
        self.feeds = self._servable.feeds(self._samples)
        self.content_digest = graph_digest.digest(endpoints, self._servable.holders)

    def _answers(self, given: Mapping[str, Array]) -> Mapping[str, Array]:
        return self._servable.expected(given)[SERVING_DEFAULT]

    def write(self, folder: Path, name: str) -> None:
        """See `Version`."""
        savedmodel.write(folder, self._servable.endpoints, self._servable.holders)
        warmup.write(folder, name, self.feeds, self.signatures)

    def prove(self, folder: Path, name: str, then: Then = no_more) -> dict[str, Any]:
        """See `Version`."""
        servable = self._servable
        model = servable.holders[0]
        tolerances = {
            signature: parity.tolerance_of(model, [spec.dtype for spec in found.outputs.values()])
            for signature, found in self.signatures.items()
        }
        subject = Subject(
            inputs=self.signatures[SERVING_DEFAULT].inputs,
            samples=self._samples,
            feeds=servable.feeds,
            expected=servable.expected,
            tolerances=tolerances,
            model=model,
            traced=lambda signature, inputs: servable.endpoints[signature].run(inputs),
            labels=servable.labels,
            infinite=self._infinite,
        )
        return prove(folder, name, [subject], self.signatures, then)


class FromSavedModel:
    """A version that is an existing SavedModel folder, taken as it is."""

    def __init__(self, source: Source, options: Options) -> None:
        self._source: Path = source.model
        refuse_links_out(self._source, files_below(self._source))  # before anything is read
        for given, name in ((source.image, "image"), (source.labels, "labels")):
            if given is not None:
                raise InvalidArgument(
                    f"Expected no {name}= with a SavedModel folder, which is published as it is. Received: {given!r}"
                )
        self.signatures, sparse = savedmodel.read_signatures(self._source)
        self._infinite = frozenset(options.infinite)
        check_outputs(self._infinite, self.signatures)
        self.labels: Sequence[str] = ()
        self.notes = [
            "Published as it was found, and compared with what TensorFlow's own session answers: without a Keras model."
        ]
        for signature, reason in sparse.items():
            self.notes.append(f"The signature {signature!r} cannot be asked: {reason}")
        self.example = SERVING_DEFAULT if SERVING_DEFAULT in self.signatures else min(self.signatures, default="")
        if self.example and self.example != SERVING_DEFAULT and SERVING_DEFAULT not in sparse:
            self.notes.append(f"It has no {SERVING_DEFAULT!r}: every request must name its signature.")
        self.sampled = "random" if source.samples is None else "real"
        self.feeds: dict[str, dict[str, Array]] = {}
        why = self._find_samples(source)
        self.unasked = None
        if SERVING_DEFAULT in sparse or self.example not in self.feeds:
            reason = sparse.get(SERVING_DEFAULT) or why
            self.unasked = reason
            if options.unproven is None:
                raise FailedPrecondition(
                    f"Expected a version that can be asked before it is published. It cannot: {reason} To publish it "
                    'all the same: --unproven "why".'
                )
            self.notes.append(f"Never asked: {reason}")
        manifests.verify(self._source)
        manifest = manifests.read(self._source)
        self.content_digest = manifest.content_digest if manifest else ""
        if not self.content_digest:
            self.content_digest = manifests.digest_of(manifests.digest_files(self._source))

    def _find_samples(self, source: Source) -> str:
        """Fill in `feeds`: the user's for the first signature, made-up ones that TensorFlow answers for the others.

        Returns:
            Why there are none for the first.
        """
        why = "It has no signature with dense inputs."
        with SavedModelReference(self._source) as reference:
            for name in sorted(self.signatures, key=lambda name: name != self.example):
                inputs = self.signatures[name].inputs
                if name == self.example and source.samples is not None:
                    self.feeds[name] = samples.check(source.samples, inputs, None)
                    continue
                ask = partial(reference, name)
                try:
                    self.feeds[name] = drawing.draw(inputs, knowledge.Knowledge(), ask, self._infinite)
                except FailedPrecondition as error:
                    if name == self.example:
                        why = error.message
                    self.notes.append(f"The signature {name!r} was not asked: it answers no made-up samples.")
        return why

    def write(self, folder: Path, name: str) -> None:
        """See `Version`; the manifest and the report are written anew."""
        dropped = (manifests.RELATIVE_PATH.name, REPORT.name)
        try:
            shutil.copytree(
                self._source,
                folder,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(*dropped),
                copy_function=_copy,
            )
        except OSError as error:
            raise from_os_error(error, f"copy {str(self._source)!r} into", folder) from error

    def prove(self, folder: Path, name: str, then: Then = no_more) -> dict[str, Any]:
        """See `Version`."""
        with SavedModelReference(self._source) as reference:
            subjects = [self._subject(reference, signature) for signature in self.feeds]
            return prove(folder, name, subjects, self.signatures, then)

    def _subject(self, reference: SavedModelReference, signature: str) -> Subject:
        found = self.signatures[signature]
        return Subject(
            inputs=found.inputs,
            samples=self.feeds[signature],
            feeds=lambda samples: {signature: dict(samples)},
            expected=lambda samples: {signature: reference(signature, samples)},
            tolerances={signature: parity.tolerance_of(None, [spec.dtype for spec in found.outputs.values()])},
            infinite=self._infinite,
        )


def _copy(source: str, target: str) -> str:
    """The first file that fails ends the copy, with its reason: `copytree` would try the others on a full disk, too."""
    try:
        return copy_regular(source, target)
    except OSError as error:
        raise from_os_error(error, f"copy {source!r} to", target) from error
