"""The file that says what is live: one lock, one model changed at a time, everybody else's words kept.

In a repository it is `models.config` beside the models, made by the first promotion and taken up by `modelport serve`
and by the stack of docker-compose.yml alike. Its base paths are those of the container; `modelport serve` looks in its
own repository, whatever they are. For a server that was started with a file of its own it is that file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from modelport import layout, probe, serverconfig
from modelport.errors import DeadlineExceeded, from_os_error
from modelport.repository import Repository
from modelport.serverconfig import ModelConfig, ServerConfig, add_model, change_file, model_of, replace_text

_POLL_S = 0.05  # between two looks whether somebody else's promotion is over


class Configuration:
    """A ModelServerConfig file.

    Args:
        path: the file.
        repository: the repository that it belongs to, whose models it may not know yet; None for a file of one's own.
    """

    def __init__(self, path: Path | str, repository: Repository | None = None) -> None:
        self.path = Path(path)
        self._repository = repository
        self._written = ""

    @classmethod
    def of_repository(cls, root: Path | str) -> Configuration:
        """That of a repository."""
        repository = Repository(root)
        return cls(repository.root / layout.MODELS_CONFIG, repository)

    @contextlib.contextmanager
    def locked(self, deadline: float, say: Callable[[str], None] = lambda line: None) -> Iterator[None]:
        """Hold the lock of the configuration: nobody else promotes meanwhile. Who waits is told so, once.

        Raises:
            DeadlineExceeded: somebody else holds it for that long.
            FailedPrecondition: the repository's file system has no locks that hold.
            NotFound, PermissionDenied: its folder.
        """
        folder = Path(os.path.realpath(self.path)).parent
        if self._repository is not None:
            probe.check(folder)
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise from_os_error(error, "look for the configuration in", folder) from error
        said = False
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise DeadlineExceeded(
                            f"Expected to change {str(self.path)!r} by now; another promotion is under way."
                        ) from None
                    if not said:
                        said = True
                        say(f"Another promotion of {str(self.path)!r} is under way: waiting for its end …")
                    time.sleep(_POLL_S)
            yield
        finally:
            os.close(handle)

    def read(self) -> ServerConfig:
        """All models, as the file says; of a repository also those that it does not know yet, by their newest."""
        text = "" if self._repository is not None and not self.path.exists() else serverconfig.read(self.path)
        found = serverconfig.parse_models(text, repr(str(self.path)))
        if self._repository is None:
            return found
        models = found.models or ()
        known = {model.name for model in models}
        roots = {model.base_path.removesuffix(f"/{model.name}") for model in models}
        root = roots.pop() if len(roots) == 1 else layout.CONTAINER_ROOT  # as somebody wrote for a server of his own
        new = [ModelConfig(name, f"{root}/{name}") for name in self._repository.models() if name not in known]
        return ServerConfig((*models, *new))

    def model(self, name: str) -> ModelConfig:
        """What it says of a model.

        Raises:
            NotFound: nothing; the message has the names that are there.
        """
        return model_of(self.read(), name, repr(str(self.path)))

    def base_path(self, model: ModelConfig) -> Path:
        """Where a model's versions are on this machine."""
        return Path(model.base_path) if self._repository is None else self._repository.base_path(model.name)

    def change(self, model: ModelConfig) -> None:
        """Replace what the file says of one model, in one step; the lock is held."""
        if self._repository is not None:
            self._make_known()
        change_file(self.path, model)
        self._written = serverconfig.read(self.path)

    def put_back(self, model: ModelConfig, text: str) -> None:
        """Undo `change`: to the letter where nobody else wrote meanwhile, else of this model alone."""
        if serverconfig.read(self.path) == self._written and text:
            replace_text(self.path, text)
        else:
            self.change(model)

    def text(self) -> str:
        """The file as it is; empty where there is none yet."""
        return serverconfig.read(self.path) if self.path.exists() else ""

    def _make_known(self) -> None:
        """Write the models into the file of a repository that does not have them yet.

        All of them: a server that reads the file serves what it names, and nothing else.
        """
        text = before = self.text()
        text = text or _HEAD
        known = {model.name for model in serverconfig.parse_models(text, repr(str(self.path))).models or ()}
        for model in self.read().models or ():
            if model.name not in known:
                text = add_model(text, model, repr(str(self.path)))
        if text != before:
            replace_text(self.path, text)


_HEAD = (
    "# What is live: written by modelport promote and rollback, read by modelport serve on this folder and by the\n"
    "# stack of docker-compose.yml, whose container has this folder as /models.\n"
)
