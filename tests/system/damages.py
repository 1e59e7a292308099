"""What is done to the files of a good version before it is dropped into a repository."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelport import layout
from modelport.wire import messages
from tests.support.models import write_warmup

NAME = "m"


def _graph(version: Path) -> Path:
    return version / layout.SAVED_MODEL


def _edit(version: Path, change: Callable[[Any], None]) -> None:
    saved = messages.SavedModel.FromString(_graph(version).read_bytes())
    change(saved)
    _graph(version).write_bytes(saved.SerializeToString())


def _loop(version: Path) -> None:
    _graph(version).unlink()
    _graph(version).symlink_to("saved_model.pb")


def _fifo(version: Path) -> None:
    _graph(version).unlink()
    os.mkfifo(_graph(version))


def _folder(version: Path) -> None:
    _graph(version).unlink()
    _graph(version).mkdir()


def _warm_up(version: Path) -> None:
    request = messages.PredictRequest()
    request.model_spec.name = NAME
    request.inputs["nothing"].dtype = messages.DT_FLOAT
    write_warmup(version, [request])


def _empty(version: Path) -> None:
    shutil.rmtree(version)
    version.mkdir()


# kind → what is done to a copy of the good version, without its manifest, before it is dropped
DROPPED: dict[str, Callable[[Path], object]] = {
    "truncated": lambda v: _graph(v).write_bytes(_graph(v).read_bytes()[:-9]),
    "zero bytes": lambda v: _graph(v).write_bytes(b""),
    "missing shard": lambda v: (v / "variables" / "variables.data-00000-of-00001").unlink(),
    "truncated variables": lambda v: (v / "variables" / "variables.data-00000-of-00001").write_bytes(b"12"),
    "no variables": lambda v: shutil.rmtree(v / "variables"),
    "unknown operation": lambda v: _graph(v).write_bytes(_graph(v).read_bytes().replace(b"Softmax", b"Sogtmax")),
    "no serve tag": lambda v: _edit(v, lambda saved: saved.meta_graphs[0].meta_info_def.tags.__setitem__(0, "train")),
    "failing warm-up": _warm_up,
    "symlink loop": _loop,
    "FIFO": _fifo,
    "a folder in place of the graph": _folder,
    "empty folder": _empty,
}
