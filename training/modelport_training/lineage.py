"""What a run was made of: the code of the recipe, the revision it was at, the command, the environment."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGES = ("modelport", "keras", "tensorflow", "tensorflow-cpu", "numpy", "pyarrow", "scikit-learn")
# Variables that may change what is computed.
_VARIABLES = (
    *("TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "TF_DETERMINISTIC_OPS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "XLA_FLAGS", "OMP_NUM_THREADS"),
    *("CUDA_VISIBLE_DEVICES", "KERAS_BACKEND", "PYTHONHASHSEED"),
)
_GIT_S = 10.0


def code(module: str) -> dict[str, str]:
    """The sha256 of a recipe's source, and of each local module that it imports, by name.

    Local is what does not lie in the folders of installed packages; modelport's own recipes are read all the same.
    """
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        source = _source(sys.modules.get(name))
        if name in found or source is None or (name != module and not _is_local(source)):
            continue
        text = source.read_bytes()
        found[name] = hashlib.sha256(text).hexdigest()
        waiting += _imported(text, name)
    return dict(sorted(found.items()))


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The modules whose code is another one, that are new, or gone."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def revision(folder: Path) -> dict[str, Any] | None:
    """The commit of a folder, and whether files of its tree were changed since; None where git knows none."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],  # noqa: S607  # wherever it is installed
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=True,
        )
        return done.stdout.strip()

    with suppress(OSError, subprocess.SubprocessError):
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    return None


def environment() -> dict[str, Any]:
    """Versions, machine and variables that may change what is computed."""
    versions = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "python": platform.python_version(),
        "packages": versions,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def _source(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if file and file.endswith(".py") and Path(file).is_file() else None


def _is_local(source: Path) -> bool:
    installed = ("site-packages", "dist-packages", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    return not set(installed) & set(source.parts) and "modelport" not in source.parts[-2]


def _imported(text: bytes, name: str) -> Iterator[str]:
    """The modules that a source names, with the names within them, which may be modules too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
