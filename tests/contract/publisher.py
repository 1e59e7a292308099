"""A publisher in a process of its own, for tests that kill it.

usage: publisher.py REPOSITORY MODEL CONTENT [KILL_AT]

Publishes one version whose files hold CONTENT. With KILL_AT it kills itself (SIGKILL) right before the file system call
of that number, counted by Python's audit events; it prints how many there were when it survives.
"""

import os
import signal
import sys
from pathlib import Path

from modelport.manifest import Manifest
from modelport.repository import Repository

_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir", "fcntl.flock"}


def publish(root: str, model: str, content: str) -> int:
    with Repository(root).stage(model) as staging:
        (staging.path / "saved_model.pb").write_text(content)
        (staging.path / "variables").mkdir()
        (staging.path / "variables" / "variables.index").write_text(content * 100)
        (staging.path / "variables" / "variables.data-00000-of-00001").write_text(content * 1000)
        return staging.commit(Manifest(model=model)).version


def main() -> None:
    root, model, content, *kill_at = sys.argv[1:]
    count = 0
    limit = int(kill_at[0]) if kill_at else -1

    def audit(event: str, arguments: tuple) -> None:
        nonlocal count
        if (event in _EVENTS and any(root in str(argument) for argument in arguments)) or event == "fcntl.flock":
            count += 1
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    version = publish(root, model, content)
    print(version, count)


if __name__ == "__main__":
    assert Path(sys.argv[1]).is_absolute()
    main()
