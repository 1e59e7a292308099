"""A version's folder: whether a server can load it, and whether it is what was published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from modelport import layout
from modelport import manifest as manifests
from modelport.errors import ModelportError
from modelport.readable import closed_to_others
from modelport.regular_files import read_bounded
from modelport.wire import messages
from modelport_release.doctor.finding import Finding

_MOST_BYTES = 2**31  # protobuf's limit of a message
_SHARD = re.compile(r"variables\.data-(\d{5})-of-(\d{5})")
_SERVE, _DEFAULT = "serve", "serving_default"
_INIT = "__saved_model_init_op"


def check(path: Path, target: str | None = None, *, others_read: bool = True) -> Iterator[Finding]:
    """All that can be told from the files of a version.

    Args:
        path: its folder.
        target: the version of the TensorFlow that is to serve it, such as 2.21.0; None where that is not known.
        others_read: whether a server of another user is to read it, as in a container.
    """
    where = str(path)
    try:
        yield from _check(path, where, target, others_read=others_read)
    except OSError as error:
        yield unreadable(path, error)


def unreadable(path: Path, error: OSError) -> Finding:
    """The finding of what we ourselves cannot look at."""
    place = error.filename or path
    return Finding("error", str(place), f"It cannot be looked at: {error.strerror or error}.", f"chmod -R o+rX {path}")


def _check(path: Path, where: str, target: str | None, *, others_read: bool) -> Iterator[Finding]:
    if not path.is_dir():
        yield Finding(
            "error", where, "A version is a folder; this is a file.", f"Move it away: mv {where} {where}.aside"
        )
        return
    if not (path / layout.SAVED_MODEL).exists():
        yield from _without_graph(path)
        return
    yield from _files(path)
    yield from _graph(path, target)
    if not (path / layout.WARMUP_REQUESTS).exists():
        yield Finding(
            "warning",
            where,
            "It has no warm-up requests: its first answers are slow.",
            "Publish it by modelport publish.",
        )
    if others_read:
        closed = _closed(path)
        if closed is not None:
            yield Finding(
                "error", str(closed), "The user of a server in a container cannot read it.", f"chmod -R o+rX {where}"
            )


def _without_graph(path: Path) -> Iterator[Finding]:
    inner = [child for child in path.iterdir() if (child / layout.SAVED_MODEL).exists()]
    if inner:
        yield Finding(
            "error",
            str(path),
            f"It is nested one level too deep: the SavedModel is in {inner[0].name!r} within it.",
            f"mv {inner[0]} {path}.whole && rmdir {path} && mv {path}.whole {path}",
        )
        return
    if any(path.iterdir()):
        yield Finding(
            "error",
            str(path),
            "It has no saved_model.pb: it is half-copied, or no SavedModel.",
            "Copy it again, in full.",
        )
        return
    yield Finding("error", str(path), "It is empty.", f"Copy it again, in full, or: rmdir {path}")


def _files(path: Path) -> Iterator[Finding]:
    """Sizes and digests by the manifest, and the shards of the variables."""
    try:
        manifest = manifests.read(path)
        if manifest is not None:
            missing = manifests.missing_files(path, manifest)
            if missing:
                few = ", ".join(missing[:3])
                yield Finding(
                    "error", str(path), f"It is half-copied: not in full are {few}.", "Copy it again, in full."
                )
                return
            manifests.verify(path)
    except ModelportError as error:
        yield Finding("error", str(path), f"{error.message}", "Copy it again from where it was published.")
        return
    shards = [found for child in _children(path / layout.VARIABLES) if (found := _SHARD.fullmatch(child.name))]
    wanted = {int(found[2]) for found in shards}
    have = {int(found[1]) for found in shards}
    index = path / layout.VARIABLES / "variables.index"
    if shards and not index.exists():
        yield Finding("error", str(path), "Its variables have no index file.", "Copy it again, in full.")
    for count in wanted:
        lost = sorted(set(range(count)) - have)
        if lost:
            yield Finding(
                "error",
                str(path),
                f"Shard {lost[0]} of {count} of its variables is missing.",
                "Copy it again, in full.",
            )
    if index.exists() and not shards:
        yield Finding("error", str(path), "Its variables have an index and no data.", "Copy it again, in full.")
    for child in _children(path / layout.VARIABLES):
        if not child.exists():
            yield Finding("error", str(child), "It is a link that leads nowhere.", "Copy the version again, in full.")
        elif child.stat().st_size == 0:
            yield Finding("error", str(child), "The file is empty.", "Copy the version again, in full.")


def _graph(path: Path, target: str | None) -> Iterator[Finding]:
    file = path / layout.SAVED_MODEL
    try:
        saved = messages.SavedModel.FromString(read_bounded(file, _MOST_BYTES))
    except ModelportError as error:
        yield Finding("error", str(file), error.message, "Look at its mode and its disk.")
        return
    except DecodeError:
        yield Finding("error", str(file), "It is cut short, or no SavedModel.", "Copy the version again, in full.")
        return
    graphs = [one for one in saved.meta_graphs if set(one.meta_info_def.tags) == {_SERVE}]
    if not graphs:
        tags = [sorted(one.meta_info_def.tags) for one in saved.meta_graphs]
        yield Finding(
            "error",
            str(path),
            f"No graph has the tag 'serve' alone, which servers load; there are {tags}.",
            "Save it with tf.saved_model.save(…, signatures=…), or publish the Keras model by modelport publish.",
        )
        return
    graph = graphs[0]
    names = sorted(set(graph.signature_def) - {_INIT})
    if _DEFAULT not in names:
        have = ", ".join(names) or "none"
        yield Finding(
            "warning" if names else "error",
            str(path),
            f"It has no signature {_DEFAULT!r} ({have}): requests that name none fail.",
            "Save it with signatures={'serving_default': …}, or let clients name one.",
        )
    made_by = graph.meta_info_def.tensorflow_version
    if target is not None and _numbers(made_by)[:2] > _numbers(target)[:2]:
        yield Finding(
            "warning",
            str(path),
            f"It was made by TensorFlow {made_by} and is served by {target}, which may not know its operations "
            f"(producer {graph.graph_def.versions.producer}).",
            f"Serve it with an image of TensorFlow {made_by}, or publish it with {target}.",
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _closed(path: Path) -> Path | None:
    folders = [path, *(child for child in path.rglob("*") if child.is_dir())]
    closed = closed_to_others(*folders)
    if closed is not None:
        return closed
    return next((one for one in path.rglob("*") if one.is_file() and not one.stat().st_mode & 0o004), None)


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
