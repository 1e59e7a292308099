"""`publish` and `export`: describe → write → prove → commit. Nothing is visible before the last step."""

from __future__ import annotations

import dataclasses
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf

import modelport
from modelport import atomic, history, live
from modelport import manifest as manifests
from modelport.errors import FailedPrecondition, InvalidArgument
from modelport.layout import check_name
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport.staging import Published
from modelport_export import gate as gates
from modelport_export import report, sources, usage, versions, workspaces
from modelport_export.gate import Gate
from modelport_export.images import ImageInput
from modelport_export.signatures import Array
from modelport_export.sources import Source
from modelport_export.verdicts import output_names, samples_digest, verdict_of
from modelport_export.versions import Options, Version


def publish(
    model: Any,
    *,
    name: str,
    repository: Repository | Path | str,
    samples: Mapping[str, Array] | None = None,
    image: ImageInput | None = None,
    labels: Sequence[str] | None = None,
    metrics: Mapping[str, float] | None = None,
    data: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    input_signature: Any = None,
    gate: Gate | None = None,
    allow_lambda: bool = False,
    allow_non_finite: Sequence[str] = (),
    unproven: str | None = None,
    scores: Literal["probabilities", "logits", "none"] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Published:
    """Publish a model as the next version, once it is proven.

    Args:
        model: a Keras model, or the path of a `.keras` file, run folder or SavedModel folder; what is given below
            overrides what a run folder says.
        name: the model's in the repository.
        repository: the folder of models.
        samples: input name → array of raw inputs, one row each, from held-out data; None for random ones.
        image: what an image classifier was trained on; its signatures then take pixels and files.
        labels: one for each class, with `image` only.
        metrics: on held-out data, for the manifest and for the comparison with the newest version.
        data: source and fingerprint of the training data, for the manifest.
        training: configuration of the training, for the manifest.
        input_signature: name → tf.TensorSpec, for a subclassed model or to free a dimension.
        gate: bounds that the version must keep.
        allow_lambda: publish Lambda layers, and load them from a file.
        allow_non_finite: outputs that may hold NaN or infinity.
        unproven: why a version is published although it cannot be asked, such as a SavedModel of sparse inputs.
        scores: what an image classifier gives, where its answers do not tell.
        progress: called with a few words at the beginning of each step.

    Returns:
        The version; `new` is False when the newest one has equal content. It is then left as it is, but for its proof
        where there are samples that it was not proven with: it is proven again.

    Raises:
        ModelportError: it cannot be served, or was not proven; the repository is as it was before.
    """
    check_name(name)
    repository = repository if isinstance(repository, Repository) else Repository(repository)
    given = {"image": image, "labels": labels, "samples": samples, "metrics": metrics, "data": data}
    source = _source(model, allow_lambda, **given, training=training)
    options = Options(allow_lambda, allow_non_finite, unproven, scores)
    steps = _Steps(progress)
    with workspaces.workspace() as workspace:
        with steps.step("describe"):
            version = versions.describe(source, workspace, input_signature, options)
        newest = repository.newest_manifest(name)
        if newest is not None and newest.content_digest == version.content_digest:
            path = repository.version_path(name, newest.version)
            if version.sampled == "real" and newest.proof.get("samples_digest") != samples_digest(version):
                _prove_again(path, newest, version, gate, steps)
            return Published(name, newest.version, path, new=False)
        with repository.stage(name) as staging:
            manifest = _fill(staging.path, name, source, version, newest, gate, unproven, steps)
            published = staging.commit(manifest)
        if published.new:
            _note(repository, published, manifest)
        return published


def export(
    model: Any,
    to: Path | str,
    *,
    samples: Mapping[str, Array] | None = None,
    image: ImageInput | None = None,
    labels: Sequence[str] | None = None,
    metrics: Mapping[str, float] | None = None,
    input_signature: Any = None,
    gate: Gate | None = None,
    allow_lambda: bool = False,
    allow_non_finite: Sequence[str] = (),
    unproven: str | None = None,
    scores: Literal["probabilities", "logits", "none"] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write a proven SavedModel folder outside a repository; the arguments are those of `publish`.

    Returns:
        The folder.

    Raises:
        AlreadyExists: there is something at `to` already.
        ModelportError: it cannot be served, or was not proven; nothing is left at `to`.
    """
    to = Path(to).absolute()
    atomic.refuse_existing(to)  # before the work
    source = _source(model, allow_lambda, image=image, labels=labels, samples=samples, metrics=metrics)
    options = Options(allow_lambda, allow_non_finite, unproven, scores)
    steps = _Steps(progress)
    with workspaces.workspace() as workspace:
        with steps.step("describe"):
            version = versions.describe(source, workspace, input_signature, options)
        with atomic.new_folder(to) as staged:
            manifest = _fill(staged, to.name, source, version, None, gate, unproven, steps)
            created = datetime.now(UTC).isoformat(timespec="seconds")
            manifest = dataclasses.replace(manifest, created=created, files=manifests.digest_files(staged))
            manifests.write(staged, manifest)
    return to


def _source(model: Any, allow_lambda: bool, **given: Any) -> Source:
    """The source, with what the caller gave in place of what the source says."""
    if isinstance(model, Source):
        source = model
    elif isinstance(model, str | Path):
        source = sources.load(model, allow_lambda=allow_lambda)
    else:
        source = Source(model)
    source = dataclasses.replace(source, **{key: value for key, value in given.items() if value is not None})
    if source.samples is not None and not isinstance(source.samples, Mapping):
        raise InvalidArgument(
            "Expected samples as a mapping of input name to array, such as samples={'image': x_test[:64]}. Received: "
            f"{type(source.samples).__name__}"
        )
    return source


def _fill(
    folder: Path,
    name: str,
    source: Source,
    version: Version,
    newest: Manifest | None,
    gate: Gate | None,
    unproven: str | None,
    steps: _Steps,
) -> Manifest:
    """Write the version into the folder and prove it there; its manifest, but for what the commit fills in."""
    with steps.step("write"):
        version.write(folder, name)
        (folder / usage.REQUEST).parent.mkdir(exist_ok=True)
        signatures = {key: signature.to_dict() for key, signature in version.signatures.items()}
        request = usage.rest_request(version.signatures, version.feeds)
        if request is not None:
            (folder / usage.REQUEST).write_text(request + "\n", "utf-8")
    with steps.step("prove"):
        figures = version.prove(folder, name)
    notes = list(version.notes)
    if version.feeds and request is None:
        notes.append("REST cannot carry a dtype of its signature: it answers over gRPC only.")
    metrics = {key: float(value) for key, value in source.metrics.items()}
    directions = (gate or Gate()).metric_directions
    proof = {
        "notes": notes,
        "metrics": gates.compare_metrics(
            metrics, newest.metrics if newest is not None else {}, output_names(version), directions
        ),
        **verdict_of(version, unproven),
        "seconds": steps.seconds,
        **figures,
    }
    if gate is not None:
        gates.check(gate, proof)
    independence = figures["row_independence"]
    manifest = Manifest(
        model=name,
        content_digest=version.content_digest,
        signatures=signatures,
        metrics=metrics,
        data=dict(source.data),
        training=dict(source.training),
        environment={
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "modelport": modelport.__version__,
        },
        source_revision=_revision(),
        proof=proof,
        row_independent=[signature for signature, verdict in independence.items() if verdict["independent"]],
        loop_free=[signature for signature, verdict in independence.items() if verdict["loop_free"]],
    )
    (folder / report.RELATIVE_PATH).write_text(report.render(manifest), "utf-8")
    return manifest


def _note(repository: Repository, published: Published, manifest: Manifest) -> None:
    """Write the version into the model's history; it is live at once where always the newest is."""
    config = live.model_config(repository, published.model)
    newest = max(repository.versions(published.model), default=published.version)
    verdict = f"{manifest.proof['verdict']} {manifest.content_digest[:16]}".strip()
    entry = history.Entry(
        "publish", published.version, live.live_version(config, newest), dict(config.labels), verdict=verdict
    )
    history.append(published.path.parent, entry)


def _prove_again(path: Path, manifest: Manifest, version: Version, gate: Gate | None, steps: _Steps) -> None:
    """Prove a published version with other samples; its manifest and report say so then.

    Raises:
        FailedPrecondition: it was not proven, does not keep the gate, or is not there any more; nothing is changed.
    """
    with steps.step("prove again"):
        figures = version.prove(path, manifest.model)
    notes = [note for note in manifest.proof.get("notes", ()) if note != versions.RANDOM_NOTE]
    told = f"Proven again, on {datetime.now(UTC).isoformat(timespec='seconds')}, with other samples than before."
    proof = {**manifest.proof, "notes": [*notes, told], **verdict_of(version, None), **figures}
    independence = figures["row_independence"]
    # The report follows from the manifest: it is no file of the content, and is written after it.
    files = {name: digest for name, digest in manifest.files.items() if name != report.RELATIVE_PATH.as_posix()}
    proven = dataclasses.replace(
        manifest,
        proof=proof,
        files=files,
        row_independent=[signature for signature, verdict in independence.items() if verdict["independent"]],
        loop_free=[signature for signature, verdict in independence.items() if verdict["loop_free"]],
    )
    if gate is not None:
        gates.check(gate, proof)
    if manifests.read(path) != manifest:
        raise FailedPrecondition(f"Expected {str(path)!r} as it was before the proof. Somebody changed it meanwhile.")
    atomic.write_text(path / manifests.RELATIVE_PATH, proven.to_json())
    atomic.write_text(path / report.RELATIVE_PATH, report.render(proven))


class _Steps:
    """Tells the progress and keeps the seconds of each step."""

    def __init__(self, progress: Callable[[str], None] | None) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        if self._progress is not None:
            self._progress(name)
        begin = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begin


def _revision() -> str | None:
    """The commit of the working folder, if it is in a git checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
