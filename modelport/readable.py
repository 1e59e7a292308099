"""Who may read a version: a server in a container is another user (65534 in docker-compose.yml) than its publisher.

So what a publisher makes can be read by all, whatever its umask is. Who wants a repository kept from others closes its
root folder: that is left as it is found, and `closed_to_others` tells it.
"""

from __future__ import annotations

import stat
from pathlib import Path

_READ = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
_ENTER = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def make_folder(path: Path) -> None:
    """Make a folder, and the parents that are missing, readable by all; what is there keeps its mode."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        open_up(folder)


def open_up(path: Path) -> None:
    """Let everybody read a file, or list and enter a folder."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) | _READ | (_ENTER if path.is_dir() else 0))


def open_tree(folder: Path) -> None:
    """`open_up` for a folder and all that is in it; links are left alone."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            open_up(path)


def closed_to_others(*folders: Path) -> Path | None:
    """The first of the folders that users other than its owner and group cannot list and enter; None if all can."""
    wanted = stat.S_IROTH | stat.S_IXOTH
    return next((folder for folder in folders if folder.stat().st_mode & wanted != wanted), None)
