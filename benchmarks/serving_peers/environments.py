"""Virtual environments for what must not stand in ours: one a peer, made once and kept."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from serving_peers.generator import BadRun

_INSTALL_S = 900


def ensure(cache: Path, name: str, packages: Sequence[str]) -> Path:
    """Make `<cache>/<name>` with these packages unless it is there already; returns its `bin` folder.

    Raises:
        BadRun: pip could not install them; the text has its reason.
    """
    folder = cache / name
    wanted = hashlib.sha256("\n".join(packages).encode()).hexdigest()
    mark = folder / "installed.sha256"  # written last: an installation cut short is begun anew
    if not mark.exists() or mark.read_text() != wanted:
        print(f"Installing {', '.join(packages)} into {folder} (once)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=120)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--retries=1", *packages]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S)
        except subprocess.TimeoutExpired as error:
            raise BadRun(f"not installed: pip took longer than {_INSTALL_S} s") from error
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise BadRun(f"not installed: {(errors or [done.stderr])[-1].strip()[-300:]}")
        mark.write_text(wanted)
    return folder / "bin"
