"""`publish` and `export`: describe → write → prove → commit. Nothing is visible before the last step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from modelport import atomic, layout, live
from modelport import history as histories
from modelport import manifest as manifests
from modelport.errors import FailedPrecondition, InvalidArgument
from modelport.layout import check_name
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport.run_record import read_npz
from modelport.staging import Published
from modelport_export import report, sources, versions, workspaces
from modelport_export.gate import cost, verdict
from modelport_export.gate.bounds import Gate
from modelport_export.gate.live_version import LiveVersion
from modelport_export.images import ImageInput
from modelport_export.preparing import Wishes, prepare
from modelport_export.report_page import page
from modelport_export.signatures import Array
from modelport_export.sources import Source
from modelport_export.steps import Steps
from modelport_export.verdicts import samples_digest, verdict_of
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
    history: Sequence[Mapping[str, float]] | None = None,
    evaluation: Mapping[str, Array] | None = None,
    input_signature: Any = None,
    gate: Gate | None = None,
    breaking: str | None = None,
    force: str | None = None,
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
        history: one mapping an epoch, of losses and metrics, for the report.
        evaluation: held-out rows: inputs by name, and what the model ought to answer as `label` or `target_OUTPUT`.
            It is held against the live version on them, and they go along with it (`modelport.evaluation_rows`).
        input_signature: name → tf.TensorSpec, for a subclassed model or to free a dimension.
        gate: bounds that the version must keep.
        breaking: why a change that breaks clients of the live version is meant.
        force: why the version is published whatever the gate says; kept with it.
        allow_lambda: publish Lambda layers, and load them from a file.
        allow_non_finite: outputs that may hold NaN or infinity.
        unproven: why a version is published although it cannot be asked, such as a SavedModel of sparse inputs.
        scores: what an image classifier gives, where its answers do not tell.
        progress: called with a few words at the beginning of each step.

    Returns:
        The version; `new` is False when the newest one has equal content. It is then left as it is, but for its proof
        where there are samples that it was not proven with: it is proven again.

    Raises:
        Refused: the gate refuses it; the message has every reason.
        ModelportError: it cannot be served, or was not proven. The repository is as it was before.
    """
    check_name(name)
    repository = repository if isinstance(repository, Repository) else Repository(repository)
    given = {"image": image, "labels": labels, "samples": samples, "metrics": metrics, "data": data}
    source = _source(model, allow_lambda, **given, training=training, history=history, evaluation=evaluation)
    options = Options(allow_lambda, allow_non_finite, unproven, scores)
    wishes = Wishes(gate or Gate(), breaking, force, unproven, allow_non_finite)
    steps = Steps(progress)
    with workspaces.workspace() as workspace:
        with steps.step("describe"):
            version = versions.describe(source, workspace, input_signature, options)
        newest = repository.newest_manifest(name)
        if newest is not None and newest.content_digest == version.content_digest:
            path = repository.version_path(name, newest.version)
            if version.sampled == "real" and newest.proof.get("samples_digest") != samples_digest(version):
                _prove_again(path, newest, version, gate, force, steps)
            return Published(name, newest.version, path, new=False)
        with _beside(LiveVersion.of(repository, name)) as live, repository.stage(name) as staging:
            manifest = prepare(staging.path, name, source, version, live, wishes, steps)
            published = staging.commit(manifest)
        if published.new:
            _note(repository, published, manifest)
        return published


def examine(
    model: Any,
    *,
    name: str,
    repository: Repository | Path | str,
    samples: Mapping[str, Array] | None = None,
    metrics: Mapping[str, float] | None = None,
    evaluation: Mapping[str, Array] | None = None,
    input_signature: Any = None,
    gate: Gate | None = None,
    breaking: str | None = None,
    allow_lambda: bool = False,
    allow_non_finite: Sequence[str] = (),
    unproven: str | None = None,
    scores: Literal["probabilities", "logits", "none"] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Manifest:
    """Prove and judge a model as `publish` does, and publish nothing; the arguments are those of `publish`.

    Returns:
        What its manifest would say. `proof["checks"]` has all checks, those that refuse it too.

    Raises:
        ModelportError: it cannot be served, or was not proven.
    """
    check_name(name)
    repository = repository if isinstance(repository, Repository) else Repository(repository)
    source = _source(model, allow_lambda, samples=samples, metrics=metrics, evaluation=evaluation)
    options = Options(allow_lambda, allow_non_finite, unproven, scores)
    wishes = Wishes(gate or Gate(), breaking, None, unproven, allow_non_finite, only_try=True)
    steps = Steps(progress)
    with workspaces.workspace() as workspace:
        with steps.step("describe"):
            version = versions.describe(source, workspace, input_signature, options)
        with _beside(LiveVersion.of(repository, name)) as live, workspaces.workspace() as folder:
            return prepare(folder, name, source, version, live, wishes, steps)


def _beside(live: LiveVersion | None) -> AbstractContextManager[LiveVersion | None]:
    return nullcontext() if live is None else live


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
    steps = Steps(progress)
    wishes = Wishes(gate or Gate(), unproven=unproven, non_finite=allow_non_finite)
    with workspaces.workspace() as workspace:
        with steps.step("describe"):
            version = versions.describe(source, workspace, input_signature, options)
        with atomic.new_folder(to) as staged:
            manifest = prepare(staged, to.name, source, version, None, wishes, steps)
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


def _note(repository: Repository, published: Published, manifest: Manifest) -> None:
    """Write the version into the model's history; it is live at once where always the newest is."""
    config = live.model_config(repository, published.model)
    newest = max(repository.versions(published.model), default=published.version)
    declared = [one["figures"].get("declared") for one in manifest.proof["checks"]]
    why = manifest.proof["forced"] or next(filter(None, declared), "")
    told = f"{manifest.proof['verdict']} {manifest.content_digest[:16]}".strip()
    entry = histories.Entry(
        "publish", published.version, live.live_version(config, newest), dict(config.labels), why=why, verdict=told
    )
    histories.append(published.path.parent, entry)


def _prove_again(
    path: Path, manifest: Manifest, version: Version, gate: Gate | None, force: str | None, steps: Steps
) -> None:
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
    derived = {report.RELATIVE_PATH.as_posix(), layout.HTML_REPORT.as_posix()}
    files = {name: digest for name, digest in manifest.files.items() if name not in derived}
    proven = dataclasses.replace(
        manifest,
        proof=proof,
        files=files,
        row_independent=[signature for signature, verdict in independence.items() if verdict["independent"]],
        loop_free=[signature for signature, verdict in independence.items() if verdict["loop_free"]],
    )
    if gate is not None:
        latency = figures["latency_ms"]
        costs = {f"{key}_ms": latency[key] for key in ("p50", "p99") if latency}
        if figures["resident_mib"] is not None:
            costs["resident_mib"] = figures["resident_mib"]
        bounds = Gate(max_p50_ms=gate.max_p50_ms, max_p99_ms=gate.max_p99_ms, max_resident_mib=gate.max_resident_mib)
        verdict.decide(list(cost.check(bounds, costs, {}, None)), force, manifest.model)
    if manifests.read(path) != manifest:
        raise FailedPrecondition(f"Expected {str(path)!r} as it was before the proof. Somebody changed it meanwhile.")
    atomic.write_text(path / manifests.RELATIVE_PATH, proven.to_json())
    atomic.write_text(path / report.RELATIVE_PATH, report.render(proven))
    rows = path / layout.EVALUATION
    atomic.write_text(path / layout.HTML_REPORT, page.render(proven, read_npz(rows) if rows.exists() else None))
